// The key registry of a cloud: what is on file, what is locked, and which names never become files.
#include "cloud/registry.h"
#include "core/byte_io.h"
#include "support/test_program.h"

#include <QDir>
#include <QFile>
#include <QProcess>
#include <QTemporaryDir>
#include <QTest>

#include <atomic>
#include <thread>

using namespace provost;

namespace {

constexpr const char* kId = "25002a001147353230333635";
constexpr int kOpensslTimeoutMs = 20000;

RsaPublicKey newKey()
{
    return RsaPrivateKey::generate(1024).value().publicKey();
}

class TstRegistry : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void init();
    void cleanup();
    void put_writesPemThatOpensslReads();
    void put_leavesNothingButTheKey();
    void put_sameKeyAgainChangesNothing();
    void put_anotherKeyReplacesAndUnlocks();
    void put_refusesToReplaceALockedKeyWhereToldSo();
    void put_replacesADamagedFile();
    void put_neverShowsHalfAKey();
    void find_readsWhatSomebodyCopiedIntoTheFolder();
    void find_takesAnIdInUpperCase();
    void find_reportsADamagedFile();
    void anything_rejectsWhatIsNoId_data();
    void anything_rejectsWhatIsNoId();
    void lock_isOfOneKeyOnly();
    void lock_needsAKey();
    void keepOffer_doesNotRegister();
    void list_namesOnlyKeys();

private:
    QString file(const QString& name) const { return m_folder->filePath(name); }
    void write(const QString& name, const QByteArray& content) const
    {
        QFile target(file(name));
        QVERIFY(target.open(QIODevice::WriteOnly));
        target.write(content);
    }
    std::unique_ptr<QTemporaryDir> m_folder{};
    std::unique_ptr<Registry> m_registry{};
    RsaPublicKey m_key = newKey();
    RsaPublicKey m_other = newKey();
};

void TstRegistry::init()
{
    m_folder = std::make_unique<QTemporaryDir>();
    QVERIFY(m_folder->isValid());
    auto opened = Registry::open(m_folder->path().toStdString());
    QVERIFY(opened.has_value());
    m_registry = *std::move(opened);
}

void TstRegistry::cleanup()
{
    m_registry.reset();
}

void TstRegistry::put_writesPemThatOpensslReads()
{
    QCOMPARE(m_registry->put(kId, m_key).value(), Registry::Outcome::Stored);
    QProcess openssl;
    openssl.start("openssl",
                  {"rsa", "-pubin", "-in", file(QString(kId) + ".pub.pem"), "-outform", "DER"});
    QVERIFY(openssl.waitForFinished(kOpensslTimeoutMs));
    QCOMPARE(openssl.exitCode(), 0);
    const QByteArray der = openssl.readAllStandardOutput();
    QVERIFY(equalBytes(viewOf(std::string_view(der.data(), static_cast<std::size_t>(der.size()))),
                       m_key.toDer()));
    QCOMPARE(der.size(), 162); // particle-devices 4.1
}

void TstRegistry::put_leavesNothingButTheKey()
{
    QVERIFY(m_registry->put(kId, m_key).has_value());
    QVERIFY(m_registry->put(kId, m_other).has_value());
    QCOMPARE(QDir(m_folder->path()).entryList(QDir::Files | QDir::Hidden),
             QStringList{QString(kId) + ".pub.pem"});
}

void TstRegistry::put_sameKeyAgainChangesNothing()
{
    QVERIFY(m_registry->put(kId, m_key).has_value());
    QVERIFY(m_registry->lock(kId).has_value());
    QCOMPARE(m_registry->put(kId, m_key, Registry::WhenLocked::Refuse).value(),
             Registry::Outcome::Unchanged);
    QVERIFY(m_registry->isLocked(kId).value());
}

void TstRegistry::put_anotherKeyReplacesAndUnlocks()
{
    QVERIFY(m_registry->put(kId, m_key).has_value());
    QVERIFY(m_registry->lock(kId).has_value());
    QCOMPARE(m_registry->put(kId, m_other).value(), Registry::Outcome::Replaced);
    QVERIFY(!m_registry->isLocked(kId).value());
    QCOMPARE(m_registry->find(kId).value()->fingerprint(), m_other.fingerprint());
}

void TstRegistry::put_refusesToReplaceALockedKeyWhereToldSo()
{
    QVERIFY(m_registry->put(kId, m_key).has_value());
    QVERIFY(m_registry->lock(kId).has_value());
    const auto refused = m_registry->put(kId, m_other, Registry::WhenLocked::Refuse);
    QVERIFY(!refused);
    QCOMPARE(refused.error().code, Errc::Denied);
    QCOMPARE(m_registry->find(kId).value()->fingerprint(), m_key.fingerprint());
}

void TstRegistry::put_replacesADamagedFile()
{
    write(QString(kId) + ".pub.pem", "not a key");
    QCOMPARE(m_registry->put(kId, m_key).value(), Registry::Outcome::Stored);
    QCOMPARE(m_registry->find(kId).value()->fingerprint(), m_key.fingerprint());
}

void TstRegistry::put_neverShowsHalfAKey()
{
    QVERIFY(m_registry->put(kId, m_key).has_value());
    std::atomic<bool> done = false;
    std::atomic<int> wrong = 0;
    std::jthread reader([&] {
        while (!done) {
            const auto seen = m_registry->find(kId);
            if (!seen || !*seen)
                ++wrong;
        }
    });
    for (int i = 0; i < 100; ++i)
        QVERIFY(m_registry->put(kId, i % 2 == 0 ? m_other : m_key).has_value());
    done = true;
    reader.join();
    QCOMPARE(wrong.load(), 0);
}

void TstRegistry::find_readsWhatSomebodyCopiedIntoTheFolder()
{
    QVERIFY(!m_registry->find(kId).value());
    write(QString(kId) + ".pub.pem", QByteArray::fromStdString(m_key.toPem()));
    QCOMPARE(m_registry->find(kId).value()->fingerprint(), m_key.fingerprint());
}

void TstRegistry::find_takesAnIdInUpperCase()
{
    QVERIFY(m_registry->put("25002A001147353230333635", m_key).has_value());
    QVERIFY(QFile::exists(file(QString(kId) + ".pub.pem")));
    QVERIFY(m_registry->find(kId).value().has_value());
}

void TstRegistry::find_reportsADamagedFile()
{
    write(QString(kId) + ".pub.pem",
          "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n");
    const auto found = m_registry->find(kId);
    QVERIFY(!found);
    QCOMPARE(found.error().code, Errc::InvalidData);
}

void TstRegistry::anything_rejectsWhatIsNoId_data()
{
    QTest::addColumn<QByteArray>("id");
    QTest::newRow("empty") << QByteArray();
    QTest::newRow("23 digits") << QByteArray(23, 'a');
    QTest::newRow("25 digits") << QByteArray(25, 'a');
    QTest::newRow("not hexadecimal") << QByteArray(24, 'g');
    QTest::newRow("parent folder") << QByteArray("../../../../../tmp/000000").left(24);
    QTest::newRow("dots of the right length") << QByteArray(24, '.');
    QTest::newRow("slashes of the right length") << QByteArray(24, '/');
    QTest::newRow("zero byte") << QByteArray("25002a00114735323033363\0", 24);
    QTest::newRow("line end") << QByteArray("25002a00114735323033363\n", 24);
    QTest::newRow("space") << QByteArray(" 5002a001147353230333635");
    QTest::newRow("percent") << QByteArray("%2e%2e%2f1147353230333635").left(24);
}

void TstRegistry::anything_rejectsWhatIsNoId()
{
    QFETCH(QByteArray, id);
    const std::string_view text(id.constData(), static_cast<std::size_t>(id.size()));
    QCOMPARE(m_registry->put(text, m_key).error().code, Errc::InvalidArgument);
    QCOMPARE(m_registry->find(text).error().code, Errc::InvalidArgument);
    QCOMPARE(m_registry->lock(text).error().code, Errc::InvalidArgument);
    QCOMPARE(m_registry->isLocked(text).error().code, Errc::InvalidArgument);
    QCOMPARE(m_registry->keepOffer(text, m_key).error().code, Errc::InvalidArgument);
    QVERIFY(QDir(m_folder->path()).isEmpty());
}

void TstRegistry::lock_isOfOneKeyOnly()
{
    QVERIFY(m_registry->put(kId, m_key).has_value());
    QVERIFY(m_registry->lock(kId).has_value());
    // As after a power cut between the new key and the removal of the old lock.
    write(QString(kId) + ".pub.pem", QByteArray::fromStdString(m_other.toPem()));
    QVERIFY(!m_registry->isLocked(kId).value());
}

void TstRegistry::lock_needsAKey()
{
    QCOMPARE(m_registry->lock(kId).error().code, Errc::NotFound);
}

void TstRegistry::keepOffer_doesNotRegister()
{
    QVERIFY(m_registry->keepOffer(kId, m_key).has_value());
    QVERIFY(!m_registry->find(kId).value());
    QVERIFY(m_registry->list().value().empty());
    QVERIFY(
        QFile::rename(file(QString(kId) + "_handshake.pub.pem"), file(QString(kId) + ".pub.pem")));
    QCOMPARE(m_registry->find(kId).value()->fingerprint(), m_key.fingerprint());
}

void TstRegistry::list_namesOnlyKeys()
{
    QVERIFY(m_registry->put(kId, m_key).has_value());
    QVERIFY(m_registry->lock(kId).has_value());
    QVERIFY(m_registry->put("000000000000000000000001", m_other).has_value());
    write("server-key.pub.pem", "x");
    write("gggggggggggggggggggggggg.pub.pem", "x");
    write("readme.txt", "x");
    const std::vector<std::string> expected{"000000000000000000000001", kId};
    QCOMPARE(m_registry->list().value(), expected);
}

} // namespace

PROVOST_TEST("registry", TstRegistry)
#include "tst_registry.moc"
