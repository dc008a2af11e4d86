// Batches of key injection: counts, manifests, units that have a key already, tokens, key files.
#include "store/journal.h"
#include "support/key_batches.h"
#include "support/must.h"
#include "support/soft_token.h"
#include "support/test_program.h"

#include <QTest>

#include <set>

namespace provost::test {

class TstKeyBatch : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void otherPlatforms_areInjected_data();
    void otherPlatforms_areInjected();
    void hopelessBatch_stops();
    void changedUnits_areAskedForAndCounted();
    void keyedUnit_isRefusedOrKept_data();
    void keyedUnit_isRefusedOrKept();
    void cloudAway_leavesUnitsHeldAndNoProduct();
    void manifest_isRefusedWhenChanged();
    void plansAndStations_areOfOneKind();
    void keysOfAToken_areBurntAndOnRecord();
    void files_areMadeOnceAndGoneOnWith();
};

void TstKeyBatch::otherPlatforms_areInjected_data()
{
    QTest::addColumn<QString>("platform");
    for (const char* platform : {"electron", "core", "p1"})
        QTest::newRow(platform) << platform;
}

void TstKeyBatch::otherPlatforms_areInjected()
{
    QFETCH(const QString, platform);
    CommandFolder folder;
    const auto name = platform.toStdString();
    const UnitWish unit{.platform = name,
                        .stock = name == "core"       ? "0.7.0"
                                 : name == "electron" ? "empty"
                                                      : "1.5.2"};
    QVERIFY(folder.write("bench.toml",
                         QByteArray::fromStdString(benchToml({.supplies = {{unit}, {unit}}}))));
    const auto ran = folder.json({"keys", "batch", "--platform", platform, "--count", "2",
                                  "--inject", "--simulate", "./bench.toml", "--db", "line.db"});
    QVERIFY2(ran.exitCode == 0, ran.out + ran.err);
    QCOMPARE(ran.last()["injected"].toInt(), 2);
}

void TstKeyBatch::hopelessBatch_stops()
{
    CommandFolder folder;
    QVERIFY(folder.write(
        "bench.toml", QByteArray::fromStdString(
                          benchToml({.supplies = {{UnitWish{.key = "burnt", .count = 1000}}}}))));
    const auto ran = folder.json({"keys", "batch", "--platform", "photon", "--count", "20",
                                  "--inject", "--simulate", "./bench.toml", "--db", "line.db"});
    QCOMPARE(ran.exitCode, 2);
    QVERIFY2(ran.err.contains("in a row"), ran.err);
    QCOMPARE(ran.last()["refused"].toInt(), 10);
    QVERIFY(!ran.last()["complete"].toBool());
}

void TstKeyBatch::changedUnits_areAskedForAndCounted()
{
    CommandFolder folder;
    RemoteLine line({.supplies = {{UnitWish{.count = 3}}}}, folder);
    QVERIFY(line.writeStation(kKeyStation) && line.shareServerKey("line-cloud"));
    RunningCommand batch(folder, injectArguments(false));
    std::set<std::string> keys;
    for (int unit = 1; unit <= kBatchUnits; ++unit) {
        const auto told = batch.waitForEvent("unit");
        QCOMPARE(told["outcome"].toString(), QString("injected"));
        QCOMPARE(told["done"].toInt(), unit);
        keys.insert(fingerprintOn(*line.bench().board(1)));
        if (unit == kBatchUnits)
            break;
        QVERIFY(line.bench().removeUnit(1));
        QCOMPARE(batch.waitForEvent("ready")["slot"].toInt(), 1);
        QVERIFY(line.bench().insertNext(1));
    }
    const auto end = batch.end();
    QCOMPARE(end.exitCode, 0);
    QCOMPARE(keys.size(), std::size_t{kBatchUnits});
}

namespace {

/// The default plan with another word for units that have a key.
bool writePlan(const CommandFolder& folder, const QByteArray& keyed)
{
    QFile file(PROVOST_SOURCE_DIR "/stations/plans/photon-keys.toml");
    if (!file.open(QIODevice::ReadOnly))
        return false;
    QByteArray plan = file.readAll();
    return folder.write("keys.toml",
                        plan.replace("keyed = \"refuse\"", "keyed = \"" + keyed + '"'));
}

} // namespace

void TstKeyBatch::keyedUnit_isRefusedOrKept_data()
{
    QTest::addColumn<QByteArray>("keyed");
    QTest::addColumn<QString>("outcome");
    QTest::addColumn<int>("exitCode");
    QTest::newRow("refused") << QByteArray("refuse") << "refused" << 2;
    QTest::newRow("kept") << QByteArray("keep") << "kept" << 0;
    QTest::newRow("replaced") << QByteArray("replace") << "injected" << 0;
}

void TstKeyBatch::keyedUnit_isRefusedOrKept()
{
    QFETCH(const QByteArray, keyed);
    QFETCH(const QString, outcome);
    QFETCH(const int, exitCode);
    CommandFolder folder;
    QVERIFY(writePlan(folder, keyed));
    QVERIFY(folder.write("bench.toml", QByteArray::fromStdString(
                                           benchToml({.supplies = {{UnitWish{.key = "burnt"}}}}))));
    const auto ran =
        folder.json({"keys", "batch", "--platform", "6", "--count", "1", "--inject", "--simulate",
                     "./bench.toml", "--plan", "./keys.toml", "--db", "line.db"});
    QCOMPARE(ran.exitCode, exitCode);
    QCOMPARE(ran.last()["done"].toInt(), exitCode == 0 ? 1 : 0);
    QCOMPARE(ran.last()[outcome].toInt(), 1);
    const auto manifest =
        QJsonDocument::fromJson(folder.read(ran.last()["manifest"].toString() + "/manifest.json"));
    QCOMPARE(manifest["complete"].toBool(), exitCode == 0);
    if (outcome == "refused") {
        QCOMPARE(manifest["units"].toArray().size(), 0);
        QCOMPARE(manifest["not_done"].toArray()[0].toObject()["cause"].toString(), QString("C056"));
    }
}

void TstKeyBatch::cloudAway_leavesUnitsHeldAndNoProduct()
{
    CommandFolder folder;
    RemoteLine line(threeUnits(), folder);
    QVERIFY(line.writeStation(kKeyStation, "[cloud]\nurl = \"http://127.0.0.1:1\"\n"));
    const auto ran = folder.provost(injectArguments(false));
    QCOMPARE(ran.exitCode, 5);
    QCOMPARE(ran.last()["done"].toInt(), kBatchUnits);
    QCOMPARE(ran.last()["held"].toInt(), kBatchUnits);
    const auto units = folder.json({"unit", "list", "--db", "line.db"});
    for (const auto& unit : units.lines())
        QVERIFY(unit["event"] != "unit" || unit["state"] == "new");
}

void TstKeyBatch::manifest_isRefusedWhenChanged()
{
    const CommandFolder folder;
    const auto made = folder.json({"keys", "batch", "--platform", "photon", "--count", "2",
                                   "--inject", "--simulate", "photon-quick", "--speed", "instant",
                                   "--out", "lot", "--db", "line.db"});
    QVERIFY2(made.exitCode == 0, made.err);
    QCOMPARE(folder.permissions("station-key.pem") & (QFile::ReadGroup | QFile::ReadOther),
             QFile::Permissions());
    QVERIFY(folder.read("station-key.pem").startsWith("-----BEGIN ENCRYPTED PRIVATE KEY-----"));
    const QStringList check{"keys", "manifest", "lot", "--public-key", "station-key.pub.pem"};
    QCOMPARE(folder.provost(check).exitCode, 0);
    for (const QString name : {"manifest.csv", "manifest.json", "manifest.json.sig"}) {
        const QByteArray good = folder.read("lot/" + name);
        QByteArray bad = good;
        bad[bad.size() / 2] = static_cast<char>(bad[bad.size() / 2] ^ 1);
        QVERIFY(folder.write("lot/" + name, bad));
        QVERIFY2(folder.provost(check).exitCode == 1, qPrintable(name));
        QVERIFY(folder.write("lot/" + name, good));
    }
    QCOMPARE(
        folder.run("openssl", {"genpkey", "-algorithm", "ed25519", "-out", "other.pem"}).exitCode,
        0);
    QCOMPARE(folder.run("openssl", {"pkey", "-in", "other.pem", "-pubout", "-out", "other.pub"})
                 .exitCode,
             0);
    QCOMPARE(folder.provost({"keys", "manifest", "lot", "--public-key", "other.pub"}).exitCode, 1);
    QVERIFY(
        QFile::setPermissions(folder.path("station-key.pem"), QFile::ReadOwner | QFile::ReadOther));
    const auto open = folder.json({"keys", "batch", "--platform", "photon", "--count", "2",
                                   "--inject", "--simulate", "photon-quick", "--speed", "instant",
                                   "--out", "lot", "--db", "line.db"});
    QCOMPARE(open.exitCode, 4);
    QVERIFY(open.err.contains("chmod 600"));
}

void TstKeyBatch::plansAndStations_areOfOneKind()
{
    CommandFolder folder;
    RemoteLine line(threeUnits(), folder);
    QVERIFY(line.writeStation("", line.lineTables()) && line.shareServerKey("cloud"));
    const auto onALine = folder.provost(injectArguments(false));
    QCOMPARE(onALine.exitCode, 4);
    QVERIFY2(onALine.err.contains("key-injection"), onALine.err);
    QVERIFY(line.writeStation(kKeyStation));
    for (const QString plan : {"photon-full", "photon-keys"})
        QCOMPARE(folder
                     .provost({"run", "--station", "station.toml", "--training", "--plan", plan,
                               "--db", "line.db"})
                     .exitCode,
                 4);
    QCOMPARE(folder.provost(injectArguments(true)).exitCode, 2); // none to go on with
}

void TstKeyBatch::keysOfAToken_areBurntAndOnRecord()
{
    CommandFolder folder;
    QVERIFY2(makeSoftToken(folder.path("hsm")), "softhsm2 is missing");
    folder.environment().insert("SOFTHSM2_CONF", folder.path("hsm/softhsm2.conf"));
    RemoteLine line(threeUnits(), folder);
    const QByteArray token = QByteArray("[token]\nmodule = \"") + kSoftTokenModule +
                             "\"\nlabel = \"units\"\npin_file = \"pin\"\n";
    QVERIFY(line.writeStation(kKeyStation, token) && line.shareServerKey("line-cloud"));
    QVERIFY(folder.write("pin", "000000\n"));
    const auto locked = folder.provost(injectArguments(false));
    QCOMPARE(locked.exitCode, 4); // wrong PIN: no key is made anywhere else instead
    QVERIFY2(locked.err.contains("PIN"), locked.err);
    QVERIFY(folder.write("pin", QByteArray(kSoftTokenPin) + "\n"));
    const auto ran = folder.provost(injectArguments(false));
    QVERIFY2(ran.exitCode == 0, ran.err);
    QCOMPARE(ran.last()["injected"].toInt(), kBatchUnits);
    const SystemClock clock;
    const auto journal = must(Journal::openReadOnly(folder.path("line.db").toStdString(), clock));
    for (const auto& slot : line.bench().slots()) {
        const auto custody =
            must(journal->custodyOf(fingerprintOn(*line.bench().board(slot.number))));
        QVERIFY(!custody.empty());
        QCOMPARE(custody.front().event, std::string("birth"));
        QVERIFY(custody.front().detail.find("in token units") != std::string::npos);
        QCOMPARE(custody.back().event, std::string("destruction"));
    }
}

void TstKeyBatch::files_areMadeOnceAndGoneOnWith()
{
    const CommandFolder folder;
    QVERIFY(folder.write("words", "correct horse\n"));
    const auto make = [&](int count, bool resume) {
        return folder.json(QStringList{"keys", "batch", "--platform", "photon", "--count",
                                       QString::number(count), "--out", "lot", "--passphrase-file",
                                       "words", "--signing-key", "signer.pem"} +
                           (resume ? QStringList{"--resume"} : QStringList{}));
    };
    QCOMPARE(make(2, false).exitCode, 0);
    const QByteArray first = folder.read("lot/key-000001.pem");
    QVERIFY(first.startsWith("-----BEGIN ENCRYPTED PRIVATE KEY-----"));
    QCOMPARE(make(3, false).exitCode, 4);
    // As a kill leaves it: a public half alone, a private one half written.
    QVERIFY(folder.write("lot/key-000003.pem.pub.pem", folder.read("lot/key-000001.pem.pub.pem")));
    QVERIFY(folder.write("lot/key-000003.pem.partial", first.left(100)));
    const auto ran = make(3, true);
    QVERIFY2(ran.exitCode == 0, ran.err);
    QCOMPARE(folder.read("lot/key-000001.pem"), first);
    QVERIFY(!folder.exists("lot/key-000003.pem.partial"));
    const auto manifest = QJsonDocument::fromJson(folder.read("lot/manifest.json"));
    QCOMPARE(manifest["counts"].toObject()["made"].toInt(), 3);
    QCOMPARE(folder.provost({"keys", "manifest", "lot", "--public-key", "signer.pub.pem"}).exitCode,
             0);
    const auto derived = folder.run("openssl", {"pkey", "-in", "lot/key-000003.pem", "-passin",
                                                "pass:correct horse", "-pubout"});
    QCOMPARE(derived.out, folder.read("lot/key-000003.pem.pub.pem"));
}

} // namespace provost::test

PROVOST_TEST("key_batch", provost::test::TstKeyBatch)
#include "tst_key_batch.moc"
