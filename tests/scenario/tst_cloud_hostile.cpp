// Peers of the device port that are no units or mean harm: each gets its verdict, and nothing of
// them stays.
#include "cloud_bench.h"
#include "support/test_program.h"

#include "core/byte_io.h"
#include "protocol/handshake_session.h"

#include <QFile>
#include <QHash>
#include <QHostAddress>
#include <QTcpSocket>
#include <QTemporaryDir>
#include <QTest>

#include <malloc.h>

using namespace provost;
using namespace provost::test;

namespace {

constexpr int kNonceSize = 40; // particle-devices 5.1
constexpr int kReplySize = 256;

/// Counts, and keeps of each report its cause alone.
class HostileWatcher final : public CloudObserver {
public:
    void onReport(const ConnectionInfo&, const HandshakeReport& report) override
    {
        const MutexLock lock(m_mutex);
        ++m_causes[QString::fromStdString(report.cause)];
        ++m_count;
        m_mostBytes = std::max(m_mostBytes, report.messages.back().bytes);
    }
    int count() const
    {
        const MutexLock lock(m_mutex);
        return m_count;
    }
    QHash<QString, int> causes() const
    {
        const MutexLock lock(m_mutex);
        return m_causes;
    }
    std::size_t mostBytes() const
    {
        const MutexLock lock(m_mutex);
        return m_mostBytes;
    }

private:
    mutable Mutex m_mutex;
    QHash<QString, int> m_causes;
    int m_count = 0;
    std::size_t m_mostBytes = 0;
};

/// Bytes of the heap that are in use by the whole program.
std::ptrdiff_t heapInUse()
{
    const auto info = ::mallinfo2();
    return static_cast<std::ptrdiff_t>(info.uordblks + info.hblkhd);
}

class TstCloudHostile : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void initTestCase();
    void init() { startCloud(2s); }
    void cleanup() { m_cloud.reset(); }

    void everyHostilePeer_getsItsVerdict();
    void hostilePeers_leaveNothingBehind();

private:
    /// @param step  what a silent peer is given
    void startCloud(std::chrono::milliseconds step);
    /// A connection that sends what `bytes` makes of the nonce, and what came back behind it.
    QByteArray talk(const std::function<QByteArray(const QByteArray&)>& bytes);
    /// One of each kind; returns how many that were.
    int oneOfEach();
    QByteArray sealed(const QByteArray& nonce, const std::string& id) const;
    CloudService& service() { return m_cloud->service(); }

    SystemClock m_clock;
    QTemporaryDir m_keys;
    Unit m_unit{};
    std::shared_ptr<HostileWatcher> m_watcher{};
    std::unique_ptr<VirtualCloud> m_cloud{};
};

void TstCloudHostile::initTestCase()
{
    QFile file(m_keys.filePath("server.pem"));
    QVERIFY(file.open(QIODevice::WriteOnly));
    const SecretBytes pem = RsaPrivateKey::generate(2048).value().toClearPem();
    file.write(QByteArray::fromStdString(toText(pem.reveal())));
}

void TstCloudHostile::startCloud(std::chrono::milliseconds step)
{
    m_cloud.reset();
    m_watcher = std::make_shared<HostileWatcher>();
    VirtualCloudConfig config;
    config.service.serverKeyFile = m_keys.filePath("server.pem").toStdString();
    config.service.handshakeTimeouts = {.step = step, .whole = kHangGuard};
    auto started = VirtualCloud::start(std::move(config), m_clock, m_watcher);
    QVERIFY2(started.has_value(), started ? "" : describe(started.error()).c_str());
    m_cloud = *std::move(started);
    QVERIFY(service().registry().put(m_unit.id, m_unit.key.publicKey).has_value());
}

QByteArray TstCloudHostile::talk(const std::function<QByteArray(const QByteArray&)>& bytes)
{
    QTcpSocket peer;
    peer.connectToHost(QHostAddress::LocalHost, service().handshakePort());
    QByteArray nonce;
    while (nonce.size() < kNonceSize && peer.waitForReadyRead(60'000))
        nonce += peer.read(kNonceSize - nonce.size());
    peer.write(bytes(nonce));
    QByteArray behind;
    while (peer.state() == QAbstractSocket::ConnectedState && peer.waitForReadyRead(60'000))
        behind += peer.readAll();
    return behind;
}

QByteArray TstCloudHostile::sealed(const QByteArray& nonce, const std::string& id) const
{
    const Bytes plain = handshake::replyPlaintext(toBytes(nonce.toStdString()), fromHex(id).value(),
                                                  m_unit.publicDer());
    return QByteArray::fromStdString(toText(m_cloud->service().serverKey().encrypt(plain).value()));
}

int TstCloudHostile::oneOfEach()
{
    const QByteArray overheard = sealed(QByteArray(kNonceSize, 'n'), m_unit.id);
    const std::vector<std::function<QByteArray(const QByteArray&)>> kinds{
        [](const QByteArray&) { return QByteArray(); },                   // nothing
        [](const QByteArray&) { return QByteArray(1, 'x'); },             // one byte, then nothing
        [](const QByteArray&) { return QByteArray(kReplySize, '\x5a'); }, // garbage
        [](const QByteArray&) { return QByteArray(1 << 18, '\x5a'); },    // too much
        [](const QByteArray&) { return QByteArray("GET / HTTP/1.1\r\n"); }, // another program
        [&](const QByteArray&) { return overheard; },                       // a replayed reply
        [&](const QByteArray& nonce) { return sealed(nonce, unitId(7)); },  // nobody's
        [&](const QByteArray& nonce) { // a unit's reply, then garbage in place of a hello
            return sealed(nonce, m_unit.id) + QByteArray(1 << 12, '\x5a');
        }};
    for (const auto& kind : kinds)
        talk(kind);
    return static_cast<int>(kinds.size());
}

void TstCloudHostile::everyHostilePeer_getsItsVerdict()
{
    const int count = oneOfEach();
    QTRY_COMPARE(m_watcher->count(), count);
    const auto causes = m_watcher->causes();
    QCOMPARE(causes.value("silent-unit"), 1);
    QCOMPARE(causes.value("timeout") + causes.value("short-reply"), 1);
    QCOMPARE(causes.value("not-a-unit"), 3);
    QCOMPARE(causes.value("wrong-nonce"), 1);
    QCOMPARE(causes.value("unknown-device"), 1);
    QCOMPARE(causes.value("bad-hello"), 1);
    QVERIFY(m_watcher->mostBytes() <= kReplySize); // of what is too much, a message was read
    QVERIFY(dial(service(), m_unit).passed);
}

void TstCloudHostile::hostilePeers_leaveNothingBehind()
{
    constexpr int kWarmUp = 6; // until the threads' own stores of memory are full
    constexpr int kRounds = 12;
    startCloud(100ms);
    int connections = 0;
    for (int i = 0; i < kWarmUp; ++i)
        connections += oneOfEach();
    QTRY_COMPARE(m_watcher->count(), connections);
    const std::ptrdiff_t before = heapInUse();
    int measured = 0;
    for (int i = 0; i < kRounds; ++i)
        measured += oneOfEach();
    connections += measured;
    QTRY_COMPARE(m_watcher->count(), connections); // all have ended
    QCOMPARE(m_cloud->connections(), connections);
    const auto grown = [&] { return heapInUse() - before; };
    // The last connection goes behind its report.
    QTRY_VERIFY(grown() < 128 * measured);
}

} // namespace

PROVOST_TEST("cloud_hostile", TstCloudHostile)
#include "tst_cloud_hostile.moc"
