// The border between a station and a cloud: TLS, limits, refusals, faults on order, and whether
// both sides agree in the end.
#include "cloud/http_provisioning_client.h"
#include "cloud/reconcile.h"
#include "cloud/request_gate_p.h"
#include "cloud_bench.h"
#include "core/byte_io.h"
#include "sim/fault_switch.h"
#include "support/test_program.h"

#include <QFile>
#include <QTemporaryDir>
#include <QTest>

using namespace provost;
using namespace provost::test;

namespace {

constexpr const char* kGuardToken = "0123456789abcdef0123456789abcdef01234567";

class TstCloudGuard : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void initTestCase();
    void cleanup() { m_cloud.reset(); }
    void retryAfter_isReadInBothForms();
    void tooMany_silencesTheClientUntilRetryAfter();
    void retryAfter_isKeptUpToADay();
    void tokenBucket_spreadsRequests();
    void threeRefusals_stopTheStation();
    void refusedKeys_doNotStopTheStation();
    void answer_forgivesEarlierRefusals();
    void selfSigned_isRefused();
    void ownAuthority_isTrusted();
    void otherHost_isRefused();
    void curl_speaksTlsWithTheCloud();
    void plainClient_getsNothingFromTls();
    void beyondLoopback_demandsTokenAndTls();
    void overtakenRegistration_isRefused();
    void reorderedRegistration_bringsNoOldKeyBack();
    void faultOrders_areReadAndRefused();
    void faultSwitch_worksByCurlWithTheToken();
    void reconciliation_namesLostAndOlderKeys();
    void eventStream_tellsUnitsComingAndGoing();
    void eventStream_endsWithTheCloud();
    void account_claimsAndUnclaims();
    void account_importsAndPings();
    void account_namesUnits();
    void client_usesTheAccount();

private:
    QString file(const char* name) const { return m_files.filePath(name); }
    std::string path(const char* name) const { return file(name).toStdString(); }
    bool openssl(const QString& words) const
    {
        QProcess process;
        process.setWorkingDirectory(m_files.path());
        process.start("openssl", words.split(' '));
        return process.waitForFinished(60'000) && process.exitCode() == 0;
    }
    void startCloud(VirtualCloudConfig config)
    {
        config.service.serverKeyFile = path("server.pem");
        auto cloud = VirtualCloud::start(std::move(config), m_clock);
        QVERIFY2(cloud.has_value(), cloud ? "" : describe(cloud.error()).c_str());
        m_cloud = *std::move(cloud);
    }
    void startTlsCloud()
    {
        VirtualCloudConfig config;
        config.service.tlsCertificate = path("host.pem");
        config.service.tlsKey = path("host.key");
        startCloud(std::move(config));
    }
    Result<Registration> registerAt(HttpProvisioningClient& client, const OpContext& op)
    {
        return client.registerUnit(m_unit.identity(), m_unit.publicDer(), "key-1", op);
    }
    std::string url() { return m_cloud->service().baseUrl(); }
    std::string keyOnFile()
    {
        const auto key = m_cloud->service().registry().find(kUnitId).value();
        return key ? key->fingerprint() : std::string{};
    }
    CurlAnswer post(const Unit& unit, const QString& order)
    {
        return curl({"-d", QString("deviceID=") + kUnitId, "--data-urlencode",
                     "publicKey=" + QString::fromStdString(unit.key.publicKey.toPem()), "-d",
                     "order=" + order, "-d", "algorithm=rsa",
                     QString::fromStdString(concat(url(), "/v1/provisioning/", kUnitId))});
    }

    SystemClock m_clock;
    QTemporaryDir m_files;
    Unit m_unit{};
    std::unique_ptr<VirtualCloud> m_cloud{};
};

void TstCloudGuard::initTestCase()
{
    QVERIFY(openssl("genrsa -out server.pem 2048"));
    QVERIFY(openssl("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key "
                    "-out ca.pem -subj /CN=site -days 2"));
    for (const char* const name : {"host", "other"}) {
        const QString subject = QString("/CN=") + name;
        QVERIFY(openssl(QString("req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "
                                "%1.key -out %1.csr -subj %2")
                            .arg(name, subject)));
        QFile names(file("names.txt"));
        QVERIFY(names.open(QIODevice::WriteOnly));
        names.write(QByteArray(name) == "host" ? "subjectAltName=IP:127.0.0.1\n"
                                               : "subjectAltName=DNS:elsewhere.example\n");
        names.close();
        QVERIFY(openssl(QString("x509 -req -in %1.csr -CA ca.pem -CAkey ca.key -CAcreateserial "
                                "-out %1.pem -days 2 -extfile names.txt")
                            .arg(name)));
    }
}

void TstCloudGuard::retryAfter_isReadInBothForms()
{
    const Clock::Utc now{1'700'000'000'000ms}; // Tue, 14 Nov 2023 22:13:20 GMT
    QCOMPARE(parseRetryAfter("120", now), std::optional(120s));
    QCOMPARE(parseRetryAfter(" 0 ", now), std::optional(0s));
    QCOMPARE(parseRetryAfter("Tue, 14 Nov 2023 22:14:20 GMT", now), std::optional(60s));
    QCOMPARE(parseRetryAfter("Tue, 14 Nov 2023 22:00:00 GMT", now), std::optional(0s));
    for (const char* const wrong : {"", "-1", "soon", "12x", "Tue, 14 Nov 2023"})
        QCOMPARE(parseRetryAfter(wrong, now), std::optional<std::chrono::seconds>());
}

void TstCloudGuard::tooMany_silencesTheClientUntilRetryAfter()
{
    VirtualCloudConfig config;
    config.retryAfter = "3600";
    startCloud(std::move(config));
    m_cloud->failRequests(RequestFault::Answer429, 1);
    HttpProvisioningClient client({.baseUrl = url(), .answerWithin = kHangGuard});
    QCOMPARE(registerAt(client, within(kHangGuard)).error().native.value_or(0), 429);
    const auto silent = registerAt(client, within(kHangGuard)); // and does not wait for it
    QCOMPARE(silent.error().code, Errc::Unavailable);
    QCOMPARE(silent.error().native.value_or(0), 429);
    QVERIFY(silent.error().message.find("no request for") != std::string::npos);
    QCOMPARE(m_cloud->requests(), 1);
}

void TstCloudGuard::retryAfter_isKeptUpToADay()
{
    VirtualClock clock;
    const auto pauseBehind = [&](std::chrono::seconds retryAfter) {
        RequestGate gate({});
        gate.answered(429, retryAfter, clock);
        return gate.pass("ask", {.clock = clock, .deadline = {clock.now()}}).error().message;
    };
    const auto hours = pauseBehind(6h);
    QVERIFY2(hours.find("for 21600 s") != std::string::npos, hours.c_str());
    QVERIFY2(hours.find("it said") == std::string::npos, hours.c_str());
    for (const auto far : {std::chrono::seconds(48h), std::chrono::seconds::max()}) {
        const auto years = pauseBehind(far);
        QVERIFY2(years.find("for 86400 s") != std::string::npos, years.c_str());
        QVERIFY2(years.find(concat("it said ", far.count())) != std::string::npos, years.c_str());
    }
}

void TstCloudGuard::tokenBucket_spreadsRequests()
{
    VirtualClock clock;
    RequestGate gate({.perSecond = 2, .burst = 3});
    const auto from = clock.now();
    for (int i = 0; i < 13; ++i)
        QVERIFY(gate.pass("ask", {.clock = clock, .deadline = {clock.now() + 1h}}).has_value());
    const auto took = clock.now() - from; // 3 at once, then one each half second
    QVERIFY(took >= 4990ms && took <= 5010ms);
}

void TstCloudGuard::threeRefusals_stopTheStation()
{
    startCloud({});
    m_cloud->failRequests(RequestFault::Forbidden);
    HttpProvisioningClient client({.baseUrl = url(), .answerWithin = kHangGuard});
    for (int i = 0; i < 3; ++i)
        QCOMPARE(registerAt(client, within(kHangGuard)).error().native.value_or(0), 403);
    const auto stopped = registerAt(client, within(kHangGuard));
    QCOMPARE(stopped.error().code, Errc::Denied);
    QCOMPARE(stopped.error().blame, Blame::Station);
    QVERIFY(stopped.error().message.find("token") != std::string::npos);
    QCOMPARE(m_cloud->requests(), 3);
}

void TstCloudGuard::answer_forgivesEarlierRefusals()
{
    startCloud({});
    HttpProvisioningClient client({.baseUrl = url(), .answerWithin = kHangGuard});
    for (int i = 0; i < 3; ++i) {
        m_cloud->failRequests(RequestFault::Forbidden, 2);
        QVERIFY(!registerAt(client, within(kHangGuard)));
        QVERIFY(!registerAt(client, within(kHangGuard)));
        QVERIFY(registerAt(client, within(kHangGuard)).has_value());
    }
}

void TstCloudGuard::refusedKeys_doNotStopTheStation()
{
    startCloud({});
    HttpProvisioningClient client({.baseUrl = url(), .answerWithin = kHangGuard});
    m_cloud->failRequests(RequestFault::Deny, 5);
    for (int i = 0; i < 5; ++i)
        QCOMPARE(registerAt(client, within(kHangGuard)).error().code, Errc::InvalidData);
    QVERIFY(registerAt(client, within(kHangGuard)).has_value());
}

void TstCloudGuard::selfSigned_isRefused()
{
    startTlsCloud();
    QVERIFY(QString::fromStdString(url()).startsWith("https://127.0.0.1:"));
    HttpProvisioningClient client({.baseUrl = url(), .answerWithin = kHangGuard});
    const auto refused = registerAt(client, within(kHangGuard));
    QCOMPARE(refused.error().code, Errc::Unavailable);
    QCOMPARE(m_cloud->requests(), 0); // not a byte of the request went out
}

void TstCloudGuard::ownAuthority_isTrusted()
{
    startTlsCloud();
    HttpProvisioningClient client(
        {.baseUrl = url(), .answerWithin = kHangGuard, .caFile = path("ca.pem")});
    const auto registered = registerAt(client, within(kHangGuard));
    QVERIFY2(registered.has_value(), registered ? "" : describe(registered.error()).c_str());
    QCOMPARE(keyOnFile(), m_unit.key.publicKey.fingerprint());
    HttpProvisioningClient without(
        {.baseUrl = url(), .answerWithin = kHangGuard, .caFile = path("none.pem")});
    QCOMPARE(registerAt(without, within(kHangGuard)).error().code, Errc::InvalidArgument);
}

void TstCloudGuard::otherHost_isRefused()
{
    VirtualCloudConfig config;
    config.service.tlsCertificate = path("other.pem");
    config.service.tlsKey = path("other.key");
    startCloud(std::move(config));
    HttpProvisioningClient client(
        {.baseUrl = url(), .answerWithin = kHangGuard, .caFile = path("ca.pem")});
    QCOMPARE(registerAt(client, within(kHangGuard)).error().code, Errc::Unavailable);
    QCOMPARE(m_cloud->requests(), 0);
}

void TstCloudGuard::curl_speaksTlsWithTheCloud()
{
    startTlsCloud();
    const QString address = QString::fromStdString(concat(url(), "/v1/provisioning/", kUnitId));
    QCOMPARE(curl({address}).status, 0);
    QCOMPARE(curl({"--cacert", file("ca.pem"), address}).status, 404);
    QCOMPARE(curl({"--cacert", file("ca.pem"), "--tls-max", "1.1", address}).status, 0);
}

void TstCloudGuard::plainClient_getsNothingFromTls()
{
    startTlsCloud();
    const QString plain = QString::fromStdString(
        concat("http://127.0.0.1:", m_cloud->service().restPort(), "/v1/provisioning/", kUnitId));
    QCOMPARE(curl({plain}).status, 0);
    QCOMPARE(m_cloud->requests(), 0);
}

void TstCloudGuard::beyondLoopback_demandsTokenAndTls()
{
    const auto startedWith = [&](bool token, bool tls) {
        CloudServiceConfig config{.folder = path("beyond"),
                                  .serverKeyFile = path("server.pem"),
                                  .restHost = "0.0.0.0",
                                  .handshake = false};
        if (token)
            config.token = SecretBytes(viewOf(kGuardToken));
        if (tls) {
            config.tlsCertificate = path("host.pem");
            config.tlsKey = path("host.key");
        }
        const auto service = CloudService::start(std::move(config), m_clock);
        return service ? std::string("started") : service.error().message;
    };
    QVERIFY(startedWith(false, true).find("token") != std::string::npos);
    QVERIFY(startedWith(true, false).find("TLS") != std::string::npos);
    QCOMPARE(startedWith(true, true), std::string("started"));
}

void TstCloudGuard::overtakenRegistration_isRefused()
{
    startCloud({});
    const Unit newer{.id = kUnitId};
    QCOMPARE(post(newer, "manual_2000").status, 200);
    const auto refused = post(m_unit, "manual_1999");
    QCOMPARE(refused.status, 409);
    QVERIFY(refused.body.contains("stale_registration"));
    QCOMPARE(keyOnFile(), newer.key.publicKey.fingerprint());
    QCOMPARE(post(newer, "manual_3000").status, 200); // nothing changes but the time
    QCOMPARE(post(m_unit, "manual_2500").status, 409);
    QCOMPARE(post(m_unit, "manual_3000").status, 200);
    QCOMPARE(post(newer, "").status, 200); // tools that say no time count as the latest
}

void TstCloudGuard::reorderedRegistration_bringsNoOldKeyBack()
{
    startCloud({});
    const Unit newer{.id = kUnitId};
    m_cloud->failRequests(RequestFault::Reorder, 1);
    QCOMPARE(post(m_unit, "manual_1000").status, 0); // overtaken on its way
    QCOMPARE(post(newer, "manual_2000").status, 200);
    QCOMPARE(keyOnFile(), newer.key.publicKey.fingerprint());
    QCOMPARE(m_cloud->requests(), 2);
}

void TstCloudGuard::faultOrders_areReadAndRefused()
{
    const auto orders = parseFaultOrders("429:3, timeout-after,ok:2,outage:12h").value();
    QCOMPARE(orders.size(), std::size_t{4});
    QVERIFY(orders[0].fault == RequestFault::Answer429 && orders[0].count == 3);
    QVERIFY(orders[1].fault == RequestFault::TimeOutAfter && orders[1].count == 1);
    QVERIFY(!orders[2].fault && orders[2].count == 2);
    QCOMPARE(orders[3].outage, 43'200s);
    QVERIFY(parseFaultOrders("none").value().empty());
    for (const char* const wrong : {"", "418", "429:", "429:0", "429:x", "outage", "outage:12",
                                    "outage:0h", "429,,500", "429:99999999999"})
        QVERIFY2(!parseFaultOrders(wrong), wrong);
}

void TstCloudGuard::faultSwitch_worksByCurlWithTheToken()
{
    VirtualCloudConfig config;
    config.service.token = SecretBytes(viewOf(kGuardToken));
    config.trainingSwitch = true;
    startCloud(std::move(config));
    const QString address = QString::fromStdString(url());
    const QStringList bearer{"-H", QString("Authorization: Bearer ") + kGuardToken};
    const QString faults = address + "/v1/training/faults";
    QCOMPARE(curl({"-d", "faults=500:2", faults}).status, 401);
    QCOMPARE(curl(bearer + QStringList{"-d", "faults=418", faults}).status, 400);
    QCOMPARE(curl(bearer + QStringList{"--data-urlencode", "faults=500:2,429", faults}).status,
             200);
    const auto ask = [&] {
        return curl(bearer + QStringList{address + "/v1/provisioning/" + kUnitId}).status;
    };
    QCOMPARE(ask(), 500);
    QCOMPARE(ask(), 500);
    QCOMPARE(ask(), 429);
    QCOMPARE(ask(), 404);
    QCOMPARE(curl(bearer + QStringList{"-d", "faults=outage:12h", faults}).status, 200);
    QCOMPARE(ask(), 0);
    QCOMPARE(ask(), 0);
    QCOMPARE(curl(bearer + QStringList{"-d", "faults=none", faults}).status, 200);
    QCOMPARE(ask(), 404);
}

void TstCloudGuard::reconciliation_namesLostAndOlderKeys()
{
    startCloud({});
    const QTemporaryDir folder;
    const auto journal = Journal::open(folder.filePath("units.db").toStdString(), m_clock).value();
    const Unit equal{.id = unitId(1)};
    const Unit lost{.id = unitId(2)};
    const Unit changed{.id = unitId(3)};
    const Unit older{.id = unitId(3)};
    for (const Unit* const unit : {&equal, &lost, &changed}) {
        const RunId run = journal->beginRun({.slot = 1, .planId = "p"}).value();
        const std::string fingerprint = unit->key.publicKey.fingerprint();
        QVERIFY(journal->identify(run, unit->identity(), "dfu").has_value());
        QVERIFY(journal
                    ->journalKey(run, {.fingerprint = fingerprint,
                                       .deviceId = unit->id,
                                       .publicDer = unit->publicDer(),
                                       .origin = "generated"})
                    .has_value());
        QVERIFY(journal->setKeyState(run, fingerprint, "proved").has_value());
    }
    Registry& registry = m_cloud->service().registry();
    QVERIFY(registry.put(equal.id, equal.key.publicKey).has_value());
    QVERIFY(registry.put(older.id, older.key.publicKey).has_value());
    HttpProvisioningClient client({.baseUrl = url(), .answerWithin = kHangGuard});
    const auto found = reconcile(*journal, client, within(kHangGuard)).value();
    QCOMPARE(found.units, std::size_t{3});
    QCOMPARE(found.equal, std::size_t{1});
    QCOMPARE(found.differences.size(), std::size_t{2});
    for (const Difference& difference : found.differences)
        QVERIFY(difference.reason.find(difference.deviceId == lost.id ? "no key" : "proved is") !=
                std::string::npos);
    // A cloud that cannot say is not said to have lost anything.
    m_cloud->failRequests(RequestFault::NoKeyBack);
    const auto silent = reconcile(*journal, client, within(kHangGuard)).value();
    QCOMPARE(silent.equal, std::size_t{0});
    QCOMPARE(silent.differences.size(), std::size_t{3});
    for (const Difference& difference : silent.differences)
        QVERIFY(difference.reason.find("cannot say") != std::string::npos);
}

void TstCloudGuard::eventStream_tellsUnitsComingAndGoing()
{
    startCloud({});
    QVERIFY(m_cloud->service().registry().put(kUnitId, m_unit.key.publicKey).has_value());
    const auto listenAt = [&](QProcess& listener, const char* const path) {
        listener.start("curl", {"-sN", QString::fromStdString(concat(url(), path))});
        QByteArray heard;
        while (!heard.contains(":ok\n\n") && listener.waitForReadyRead(60'000))
            heard += listener.readAllStandardOutput();
        return heard == ":ok\n\n";
    };
    QProcess all;
    QVERIFY(listenAt(all, "/v1/devices/events"));
    QProcess other;
    QVERIFY(listenAt(other, "/v1/devices/000000000000000000000001/events"));
    QVERIFY(dial(m_cloud->service(), m_unit).passed);
    QByteArray heard;
    while (heard.count("\n\n") < 2 && all.waitForReadyRead(60'000))
        heard += all.readAllStandardOutput();
    const auto events = heard.split('\n');
    QCOMPARE(events[0], QByteArray("event: spark/status"));
    QVERIFY(events[1].startsWith("data: {\"coreid\":\"" + QByteArray(kUnitId) + "\""));
    QVERIFY(events[1].contains("\"data\":\"online\"") && events[1].contains("\"ttl\":60"));
    QVERIFY(events[4].contains("\"data\":\"offline\""));
    QVERIFY(other.readAllStandardOutput().isEmpty());
    for (QProcess* const each : {&all, &other}) {
        each->kill();
        each->waitForFinished();
    }
}

void TstCloudGuard::eventStream_endsWithTheCloud()
{
    startCloud({});
    QProcess listener;
    listener.start("curl", {"-sN", QString::fromStdString(concat(url(), "/v1/events/spark"))});
    QVERIFY(listener.waitForReadyRead(60'000));
    m_cloud.reset();
    QVERIFY(listener.waitForFinished(60'000));
}

void TstCloudGuard::account_claimsAndUnclaims()
{
    startCloud({});
    const QString address = QString::fromStdString(url());
    const QString mine = address + "/v1/devices/" + kUnitId;
    QCOMPARE(curl({"-d", QString("id=") + kUnitId, address + "/v1/devices"}).status, 404);
    QVERIFY(m_cloud->service().registry().put(kUnitId, m_unit.key.publicKey).has_value());
    QCOMPARE(curl({"-X", "DELETE", "-d", "", mine}).status, 403); // nobody's
    const auto claimed = curl({"-H", "Content-Type: application/json", "-d",
                               QString("{\"id\":\"%1\"}").arg(kUnitId), address + "/v1/devices"});
    QCOMPARE(claimed.status, 200);
    QVERIFY(claimed.body.contains("\"claimed\":true"));
    QVERIFY(curl({mine}).body.contains("\"claimed\":true"));
    QVERIFY(curl({address + "/v1/devices"}).body.startsWith("[{"));
    QCOMPARE(curl({"-X", "DELETE", mine}).body, QByteArray("{\"ok\":true}"));
    QVERIFY(curl({mine}).body.contains("\"claimed\":false"));
}

void TstCloudGuard::account_importsAndPings()
{
    startCloud({});
    QVERIFY(m_cloud->service().registry().put(kUnitId, m_unit.key.publicKey).has_value());
    const QString address = QString::fromStdString(url());
    const QString product = address + "/v1/products/thermostat/devices";
    QVERIFY(curl({"-d", QString("id=") + kUnitId, product}).body.contains("\"updated\":1"));
    const auto unknown = curl({"-d", "id=000000000000000000000009", product});
    QVERIFY(unknown.body.contains("\"invalidDeviceIds\":[\"000000000000000000000009\"]"));
    QVERIFY(curl({"-d", QString("id=") + kUnitId, product})
                .body.contains(QString("\"existingDeviceIds\":[\"%1\"]").arg(kUnitId).toLatin1()));
    QVERIFY(curl({"-d", QString("id=") + kUnitId, address + "/v1/products/other/devices"})
                .body.contains(QString("\"nonmemberDeviceIds\":[\"%1\"]").arg(kUnitId).toLatin1()));
    // A file with one id per line, as the tools send it.
    const std::string second = unitId(2);
    QVERIFY(m_cloud->service().registry().put(second, m_unit.key.publicKey).has_value());
    const QTemporaryDir folder;
    QFile list(folder.filePath("ids.txt"));
    QVERIFY(list.open(QIODevice::WriteOnly));
    list.write(QByteArray(kUnitId) + "\r\n" + QByteArray::fromStdString(second) +
               "\n000000000000000000000009\n");
    list.close();
    const auto all = curl({"-F", "file=@" + list.fileName(), product}).body;
    QVERIFY2(all.contains("\"updated\":1") &&
                 all.contains("\"updatedDeviceIds\":[\"" + QByteArray::fromStdString(second)) &&
                 all.contains("\"existingDeviceIds\":[\"" + QByteArray(kUnitId)) &&
                 all.contains("\"invalidDeviceIds\":[\"000000000000000000000009\"]"),
             all);
    const auto ping = curl({"-X", "PUT", "-d", "", address + "/v1/devices/" + kUnitId + "/ping"});
    QCOMPARE(ping.body, QByteArray("{\"ok\":true,\"online\":false}"));
    const auto code = curl({"-d", "", address + "/v1/device_claims"});
    QCOMPARE(code.status, 200);
    QVERIFY(code.body.contains("\"claim_code\":\""));
    QCOMPARE(curl({address + "/v1/device_claims"}).status, 405);
}

void TstCloudGuard::account_namesUnits()
{
    startCloud({});
    const QString unit = QString::fromStdString(url()) + "/v1/devices/" + kUnitId;
    const auto put = [&](const QString& field) {
        return curl({"-X", "PUT", "--data-urlencode", field, unit});
    };
    QCOMPARE(put("name=bench one").status, 404); // nobody's
    QVERIFY(m_cloud->service().registry().put(kUnitId, m_unit.key.publicKey).has_value());
    QVERIFY(curl({unit}).body.contains("\"name\":null"));
    const auto named = put("name=bench one");
    QCOMPARE(named.status, 200);
    QVERIFY(named.body.contains("\"name\":\"bench one\""));
    QVERIFY(curl({unit}).body.contains("\"name\":\"bench one\""));
    QCOMPARE(put("name=").status, 400);
    QCOMPARE(put("name=" + QString(65, 'x')).status, 400);
    QCOMPARE(put("colour=red").status, 400);
    const auto away = put("signal=1"); // the unit does not answer
    QCOMPARE(away.status, 408);
    QCOMPARE(away.body, QByteArray("{\"error\":\"Timed out.\"}"));
}

void TstCloudGuard::client_usesTheAccount()
{
    startCloud({});
    HttpProvisioningClient client({.baseUrl = url(), .answerWithin = kHangGuard});
    const auto op = within(kHangGuard);
    const UnitIdentity unit = m_unit.identity();
    QCOMPARE(client.deviceState(unit, op).error().code, Errc::NotFound);
    QVERIFY(client.importIntoProduct("thermostat", unit, op).value() == ImportOutcome::Refused);
    QVERIFY(registerAt(client, op).has_value());
    QVERIFY(client.importIntoProduct("thermostat", unit, op).value() == ImportOutcome::Added);
    const auto code = client.claimCode(op).value();
    QCOMPARE(code.size(), std::size_t{63});
    QVERIFY(code != client.claimCode(op).value());
    QCOMPARE(client.deviceState(unit, op).value().claimed, std::optional(false));
    QCOMPARE(
        curl({"-d", QString("id=") + kUnitId, QString::fromStdString(concat(url(), "/v1/devices"))})
            .status,
        200);
    QCOMPARE(client.deviceState(unit, op).value().claimed, std::optional(true));
    QVERIFY(client.unclaim(unit, op).has_value());
    QCOMPARE(client.deviceState(unit, op).value().claimed, std::optional(false));
    QVERIFY(client.unclaim(unit, op).has_value());
    QVERIFY(dial(m_cloud->service(), m_unit).passed);
    QTRY_COMPARE(client.deviceState(unit, op).value().platformId, std::optional(6));
    m_cloud->failRequests(RequestFault::Answer500, 1);
    QCOMPARE(client.claimCode(op).error().code, Errc::Unavailable);
    m_cloud->failRequests(RequestFault::Page, 1);
    QCOMPARE(client.deviceState(unit, op).error().code, Errc::Unavailable);
}

} // namespace

PROVOST_TEST("cloud_guard", TstCloudGuard)
#include "tst_cloud_guard.moc"
