// The program that puts keys into units is killed at many places while the units stay where they
// are, on a bench of this process; then the batch is gone on with to its end, and everything
// counted.
#include "cloud/registry.h"
#include "store/journal.h"
#include "support/key_batches.h"
#include "support/must.h"
#include "support/test_program.h"

#include <QTest>

#include <algorithm>
#include <map>
#include <set>

namespace provost::test {

namespace {

/// One batch whose program dies at `flash` and `write` places, one after the other, and is then
/// gone on with to its end.
struct Killing {
    std::string name{};
    std::vector<int> flash{}; ///< behind that change of the units' flash since the program began
    std::vector<int> write{}; ///< behind that write to the journal
    UnitWish unit{};
    int kills = 0;
    std::string wrong{};
};

class BatchTrial {
public:
    explicit BatchTrial(Killing& killing)
        : m_killing(killing), m_line(threeUnits(killing.unit), m_folder)
    {
    }

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
        const bool killed =
            last.run(m_folder, injectArguments(hasBatch(), m_killing.unit.platform));
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
        m_killing.kills +=
            program.run(m_folder, injectArguments(hasBatch(), m_killing.unit.platform)) ? 1 : 0;
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

class TstKeyBatchKills : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void killedBehindChangesOfTheFlash();
    void killedBehindWritesToTheJournal();
    void killedOnAnElectron();
    void killedAgainAndAgain();
    void files_surviveKillsAnywhere();
};

void TstKeyBatchKills::killedBehindChangesOfTheFlash()
{
    std::vector<Killing> killings;
    for (const int place : {1, 2, 3, 5, 8, 13, 21, 27, 34, 41})
        killings.push_back({.name = concat("flash ", place), .flash = {place}});
    const auto wrong = runKillings(killings);
    QVERIFY2(wrong.empty(), wrong.c_str());
    QVERIFY2(killsOf(killings) >= 6, "most places were never reached");
}

void TstKeyBatchKills::killedBehindWritesToTheJournal()
{
    std::vector<Killing> killings;
    for (const int place : {1, 10, 20, 30, 40, 50, 60, 70, 80, 95, 110, 130})
        killings.push_back({.name = concat("write ", place), .write = {place}});
    const auto wrong = runKillings(killings);
    QVERIFY2(wrong.empty(), wrong.c_str());
    QVERIFY2(killsOf(killings) >= 6, "most places were never reached");
}

void TstKeyBatchKills::killedAgainAndAgain()
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

void TstKeyBatchKills::killedOnAnElectron()
{
    // Its transport byte is written too, behind the key.
    std::vector<Killing> killings;
    for (const int place : {2, 4, 6, 8, 10, 12})
        killings.push_back({.name = concat("electron, flash ", place),
                            .flash = {place},
                            .unit = {.platform = "electron", .stock = "empty"}});
    const auto wrong = runKillings(killings);
    QVERIFY2(wrong.empty(), wrong.c_str());
    QVERIFY(killsOf(killings) >= 4);
}

void TstKeyBatchKills::files_surviveKillsAnywhere()
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

PROVOST_TEST("key_batch_kills", provost::test::TstKeyBatchKills)
#include "tst_key_batch_kills.moc"
