// The device port of a cloud: units of the other half of the protocol dial it over TCP.
#include "device_port.h"
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

class TstCloudHandshake : public QObject, private DevicePort {
    Q_OBJECT

private Q_SLOTS:
    void init() { startCloud(); }
    void cleanup() { m_cloud.reset(); }

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
    void fiftyUnitsAtOnce_allPass();
};

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

} // namespace

PROVOST_TEST("cloud_handshake", TstCloudHandshake)
#include "tst_cloud_handshake.moc"
