// The device port of a cloud: units of the other half of the protocol dial it over TCP.
#include "cloud_bench.h"
#include "support/test_program.h"

#include "core/byte_io.h"

#include <QDateTime>
#include <QFile>
#include <QHostAddress>
#include <QJsonDocument>
#include <QJsonObject>
#include <QTcpSocket>
#include <QTemporaryDir>
#include <QTest>

#include <atomic>
#include <thread>

using namespace provost;
using namespace provost::test;

namespace {

class Watcher final : public CloudObserver {
public:
    void onMessage(const ConnectionInfo& connection, const HandshakeMessage& message) override
    {
        const MutexLock lock(m_mutex);
        m_messages.push_back(
            concat(connection.number, " ", name(message.stage), message.fromDevice ? " <" : " >"));
    }
    void onReport(const ConnectionInfo&, const HandshakeReport& report) override
    {
        const MutexLock lock(m_mutex);
        m_reports.push_back(report);
    }
    std::vector<HandshakeReport> reports() const
    {
        const MutexLock lock(m_mutex);
        return m_reports;
    }
    std::vector<std::string> messages() const
    {
        const MutexLock lock(m_mutex);
        return m_messages;
    }

private:
    mutable Mutex m_mutex;
    std::vector<HandshakeReport> m_reports;
    std::vector<std::string> m_messages;
};

/// What wait() says at its deadline, once the cloud knows that the unit has failed.
Result<HandshakeReport> lastFailure(HandshakeServer::Expectation& expectation)
{
    Result<HandshakeReport> report;
    const auto reported = [&] {
        report = expectation.wait(within(50ms));
        return report.has_value();
    };
    static_cast<void>(QTest::qWaitFor(reported, static_cast<int>(kHangGuard.count())));
    return report;
}

class TstCloudHandshake : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void initTestCase();
    void init() { startCloud({.step = kHangGuard, .whole = kHangGuard}); }
    void cleanup();

    void registeredUnit_passesAndBindsItsKey();
    void registeredUnit_isShownAsADevice();
    void unknownUnit_isTurnedAwayAndItsOfferKept();
    void lockedKey_refusesAnother();
    void lockedKey_isFreedByASecondRegistration();
    void expectedUnit_passesWithoutRegistration();
    void expectedUnit_hearsEveryMessageInOrder();
    void expectedUnit_doesNotReplaceARegisteredKey();
    void expectedUnit_withAnotherKeyThanReadBackFails();
    void wrongServerKey_isReportedToWhoWaits();
    void wait_reportsThatNobodyCame();
    void wait_reportsTheLastFailureAtTheDeadline();
    void wait_ignoresOtherUnits();
    void wait_takesTheFirstPassAfterFailures();
    void wait_isCancelledWithinFiftyMilliseconds();
    void expectation_isSilentOnceItIsGone();
    void silentAndGarbledPeers_areReportedAndDoNotBlock();
    void silentPeer_isHungUpOnAfterAStep();
    void dribblingPeer_isHungUpOnAfterAStep();
    void floodingPeer_isHungUpOnAndNothingIsKept();
    void replayedReply_isRefused();
    void refusals_lookAlikeToThePeer();
    void fiftyUnitsAtOnce_allPass();
    void drop_hangsUpAtTheStage_data();
    void drop_hangsUpAtTheStage();
    void otherSigner_failsTheUnitsCheck();
    void silentCloud_sendsNothing();
    void faults_lastForTheirCount();

private:
    void startCloud(const ServerTimeouts& timeouts);
    CloudService& service() { return m_cloud->service(); }
    void registerUnit(const Unit& unit)
    {
        QVERIFY(service().registry().put(unit.id, unit.key.publicKey).has_value());
    }

    SystemClock m_clock;
    QTemporaryDir m_keys;
    Unit m_unit{};
    std::shared_ptr<Watcher> m_watcher{};
    std::unique_ptr<VirtualCloud> m_cloud{};
};

void TstCloudHandshake::initTestCase()
{
    QFile file(m_keys.filePath("server.pem"));
    QVERIFY(file.open(QIODevice::WriteOnly));
    const SecretBytes pem = RsaPrivateKey::generate(2048).value().toClearPem();
    file.write(QByteArray::fromStdString(toText(pem.reveal())));
}

void TstCloudHandshake::startCloud(const ServerTimeouts& timeouts)
{
    m_watcher = std::make_shared<Watcher>();
    VirtualCloudConfig config;
    config.service.serverKeyFile = m_keys.filePath("server.pem").toStdString();
    config.service.handshakeTimeouts = timeouts;
    m_cloud.reset();
    auto started = VirtualCloud::start(std::move(config), m_clock, m_watcher);
    QVERIFY2(started.has_value(), started ? "" : describe(started.error()).c_str());
    m_cloud = *std::move(started);
}

void TstCloudHandshake::cleanup()
{
    m_cloud.reset();
}

void TstCloudHandshake::registeredUnit_passesAndBindsItsKey()
{
    registerUnit(m_unit);
    const auto report = dial(service(), m_unit);
    QVERIFY2(report.passed, report.cause.c_str());
    QTRY_COMPARE(m_watcher->reports().size(), std::size_t{1});
    const auto seen = m_watcher->reports().front();
    QVERIFY2(seen.passed, seen.cause.c_str());
    QCOMPARE(seen.deviceId, m_unit.id);
    QCOMPARE(seen.offeredKeyFingerprint, m_unit.key.publicKey.fingerprint());
    QVERIFY(service().registry().isLocked(m_unit.id).value());
}

void TstCloudHandshake::registeredUnit_isShownAsADevice()
{
    registerUnit(m_unit);
    QVERIFY(dial(service(), m_unit).passed);
    QTRY_COMPARE(m_watcher->reports().size(), std::size_t{1});
    const auto answer =
        curl({QString::fromStdString(concat(service().baseUrl(), "/v1/devices/", m_unit.id))});
    const auto object = QJsonDocument::fromJson(answer.body).object();
    QCOMPARE(object["connected"].toBool(true), false); // the unit has hung up
    QVERIFY(
        QDateTime::fromString(object["last_handshake_at"].toString(), Qt::ISODateWithMs).isValid());
    QCOMPARE(object["platform_id"].toInt(), 6);
    QCOMPARE(object["product_id"].toInt(), 6);
}

void TstCloudHandshake::unknownUnit_isTurnedAwayAndItsOfferKept()
{
    const auto report = dial(service(), m_unit);
    QVERIFY(!report.passed);
    QCOMPARE(report.stage, HandshakeStage::Credentials); // -19 while waiting for the key
    QTRY_COMPARE(m_watcher->reports().size(), std::size_t{1});
    QCOMPARE(m_watcher->reports().front().cause, std::string("unknown-device"));
    QVERIFY(QFile::exists(
        QString::fromStdString((m_cloud->folder() / (m_unit.id + "_handshake.pub.pem")).string())));
    QVERIFY(!service().registry().find(m_unit.id).value());
}

void TstCloudHandshake::lockedKey_refusesAnother()
{
    registerUnit(m_unit);
    QVERIFY(dial(service(), m_unit).passed);
    QTRY_VERIFY(service().registry().isLocked(m_unit.id).value());
    const Unit impostor{.id = m_unit.id};
    QVERIFY(!dial(service(), impostor).passed);
    QTRY_COMPARE(m_watcher->reports().size(), std::size_t{2});
    QCOMPARE(m_watcher->reports().back().cause, std::string("locked-key"));
    QVERIFY(dial(service(), m_unit).passed);
}

void TstCloudHandshake::lockedKey_isFreedByASecondRegistration()
{
    registerUnit(m_unit);
    QVERIFY(dial(service(), m_unit).passed);
    QTRY_VERIFY(service().registry().isLocked(m_unit.id).value());
    const Unit repaired{.id = m_unit.id};
    registerUnit(repaired);
    QVERIFY(dial(service(), repaired).passed);
    QVERIFY(!dial(service(), m_unit).passed);
}

void TstCloudHandshake::expectedUnit_passesWithoutRegistration()
{
    LocalHandshakeServer server(service());
    QCOMPARE(server.port(), service().handshakePort());
    QCOMPARE(server.host(), std::string("127.0.0.1"));
    QCOMPARE(server.serverKey().fingerprint(), service().serverKey().fingerprint());
    auto expectation = server.expect(m_unit.identity(), m_unit.publicDer(), {});
    QVERIFY(expectation.has_value());
    std::jthread unit([&] { dial(service(), m_unit); });
    const auto report = (*expectation)->wait(within(kHangGuard));
    QVERIFY(report.has_value());
    QVERIFY2(report->passed, report->cause.c_str());
    QCOMPARE(report->hello->platformId.value_or(0), std::uint16_t{6});
    QVERIFY(!service().registry().find(m_unit.id).value()); // expecting is not registering
    expectation->reset();
    unit.join();
    QVERIFY(!dial(service(), m_unit).passed);
}

void TstCloudHandshake::expectedUnit_hearsEveryMessageInOrder()
{
    LocalHandshakeServer server(service());
    Mutex mutex;
    std::vector<HandshakeMessage> heard;
    auto expectation = server.expect(m_unit.identity(), m_unit.publicDer(),
                                     [&](std::uint64_t, const HandshakeMessage& message) {
                                         const MutexLock lock(mutex);
                                         heard.push_back(message);
                                     });
    QVERIFY(dial(service(), m_unit).passed);
    const auto report = (*expectation)->wait(within(kHangGuard));
    QVERIFY(report && report->passed);
    const MutexLock lock(mutex);
    QCOMPARE(heard.size(), report->messages.size());
    QCOMPARE(heard[0].stage, HandshakeStage::Nonce);
    QCOMPARE(heard[0].bytes, std::size_t{40});
    QCOMPARE(heard[1].bytes, std::size_t{256});
    QCOMPARE(heard[2].bytes, std::size_t{384});
    QCOMPARE(heard[3].bytes, std::size_t{18});
}

void TstCloudHandshake::expectedUnit_doesNotReplaceARegisteredKey()
{
    const Unit before{.id = m_unit.id};
    registerUnit(before);
    LocalHandshakeServer server(service());
    auto expectation = server.expect(m_unit.identity(), m_unit.publicDer(), {});
    QVERIFY(!dial(service(), m_unit).passed);
    const auto report = lastFailure(**expectation);
    QVERIFY(report.has_value());
    QVERIFY(!report->passed);
    QCOMPARE(report->cause, std::string("registered-key-differs"));
    QVERIFY(report->advice.find(before.key.publicKey.fingerprint().substr(0, 12)) !=
            std::string::npos);
    QCOMPARE(service().registry().find(m_unit.id).value()->fingerprint(),
             before.key.publicKey.fingerprint());
}

void TstCloudHandshake::expectedUnit_withAnotherKeyThanReadBackFails()
{
    LocalHandshakeServer server(service());
    auto expectation = server.expect(m_unit.identity(), m_unit.publicDer(), {});
    const Unit changed{.id = m_unit.id};
    QVERIFY(!dial(service(), changed).passed);
    const auto report = lastFailure(**expectation);
    QVERIFY(report.has_value());
    QVERIFY(!report->passed);
    QCOMPARE(report->offeredKeyFingerprint, changed.key.publicKey.fingerprint());
}

void TstCloudHandshake::wrongServerKey_isReportedToWhoWaits()
{
    LocalHandshakeServer server(service());
    auto expectation = server.expect(m_unit.identity(), m_unit.publicDer(), {});
    const RsaPublicKey other = RsaPrivateKey::generate(2048).value().publicKey();
    QVERIFY(!dial(service(), m_unit, other).passed);
    const auto report = lastFailure(**expectation);
    QVERIFY(report.has_value());
    QCOMPARE(report->cause, std::string("wrong-server-key"));
    QVERIFY(report->deviceId.empty());
}

void TstCloudHandshake::wait_reportsThatNobodyCame()
{
    LocalHandshakeServer server(service());
    auto expectation = server.expect(m_unit.identity(), m_unit.publicDer(), {});
    Result<HandshakeReport> report;
    QVERIFY(timed([&] { report = (*expectation)->wait(within(150ms)); }) >= 149ms);
    QVERIFY(!report);
    QCOMPARE(report.error().code, Errc::NotFound);
    QCOMPARE(server.expect({.deviceId = "abc"}, m_unit.publicDer(), {}).error().code,
             Errc::InvalidArgument);
    QVERIFY(!server.expect(m_unit.identity(), Bytes(10), {}));
}

void TstCloudHandshake::wait_reportsTheLastFailureAtTheDeadline()
{
    LocalHandshakeServer server(service());
    auto expectation = server.expect(m_unit.identity(), m_unit.publicDer(), {});
    m_cloud->failConnections(ConnectionFault::Drop, 1, HandshakeStage::Hello);
    QVERIFY(!dial(service(), m_unit).passed);
    const auto report = lastFailure(**expectation);
    QVERIFY(report.has_value());
    QVERIFY(!report->passed);
    QCOMPARE(report->deviceId, m_unit.id);
}

void TstCloudHandshake::wait_ignoresOtherUnits()
{
    LocalHandshakeServer server(service());
    const Unit neighbour{.id = unitId(7)};
    auto mine = server.expect(m_unit.identity(), m_unit.publicDer(), {});
    auto theirs = server.expect(neighbour.identity(), neighbour.publicDer(), {});
    QVERIFY(dial(service(), neighbour).passed);
    QVERIFY((*theirs)->wait(within(kHangGuard)).value().passed);
    QCOMPARE((*mine)->wait(within(100ms)).error().code, Errc::NotFound);
}

void TstCloudHandshake::wait_takesTheFirstPassAfterFailures()
{
    LocalHandshakeServer server(service());
    auto expectation = server.expect(m_unit.identity(), m_unit.publicDer(), {});
    m_cloud->failConnections(ConnectionFault::Drop, 2, HandshakeStage::Credentials);
    std::jthread unit([&] {
        for (int i = 0; i < 3; ++i)
            dial(service(), m_unit);
    });
    const auto report = (*expectation)->wait(within(kHangGuard));
    QVERIFY(report.has_value());
    QVERIFY2(report->passed, report->cause.c_str());
    unit.join();
    QCOMPARE(m_cloud->connections(), 3);
}

void TstCloudHandshake::wait_isCancelledWithinFiftyMilliseconds()
{
    LocalHandshakeServer server(service());
    auto expectation = server.expect(m_unit.identity(), m_unit.publicDer(), {});
    Result<HandshakeReport> report;
    QVERIFY(onceWithin(50ms, [&] {
        return stopped([&](const OpContext& op) { report = (*expectation)->wait(op); });
    }));
    QCOMPARE(report.error().code, Errc::Cancelled);
}

void TstCloudHandshake::expectation_isSilentOnceItIsGone()
{
    LocalHandshakeServer server(service());
    registerUnit(m_unit);
    std::atomic<int> calls = 0;
    auto expectation = server.expect(m_unit.identity(), m_unit.publicDer(),
                                     [&](std::uint64_t, const auto&) { ++calls; });
    expectation->reset();
    QVERIFY(dial(service(), m_unit).passed);
    QTRY_COMPARE(m_watcher->reports().size(), std::size_t{1});
    QCOMPARE(calls.load(), 0);
}

void TstCloudHandshake::silentAndGarbledPeers_areReportedAndDoNotBlock()
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

void TstCloudHandshake::silentPeer_isHungUpOnAfterAStep()
{
    startCloud({.step = 300ms, .whole = kHangGuard});
    QTcpSocket silent;
    silent.connectToHost(QHostAddress::LocalHost, service().handshakePort());
    QVERIFY(silent.waitForConnected());
    QTRY_COMPARE(m_watcher->reports().size(), std::size_t{1});
    QVERIFY(!m_watcher->reports().front().passed);
    QTRY_COMPARE(silent.state(), QAbstractSocket::UnconnectedState);
}

void TstCloudHandshake::dribblingPeer_isHungUpOnAfterAStep()
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

void TstCloudHandshake::floodingPeer_isHungUpOnAndNothingIsKept()
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

void TstCloudHandshake::replayedReply_isRefused()
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

void TstCloudHandshake::refusals_lookAlikeToThePeer()
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

void TstCloudHandshake::fiftyUnitsAtOnce_allPass()
{
    constexpr int kUnits = 50;
    LocalHandshakeServer server(service());
    std::vector<Unit> units;
    std::vector<std::unique_ptr<HandshakeServer::Expectation>> expectations;
    for (int i = 0; i < kUnits; ++i) {
        units.push_back({.id = unitId(i)});
        auto made = server.expect(units.back().identity(), units.back().publicDer(), {});
        QVERIFY(made.has_value());
        expectations.push_back(*std::move(made));
    }
    std::atomic<int> passed = 0;
    std::vector<std::jthread> boards;
    for (const Unit& unit : units)
        boards.emplace_back([&] { passed += dial(service(), unit).passed ? 1 : 0; });
    for (const auto& expectation : expectations)
        QVERIFY(expectation->wait(within(kHangGuard)).value().passed);
    boards.clear();
    QCOMPARE(passed.load(), kUnits);
    QCOMPARE(m_cloud->connections(), kUnits);
}

void TstCloudHandshake::drop_hangsUpAtTheStage_data()
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

void TstCloudHandshake::drop_hangsUpAtTheStage()
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

void TstCloudHandshake::otherSigner_failsTheUnitsCheck()
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

void TstCloudHandshake::silentCloud_sendsNothing()
{
    m_cloud->failConnections(ConnectionFault::Silent, 1);
    QTcpSocket unit;
    unit.connectToHost(QHostAddress::LocalHost, service().handshakePort());
    QVERIFY(unit.waitForConnected());
    QTRY_COMPARE(m_cloud->connections(), 1);
    QVERIFY(!unit.waitForReadyRead(200));
    QCOMPARE(unit.state(), QAbstractSocket::ConnectedState);
}

void TstCloudHandshake::faults_lastForTheirCount()
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

PROVOST_TEST("cloud_handshake", TstCloudHandshake)
#include "tst_cloud_handshake.moc"
