// Nothing clear of a unit's private key is left anywhere outside the unit: whole runs of the real
// program (pass, hold, fail, kill, batch), the units on a bench of this process. What is looked for
// is read from the units themselves.
#include "support/key_traces.h"
#include "support/openssl_program.h"
#include "support/proven_unit.h"
#include "support/remote_line.h"
#include "support/test_program.h"

#include <QTest>

#include <map>

namespace provost::test {

namespace {

/// Keys come and go on a unit: every full-width key that any of its two slots held at any time.
class KeysSeen {
public:
    explicit KeysSeen(RemoteLine& line) : m_line(line) {}
    /// What the units hold now.
    void look()
    {
        for (const auto& slot : m_line.bench().slots()) {
            const auto* board = m_line.bench().board(slot.number);
            if (board == nullptr)
                continue;
            for (const int copy : {0, 1}) {
                const Bytes sector = board->physicalDct(copy);
                const auto key = ByteView(sector).subspan(0x1D7C + 34, 611); // particle-devices 3.1
                const Bytes head{std::byte{0x30}, std::byte{0x82}, std::byte{0x02},
                                 std::byte{0x5F}};
                if (!equalBytes(key.first(4), head) || !m_known.insert(toBytes(key)).second)
                    continue;
                traces.add(key);
            }
        }
    }
    std::size_t count() const { return m_known.size(); }
    KeyTraces traces{};

private:
    RemoteLine& m_line;
    std::set<Bytes> m_known{};
};

constexpr int kBehindTheModulus = 320; // of RSA-2048 in PKCS#8: D and what follows
constexpr int kSeedBytes = 32;         // RFC 8410: the end of the structure

QByteArray bodyOf(const QByteArray& pem)
{
    QByteArray text;
    for (const auto& line : pem.split('\n'))
        text += line.startsWith('-') ? QByteArray() : line;
    return QByteArray::fromBase64(text);
}

/// The line in a folder of its own: escrow certificate, station file, cloud.
struct SearchedLine {
    explicit SearchedLine(const BenchWish& wish) : line(wish, folder), keys(line) {}

    bool prepare(const QByteArray& kind, const QByteArray& tables)
    {
        // Its private key is somebody else's: elsewhere.
        const bool certified =
            folder
                .run("openssl", {"req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout",
                                 elsewhere.filePath("escrow.key"), "-out", "escrow.pem", "-days",
                                 "2", "-subj", "/CN=escrow", "-batch"})
                .exitCode == 0;
        return certified &&
               line.writeStation(kind +
                                     "\nescrow_certificate = \"escrow.pem\"\nbackup_folder = \"" +
                                     folder.path("backups").toUtf8() + '"',
                                 tables) &&
               line.shareServerKey("cloud") && line.shareServerKey("line-cloud");
    }
    /// Empty, or where something is.
    std::string searchFiles(const CommandEnd& end)
    {
        keys.look();
        if (keys.count() == 0)
            return "no key was seen on any unit";
        int files = 0;
        auto found = tracesBelow(folder.path("."), keys.traces, files);
        for (const auto& [name, said] : {std::pair{"stdout", end.out}, {"stderr", end.err}})
            if (auto number = keys.traces.in(said); !number.empty())
                found.push_back(number + " in " + name);
        if (files < 5)
            return "hardly a file was looked at";
        return found.empty() ? "" : joined(found);
    }
    /// Keys of the station itself. Empty, or where something clear of them lies.
    std::string searchStationKeys()
    {
        KeyTraces own;
        QFile shared(QString::fromStdString(sharedServerKey().string()));
        if (!shared.open(QIODevice::ReadOnly))
            return "no server key to look for";
        const QByteArray clear = shared.readAll();
        own.addSecret(fromQt(bodyOf(clear).mid(kBehindTheModulus)), "server key");
        const auto signing = folder.path("station-key.pem");
        if (QFile::exists(signing)) {
            const auto words = folder.run("find", {".", "-name", "server-key-passphrase"}).out;
            const auto opened = folder.run("openssl", {"pkey", "-in", signing, "-passin",
                                                       "file:" + QString::fromUtf8(words).trimmed(),
                                                       "-outform", "DER"});
            if (opened.exitCode != 0 || opened.out.size() < kSeedBytes)
                return "the signing key does not open with the station's own passphrase";
            own.addSecret(fromQt(opened.out.right(kSeedBytes)), "signing key");
        }
        std::vector<std::string> found;
        int sealed = 0;
        QDirIterator files(folder.path("."), QDir::Files | QDir::Hidden | QDir::System,
                           QDirIterator::Subdirectories);
        while (files.hasNext()) {
            QFile file(files.next());
            if (!file.open(QIODevice::ReadOnly))
                continue;
            const QByteArray bytes = file.readAll();
            sealed += bytes.startsWith("-----BEGIN ENCRYPTED PRIVATE KEY-----") ? 1 : 0;
            const auto name = own.in(bytes);
            // The copy for a cloud that this command does not start is the test's own.
            if (!name.empty() && bytes != clear)
                found.push_back(name + " in " + file.fileName().toStdString());
        }
        if (sealed == 0)
            return "no key of the station lies there encrypted";
        return found.empty() ? "" : joined(found);
    }
    std::string searchProcess(qint64 pid) const
    {
        for (const char* place : {"cmdline", "environ"}) {
            QFile file(QString("/proc/%1/%2").arg(pid).arg(place));
            if (!file.open(QIODevice::ReadOnly))
                return std::string("cannot read ") + place;
            if (auto number = keys.traces.in(file.readAll()); !number.empty())
                return number + " in " + place;
        }
        std::size_t bytes = 0;
        const auto residue = residueIn(pid, keys.traces, bytes);
        if (!residue.empty())
            return joined(residue);
        return bytes > 1'000'000 ? "" : "hardly any memory was looked at";
    }

    CommandFolder folder{};
    QTemporaryDir elsewhere{};
    RemoteLine line;
    KeysSeen keys;
};

QStringList runArguments()
{
    return {"run",         "--station", "station.toml", "--training", "--plan",
            "photon-full", "--db",      "line.db",      "--units",    "1",
            "--slot",      "1",         "--label"};
}

bool mayReadMemory()
{
    return ::geteuid() == 0;
}

} // namespace

class TstClearKeys : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void search_findsEveryForm();
    void passedUnit_leavesSealedTracesOnly();
    void heldUnit_leavesNoTrace();
    void failedUnit_leavesNoTrace();
    void killedRun_leavesNoTrace();
    void batch_leavesNoTraceInMemoryEither();
    void line_leavesNoTraceInMemoryEither();
};

void TstClearKeys::search_findsEveryForm()
{
    QFile vectors(PROVOST_TEST_DATA "/handshake-vectors.json");
    QVERIFY(vectors.open(QIODevice::ReadOnly));
    QByteArray key;
    const auto shapes = QJsonDocument::fromJson(vectors.readAll())["keyShapes"].toArray();
    for (const auto& shape : shapes) {
        const auto der = QByteArray::fromHex(shape.toObject()["der"].toString().toLatin1());
        if (der.startsWith(QByteArray::fromHex("3082025f")) && der.size() == 611)
            key = der;
    }
    QCOMPARE(key.size(), 611);
    KeyTraces traces;
    traces.add(fromQt(key));
    QVERIFY(!traces.in(key).empty());
    QVERIFY(!traces.in(key.toHex()).empty());
    QVERIFY(!traces.in(key.toHex().toUpper()).empty());
    for (const char* before : {"", "x", "xy"}) // any alignment
        QVERIFY(!traces.in((before + key).toBase64()).empty());
    QVERIFY(!traces.in("some text " + key.mid(300, 16) + " and more").empty());
    QVERIFY(traces.in(key.left(140)).empty()); // what is public
    const CommandFolder folder;
    QVERIFY(folder.write("a", key.toBase64()));
    int files = 0;
    QCOMPARE(tracesBelow(folder.path("."), traces, files).size(), std::size_t{1});
}

void TstClearKeys::passedUnit_leavesSealedTracesOnly()
{
    SearchedLine searched({.supplies = {{UnitWish{}}}});
    QVERIFY(searched.prepare("", searched.line.lineTables()));
    const auto id = QString::fromStdString(searched.line.bench().board(1)->deviceId());
    MortalCommand program;
    QVERIFY(!program.run(searched.folder, runArguments() + QStringList{id, "--json"}));
    QVERIFY2(program.end.exitCode == 0, program.end.out + program.end.err);
    const auto found = searched.searchFiles(program.end);
    QVERIFY2(found.empty(), found.c_str());
    const auto own = searched.searchStationKeys();
    QVERIFY2(own.empty(), own.c_str());
    // It was there, and only the holder of the escrow key has it.
    const auto sealed = QDir(searched.folder.path("backups")).entryList({"*-key.cms"});
    QCOMPARE(sealed.size(), 1);
    const auto opened =
        searched.folder.run("openssl", {"cms", "-decrypt", "-inform", "DER", "-binary", "-in",
                                        "backups/" + sealed.first(), "-inkey",
                                        searched.elsewhere.filePath("escrow.key")});
    QVERIFY(!searched.keys.traces.in(opened.out).empty());
}

void TstClearKeys::heldUnit_leavesNoTrace()
{
    SearchedLine searched({.supplies = {{UnitWish{}}}});
    QVERIFY(searched.prepare("", searched.line.lineTables() +
                                     "[cloud]\nurl = \"http://127.0.0.1:1\"\n"));
    const auto id = QString::fromStdString(searched.line.bench().board(1)->deviceId());
    MortalCommand program;
    QVERIFY(!program.run(searched.folder, runArguments() + QStringList{id, "--json"}));
    QVERIFY2(program.end.exitCode == 5, program.end.out + program.end.err);
    const auto found = searched.searchFiles(program.end);
    QVERIFY2(found.empty(), found.c_str());
}

void TstClearKeys::failedUnit_leavesNoTrace()
{
    SearchedLine searched({.supplies = {{UnitWish{}}}});
    QVERIFY(searched.prepare("", searched.line.lineTables()));
    searched.line.bench().board(1)->miscountMessages(true);
    const auto id = QString::fromStdString(searched.line.bench().board(1)->deviceId());
    MortalCommand program;
    QVERIFY(!program.run(searched.folder, runArguments() + QStringList{id, "--json"}));
    QVERIFY2(program.end.exitCode == 1, program.end.out + program.end.err);
    const auto found = searched.searchFiles(program.end);
    QVERIFY2(found.empty(), found.c_str());
    // The transfers of a run that did not pass are on record, secrets as lengths.
    QVERIFY(program.end.out.contains("\"fail\""));
    const auto trace = searched.folder.json({"unit", "show", "--db", "line.db", "--trace", "1"});
    QVERIFY2(trace.exitCode == 0 && trace.out.size() > 1000, trace.err);
    QVERIFY(searched.keys.traces.in(trace.out).empty());
}

void TstClearKeys::killedRun_leavesNoTrace()
{
    SearchedLine searched({.supplies = {{UnitWish{}}}});
    QVERIFY(searched.prepare("", searched.line.lineTables()));
    const auto id = QString::fromStdString(searched.line.bench().board(1)->deviceId());
    MortalCommand program;
    // In the middle of the burn: the key is on its way, and in no DCT copy that counts yet.
    std::atomic<bool> burning = false;
    auto* board = searched.line.bench().board(1);
    board->watchFlash([&](std::uint32_t address, std::size_t size) {
        const bool inDct = address >= 0x08004000 && address < 0x0800C000;
        if (inDct && size > 600 && !burning.exchange(true))
            program.kill();
    });
    const bool killed = program.run(searched.folder, runArguments() + QStringList{id, "--json"});
    board->watchFlash([](std::uint32_t, std::size_t) {});
    QVERIFY2(killed, program.end.out + program.end.err);
    searched.keys.look();
    if (searched.keys.count() > 0) {
        const auto found = searched.searchFiles(program.end);
        QVERIFY2(found.empty(), found.c_str());
    }
    // The next one takes it up; both lives of the folder are searched.
    MortalCommand next;
    QVERIFY(!next.run(searched.folder, runArguments() + QStringList{id, "--json"}));
    QVERIFY2(next.end.exitCode == 0, next.end.out + next.end.err);
    const auto found = searched.searchFiles(next.end);
    QVERIFY2(found.empty(), found.c_str());
}

void TstClearKeys::batch_leavesNoTraceInMemoryEither()
{
    if (!mayReadMemory())
        QSKIP("the memory of a station is closed to this user");
    SearchedLine searched({.supplies = {{UnitWish{}}, {UnitWish{}}}});
    QVERIFY(searched.prepare("kind = \"key-injection\"", ""));
    // One more than there are: it waits for the third, alive, when two are done.
    RunningCommand batch(searched.folder,
                         {"keys", "batch", "--platform", "photon", "--count", "3", "--inject",
                          "--station", "station.toml", "--training", "--db", "line.db", "--json"});
    for (int unit = 1; unit <= 2; ++unit)
        QCOMPARE(batch.waitForEvent("unit")["done"].toInt(), unit);
    searched.keys.look();
    QCOMPARE(searched.keys.count(), std::size_t{2});
    const auto inProcess = searched.searchProcess(batch.pid());
    const auto alive = searched.searchFiles({});
    const auto end = batch.interrupt();
    QCOMPARE(end.exitCode, 3);
    QVERIFY2(inProcess.empty(), inProcess.c_str());
    QVERIFY2(alive.empty(), alive.c_str());
    const auto found = searched.searchFiles(end);
    QVERIFY2(found.empty(), found.c_str());
    QVERIFY(searched.folder.exists("station-key.pem"));
    const auto own = searched.searchStationKeys();
    QVERIFY2(own.empty(), own.c_str());
}

void TstClearKeys::line_leavesNoTraceInMemoryEither()
{
    if (!mayReadMemory())
        QSKIP("the memory of a station is closed to this user");
    // Slot 2 is empty: while the program waits for its unit, the run in slot 1 is over.
    SearchedLine searched({.supplies = {{UnitWish{}}, {UnitWish{}}}});
    QVERIFY(searched.prepare("", searched.line.lineTables()));
    QVERIFY(searched.line.bench().removeUnit(2));
    const auto id = QString::fromStdString(searched.line.bench().board(1)->deviceId());
    RunningCommand line(searched.folder,
                        {"run", "--station", "station.toml", "--training", "--plan", "photon-full",
                         "--units", "2", "--db", "line.db", "--json", "--label", id});
    const auto told = line.waitFor(
        [](const QJsonObject& event) { return event["event"] == "verdict" && event["slot"] == 1; });
    line.signal(SIGSTOP);
    searched.keys.look();
    const auto keys = searched.keys.count();
    const auto inProcess = searched.searchProcess(line.pid());
    line.signal(SIGCONT);
    line.end();
    QCOMPARE(told["verdict"].toString(), QString("pass"));
    QVERIFY(keys > 0);
    QVERIFY2(inProcess.empty(), inProcess.c_str());
}

} // namespace provost::test

PROVOST_TEST("clear_keys", provost::test::TstClearKeys)
#include "tst_clear_keys.moc"
