// The provisioning client against a cloud that misbehaves in every way it can.
#include "cloud/http_provisioning_client.h"
#include "cloud_bench.h"
#include "core/byte_io.h"
#include "support/site_token.h"
#include "support/test_program.h"

#include <QFile>
#include <QHostAddress>
#include <QTcpServer>
#include <QTcpSocket>
#include <QTemporaryDir>
#include <QTest>
#include <QUrl>

#include <thread>

using namespace provost;
using namespace provost::test;

Q_DECLARE_METATYPE(provost::RequestFault)
Q_DECLARE_METATYPE(provost::Errc)

namespace {

class TstProvisioningClient : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void initTestCase();
    void init();
    void cleanup();

    void client_registersAndReadsBack();
    void client_sendsTheFormOfTheTools();
    void client_classifiesEveryAnswer_data();
    void client_classifiesEveryAnswer();
    void client_reportsATokenThatIsRefused();
    void client_reportsNobodyThere();
    void client_stopsWithinFiftyMilliseconds();
    void client_givesUpAtItsDeadline();
    void client_timeOutAfterSuccessIsHealedByASecondCall();
    void client_keepsTheTokenFromPlainHttp();
    void client_worksInSeveralThreads();

private:
    VirtualCloudConfig config() const;
    void startCloud(VirtualCloudConfig config);
    HttpProvisioningClient client(std::string_view token = {},
                                  std::chrono::milliseconds answerWithin = kHangGuard) const;

    SystemClock m_clock;
    QTemporaryDir m_keys;
    Unit m_unit{};
    std::unique_ptr<VirtualCloud> m_cloud{};
};

void TstProvisioningClient::initTestCase()
{
    // One server key for all tests: making one takes longer than a test.
    QFile file(m_keys.filePath("server.pem"));
    QVERIFY(file.open(QIODevice::WriteOnly));
    const RsaPrivateKey key = RsaPrivateKey::generate(2048).value();
    const SecretBytes pem = key.toClearPem();
    file.write(QByteArray::fromStdString(toText(pem.reveal())));
}

VirtualCloudConfig TstProvisioningClient::config() const
{
    VirtualCloudConfig made;
    made.service.serverKeyFile = m_keys.filePath("server.pem").toStdString();
    return made;
}

void TstProvisioningClient::startCloud(VirtualCloudConfig config)
{
    m_cloud.reset();
    auto started = VirtualCloud::start(std::move(config), m_clock);
    QVERIFY2(started.has_value(), started ? "" : describe(started.error()).c_str());
    m_cloud = *std::move(started);
}

void TstProvisioningClient::init()
{
    startCloud(config());
}
void TstProvisioningClient::cleanup()
{
    m_cloud.reset();
}

HttpProvisioningClient TstProvisioningClient::client(std::string_view token,
                                                     std::chrono::milliseconds answerWithin) const
{
    return HttpProvisioningClient({.baseUrl = m_cloud->service().baseUrl(),
                                   .token = secret(token),
                                   .answerWithin = answerWithin});
}

void TstProvisioningClient::client_registersAndReadsBack()
{
    auto cloud = client();
    // The call is there, the key is not; without the call nothing is known.
    const auto none = cloud.registeredKey(m_unit.identity(), within(kHangGuard)).value();
    QVERIFY(none && none->publicDer.empty());
    for (const auto fault :
         {RequestFault::NoKeyBack, RequestFault::NoSuchCall, RequestFault::NoSuchPage}) {
        m_cloud->failRequests(fault);
        QVERIFY(!cloud.registeredKey(m_unit.identity(), within(kHangGuard)).value());
    }
    m_cloud->clearFaults();
    const auto done =
        cloud.registerUnit(m_unit.identity(), m_unit.publicDer(), "run-1", within(kHangGuard));
    QVERIFY2(done.has_value(), done ? "" : describe(done.error()).c_str());
    QCOMPARE(done->httpStatus, 200);
    const auto onFile = cloud.registeredKey(m_unit.identity(), within(kHangGuard));
    QCOMPARE(onFile.value()->fingerprint, m_unit.key.publicKey.fingerprint());
    QVERIFY(cloud.probe(within(kHangGuard)).has_value());
}

/// The request as it is on the wire, seen by a socket that knows no HTTP.
void TstProvisioningClient::client_sendsTheFormOfTheTools()
{
    QTcpServer wire;
    QVERIFY(wire.listen(QHostAddress::LocalHost));
    HttpProvisioningClient cloud({.baseUrl = concat("http://127.0.0.1:", wire.serverPort(), "/"),
                                  .token = secret(kToken),
                                  .answerWithin = kHangGuard});
    Result<Registration> done;
    std::jthread caller([&] {
        done =
            cloud.registerUnit(m_unit.identity(), m_unit.publicDer(), "run-7", within(kHangGuard));
    });
    QVERIFY(wire.waitForNewConnection(static_cast<int>(kHangGuard.count())));
    QTcpSocket* socket = wire.nextPendingConnection();
    QByteArray request;
    while (!request.contains("algorithm=rsa") &&
           socket->waitForReadyRead(static_cast<int>(kHangGuard.count())))
        request += socket->readAll();
    socket->write("HTTP/1.1 200 OK\r\nContent-Length: 10\r\nConnection: close\r\n\r\n\"Success!\"");
    socket->waitForBytesWritten();
    caller.join();
    QVERIFY2(done.has_value(), done ? "" : describe(done.error()).c_str());
    QVERIFY(request.startsWith("POST /v1/provisioning/" + QByteArray(kUnitId) + " HTTP/1.1\r\n"));
    QVERIFY(request.contains("\r\nAuthorization: Bearer " + QByteArray(kToken) + "\r\n"));
    QVERIFY(request.contains("\r\nContent-Type: application/x-www-form-urlencoded\r\n"));
    QVERIFY(request.contains("\r\nIdempotency-Key: run-7\r\n"));
    const QByteArray body = request.mid(request.indexOf("\r\n\r\n") + 4);
    const QByteArray pem =
        QUrl::toPercentEncoding(QString::fromStdString(m_unit.key.publicKey.toPem()));
    QVERIFY(body.startsWith("deviceID=" + QByteArray(kUnitId) + "&publicKey=" + pem +
                            "&order=manual_"));
    QVERIFY(body.endsWith("&filename=cli&algorithm=rsa"));
}

void TstProvisioningClient::client_classifiesEveryAnswer_data()
{
    QTest::addColumn<RequestFault>("fault");
    QTest::addColumn<Errc>("code");
    QTest::addColumn<int>("native");
    QTest::newRow("429") << RequestFault::Answer429 << Errc::Unavailable << 429;
    QTest::newRow("500") << RequestFault::Answer500 << Errc::Unavailable << 500;
    QTest::newRow("503") << RequestFault::Answer503 << Errc::Unavailable << 503;
    QTest::newRow("refused") << RequestFault::Refuse << Errc::InvalidData << 400;
    QTest::newRow("permission denied") << RequestFault::Deny << Errc::InvalidData << 403;
    QTest::newRow("forbidden") << RequestFault::Forbidden << Errc::Denied << 403;
    QTest::newRow("old token") << RequestFault::OldToken << Errc::Denied << 400;
    QTest::newRow("no such call") << RequestFault::NoSuchCall << Errc::NotFound << 404;
    QTest::newRow("no such page") << RequestFault::NoSuchPage << Errc::NotFound << 404;
    QTest::newRow("not allowed") << RequestFault::NotAllowed << Errc::NotFound << 405;
    QTest::newRow("silence") << RequestFault::TimeOutBefore << Errc::Unavailable << 0;
    QTest::newRow("silence afterwards") << RequestFault::TimeOutAfter << Errc::Unavailable << 0;
    QTest::newRow("captive portal") << RequestFault::Page << Errc::Unavailable << 200;
}

void TstProvisioningClient::client_classifiesEveryAnswer()
{
    QFETCH(RequestFault, fault);
    QFETCH(Errc, code);
    QFETCH(int, native);
    m_cloud->failRequests(fault, 1);
    const bool silent = fault == RequestFault::TimeOutBefore || fault == RequestFault::TimeOutAfter;
    const auto failed =
        client({}, silent ? std::chrono::milliseconds(1s) : kHangGuard)
            .registerUnit(m_unit.identity(), m_unit.publicDer(), "run-1", within(kHangGuard));
    QVERIFY(!failed);
    QCOMPARE(failed.error().code, code);
    QCOMPARE(failed.error().native.value_or(-1), native);
    QCOMPARE(failed.error().blame, code == Errc::NotFound ? Blame::Station : Blame::Cloud);
    QCOMPARE(m_cloud->requests(), 1); // nothing is repeated
    m_cloud->clearFaults();
    QVERIFY(client()
                .registerUnit(m_unit.identity(), m_unit.publicDer(), "run-1", within(kHangGuard))
                .has_value());
}

void TstProvisioningClient::client_reportsATokenThatIsRefused()
{
    auto guarded = config();
    guarded.service.token = secret(kToken);
    startCloud(std::move(guarded));
    const auto refused = client("wrong-token").registeredKey(m_unit.identity(), within(kHangGuard));
    QCOMPARE(refused.error().code, Errc::Denied);
    QCOMPARE(refused.error().native.value_or(0), 401);
    QVERIFY(describe(refused.error()).find("wrong-token") == std::string::npos);
    QVERIFY(client(kToken)
                .registerUnit(m_unit.identity(), m_unit.publicDer(), "k", within(kHangGuard))
                .has_value());
}

void TstProvisioningClient::client_reportsNobodyThere()
{
    auto cloud = client();
    m_cloud.reset();
    const auto failed =
        cloud.registerUnit(m_unit.identity(), m_unit.publicDer(), "k", within(kHangGuard));
    QCOMPARE(failed.error().code, Errc::Unavailable);
    QCOMPARE(failed.error().native.value_or(-1), 0);
}

void TstProvisioningClient::client_stopsWithinFiftyMilliseconds()
{
    m_cloud->failRequests(RequestFault::TimeOutBefore);
    auto patient = client({}, 1h);
    Result<Registration> ended;
    QVERIFY(onceWithin(50ms, [&] {
        const int before = m_cloud->requests();
        std::stop_source stop;
        std::chrono::steady_clock::time_point stoppedAt{};
        std::jthread operatorHand([&] {
            while (m_cloud->requests() == before)
                std::this_thread::yield();
            stoppedAt = std::chrono::steady_clock::now();
            stop.request_stop();
        });
        ended = patient.registerUnit(m_unit.identity(), m_unit.publicDer(), "k",
                                     within(1h, stop.get_token()));
        const auto now = std::chrono::steady_clock::now();
        operatorHand.join();
        return std::chrono::duration_cast<std::chrono::milliseconds>(now - stoppedAt);
    }));
    QCOMPARE(ended.error().code, Errc::Cancelled);
}

void TstProvisioningClient::client_givesUpAtItsDeadline()
{
    m_cloud->failRequests(RequestFault::TimeOutBefore);
    auto patient = client({}, 1h);
    Result<Registration> ended;
    const auto took = timed([&] {
        ended = patient.registerUnit(m_unit.identity(), m_unit.publicDer(), "k", within(200ms));
    });
    QCOMPARE(ended.error().code, Errc::Unavailable);
    QVERIFY(took >= 199ms); // whole milliseconds are counted
}

void TstProvisioningClient::client_timeOutAfterSuccessIsHealedByASecondCall()
{
    m_cloud->failRequests(RequestFault::TimeOutAfter, 1);
    auto hasty = client({}, 1s);
    auto cloud = client();
    QVERIFY(!hasty.registerUnit(m_unit.identity(), m_unit.publicDer(), "k", within(kHangGuard)));
    QCOMPARE(cloud.registeredKey(m_unit.identity(), within(kHangGuard)).value()->fingerprint,
             m_unit.key.publicKey.fingerprint());
    m_cloud->failRequests(RequestFault::Duplicate, 1);
    QVERIFY(cloud.registerUnit(m_unit.identity(), m_unit.publicDer(), "k", within(kHangGuard))
                .has_value());
}

void TstProvisioningClient::client_keepsTheTokenFromPlainHttp()
{
    HttpProvisioningClient careless({.baseUrl = "http://192.0.2.1", .token = secret(kToken)});
    const auto refused = careless.registeredKey(m_unit.identity(), within(kHangGuard));
    QCOMPARE(refused.error().code, Errc::InvalidArgument);
    HttpProvisioningClient nowhere({.baseUrl = "ftp://example.org"});
    QCOMPARE(nowhere.registeredKey(m_unit.identity(), within(kHangGuard)).error().code,
             Errc::InvalidArgument);
}

void TstProvisioningClient::client_worksInSeveralThreads()
{
    auto cloud = client();
    std::atomic<int> done = 0;
    {
        std::vector<std::jthread> nests;
        for (int slot = 1; slot <= 8; ++slot) {
            nests.emplace_back([&, slot] {
                for (int i = 0; i < 5; ++i) {
                    const UnitIdentity unit{.deviceId = unitId(slot * 100 + i)};
                    if (cloud.registerUnit(unit, m_unit.publicDer(), "k", within(kHangGuard)))
                        ++done;
                }
            });
        }
    }
    QCOMPARE(done.load(), 40);
    QCOMPARE(m_cloud->service().registry().list().value().size(), std::size_t{40});
}

} // namespace

PROVOST_TEST("provisioning_client", TstProvisioningClient)
#include "tst_provisioning_client.moc"
