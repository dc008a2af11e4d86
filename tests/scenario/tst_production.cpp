// A computer in production: nothing that guards private keys can be talked out of it, and who tried
// is on record.
#include "store/journal.h"
#include "support/remote_line.h"
#include "support/test_program.h"

#include <QTest>

namespace provost::test {

namespace {

/// A folder on whose computer PROVOST_CONFIG names a station in production.
class ProductionFolder : public CommandFolder {
public:
    ProductionFolder()
    {
        write("prod.toml", QByteArray("[station]\nname = \"P\"\nmode = \"production\"\n") + kRest);
        write("practice.toml", QByteArray("[station]\nname = \"T\"\n") + kRest);
        environment().insert("PROVOST_CONFIG", path("prod.toml"));
    }
    std::vector<StationRecord> events(const QString& database = "line.db") const
    {
        const SystemClock clock;
        const auto journal = Journal::openReadOnly(path(database).toStdString(), clock);
        if (!journal)
            return {};
        return (*journal)->stationEvents().value_or(std::vector<StationRecord>{});
    }
    static constexpr const char* kRest = "[[slot]]\nnumber = 1\nusb = \"usbip:127.0.0.1:1/1-1\"\n"
                                         "[network]\nssid = \"n\"\n"
                                         "[handshake]\nhost = \"127.0.0.1\"\nport = 0\n";
};

} // namespace

class TstProduction : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void clearKeys_areRefusedAndOnRecord_data();
    void clearKeys_areRefusedAndOnRecord();
    void clearKey_besideARunningStationIsOnRecord();
    void sealedKeys_areMade();
    void clearKey_inTrainingIsOnRecord();
    void memoryWithKeys_isNotRead();
    void memoryWithKeys_isSealedOrClearOnDemand();
    void training_cannotBeAskedFor();
    void unlockedMemory_hasNoOverride();
    void ownEscrow_isFoundAroundTheStation();
    void runs_areMarked();
    void serverKey_isSealedWhereItLayInTheClear();
};

void TstProduction::clearKeys_areRefusedAndOnRecord_data()
{
    QTest::addColumn<QStringList>("words");
    QTest::newRow("new") << QStringList{"keys", "new", "--platform", "photon"};
    QTest::newRow("convert") << QStringList{"keys", "convert", "in.der", "--platform", "photon"};
    QTest::newRow("batch") << QStringList{"keys", "batch", "--platform", "photon", "--count", "2"};
    QTest::newRow("practice station beside it")
        << QStringList{"keys", "new", "--platform", "photon", "--station", "practice.toml"};
}

void TstProduction::clearKeys_areRefusedAndOnRecord()
{
    QFETCH(const QStringList, words);
    const ProductionFolder folder;
    QVERIFY(folder.write("in.der", "x"));
    const auto ran =
        folder.json(words + QStringList{"--out", "k", "--clear-key", "--db", "line.db"});
    QCOMPARE(ran.exitCode, 4);
    QVERIFY2(ran.err.contains("production") && ran.err.contains("--escrow"), ran.err);
    QVERIFY(!folder.exists("k") && !folder.exists("k.pub.pem"));
    const auto events = folder.events();
    QCOMPARE(events.size(), std::size_t{1});
    QCOMPARE(events[0].kind, std::string("clear-key-refused"));
    QCOMPARE(events[0].subject, std::string("k"));
}

void TstProduction::clearKey_besideARunningStationIsOnRecord()
{
    const ProductionFolder folder;
    const SystemClock clock;
    const auto station = must(Journal::open(folder.path("line.db").toStdString(), clock));
    QCOMPARE(folder.typed("keys new --platform photon --out k --clear-key --db line.db").exitCode,
             4);
    QCOMPARE(must(station->stationEvents()).size(), std::size_t{1});
}

void TstProduction::sealedKeys_areMade()
{
    const ProductionFolder folder;
    QVERIFY(folder.write("words", "correct horse\n"));
    const auto made =
        folder.typed("keys new --platform photon --out k.pem --passphrase-file words --db line.db");
    QVERIFY2(made.exitCode == 0, made.err);
    QVERIFY(folder.events().empty());
}

void TstProduction::clearKey_inTrainingIsOnRecord()
{
    ProductionFolder folder;
    folder.environment().insert("PROVOST_CONFIG", folder.path("practice.toml"));
    QCOMPARE(folder.typed("keys new --platform photon --out k --clear-key --db line.db").exitCode,
             0);
    const auto events = folder.events();
    QCOMPARE(events.size(), std::size_t{1});
    QCOMPARE(events[0].kind, std::string("clear-key-written"));
    QVERIFY(folder.write("broken.toml", "[station]\nmode = \"prod\"\n"));
    folder.environment().insert("PROVOST_CONFIG", folder.path("broken.toml"));
    QCOMPARE(folder.typed("keys new --platform photon --out l --clear-key --db line.db").exitCode,
             2);
    QVERIFY(!folder.exists("l"));
}

void TstProduction::memoryWithKeys_isNotRead()
{
    ProductionFolder folder;
    const auto virtualUnit =
        folder.typed("dfu read sim:photon-quick#1 --alt 1 --address 22 --length 16 -o sim.bin");
    QCOMPARE(virtualUnit.exitCode, 0); // a virtual unit's key is no secret
    const auto probe =
        folder.typed("stlink read usb:0483:374b --address 08004000 --length 64 -o p.bin --json");
    QCOMPARE(probe.exitCode, 4);
    QVERIFY(probe.err.contains("production"));
    const auto table = folder.typed(
        "stlink dct-read usb:0483:374b --platform p1 --offset 34 --length 612 -o t.bin --json");
    QCOMPARE(table.exitCode, 4);
    for (const auto& refused : folder.events())
        QCOMPARE(refused.kind, std::string("clear-key-refused"));
    const auto elsewhere =
        folder.typed("stlink read usb:0483:374b --address 08000000 --length 64 -o p.bin --json");
    QVERIFY2(elsewhere.exitCode == 2, elsewhere.err); // no probe there: it was looked for
}

void TstProduction::memoryWithKeys_isSealedOrClearOnDemand()
{
    ProductionFolder folder;
    folder.environment().insert("PROVOST_CONFIG", folder.path("practice.toml"));
    const QString read = "stlink read usb:0483:374b --address 08004000 --length 64 -o p.bin "
                         "--db line.db";
    const auto unsaid = folder.typed(qPrintable(read));
    QCOMPARE(unsaid.exitCode, 4);
    QVERIFY2(unsaid.err.contains("--clear-key") && unsaid.err.contains("--escrow"), unsaid.err);
    QVERIFY(!folder.exists("line.db") || folder.events().empty());
    // Said, and on record, before the probe is looked for; there is none here.
    QCOMPARE(folder.typed(qPrintable(read + " --clear-key")).exitCode, 2);
    QCOMPARE(folder.events().size(), std::size_t{1});
    QCOMPARE(folder.events()[0].kind, std::string("clear-key-written"));
    // What is sealed needs no permission, and opens with the key of the certificate alone.
    QCOMPARE(folder
                 .run("openssl", QString("req -x509 -newkey rsa:2048 -nodes -keyout escrow.key "
                                         "-out escrow.pem -subj /CN=escrow -days 2")
                                     .split(' '))
                 .exitCode,
             0);
    const QString memory = "dfu read sim:photon-quick#1 --alt 1 --address 22 --length 612 -o ";
    QCOMPARE(folder.typed(qPrintable(memory + "sealed.cms --escrow escrow.pem")).exitCode, 0);
    QCOMPARE(folder.permissions("sealed.cms") & (QFile::ReadGroup | QFile::ReadOther),
             QFile::Permissions{});
    QCOMPARE(folder
                 .run("openssl", QString("cms -decrypt -inform DER -binary -in sealed.cms -inkey "
                                         "escrow.key -out opened.bin")
                                     .split(' '))
                 .exitCode,
             0);
    QCOMPARE(folder.read("opened.bin").size(), 612);
    QCOMPARE(folder.typed(qPrintable(memory + "x --escrow escrow.pem --clear-key")).exitCode, 64);
}

void TstProduction::training_cannotBeAskedFor()
{
    const ProductionFolder folder;
    const auto ran =
        folder.typed("run --station prod.toml --training --plan photon-full --db line.db");
    QCOMPARE(ran.exitCode, 4);
    QVERIFY2(ran.err.contains("--training"), ran.err);
    const auto events = folder.events();
    QCOMPARE(events.size(), std::size_t{1});
    QCOMPARE(events[0].kind, std::string("training-refused"));
}

void TstProduction::unlockedMemory_hasNoOverride()
{
    const ProductionFolder folder;
    const auto ran = folder.run(
        "bash", {"-c", "ulimit -l 0; exec setpriv --bounding-set=-ipc_lock --inh-caps=-ipc_lock "
                       "provost run --station prod.toml --db line.db"});
    if (ran.err.contains("setpriv"))
        QSKIP("this user cannot give up capabilities");
    QCOMPARE(ran.exitCode, 4);
    QVERIFY2(ran.err.contains("C055") && ran.err.contains("ulimit -l"), ran.err);
    QVERIFY(!ran.err.contains("--training"));
}

void TstProduction::ownEscrow_isFoundAroundTheStation()
{
    for (const QString where : {"", "state/provost/", "escrow/"}) {
        ProductionFolder folder;
        folder.environment().insert("XDG_STATE_HOME", folder.path("state"));
        for (const char* made : {"state/provost", "escrow"})
            QVERIFY(QDir().mkpath(folder.path(made)));
        QVERIFY(
            folder.write("prod.toml", QByteArray("[station]\nname = \"P\"\nmode = \"production\"\n"
                                                 "escrow_certificate = \"escrow/escrow.pem\"\n") +
                                          ProductionFolder::kRest));
        QCOMPARE(folder
                     .run("openssl", {"req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout",
                                      where + "mine.key", "-out", "escrow/escrow.pem", "-days", "2",
                                      "-subj", "/CN=escrow", "-batch"})
                     .exitCode,
                 0);
        const auto ran = folder.typed("run --station prod.toml --db db/line.db");
        QVERIFY2(ran.exitCode == 4, ran.err);
        QVERIFY2(ran.err.contains("C053") && ran.err.contains("mine.key"), ran.err);
    }
}

void TstProduction::runs_areMarked()
{
    for (const bool production : {false, true}) {
        CommandFolder folder;
        RemoteLine line({.supplies = {{UnitWish{}}}}, folder);
        QVERIFY(line.writeStation(production ? "kind = \"key-injection\"\nmode = \"production\""
                                             : "kind = \"key-injection\"") &&
                line.shareServerKey("line-cloud"));
        QStringList words{"keys",     "batch",     "--platform",   "photon", "--count", "1",
                          "--inject", "--station", "station.toml", "--db",   "line.db"};
        if (!production)
            words << "--training";
        const auto ran = folder.json(words);
        if (production && ran.exitCode == 4 && ran.err.contains("C055"))
            QSKIP("this computer cannot protect keys");
        QVERIFY2(ran.exitCode == 0, ran.err);
        const auto manifest = QJsonDocument::fromJson(
            folder.read(ran.last()["manifest"].toString() + "/manifest.json"));
        QCOMPARE(manifest["training"].toBool(), !production);
        QCOMPARE(manifest["simulated"].toBool(), true);
    }
}

void TstProduction::serverKey_isSealedWhereItLayInTheClear()
{
    const CommandFolder folder;
    QVERIFY(QDir(folder.path(".")).mkdir("line-cloud"));
    QVERIFY(QFile::copy(QString::fromStdString(sharedServerKey().string()),
                        folder.path("line-cloud/server-key.pem")));
    QVERIFY(folder.read("line-cloud/server-key.pem").startsWith("-----BEGIN PRIVATE KEY"));
    const auto clear =
        folder.run("openssl", {"pkey", "-in", "line-cloud/server-key.pem", "-pubout"});
    const QStringList batch{"keys",    "batch",    "--platform", "photon",       "--count",
                            "1",       "--inject", "--simulate", "photon-quick", "--speed",
                            "instant", "--db",     "line.db"};
    QCOMPARE(folder.provost(batch).exitCode, 0);
    QVERIFY(
        folder.read("line-cloud/server-key.pem").startsWith("-----BEGIN ENCRYPTED PRIVATE KEY"));
    const QString own = ".local/state/provost/credentials/server-key-passphrase";
    QCOMPARE(folder.permissions(own) & (QFile::ReadGroup | QFile::ReadOther), QFile::Permissions());
    const auto sealed = folder.run("openssl", {"pkey", "-in", "line-cloud/server-key.pem",
                                               "-passin", "file:" + folder.path(own), "-pubout"});
    QCOMPARE(sealed.out, clear.out);
    QCOMPARE(folder.provost(batch).exitCode, 0); // it opens what it sealed
    QVERIFY(folder.write(own, "another\n"));
    const auto locked = folder.provost(batch);
    QCOMPARE(locked.exitCode, 4);
    QVERIFY2(locked.err.contains("passphrase"), locked.err);
}

} // namespace provost::test

PROVOST_TEST("production", provost::test::TstProduction)
#include "tst_production.moc"
