// Batches of key injection: counts, manifests, units that have a key already; and the program
// killed at many places while the units stay where they are, on a bench of this process.
#include "cloud/registry.h"
#include "crypto/unit_key.h"
#include "store/journal.h"
#include "support/proven_unit.h"
#include "support/remote_line.h"
#include "support/soft_token.h"
#include "support/test_program.h"

#include <QCryptographicHash>

#include <algorithm>
#include <map>
#include <set>
#include <sys/inotify.h>
#include <thread>

namespace provost::test {

namespace {

constexpr int kBatchUnits = 3;
const QByteArray kKeyStation = "kind = \"key-injection\"";

QStringList injectArguments(bool resume)
{
    QStringList arguments{"keys",     "batch",     "--platform",   "photon",
                          "--count",  "3",         "--name",       "lot-1",
                          "--inject", "--station", "station.toml", "--training",
                          "--db",     "line.db",   "--json"};
    return resume ? arguments + QStringList{"--resume"} : arguments;
}

BenchWish threeUnits()
{
    return {.supplies = {{UnitWish{}}, {UnitWish{}}, {UnitWish{}}}};
}

/// What is on the unit, by the firmware's own reader; empty: nothing that it could use.
std::string fingerprintOn(const sim::VirtualBoard& board)
{
    const auto reading = readAsUnit(privateSlot(board));
    return reading.fingerprint();
}

/// Calls `seen` with the number of each write to a file of that name in the folder (to any: empty),
/// from 1, until it goes.
class WriteWatch {
public:
    WriteWatch(const QString& folder, std::string name, std::function<void(int)> seen)
        : m_name(std::move(name)), m_fd(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC)),
          m_thread(
              [this, seen = std::move(seen)](const std::stop_token& stop) { watch(stop, seen); })
    {
        ::inotify_add_watch(m_fd, qPrintable(folder), IN_MODIFY | IN_CREATE);
    }
    ~WriteWatch()
    {
        m_thread.request_stop();
        m_thread.join();
        ::close(m_fd);
    }

private:
    void watch(const std::stop_token& stop, const std::function<void(int)>& seen) const
    {
        int count = 0;
        alignas(inotify_event) char buffer[4096];
        while (!stop.stop_requested()) {
            const auto got = ::read(m_fd, buffer, sizeof buffer);
            for (ssize_t at = 0; at < got;) {
                const auto* event = reinterpret_cast<const inotify_event*>(buffer + at);
                at += static_cast<ssize_t>(sizeof(inotify_event) + event->len);
                if (event->len > 0 && (m_name.empty() || m_name == event->name))
                    seen(++count);
            }
            if (got <= 0)
                std::this_thread::sleep_for(std::chrono::microseconds(200));
        }
    }

    const std::string m_name;
    const int m_fd;
    std::jthread m_thread;
};

/// One batch whose program dies at `flash` and `write` places, one after the other, and is then
/// gone on with to its end.
struct Killing {
    std::string name{};
    std::vector<int> flash{}; ///< behind that change of the units' flash since the program began
    std::vector<int> write{}; ///< behind that write to the journal
    int kills = 0;
    std::string wrong{};
};

class BatchTrial {
public:
    explicit BatchTrial(Killing& killing) : m_killing(killing), m_line(threeUnits(), m_folder) {}

    void run()
    {
        demand(m_line.writeStation(kKeyStation) && m_line.shareServerKey("line-cloud"),
               "the folder cannot be set up");
        for (const int place : m_killing.flash)
            die([&](MortalCommand& program) {
                m_line.watchFlash([&program, place](int change) {
                    if (change == place)
                        program.kill();
                });
            });
        for (const int place : m_killing.write) {
            MortalCommand program;
            const WriteWatch watch(m_folder.path("."), "line.db-wal", [&](int write) {
                if (write >= place)
                    program.kill();
            });
            dieOf(program);
        }
        m_line.watchFlash([](int) {});
        MortalCommand last;
        const bool killed = last.run(m_folder, injectArguments(hasBatch()));
        demand(!killed && last.end.exitCode == 0,
               "the last one did not end well: " + (last.end.out + last.end.err).toStdString());
        if (m_killing.wrong.empty())
            judge(last.end);
    }

private:
    template <class Arm>
    void die(Arm arm)
    {
        MortalCommand program;
        arm(program);
        dieOf(program);
    }
    void dieOf(MortalCommand& program)
    {
        m_killing.kills += program.run(m_folder, injectArguments(hasBatch())) ? 1 : 0;
    }
    /// The batch is on record from the moment on that its row is.
    bool hasBatch() const
    {
        const SystemClock clock;
        const auto journal = Journal::openReadOnly(m_folder.path("line.db").toStdString(), clock);
        const auto batches = journal ? (*journal)->keyBatches() : std::vector<KeyBatch>{};
        return batches && !batches->empty();
    }
    void demand(bool met, const std::string& otherwise)
    {
        if (!met)
            m_killing.wrong += otherwise + "\n";
    }

    void judge(const CommandEnd& last)
    {
        const auto summary = last.last();
        demand(summary["done"].toInt() == kBatchUnits && summary["complete"].toBool() &&
                   summary["injected"].toInt() == kBatchUnits && summary["open"].toInt() == 0,
               "it counts otherwise: " + last.out.toStdString());
        const auto checked = m_folder.json(
            {"keys", "manifest", "batches/lot-1", "--public-key", "station-key.pub.pem"});
        demand(checked.exitCode == 0, "the manifest is refused: " + checked.out.toStdString());
        const auto openssl = m_folder.run("openssl", {"pkeyutl", "-verify", "-rawin", "-pubin",
                                                      "-inkey", "station-key.pub.pem", "-sigfile",
                                                      "batches/lot-1/manifest.csv.sig", "-in",
                                                      "batches/lot-1/manifest.csv"});
        demand(openssl.exitCode == 0, "openssl refuses the signature");
        judgeKeys();
        const auto problem = verifyDatabase(m_folder.path("line.db").toStdString());
        demand(problem && !*problem, "the database does not verify");
    }

    /// Unit, record, registry and manifest say the same of each unit, and no two units alike.
    void judgeKeys()
    {
        const SystemClock clock;
        const auto journal =
            must(Journal::openReadOnly(m_folder.path("line.db").toStdString(), clock));
        const auto registry = must(Registry::open(m_folder.path("line-cloud").toStdString()));
        const auto listed = QJsonDocument::fromJson(m_folder.read("batches/lot-1/manifest.json"))
                                .object()["units"]
                                .toArray();
        std::set<std::string> keys;
        for (const auto& slot : m_line.bench().slots()) {
            const auto& board = *m_line.bench().board(slot.number);
            const auto onUnit = fingerprintOn(board);
            keys.insert(onUnit);
            const auto known = must(journal->keyOf(board.deviceId()));
            const auto held = must(registry->find(board.deviceId()));
            const auto entry = std::ranges::find_if(listed, [&](const QJsonValue& each) {
                return each.toObject()["device_id"].toString().toStdString() == board.deviceId();
            });
            demand(!onUnit.empty(), board.deviceId() + " has no key that it can use");
            demand(known && known->fingerprint == onUnit && known->state == "registered",
                   board.deviceId() + ": the record tells another key than " + onUnit);
            demand(held && held->fingerprint() == onUnit,
                   board.deviceId() + ": the registry has another key than " + onUnit);
            demand(entry != listed.end() &&
                       entry->toObject()["fingerprint"].toString().toStdString() == onUnit,
                   board.deviceId() + ": the manifest lists another key than " + onUnit);
        }
        demand(keys.size() == kBatchUnits, "two units have one key");
        demand(listed.size() == kBatchUnits, "the manifest lists another number of units");
        std::set<std::string> everMade;
        for (const auto& key : must(journal->allKeys()))
            demand(everMade.insert(key.fingerprint).second, "a key is on record twice");
        demand(must(journal->keysWithOpenCustody()).empty(),
               "a private key is not on record as destroyed");
    }

    Killing& m_killing;
    CommandFolder m_folder{};
    RemoteLine m_line;
};

/// As many at once as there are processors. Empty, or what went wrong.
std::string runKillings(std::vector<Killing>& killings)
{
    sharedServerKey();
    std::atomic<std::size_t> next = 0;
    {
        std::vector<std::jthread> workers;
        for (unsigned i = 0; i < std::max(2U, std::thread::hardware_concurrency()); ++i)
            workers.emplace_back([&] {
                for (auto at = next++; at < killings.size(); at = next++)
                    BatchTrial(killings[at]).run();
            });
    }
    std::string wrong;
    for (const auto& killing : killings) {
        qInfo("%s: killed %d times", killing.name.c_str(), killing.kills);
        if (!killing.wrong.empty())
            wrong += killing.name + ": " + killing.wrong;
    }
    return wrong;
}

int killsOf(const std::vector<Killing>& killings)
{
    int kills = 0;
    for (const auto& killing : killings)
        kills += killing.kills;
    return kills;
}

} // namespace

class TstKeyBatch : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void killedBehindChangesOfTheFlash();
    void killedBehindWritesToTheJournal();
    void killedAgainAndAgain();
    void changedUnits_areAskedForAndCounted();
    void keyedUnit_isRefusedOrKept_data();
    void keyedUnit_isRefusedOrKept();
    void cloudAway_leavesUnitsHeldAndNoProduct();
    void manifest_isRefusedWhenChanged();
    void plansAndStations_areOfOneKind();
    void keysOfAToken_areBurntAndOnRecord();
    void files_areMadeOnceAndGoneOnWith();
    void files_surviveKillsAnywhere();
};

void TstKeyBatch::killedBehindChangesOfTheFlash()
{
    std::vector<Killing> killings;
    for (const int place : {1, 2, 3, 5, 8, 13, 21, 27, 34, 41})
        killings.push_back({.name = concat("flash ", place), .flash = {place}});
    const auto wrong = runKillings(killings);
    QVERIFY2(wrong.empty(), wrong.c_str());
    QVERIFY2(killsOf(killings) >= 6, "most places were never reached");
}

void TstKeyBatch::killedBehindWritesToTheJournal()
{
    std::vector<Killing> killings;
    for (const int place : {1, 10, 20, 30, 40, 50, 60, 70, 80, 95, 110, 130})
        killings.push_back({.name = concat("write ", place), .write = {place}});
    const auto wrong = runKillings(killings);
    QVERIFY2(wrong.empty(), wrong.c_str());
    QVERIFY2(killsOf(killings) >= 6, "most places were never reached");
}

void TstKeyBatch::killedAgainAndAgain()
{
    std::vector<Killing> killings{
        {.name = "three times in the flash", .flash = {4, 6, 9}},
        {.name = "flash, then journal", .flash = {7}, .write = {25, 40}},
        {.name = "journal all along", .write = {15, 30, 45, 60}},
    };
    const auto wrong = runKillings(killings);
    QVERIFY2(wrong.empty(), wrong.c_str());
    QVERIFY(killsOf(killings) >= 5);
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

void TstKeyBatch::files_surviveKillsAnywhere()
{
    const CommandFolder folder;
    QVERIFY(QDir(folder.path(".")).mkdir("lot") && folder.write("words", "correct horse\n"));
    const QStringList make{
        "keys",     "batch", "--platform",        "photon", "--count",       "12",
        "--out",    "lot",   "--passphrase-file", "words",  "--signing-key", "s.pem",
        "--resume", "--json"};
    int kills = 0;
    std::map<QString, QByteArray> kept;
    for (const int place : {1, 2, 3, 4, 5, 7, 9, 12}) {
        MortalCommand program;
        {
            const WriteWatch watch(folder.path("lot"), "", [&](int write) {
                if (write >= place)
                    program.kill();
            });
            kills += program.run(folder, make) ? 1 : 0;
        }
        // What once was whole stays as it is.
        const auto files = QDir(folder.path("lot")).entryList({"key-*.pem"}, QDir::Files);
        for (const auto& name : files) {
            if (name.endsWith(".pub.pem"))
                continue;
            const auto content = folder.read("lot/" + name);
            QVERIFY(kept.try_emplace(name, content).first->second == content);
        }
    }
    QVERIFY(kills >= 4);
    const auto last = folder.provost(make);
    QVERIFY2(last.exitCode == 0, last.err);
    QCOMPARE(last.last()["done"].toInt(), 12);
    QVERIFY(QDir(folder.path("lot")).entryList({"*.partial"}).isEmpty());
    QCOMPARE(folder.provost({"keys", "manifest", "lot", "--public-key", "s.pub.pem"}).exitCode, 0);
    for (const auto& [name, content] : kept)
        QCOMPARE(folder.read("lot/" + name), content);
    for (int key = 1; key <= 12; ++key) {
        const auto name = QString("lot/key-%1.pem").arg(key, 6, 10, QChar('0'));
        const auto derived = folder.run(
            "openssl", {"pkey", "-in", name, "-passin", "pass:correct horse", "-pubout"});
        QCOMPARE(derived.out, folder.read(name + ".pub.pem"));
    }
}

} // namespace provost::test

PROVOST_TEST("key_batch", provost::test::TstKeyBatch)
#include "tst_key_batch.moc"
