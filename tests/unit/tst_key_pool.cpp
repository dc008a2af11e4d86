// Keys made ahead, the memory they wait in, and whose key may not lie on a station.
#include "core/text.h"
#include "crypto/key_pool.h"
#include "crypto/key_protection.h"
#include "crypto/rsa_key.h"
#include "support/openssl_program.h"
#include "support/test_program.h"

#include <QFile>
#include <QTemporaryDir>
#include <QTest>

#include <condition_variable>
#include <mutex>
#include <set>

namespace provost::test {

namespace {

using namespace std::chrono_literals;

/// Waits for what the pool says of itself.
class PoolWatch {
public:
    std::function<void(std::size_t)> listener()
    {
        return [this](std::size_t waiting) {
            const std::lock_guard lock(m_mutex);
            m_seen.push_back(waiting);
            m_changed.notify_all();
        };
    }
    /// Waits until the pool says so, from where the last call left off.
    bool saw(std::size_t waiting)
    {
        std::unique_lock lock(m_mutex);
        return m_changed.wait_for(lock, 30s, [&] {
            while (m_next < m_seen.size()) {
                if (m_seen[m_next++] == waiting)
                    return true;
            }
            return false;
        });
    }

private:
    std::mutex m_mutex{};
    std::condition_variable m_changed{};
    std::vector<std::size_t> m_seen{};
    std::size_t m_next = 0;
};

KeyRules photonRules()
{
    return keyRulesOf(6).value();
}

} // namespace

class TstKeyPool : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void pool_fillsItselfAndStaysFull();
    void pool_givesEachKeyOnce();
    void pool_makesKeysOfOtherRulesAtOnce();
    void pool_isEmptyAfterAWipeAndWakesWithTheNextKey();
    void pool_isWipedWhenNobodyTakesAKey();
    void pool_isTakenFromBySeveralThreads();
    void protection_namesWhatIsMissing();
    void swap_isReadFromTheSystem();
    void ownEscrowKey_isFound_data();
    void ownEscrowKey_isFound();
    void ownEscrowKey_isFoundInAContainer();
};

void TstKeyPool::pool_fillsItselfAndStaysFull()
{
    PoolWatch watch;
    KeyPool pool({.rules = photonRules(), .size = 3, .onChange = watch.listener()});
    QVERIFY(watch.saw(3));
    QVERIFY(pool.take(photonRules()));
    QVERIFY(watch.saw(3));
    QCOMPARE(pool.waiting(), std::size_t{3});
}

void TstKeyPool::pool_givesEachKeyOnce()
{
    KeyPool pool({.rules = photonRules(), .size = 2, .onChange = {}});
    std::set<std::string> fingerprints;
    for (int i = 0; i < 12; ++i) {
        const auto key = pool.take(photonRules());
        QVERIFY(key.has_value());
        const auto reading = readAsUnit(key->privateDer.reveal(), photonRules());
        QVERIFY2(reading.readable, reading.reason.c_str());
        QCOMPARE(reading.fingerprint(), key->fingerprint);
        fingerprints.insert(key->fingerprint);
    }
    QCOMPARE(fingerprints.size(), std::size_t{12});
}

void TstKeyPool::pool_makesKeysOfOtherRulesAtOnce()
{
    PoolWatch watch;
    KeyPool pool({.rules = photonRules(), .size = 2, .onChange = watch.listener()});
    QVERIFY(watch.saw(2));
    const auto electron = pool.take(keyRulesOf(10).value());
    QVERIFY(electron.has_value());
    QCOMPARE(electron->privateDer.size(), std::size_t{121});
    QCOMPARE(pool.waiting(), std::size_t{2});
}

void TstKeyPool::pool_isEmptyAfterAWipeAndWakesWithTheNextKey()
{
    PoolWatch watch;
    KeyPool pool({.rules = photonRules(), .size = 2, .onChange = watch.listener()});
    QVERIFY(watch.saw(2));
    pool.wipe();
    QCOMPARE(pool.waiting(), std::size_t{0});
    QVERIFY(pool.take(photonRules()));
    QVERIFY(watch.saw(1)); // it fills again
    QVERIFY(watch.saw(2));
}

void TstKeyPool::pool_isWipedWhenNobodyTakesAKey()
{
    PoolWatch watch;
    KeyPool pool({.rules = photonRules(), .size = 2, .idle = 1ms, .onChange = watch.listener()});
    QVERIFY(watch.saw(0));
    QCOMPARE(pool.waiting(), std::size_t{0});
}

void TstKeyPool::pool_isTakenFromBySeveralThreads()
{
    KeyPool pool({.rules = photonRules(), .size = 2, .onChange = {}});
    std::mutex mutex;
    std::set<std::string> fingerprints;
    {
        std::vector<std::jthread> threads;
        for (int i = 0; i < 4; ++i)
            threads.emplace_back([&] {
                for (int n = 0; n < 5; ++n) {
                    const auto key = pool.take(photonRules());
                    const std::lock_guard lock(mutex);
                    fingerprints.insert(key ? key->fingerprint : std::string());
                    if (n == 2)
                        pool.wipe();
                }
            });
    }
    QCOMPARE(fingerprints.size(), std::size_t{20});
    QVERIFY(!fingerprints.contains(std::string()));
}

void TstKeyPool::protection_namesWhatIsMissing()
{
    const MemoryProtection good{.memoryLocked = true,
                                .coreDumpsOff = true,
                                .swap = {{.name = "/dev/dm-1", .sealed = true}}};
    QVERIFY(missingProtection(good).empty());
    auto bad = good;
    bad.swap.push_back({.name = "/swapfile", .sealed = false});
    QCOMPARE(missingProtection(bad).size(), std::size_t{1});
    QVERIFY(missingProtection(bad)[0].find("/swapfile") != std::string::npos);
    bad.memoryLocked = false;
    bad.coreDumpsOff = false;
    const auto all = missingProtection(bad);
    QCOMPARE(all.size(), std::size_t{3});
    QVERIFY(all[0].find("ulimit -l") != std::string::npos);
    QVERIFY(all[1].find("core dumps") != std::string::npos);
}

void TstKeyPool::swap_isReadFromTheSystem()
{
    const auto areas = swapAreasIn("Filename\t\t\t\tType\t\tSize\tUsed\tPriority\n"
                                   "/dev/dm-1                               partition\t1\t0\t-2\n"
                                   "/swapfile                               file\t\t1\t0\t-3\n"
                                   "/dev/sda3                               partition\t1\t0\t-4\n",
                                   [](const std::string& device) { return device == "dm-1"; });
    QCOMPARE(areas.size(), std::size_t{3});
    QVERIFY(areas[0].sealed && !areas[1].sealed && !areas[2].sealed);
    QVERIFY(swapAreasIn("Filename\t\t\t\tType\n", {}).empty());
    QVERIFY(protectMemory().coreDumpsOff); // lowering a limit is always allowed
}

void TstKeyPool::ownEscrowKey_isFound_data()
{
    QTest::addColumn<QStringList>("form"); ///< how the key lies on the station
    QTest::addColumn<bool>("found");
    QTest::newRow("PEM") << QStringList{"pkey"} << true;
    QTest::newRow("DER") << QStringList{"pkey", "-outform", "DER"} << true;
    QTest::newRow("traditional") << QStringList{"rsa", "-traditional"} << true;
    QTest::newRow("public") << QStringList{"pkey", "-pubout"} << false;
    QTest::newRow("somebody else's") << QStringList{"genrsa", "2048"} << false;
}

void TstKeyPool::ownEscrowKey_isFound()
{
    QFETCH(const QStringList, form);
    QFETCH(const bool, found);
    const QTemporaryDir folder;
    const QTemporaryDir elsewhere;
    const auto key = RsaPrivateKey::generate(2048)->toClearPem();
    QFile away(elsewhere.filePath("escrow.key"));
    QVERIFY(away.open(QIODevice::WriteOnly));
    away.write(toQt(key.reveal()));
    away.close();
    const auto certificate = runOpenssl(
        {"req", "-x509", "-new", "-key", away.fileName(), "-subj", "/CN=escrow", "-days", "2"});
    const std::vector<std::filesystem::path> here{folder.path().toStdString()};
    QVERIFY(keyThatOpens(fromQt(certificate.out), here)->empty());
    const auto written = runOpenssl(form, key.reveal());
    QCOMPARE(written.exitCode, 0);
    QFile file(folder.filePath("something.bin"));
    QVERIFY(file.open(QIODevice::WriteOnly));
    file.write(written.out);
    file.close();
    const auto own = keyThatOpens(fromQt(certificate.out), here);
    QVERIFY(own.has_value());
    QCOMPARE(own->filename() == "something.bin", found);
    QVERIFY(!keyThatOpens(viewOf("no certificate"), here));
    // And wherever below.
    QVERIFY(QDir(folder.path()).mkpath(".ssh/old/keys"));
    QVERIFY(QFile::rename(file.fileName(), folder.filePath(".ssh/old/keys/something.bin")));
    const auto below = keyThatOpens(fromQt(certificate.out), here);
    QCOMPARE(below->filename() == "something.bin", found);
}

void TstKeyPool::ownEscrowKey_isFoundInAContainer()
{
    const QTemporaryDir folder;
    const QTemporaryDir elsewhere;
    const QString key = elsewhere.filePath("escrow.key");
    const QString certificate = elsewhere.filePath("escrow.pem");
    QCOMPARE(runOpenssl({"req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out",
                         certificate, "-subj", "/CN=escrow", "-days", "2"})
                 .exitCode,
             0);
    QFile pem(certificate);
    QVERIFY(pem.open(QIODevice::ReadOnly));
    const Bytes sealedTo = fromQt(pem.readAll());
    const std::vector<std::filesystem::path> here{folder.path().toStdString()};
    for (const QString words : {"pass:secret", "pass:"}) {
        QCOMPARE(runOpenssl({"pkcs12", "-export", "-inkey", key, "-in", certificate, "-out",
                             folder.filePath("mine.p12"), "-passout", words})
                     .exitCode,
                 0);
        const auto own = keyThatOpens(sealedTo, here);
        QVERIFY(own.has_value());
        QCOMPARE(own->filename() == "mine.p12", words == "pass:"); // else nobody can tell
    }
}

} // namespace provost::test

PROVOST_TEST("key_pool", provost::test::TstKeyPool)
#include "tst_key_pool.moc"
