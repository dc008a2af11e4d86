// After the destruction of a private key no run of 16 bytes of it is left in the memory of the
// process that made it: neither as it was written nor as the limbs of a big number.
#include "crypto/key_rules.h"
#include "support/openssl_program.h"
#include "support/test_program.h"

#include <QFile>
#include <QTemporaryDir>
#include <QTest>

#include <array>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>
#include <unordered_map>

namespace provost::test {

namespace {

constexpr int kKeys = 3;
constexpr int kKeyBytes = 611;
constexpr std::size_t kRun = 16;
constexpr int kPatienceMs = 60'000;
constexpr std::size_t kLargestRegion = std::size_t{1} << 30; // beyond: shadow of a sanitizer

struct Number {
    const char* name;
    std::size_t from;
    std::size_t size;
};
/// Where the private numbers stand in the full-width form (particle-devices 4.1).
constexpr std::array kPrivate{Number{"D", 148, 128}, Number{"P", 279, 64},
                              Number{"Q", 346, 64},  Number{"dP", 413, 64},
                              Number{"dQ", 480, 64}, Number{"qInv", 547, 64}};

/// Every run of 16 bytes of the private numbers, by its first eight.
class Wanted {
public:
    void add(ByteView key)
    {
        for (const auto& number : kPrivate) {
            Bytes forward = toBytes(key.subspan(number.from, number.size));
            Bytes limbs(forward.rbegin(), forward.rend());
            addRuns(forward, number.name);
            addRuns(limbs, number.name);
        }
    }
    /// The name of the first number of which a run is in `memory`; empty where none is.
    std::string in(ByteView memory) const
    {
        for (std::size_t at = 0; at + kRun <= memory.size(); ++at) {
            std::uint64_t head = 0;
            std::memcpy(&head, memory.data() + at, sizeof head);
            const auto [first, last] = m_runs.equal_range(head);
            for (auto found = first; found != last; ++found)
                if (equalBytes(memory.subspan(at, kRun), found->second.bytes))
                    return found->second.name;
        }
        return {};
    }

private:
    struct Run {
        Bytes bytes{};
        const char* name = "";
    };
    void addRuns(ByteView bytes, const char* name)
    {
        for (std::size_t at = 0; at + kRun <= bytes.size(); ++at) {
            const Bytes run = toBytes(bytes.subspan(at, kRun));
            std::uint64_t head = 0;
            std::memcpy(&head, run.data(), sizeof head);
            m_runs.emplace(head, Run{run, name});
        }
    }
    std::unordered_multimap<std::uint64_t, Run> m_runs{};
};

/// The writable memory of a process, region by region.
std::vector<std::string> residueIn(qint64 process, const Wanted& wanted, std::size_t& bytesRead)
{
    std::vector<std::string> found;
    const QString folder = QString("/proc/%1/").arg(process);
    QFile maps(folder + "maps");
    const int memory = ::open(qPrintable(folder + "mem"), O_RDONLY | O_CLOEXEC);
    if (!maps.open(QIODevice::ReadOnly) || memory < 0)
        return {"the memory cannot be read"};
    for (const auto& line : maps.readAll().split('\n')) {
        const auto words = line.simplified().split(' ');
        if (words.size() < 2 || !words[1].startsWith("rw"))
            continue;
        const auto ends = words[0].split('-');
        const auto from = ends[0].toULongLong(nullptr, 16);
        const auto size = ends[1].toULongLong(nullptr, 16) - from;
        if (size > kLargestRegion)
            continue;
        Bytes region(size);
        const auto got = ::pread(memory, region.data(), size, static_cast<off_t>(from));
        if (got <= 0) // guard pages
            continue;
        region.resize(static_cast<std::size_t>(got));
        bytesRead += region.size();
        const auto name = wanted.in(region);
        if (!name.empty())
            found.push_back(name + " in " + line.simplified().toStdString());
    }
    ::close(memory);
    return found;
}

} // namespace

class TstKeyResidue : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void search_findsWhatIsThere();
    void destroyedKeys_leaveNothingBehind_data();
    void destroyedKeys_leaveNothingBehind();
};

void TstKeyResidue::search_findsWhatIsThere()
{
    const auto key = generateKeyFor(keyRulesOf(6).value());
    Wanted wanted;
    wanted.add(key->privateDer.reveal());
    QCOMPARE(wanted.in(key->privateDer.reveal()), std::string("D"));
    Bytes page(4096);
    QVERIFY(wanted.in(page).empty());
    const ByteView run = key->privateDer.reveal().subspan(300, kRun);
    std::ranges::copy(run, page.begin() + 1001);
    QCOMPARE(wanted.in(page), std::string("P"));
    std::ranges::reverse_copy(run, page.begin() + 1001);
    QCOMPARE(wanted.in(page), std::string("P"));
}

void TstKeyResidue::destroyedKeys_leaveNothingBehind_data()
{
    QTest::addColumn<bool>("escrow");
    QTest::newRow("made, tried, sealed by passphrase") << false;
    QTest::newRow("and wrapped to a certificate") << true;
}

void TstKeyResidue::destroyedKeys_leaveNothingBehind()
{
    QFETCH(const bool, escrow);
    const QTemporaryDir folder;
    QStringList arguments;
    if (escrow) {
        QCOMPARE(runOpenssl({"req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout",
                             folder.filePath("escrow.key"), "-out", folder.filePath("escrow.pem"),
                             "-days", "2", "-subj", "/CN=escrow", "-batch"})
                     .exitCode,
                 0);
        arguments << folder.filePath("escrow.pem");
    }
    QProcess holder;
    holder.start(PROVOST_KEY_HOLDER, arguments);
    QByteArray said;
    while (said.size() < kKeys * kKeyBytes + 1 && holder.waitForReadyRead(kPatienceMs))
        said += holder.readAllStandardOutput();
    if (said.isEmpty() && holder.waitForFinished(kPatienceMs) && holder.exitCode() == 3)
        QSKIP("this system does not lock memory");
    QCOMPARE(said.size(), kKeys * kKeyBytes + 1);
    QVERIFY(said.endsWith('D'));
    Wanted wanted;
    for (int i = 0; i < kKeys; ++i) {
        const Bytes key = fromQt(said.mid(i * kKeyBytes, kKeyBytes));
        QVERIFY(readAsUnit(key, keyRulesOf(6).value()).readable);
        wanted.add(key);
    }
    std::size_t bytesRead = 0;
    const auto residue = residueIn(holder.processId(), wanted, bytesRead);
    holder.closeWriteChannel();
    QVERIFY(holder.waitForFinished(kPatienceMs));
    QVERIFY2(residue.empty(), residue.empty() ? "" : residue.front().c_str());
    QVERIFY(bytesRead > 1'000'000); // the secure heap alone is one MiB
}

} // namespace provost::test

PROVOST_TEST("key_residue", provost::test::TstKeyResidue)
#include "tst_key_residue.moc"
