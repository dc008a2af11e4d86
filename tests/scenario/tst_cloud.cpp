// The REST service of a cloud, byte by byte with curl.
#include "cloud_bench.h"
#include "core/byte_io.h"
#include "support/site_token.h"
#include "support/test_program.h"

#include <QDir>
#include <QFile>
#include <QHostAddress>
#include <QJsonDocument>
#include <QJsonObject>
#include <QTcpSocket>
#include <QTemporaryDir>
#include <QTest>

#include <sys/stat.h>

using namespace provost;
using namespace provost::test;

namespace {

class TstCloud : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void initTestCase();
    void init();
    void cleanup();

    void provisioning_answersAFormAsSparkServerDoes();
    void provisioning_takesJson();
    void provisioning_refusesInSparkServersWords_data();
    void provisioning_refusesInSparkServersWords();
    void provisioning_isIdempotent();
    void provisioning_letsNoIdEscapeTheFolder_data();
    void provisioning_letsNoIdEscapeTheFolder();
    void provisioning_deniesALockedKeyWhereConfigured();
    void provisioning_showsTheKeyOnFile();
    void token_isDemandedInEveryForm();
    void token_isIssuedToWhoKnowsIt();
    void device_unknownGetsSparkServersText();
    void service_refusesRestBeyondLoopbackWithoutToken();
    void service_answersUnknownPathsAndMethodsWithJson();
    void service_boundsWhatItReads_data();
    void service_boundsWhatItReads();
    void service_hangsUpOnSlowClients();
    void service_keepsItsServerKeyPrivate();
    void service_endsPromptlyWhileClientsHang();

private:
    VirtualCloudConfig config() const;
    void startCloud(VirtualCloudConfig config);
    QString url(const QString& path) const;
    QString provisioningUrl() const { return url("/v1/provisioning/" + QString(kUnitId)); }
    QStringList form(const QString& id, const std::string& pem) const;

    SystemClock m_clock;
    QTemporaryDir m_keys;
    std::optional<RsaPublicKey> m_serverKey{};
    Unit m_unit{};
    std::unique_ptr<VirtualCloud> m_cloud{};
};

void TstCloud::initTestCase()
{
    // One server key for all tests: making one takes longer than a test.
    QFile file(m_keys.filePath("server.pem"));
    QVERIFY(file.open(QIODevice::WriteOnly));
    const RsaPrivateKey key = RsaPrivateKey::generate(2048).value();
    m_serverKey = key.publicKey();
    const SecretBytes pem = key.toClearPem();
    file.write(QByteArray::fromStdString(toText(pem.reveal())));
}

VirtualCloudConfig TstCloud::config() const
{
    VirtualCloudConfig made;
    made.service.serverKeyFile = m_keys.filePath("server.pem").toStdString();
    return made;
}

void TstCloud::startCloud(VirtualCloudConfig config)
{
    m_cloud.reset();
    auto started = VirtualCloud::start(std::move(config), m_clock);
    QVERIFY2(started.has_value(), started ? "" : describe(started.error()).c_str());
    m_cloud = *std::move(started);
}

void TstCloud::init()
{
    startCloud(config());
}
void TstCloud::cleanup()
{
    m_cloud.reset();
}

QString TstCloud::url(const QString& path) const
{
    return QString::fromStdString(m_cloud->service().baseUrl()) + path;
}

QStringList TstCloud::form(const QString& id, const std::string& pem) const
{
    return {"--data-urlencode", "deviceID=" + id,
            "--data-urlencode", "publicKey=" + QString::fromStdString(pem),
            "--data-urlencode", "order=manual_1700000000000",
            "--data-urlencode", "filename=cli",
            "--data-urlencode", "algorithm=rsa"};
}

void TstCloud::provisioning_answersAFormAsSparkServerDoes()
{
    const auto answer = curl(form(kUnitId, m_unit.key.publicKey.toPem()) << provisioningUrl());
    QCOMPARE(answer.status, 200);
    QCOMPARE(answer.body, QByteArray("\"Success!\""));
    QVERIFY(answer.headers.toLower().contains("content-type: application/json; charset=utf-8"));
    QFile file(QDir(QString::fromStdString(m_cloud->folder().string()))
                   .filePath(QString(kUnitId) + ".pub.pem"));
    QVERIFY(file.open(QIODevice::ReadOnly));
    QCOMPARE(file.readAll(), QByteArray::fromStdString(m_unit.key.publicKey.toPem()));
}

void TstCloud::provisioning_takesJson()
{
    const QJsonObject body{{"deviceID", kUnitId},
                           {"publicKey", QString::fromStdString(m_unit.key.publicKey.toPem())},
                           {"algorithm", "rsa"}};
    const auto answer =
        curl({"-H", "Content-Type: application/json", "--data-binary", "@-", provisioningUrl()},
             QJsonDocument(body).toJson());
    QCOMPARE(answer.status, 200);
    QCOMPARE(answer.body, QByteArray("\"Success!\""));
}

void TstCloud::provisioning_refusesInSparkServersWords_data()
{
    QTest::addColumn<QStringList>("arguments");
    QTest::addColumn<QByteArray>("start");
    const QString id = QString("deviceID=") + kUnitId;
    const auto pem = [](const RsaPublicKey& key) {
        return "publicKey=" + QString::fromStdString(key.toPem());
    };
    QTest::newRow("no id") << QStringList{"--data-urlencode", pem(m_unit.key.publicKey)}
                           << QByteArray(R"({"error":"No deviceID provided"})");
    QTest::newRow("nothing") << QStringList{"-d", ""}
                             << QByteArray(R"({"error":"No deviceID provided"})");
    QTest::newRow("no key") << QStringList{"-d", id}
                            << QByteArray(R"({"error":"No key provided"})");
    QTest::newRow("empty key") << QStringList{"-d", id + "&publicKey="}
                               << QByteArray(R"({"error":"No key provided"})");
    QTest::newRow("no PEM") << QStringList{"-d", id + "&publicKey=hello"}
                            << QByteArray(R"({"error":"Key error )");
    QTest::newRow("damaged PEM") << QStringList{"-d",
                                                id + "&publicKey=-----BEGIN PUBLIC "
                                                     "KEY-----%0AAAAA%0A-----END PUBLIC KEY-----"}
                                 << QByteArray(R"({"error":"Key error )");
    QTest::newRow("2048 bits") << QStringList{"-d", id, "--data-urlencode", pem(*m_serverKey)}
                               << QByteArray(R"({"error":"Key error )");
    QTest::newRow("elliptic curve")
        << QStringList{"-d", id + "&algorithm=ecc", "--data-urlencode", pem(m_unit.key.publicKey)}
        << QByteArray(R"({"error":"Key error )");
    QTest::newRow("JSON cut off") << QStringList{"-H", "Content-Type: application/json", "-d",
                                                 "{\"deviceID\":\"2500"}
                                  << QByteArray(R"({"error":"invalid_request")");
}

void TstCloud::provisioning_refusesInSparkServersWords()
{
    QFETCH(QStringList, arguments);
    QFETCH(QByteArray, start);
    const auto answer = curl(arguments << provisioningUrl());
    QCOMPARE(answer.status, 400);
    QVERIFY2(answer.body.startsWith(start), answer.body.constData());
    QVERIFY(m_cloud->service().registry().list().value().empty());
}

void TstCloud::provisioning_isIdempotent()
{
    const auto arguments = form(kUnitId, m_unit.key.publicKey.toPem()) << provisioningUrl();
    QCOMPARE(curl(arguments).status, 200);
    QVERIFY(m_cloud->service().registry().lock(kUnitId).has_value());
    QCOMPARE(curl(arguments).status, 200);
    QVERIFY(m_cloud->service().registry().isLocked(kUnitId).value());
}

void TstCloud::provisioning_letsNoIdEscapeTheFolder_data()
{
    QTest::addColumn<QString>("id");
    QTest::addColumn<QString>("path");
    QTest::newRow("dots") << "../../../../../../tmp/owned" << "../../../../../../tmp/owned";
    QTest::newRow("encoded slashes")
        << "..%2f..%2f..%2ftmp%2fowned" << "..%2f..%2f..%2ftmp%2fowned";
    QTest::newRow("short") << "abc" << "abc";
    QTest::newRow("24 others") << QString(24, 'z') << QString(24, 'z');
    QTest::newRow("zero byte") << "25002a0011473532303336%00" << "25002a0011473532303336%00";
    QTest::newRow("address and body differ") << QString(kUnitId) << QString(24, '0');
    QTest::newRow("absolute") << "/etc/passwd" << "%2fetc%2fpasswd";
}

void TstCloud::provisioning_letsNoIdEscapeTheFolder()
{
    QFETCH(QString, id);
    QFETCH(QString, path);
    const auto before = QDir(QString::fromStdString(m_cloud->folder().string())).entryList();
    const auto answer = curl({"-d", "deviceID=" + id, "--data-urlencode",
                              "publicKey=" + QString::fromStdString(m_unit.key.publicKey.toPem()),
                              url("/v1/provisioning/" + path)});
    QVERIFY2(answer.status == 400 || answer.status == 404, QByteArray::number(answer.status));
    QVERIFY(QJsonDocument::fromJson(answer.body).object().contains("error"));
    QCOMPARE(QDir(QString::fromStdString(m_cloud->folder().string())).entryList(), before);
}

void TstCloud::provisioning_deniesALockedKeyWhereConfigured()
{
    auto strict = config();
    strict.service.whenLocked = Registry::WhenLocked::Refuse;
    startCloud(std::move(strict));
    const auto arguments = form(kUnitId, m_unit.key.publicKey.toPem()) << provisioningUrl();
    QCOMPARE(curl(arguments).status, 200);
    QVERIFY(m_cloud->service().registry().lock(kUnitId).has_value());
    const Unit other;
    const auto answer = curl(form(kUnitId, other.key.publicKey.toPem()) << provisioningUrl());
    QCOMPARE(answer.status, 403);
    QCOMPARE(answer.body, QByteArray(R"({"error":"Permission Denied"})"));
}

void TstCloud::provisioning_showsTheKeyOnFile()
{
    QCOMPARE(curl({provisioningUrl()}).status, 404);
    QVERIFY(m_cloud->service().registry().put(kUnitId, m_unit.key.publicKey).has_value());
    const auto answer = curl({provisioningUrl()});
    QCOMPARE(answer.status, 200);
    const auto object = QJsonDocument::fromJson(answer.body).object();
    QCOMPARE(object["publicKey"].toString().toStdString(), m_unit.key.publicKey.toPem());
    QCOMPARE(object["locked"].toBool(true), false);
}

void TstCloud::token_isDemandedInEveryForm()
{
    auto guarded = config();
    guarded.service.token = secret(kToken);
    startCloud(std::move(guarded));
    const QStringList good = form(kUnitId, m_unit.key.publicKey.toPem());
    const auto refused = curl(good + QStringList{provisioningUrl()});
    QCOMPARE(refused.status, 401);
    QCOMPARE(QJsonDocument::fromJson(refused.body).object()["error"].toString(), "invalid_token");
    QVERIFY(m_cloud->service().registry().list().value().empty());
    QCOMPARE(
        curl(good + QStringList{"-H", "Authorization: Bearer wrong", provisioningUrl()}).status,
        401);
    const QString header = QString("Authorization: Bearer ") + kToken;
    QCOMPARE(curl(good + QStringList{"-H", header, provisioningUrl()}).status, 200);
    const QString field = QString("access_token=") + kToken;
    QCOMPARE(curl(good + QStringList{"-d", field, provisioningUrl()}).status, 200);
    QCOMPARE(curl(good + QStringList{provisioningUrl() + "?" + field}).status, 200);
    QCOMPARE(curl({url("/v1/devices/" + QString(kUnitId))}).status, 401);
}

void TstCloud::token_isIssuedToWhoKnowsIt()
{
    auto guarded = config();
    guarded.service.token = secret(kToken);
    startCloud(std::move(guarded));
    const QString password = QString("grant_type=password&username=line&password=");
    QCOMPARE(curl({"-d", password + "guess", url("/oauth/token")}).status, 400);
    QCOMPARE(curl({"-d", "grant_type=client_credentials", url("/oauth/token")}).status, 400);
    const auto answer = curl({"-d", password + kToken, url("/oauth/token")});
    QCOMPARE(answer.status, 200);
    const auto object = QJsonDocument::fromJson(answer.body).object();
    QCOMPARE(object["access_token"].toString(), QString(kToken));
    QCOMPARE(object["token_type"].toString(), "bearer");
}

void TstCloud::device_unknownGetsSparkServersText()
{
    const auto answer = curl({url("/v1/devices/" + QString(kUnitId))});
    QCOMPARE(answer.status, 404);
    QCOMPARE(answer.body, QByteArray("\"Oops, I couldn't find that core\""));
    QVERIFY(m_cloud->service().registry().put(kUnitId, m_unit.key.publicKey).has_value());
    const auto known = curl({url("/v1/devices/" + QString(kUnitId))});
    QCOMPARE(known.status, 200);
    const auto object = QJsonDocument::fromJson(known.body).object();
    QCOMPARE(object["id"].toString(), QString(kUnitId));
    QCOMPARE(object["connected"].toBool(true), false);
    QVERIFY(object["last_handshake_at"].isNull());
}

void TstCloud::service_refusesRestBeyondLoopbackWithoutToken()
{
    auto open = config();
    open.service.restHost = "0.0.0.0";
    const auto refused = VirtualCloud::start(std::move(open), m_clock);
    QVERIFY(!refused);
    QCOMPARE(refused.error().code, Errc::Denied);
    auto guarded = config();
    guarded.service.restHost = "0.0.0.0";
    guarded.service.token = secret(kToken);
    const auto readable = VirtualCloud::start(std::move(guarded), m_clock);
    QVERIFY(!readable && readable.error().message.find("TLS") != std::string::npos);
    auto named = config();
    named.service.restHost = "lo";
    const auto byName = VirtualCloud::start(std::move(named), m_clock);
    QVERIFY(byName.has_value());
    QCOMPARE((*byName)->service().restHost(), std::string("127.0.0.1"));
    auto nowhere = config();
    nowhere.service.restHost = "no-such-interface";
    QCOMPARE(VirtualCloud::start(std::move(nowhere), m_clock).error().code, Errc::InvalidArgument);
    auto taken = config();
    taken.service.restPort = m_cloud->service().restPort();
    QCOMPARE(VirtualCloud::start(std::move(taken), m_clock).error().code, Errc::Busy);
}

void TstCloud::service_answersUnknownPathsAndMethodsWithJson()
{
    const auto error = [](const CurlAnswer& answer) {
        return QJsonDocument::fromJson(answer.body).object()["error"].toString();
    };
    const auto unknown = curl({url("/v2/anything")});
    QCOMPARE(unknown.status, 404);
    QCOMPARE(error(unknown), "not_found");
    const auto wrong = curl({"-X", "DELETE", "-d", "", provisioningUrl()});
    QCOMPARE(wrong.status, 405);
    QCOMPARE(error(wrong), "method_not_allowed");
    QVERIFY(wrong.headers.contains("Allow: GET, POST"));
    QCOMPARE(curl({url("/oauth/token")}).status, 405);
    QCOMPARE(curl({"--head", provisioningUrl()}).status, 404);
}

void TstCloud::service_boundsWhatItReads_data()
{
    QTest::addColumn<QStringList>("arguments");
    QTest::addColumn<QByteArray>("input");
    QTest::addColumn<int>("status");
    const QStringList stdin{"-H", "Content-Type: application/json", "--data-binary", "@-"};
    QTest::newRow("body of 65 KiB") << stdin << QByteArray(65 * 1024, 'x') << 413;
    QTest::newRow("body of 3 MiB") << stdin << QByteArray(3 * 1024 * 1024, 'x') << 413;
    QTest::newRow("chunked") << (stdin + QStringList{"-H", "Transfer-Encoding: chunked"})
                             << QByteArray("{}") << 411;
    QTest::newRow("compressed") << (stdin + QStringList{"-H", "Content-Encoding: gzip"})
                                << QByteArray("{}") << 415;
    QTest::newRow("no length") << (stdin + QStringList{"-H", "Content-Length:"}) << QByteArray("{}")
                               << 411;
    QTest::newRow("deep JSON") << stdin << QByteArray(60000, '[') << 400;
}

void TstCloud::service_boundsWhatItReads()
{
    QFETCH(QStringList, arguments);
    QFETCH(QByteArray, input);
    QFETCH(int, status);
    const auto answer = curl(arguments + QStringList{"-H", "Expect:", provisioningUrl()}, input);
    QCOMPARE(answer.status, status);
    QVERIFY(QJsonDocument::fromJson(answer.body).object().contains("error"));
    QCOMPARE(curl({url("/v1/devices/none")}).status, 404);
}

void TstCloud::service_hangsUpOnSlowClients()
{
    auto hasty = config();
    hasty.service.requestTimeout = 300ms;
    startCloud(std::move(hasty));
    QTcpSocket slow;
    slow.connectToHost(QHostAddress::LocalHost, m_cloud->service().restPort());
    QVERIFY(slow.waitForConnected());
    slow.write("POST /v1/provisioning/");
    slow.flush();
    QTRY_COMPARE(slow.state(), QAbstractSocket::UnconnectedState);
}

void TstCloud::service_keepsItsServerKeyPrivate()
{
    const QTemporaryDir folder;
    VirtualCloudConfig own;
    own.service.folder = folder.path().toStdString();
    startCloud(std::move(own));
    const auto fingerprint = m_cloud->service().serverKey().fingerprint();
    struct stat info{};
    QCOMPARE(::stat(folder.filePath("server-key.pem").toUtf8().constData(), &info), 0);
    QCOMPARE(static_cast<int>(info.st_mode & 0777), 0600);
    VirtualCloudConfig again;
    again.service.folder = folder.path().toStdString();
    startCloud(std::move(again));
    QCOMPARE(m_cloud->service().serverKey().fingerprint(), fingerprint);
}

void TstCloud::service_endsPromptlyWhileClientsHang()
{
    QVERIFY(onceWithin(400ms, [this] {
        startCloud(config());
        m_cloud->failRequests(RequestFault::TimeOutBefore);
        QTcpSocket rest;
        QTcpSocket device;
        rest.connectToHost(QHostAddress::LocalHost, m_cloud->service().restPort());
        device.connectToHost(QHostAddress::LocalHost, m_cloud->service().handshakePort());
        rest.waitForConnected();
        rest.write("GET /v1/devices/none HTTP/1.1\r\nHost: x\r\n\r\n");
        // 40 bytes: the nonce.
        const auto hang = [&] { return m_cloud->requests() == 1 && device.bytesAvailable() == 40; };
        return QTest::qWaitFor(hang, 60'000) ? timed([this] { m_cloud.reset(); }) : kHangGuard;
    }));
}

} // namespace

PROVOST_TEST("cloud", TstCloud)
#include "tst_cloud.moc"
