// The device port of a cloud and peers that are no good units; faults that the cloud is given.
#include "device_port.h"
#include "support/test_program.h"

#include "core/byte_io.h"

#include <QHostAddress>
#include <QTcpSocket>
#include <QTest>

using namespace provost;
using namespace provost::test;

namespace {

class TstCloudPeers : public QObject, private DevicePort {
    Q_OBJECT

private Q_SLOTS:
    void init() { startCloud(); }
    void cleanup() { m_cloud.reset(); }

    void silentAndGarbledPeers_areReportedAndDoNotBlock();
    void silentPeer_isHungUpOnAfterAStep();
    void dribblingPeer_isHungUpOnAfterAStep();
    void floodingPeer_isHungUpOnAndNothingIsKept();
    void replayedReply_isRefused();
    void refusals_lookAlikeToThePeer();
    void drop_hangsUpAtTheStage_data();
    void drop_hangsUpAtTheStage();
    void otherSigner_failsTheUnitsCheck();
    void silentCloud_sendsNothing();
    void faults_lastForTheirCount();
};

void TstCloudPeers::silentAndGarbledPeers_areReportedAndDoNotBlock()
{
    registerUnit(m_unit);
    QTcpSocket silent;
    silent.connectToHost(QHostAddress::LocalHost, service().handshakePort());
    QVERIFY(silent.waitForConnected());
    QTcpSocket garbled;
    garbled.connectToHost(QHostAddress::LocalHost, service().handshakePort());
    QVERIFY(garbled.waitForConnected());
    garbled.write(QByteArray(256, '\x5a'));
    garbled.flush();
    QTcpSocket web;
    web.connectToHost(QHostAddress::LocalHost, service().handshakePort());
    QVERIFY(web.waitForConnected());
    web.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    web.flush();
    QVERIFY(dial(service(), m_unit).passed);
    // They are still there: nothing but their own end ends them before a step's minute is over.
    QCOMPARE(silent.state(), QAbstractSocket::ConnectedState);
    silent.close();
    garbled.close();
    web.close();
    QTRY_COMPARE(m_watcher->reports().size(), std::size_t{4});
    int passed = 0;
    for (const auto& report : m_watcher->reports()) {
        passed += report.passed ? 1 : 0;
        QVERIFY(report.passed || !report.cause.empty());
    }
    QCOMPARE(passed, 1);
}

void TstCloudPeers::silentPeer_isHungUpOnAfterAStep()
{
    startCloud({.step = 300ms, .whole = kHangGuard});
    QTcpSocket silent;
    silent.connectToHost(QHostAddress::LocalHost, service().handshakePort());
    QVERIFY(silent.waitForConnected());
    QTRY_COMPARE(m_watcher->reports().size(), std::size_t{1});
    QVERIFY(!m_watcher->reports().front().passed);
    QTRY_COMPARE(silent.state(), QAbstractSocket::UnconnectedState);
}

void TstCloudPeers::dribblingPeer_isHungUpOnAfterAStep()
{
    startCloud({.step = 500ms, .whole = kHangGuard});
    QTcpSocket slow;
    slow.connectToHost(QHostAddress::LocalHost, service().handshakePort());
    QVERIFY(slow.waitForConnected());
    // A byte now and then does not buy time.
    const auto sendsOn = [&] {
        if (slow.state() == QAbstractSocket::ConnectedState)
            slow.write("x", 1);
        return m_watcher->reports().size() == 1;
    };
    QVERIFY(QTest::qWaitFor(sendsOn, static_cast<int>(kHangGuard.count())));
    QCOMPARE(m_watcher->reports().front().stage, HandshakeStage::DeviceReply);
    QVERIFY(m_watcher->reports().front().messages.back().bytes < 256);
    QTRY_COMPARE(slow.state(), QAbstractSocket::UnconnectedState);
}

void TstCloudPeers::floodingPeer_isHungUpOnAndNothingIsKept()
{
    QTcpSocket loud;
    loud.connectToHost(QHostAddress::LocalHost, service().handshakePort());
    QVERIFY(loud.waitForConnected());
    loud.write(QByteArray(1 << 20, '\x5a'));
    loud.flush();
    QTRY_COMPARE(m_watcher->reports().size(), std::size_t{1});
    const auto report = m_watcher->reports().front();
    QCOMPARE(report.cause, std::string("not-a-unit"));
    QCOMPARE(report.messages.back().bytes, std::size_t{256}); // the rest was never read
    registerUnit(m_unit);
    QVERIFY(dial(service(), m_unit).passed);
}

/// The reply that a unit gave to a nonce.
Bytes replyTo(const QByteArray& nonce, const Unit& unit, const RsaPublicKey& server)
{
    const Bytes plain = handshake::replyPlaintext(toBytes(nonce.toStdString()),
                                                  fromHex(unit.id).value(), unit.publicDer());
    return server.encrypt(plain).value();
}

/// What a peer sees that answers the nonce with `reply(nonce)`: the bytes that come, and when it is
/// hung up on.
struct Refusal {
    QByteArray bytes{};
    std::chrono::milliseconds took{};
};
Refusal refusalOf(const CloudService& service, const std::function<Bytes(const QByteArray&)>& reply)
{
    QTcpSocket peer;
    peer.connectToHost(QHostAddress::LocalHost, service.handshakePort());
    Refusal seen;
    while (seen.bytes.size() < 40 && peer.waitForReadyRead(60'000))
        seen.bytes += peer.read(40 - seen.bytes.size());
    const Bytes answer = reply(seen.bytes);
    seen.bytes.clear();
    seen.took = timed([&] {
        peer.write(reinterpret_cast<const char*>(answer.data()),
                   static_cast<qsizetype>(answer.size()));
        while (peer.state() == QAbstractSocket::ConnectedState && peer.waitForReadyRead(60'000))
            seen.bytes += peer.readAll();
    });
    return seen;
}

void TstCloudPeers::replayedReply_isRefused()
{
    registerUnit(m_unit);
    Bytes overheard;
    const auto first = refusalOf(service(), [&](const QByteArray& nonce) {
        overheard = replyTo(nonce, m_unit, service().serverKey());
        overheard.resize(256);
        return toBytes(std::string(256, 'x')); // the unit's own connection does not matter here
    });
    QVERIFY(first.bytes.isEmpty());
    const auto again = refusalOf(service(), [&](const QByteArray&) { return overheard; });
    QVERIFY(again.bytes.isEmpty());
    QTRY_COMPARE(m_watcher->reports().size(), std::size_t{2});
    QCOMPARE(m_watcher->reports().back().cause, std::string("wrong-nonce"));
    QVERIFY(!service().registry().isLocked(m_unit.id).value());
}

void TstCloudPeers::refusals_lookAlikeToThePeer()
{
    const RsaPublicKey server = service().serverKey();
    const RsaPublicKey other = RsaPrivateKey::generate(2048).value().publicKey();
    const std::vector<std::function<Bytes(const QByteArray&)>> replies{
        [&](const QByteArray& nonce) { return replyTo(nonce, m_unit, server); }, // unknown id
        [&](const QByteArray& nonce) { return replyTo(nonce, m_unit, other); },
        [&](const QByteArray&) { return replyTo(QByteArray(40, 'n'), m_unit, server); },
        [&](const QByteArray&) { return Bytes(256, std::byte{0x5A}); },
        [&](const QByteArray&) { return server.encrypt(Bytes(10)).value(); }};
    for (const auto& reply : replies) {
        const Refusal seen = refusalOf(service(), reply);
        QCOMPARE(seen.bytes, QByteArray());
        QVERIFY(seen.took >= 99ms); // however soon the server knew
    }
    QTRY_COMPARE(m_watcher->reports().size(), replies.size());
    QSet<QString> causes;
    for (const auto& report : m_watcher->reports())
        causes.insert(QString::fromStdString(report.cause));
    QVERIFY(causes.contains("unknown-device") && causes.contains("wrong-nonce") &&
            causes.contains("wrong-server-key"));
}

void TstCloudPeers::drop_hangsUpAtTheStage_data()
{
    QTest::addColumn<int>("at");
    QTest::addColumn<int>("seen");
    const auto number = [](HandshakeStage stage) { return static_cast<int>(stage); };
    // The unit waits for the nonce, message 3, the server's Hello, an answer to its ping.
    QTest::newRow("nonce") << number(HandshakeStage::Nonce) << number(HandshakeStage::Nonce);
    QTest::newRow("reply") << number(HandshakeStage::DeviceReply)
                           << number(HandshakeStage::Credentials);
    QTest::newRow("credentials") << number(HandshakeStage::Credentials)
                                 << number(HandshakeStage::Hello);
    QTest::newRow("hello") << number(HandshakeStage::Hello) << number(HandshakeStage::Hello);
    QTest::newRow("session") << number(HandshakeStage::Session) << number(HandshakeStage::Session);
}

void TstCloudPeers::drop_hangsUpAtTheStage()
{
    QFETCH(int, at);
    QFETCH(int, seen);
    registerUnit(m_unit);
    m_cloud->failConnections(ConnectionFault::Drop, 1, static_cast<HandshakeStage>(at));
    const auto report = dial(service(), m_unit);
    QVERIFY(!report.passed);
    QCOMPARE(static_cast<int>(report.stage), seen);
    QVERIFY(!service().registry().isLocked(m_unit.id).value());
    QVERIFY(dial(service(), m_unit).passed);
}

void TstCloudPeers::otherSigner_failsTheUnitsCheck()
{
    registerUnit(m_unit);
    m_cloud->failConnections(ConnectionFault::OtherSigner, 1);
    const auto report = dial(service(), m_unit);
    QVERIFY(!report.passed);
    QCOMPARE(report.stage, HandshakeStage::Credentials);
    QVERIFY2(report.cause.find("signature") != std::string::npos ||
                 report.cause.find("authentication") != std::string::npos ||
                 report.cause.find("server") != std::string::npos,
             report.cause.c_str());
    QTRY_COMPARE(m_watcher->reports().size(), std::size_t{1});
    QVERIFY(!m_watcher->reports().front().passed);
}

void TstCloudPeers::silentCloud_sendsNothing()
{
    m_cloud->failConnections(ConnectionFault::Silent, 1);
    QTcpSocket unit;
    unit.connectToHost(QHostAddress::LocalHost, service().handshakePort());
    QVERIFY(unit.waitForConnected());
    QTRY_COMPARE(m_cloud->connections(), 1);
    QVERIFY(!unit.waitForReadyRead(200));
    QCOMPARE(unit.state(), QAbstractSocket::ConnectedState);
}

void TstCloudPeers::faults_lastForTheirCount()
{
    registerUnit(m_unit);
    m_cloud->failConnections(ConnectionFault::Drop, 2, HandshakeStage::Nonce);
    QVERIFY(!dial(service(), m_unit).passed);
    QVERIFY(!dial(service(), m_unit).passed);
    QVERIFY(dial(service(), m_unit).passed);
    m_cloud->failConnections(ConnectionFault::Drop);
    QVERIFY(!dial(service(), m_unit).passed);
    m_cloud->clearFaults();
    QVERIFY(dial(service(), m_unit).passed);
}

} // namespace

PROVOST_TEST("cloud_peers", TstCloudPeers)
#include "tst_cloud_peers.moc"
