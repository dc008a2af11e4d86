// `handshake` and `cloud`: against each other, against keys of openssl, against curl.
#include "crypto/rsa_key.h"
#include "store/journal.h"
#include "support/command_line.h"
#include "support/test_program.h"

#include "core/byte_io.h"

#include <QTcpServer>

using namespace provost::test;

namespace {

const QString kUnit = QStringLiteral("1f002a000547343233323032");
const QString kStranger = QStringLiteral("2f002a000547343233323032");

class TstCommandLineServices : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void init();
    void cleanup();
    void handshake_passesWithOurKeys();
    void handshake_passesWithKeysOfOpenssl();
    void handshake_refusesAnUnknownDevice();
    void handshake_namesTheWrongServerKey();
    void handshake_namesTheWrongDeviceKey();
    void handshake_survivesNonsense();
    void dial_saysWhatItCannotUse_data();
    void dial_saysWhatItCannotUse();
    void dial_toNobody_isAVerdict();
    void dial_speaksLikeEveryFirmware();
    void dial_isStoppedBySigint();
    void serve_saysWhatItCannotUse();
    void cloud_registersReadsAndProvesAUnit();
    void cloud_keepsItsKeyAndRegistryForTheNextStart();
    void cloud_asksForItsToken();
    void cloud_doesNotListenBeyondLoopbackWithoutAToken();
    void cloud_speaksTlsBeyondLoopback();
    void cloud_failsOnOrder();
    void cloud_provesAUnitAsTheProducts();
    void release_waitsForTheCloud();

private:
    CommandEnd openssl(const QString& words) const
    {
        return m_folder->run("openssl", words.split(' '));
    }
    /// The device's half; its last line.
    CommandEnd dial(const QString& device, const QString& key, const QString& serverKey) const
    {
        return m_folder->json({"handshake", "dial", m_address, "--device-id", device,
                               "--device-key", key, "--server-key", serverKey});
    }
    void serve()
    {
        m_server = std::make_unique<RunningCommand>(
            *m_folder, QStringList{"handshake", "serve", "--listen", "127.0.0.1:0", "--server-key",
                                   "server.pem", "--registry", "units", "--json"});
        const auto port = m_server->waitForEvent("listening")["port"].toInt();
        QVERIFY(port > 0);
        m_address = QString("127.0.0.1:%1").arg(port);
    }
    QJsonObject serverVerdict() { return m_server->waitForEvent("verdict"); }
    CommandEnd curl(const QStringList& arguments) const
    {
        return m_folder->run("curl", QStringList{"-s", "-w", "\n%{http_code}"} + arguments);
    }

    std::unique_ptr<CommandFolder> m_folder{};
    std::unique_ptr<RunningCommand> m_server{};
    QString m_address{};
};

void TstCommandLineServices::init()
{
    m_folder = std::make_unique<CommandFolder>();
    QVERIFY(QDir(m_folder->path("")).mkdir("units"));
    QCOMPARE(openssl("genrsa -out server.pem 2048").exitCode, 0);
    QCOMPARE(openssl("rsa -in server.pem -pubout -out server.pub.pem").exitCode, 0);
    QCOMPARE(m_folder->typed("keys new --platform photon --out unit.der --clear-key").exitCode, 0);
    QVERIFY(m_folder->write("units/" + kUnit + ".pub.pem", m_folder->read("unit.der.pub.pem")));
}

void TstCommandLineServices::cleanup()
{
    m_server.reset();
    m_folder.reset();
}

void TstCommandLineServices::handshake_passesWithOurKeys()
{
    serve();
    const auto ran = dial(kUnit, "unit.der", "server.pub.pem");
    QVERIFY2(ran.exitCode == 0, ran.err);
    QVERIFY(ran.lines().size() >= 6);
    QCOMPARE(ran.lines()[0]["event"], QJsonValue("step"));
    const auto verdict = ran.last();
    QCOMPARE(verdict.keys(), (QStringList{"advice", "cause", "device_id", "event", "evidence", "ms",
                                          "stage", "verdict"}));
    QCOMPARE(verdict["verdict"], QJsonValue("pass"));
    QCOMPARE(verdict["device_id"].toString(), kUnit);
    QCOMPARE(verdict["stage"], QJsonValue("session"));
    QCOMPARE(verdict["cause"], QJsonValue(QJsonValue::Null));
    const auto seen = serverVerdict();
    QCOMPARE(seen["verdict"], QJsonValue("pass"));
    QCOMPARE(seen["device_id"].toString(), kUnit);
    const auto end = m_server->interrupt();
    QCOMPARE(end.exitCode, 0);
    const QByteArray key = m_folder->read("unit.der");
    QVERIFY(!ran.says(key.toHex().mid(300, 32)) && !end.says(key.toHex().mid(300, 32)));
    QVERIFY(!end.says("PRIVATE") && !ran.says("PRIVATE"));
}

void TstCommandLineServices::handshake_passesWithKeysOfOpenssl()
{
    QCOMPARE(openssl("genrsa -out made.pem 1024").exitCode, 0);
    QCOMPARE(openssl("rsa -in made.pem -pubout -out units/" + kStranger + ".pub.pem").exitCode, 0);
    QCOMPARE(openssl("rsa -in server.pem -pubout -outform DER -out server.der").exitCode, 0);
    serve();
    const auto ran = dial(kStranger, "made.pem", "server.der");
    QVERIFY2(ran.exitCode == 0, ran.out + ran.err);
    QCOMPARE(serverVerdict()["verdict"], QJsonValue("pass"));
}

void TstCommandLineServices::handshake_refusesAnUnknownDevice()
{
    serve();
    const auto ran = dial(kStranger, "unit.der", "server.pub.pem");
    QCOMPARE(ran.exitCode, 1);
    QCOMPARE(ran.last()["verdict"], QJsonValue("fail"));
    QCOMPARE(ran.last()["stage"], QJsonValue("credentials"));
    const auto seen = serverVerdict();
    QCOMPARE(seen["cause"], QJsonValue("unknown-device"));
    QCOMPARE(seen["device_id"].toString(), kStranger);
    QVERIFY(!seen["advice"].toString().isEmpty());
}

void TstCommandLineServices::handshake_namesTheWrongServerKey()
{
    QCOMPARE(openssl("genrsa -out other.pem 2048").exitCode, 0);
    QCOMPARE(openssl("rsa -in other.pem -pubout -out other.pub.pem").exitCode, 0);
    serve();
    const auto ran = dial(kUnit, "unit.der", "other.pub.pem");
    QCOMPARE(ran.exitCode, 1);
    QCOMPARE(ran.last()["stage"], QJsonValue("credentials"));
    const auto seen = serverVerdict();
    QCOMPARE(seen["cause"], QJsonValue("wrong-server-key"));
    QCOMPARE(seen["stage"], QJsonValue("device-reply"));
    QCOMPARE(seen["device_id"], QJsonValue(QJsonValue::Null));
}

void TstCommandLineServices::handshake_namesTheWrongDeviceKey()
{
    QCOMPARE(m_folder->typed("keys new --platform photon --out other.der --clear-key").exitCode, 0);
    serve();
    const auto ran = dial(kUnit, "other.der", "server.pub.pem");
    QCOMPARE(ran.exitCode, 1);
    const auto seen = serverVerdict();
    QCOMPARE(seen["verdict"], QJsonValue("fail"));
    QVERIFY2(!seen["cause"].isNull() && seen["device_id"].toString() == kUnit,
             QJsonDocument(seen).toJson());
}

void TstCommandLineServices::handshake_survivesNonsense()
{
    serve();
    for (const QString& input : {QString("printf 'GET / HTTP/1.0\\r\\n\\r\\n'"),
                                 QString("head -c 4096 /dev/urandom"), QString("true")})
        m_folder->run("bash",
                      {"-c", input + " > /dev/tcp/" + QString(m_address).replace(':', '/')});
    const auto ran = dial(kUnit, "unit.der", "server.pub.pem");
    QVERIFY2(ran.exitCode == 0, ran.out);
}

void TstCommandLineServices::dial_saysWhatItCannotUse_data()
{
    QTest::addColumn<QString>("device");
    QTest::addColumn<QString>("key");
    QTest::addColumn<QString>("serverKey");
    QTest::addColumn<int>("exitCode");
    QTest::addColumn<QString>("message");
    QTest::newRow("short id") << "1f00" << "unit.der" << "server.pub.pem" << 64 << "24 hexadecimal";
    QTest::newRow("id with other letters")
        << "1f002a00054734323332303z" << "unit.der" << "server.pub.pem" << 64 << "24 hexadecimal";
    QTest::newRow("no key file") << kUnit << "no.der" << "server.pub.pem" << 2 << "no.der";
    QTest::newRow("no server key") << kUnit << "unit.der" << "no.pem" << 2 << "no.pem";
    QTest::newRow("server key is no key")
        << kUnit << "unit.der" << "unit.der" << 2 << "--server-key unit.der";
    QTest::newRow("encrypted key")
        << kUnit << "sealed.pem" << "server.pub.pem" << 2 << "passphrase";
}

void TstCommandLineServices::dial_saysWhatItCannotUse()
{
    QFETCH(const QString, device);
    QFETCH(const QString, key);
    QFETCH(const QString, serverKey);
    QFETCH(const int, exitCode);
    QFETCH(const QString, message);
    QVERIFY(m_folder->write("words", "correct horse"));
    QCOMPARE(
        m_folder->typed("keys new --platform 6 --out sealed.pem --passphrase-file words").exitCode,
        0);
    m_address = "127.0.0.1:9";
    const auto ran = dial(device, key, serverKey);
    QVERIFY2(ran.err.contains(message.toUtf8()), ran.err);
    QCOMPARE(ran.exitCode, exitCode);
    QCOMPARE(ran.last()["event"], QJsonValue("error"));
}

void TstCommandLineServices::dial_toNobody_isAVerdict()
{
    QTcpServer closed;
    QVERIFY(closed.listen(QHostAddress::LocalHost));
    m_address = QString("127.0.0.1:%1").arg(closed.serverPort());
    closed.close();
    const auto ran = dial(kUnit, "unit.der", "server.pub.pem");
    QCOMPARE(ran.exitCode, 1);
    const auto verdict = ran.last();
    QCOMPARE(verdict["cause"], QJsonValue("connection-refused"));
    QCOMPARE(verdict["stage"], QJsonValue("nonce"));
    QVERIFY(!verdict["advice"].toString().isEmpty());
    QVERIFY(verdict["evidence"].toArray().first().toString().contains(m_address));
    QCOMPARE(ran.lines()[0]["event"], QJsonValue("step")); // the timeline
    QCOMPARE(ran.lines()[0]["ok"], QJsonValue(false));
}

void TstCommandLineServices::dial_speaksLikeEveryFirmware()
{
    serve();
    const QStringList unit{"handshake",    "dial",     m_address,      "--device-id",   kUnit,
                           "--device-key", "unit.der", "--server-key", "server.pub.pem"};
    const QList<QStringList> ways{{"--id-order", "big"},
                                  {"--id-order", "little"},
                                  {"--legacy-reply"},
                                  {"--legacy-reply", "--id-order", "little"}};
    for (const auto& way : ways) {
        const auto ran = m_folder->json(unit + way);
        QVERIFY2(ran.exitCode == 0, ran.out + ran.err);
        const bool hasKey = !way.contains("--legacy-reply");
        QCOMPARE(ran.lines()[1]["what"].toString().contains("public key"), hasKey);
        QCOMPARE(serverVerdict()["verdict"], QJsonValue("pass"));
    }
    const auto refused = m_folder->json(unit + QStringList{"--id-order", "middle"});
    QCOMPARE(refused.exitCode, 64);
    QVERIFY(refused.err.contains("--id-order middle"));
}

void TstCommandLineServices::dial_isStoppedBySigint()
{
    QTcpServer silent; // accepts in the kernel, says nothing
    QVERIFY(silent.listen(QHostAddress::LocalHost));
    RunningCommand dialling(*m_folder,
                            {"handshake", "dial", QString("127.0.0.1:%1").arg(silent.serverPort()),
                             "--device-id", kUnit, "--device-key", "unit.der", "--server-key",
                             "server.pub.pem", "--json"});
    QVERIFY(silent.waitForNewConnection(kPatienceMs));
    const auto ended = dialling.interrupt();
    QCOMPARE(ended.exitCode, 3);
    QCOMPARE(ended.last()["code"], QJsonValue("cancelled"));
}

void TstCommandLineServices::serve_saysWhatItCannotUse()
{
    const auto serveWith = [&](const QString& listen, const QString& key) {
        return m_folder->json(
            {"handshake", "serve", "--listen", listen, "--server-key", key, "--registry", "units"});
    };
    QCOMPARE(serveWith("127.0.0.1:0", "no.pem").exitCode, 2);
    QCOMPARE(serveWith("127.0.0.1:0", "server.pub.pem").exitCode, 2);
    QTcpServer taken;
    QVERIFY(taken.listen(QHostAddress::LocalHost));
    const auto busy = serveWith(QString("127.0.0.1:%1").arg(taken.serverPort()), "server.pem");
    QCOMPARE(busy.exitCode, 2);
    QCOMPARE(busy.last()["code"], QJsonValue("busy"));
}

void TstCommandLineServices::cloud_registersReadsAndProvesAUnit()
{
    RunningCommand cloud(
        *m_folder, {"cloud", "serve", "--listen", "127.0.0.1:0", "--data", "cloud", "--json"});
    const auto listening = cloud.waitForEvent("listening");
    const QString base = listening["url"].toString();
    QVERIFY(listening["port"].toInt() > 0 && base.startsWith("http://127.0.0.1:"));
    const auto unknown = curl({base + "/v1/provisioning/" + kUnit});
    QVERIFY2(unknown.out.endsWith("404"), unknown.out);
    const auto registered =
        curl({"--data-urlencode", "publicKey@unit.der.pub.pem", "--data-urlencode", "order=1",
              "--data-urlencode", "filename=cli", "--data-urlencode", "algorithm=rsa",
              "--data-urlencode", "deviceID=" + kUnit, base + "/v1/provisioning/" + kUnit});
    QVERIFY2(registered.out.endsWith("200"), registered.out);
    const auto known = curl({base + "/v1/provisioning/" + kUnit});
    QVERIFY(known.out.endsWith("200") && known.out.contains("BEGIN PUBLIC KEY"));
    m_address = QString("127.0.0.1:%1").arg(listening["handshake_port"].toInt());
    const auto ran = dial(kUnit, "unit.der", "cloud/server-key.pub.pem");
    QVERIFY2(ran.exitCode == 0, ran.out);
    QCOMPARE(cloud.waitForEvent("verdict")["verdict"], QJsonValue("pass"));
    const auto ended = cloud.interrupt();
    QCOMPARE(ended.exitCode, 0);
    QVERIFY(!ended.says("PRIVATE"));
    QVERIFY(m_folder->read("cloud/server-key.pem").startsWith("-----BEGIN ENCRYPTED PRIVATE KEY"));
    QCOMPARE(m_folder->permissions("cloud/server-key.pem") &
                 (QFile::ReadGroup | QFile::ReadOther | QFile::WriteGroup | QFile::WriteOther),
             QFile::Permissions());
}

void TstCommandLineServices::cloud_keepsItsKeyAndRegistryForTheNextStart()
{
    QByteArray key;
    for (int start = 0; start < 2; ++start) {
        RunningCommand cloud(
            *m_folder, {"cloud", "serve", "--listen", "127.0.0.1:0", "--data", "cloud", "--json"});
        QVERIFY(!cloud.waitForEvent("listening").isEmpty());
        cloud.signal(SIGTERM);
        QCOMPARE(cloud.end().exitCode, 0);
        const QByteArray now = m_folder->read("cloud/server-key.pem");
        QVERIFY(!now.isEmpty() && (key.isEmpty() || key == now));
        key = now;
    }
}

void TstCommandLineServices::cloud_asksForItsToken()
{
    QVERIFY(m_folder->write("token", "tell-nobody\n"));
    RunningCommand cloud(*m_folder, {"cloud", "serve", "--listen", "127.0.0.1:0", "--data", "cloud",
                                     "--token-file", "token", "--json"});
    const QString url =
        cloud.waitForEvent("listening")["url"].toString() + "/v1/provisioning/" + kUnit;
    QVERIFY(curl({url}).out.endsWith("401"));
    QVERIFY(curl({"-H", "Authorization: Bearer wrong", url}).out.endsWith("401"));
    QVERIFY(curl({"-H", "Authorization: Bearer tell-nobody", url}).out.endsWith("404"));
    QVERIFY(!cloud.interrupt().says("tell-nobody"));
}

void TstCommandLineServices::cloud_doesNotListenBeyondLoopbackWithoutAToken()
{
    const auto ran = m_folder->json({"cloud", "serve", "--listen", "0.0.0.0:0", "--data", "cloud"});
    QCOMPARE(ran.exitCode, 4);
    QVERIFY(ran.err.contains("token"));
}

void TstCommandLineServices::cloud_speaksTlsBeyondLoopback()
{
    QVERIFY(m_folder->write("token", "0123456789abcdef\n"));
    const QStringList open{"cloud",  "serve", "--listen",     "0.0.0.0:0",
                           "--data", "cloud", "--token-file", "token"};
    const auto refused = m_folder->json(open);
    QCOMPARE(refused.exitCode, 4);
    QVERIFY(refused.err.contains("TLS"));
    QCOMPARE(openssl("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout tls.key "
                     "-out tls.pem -subj /CN=cloud -addext subjectAltName=IP:127.0.0.1 -days 2")
                 .exitCode,
             0);
    m_server = std::make_unique<RunningCommand>(
        *m_folder, open + QStringList{"--tls-cert", "tls.pem", "--tls-key", "tls.key", "--json"});
    const auto port = m_server->waitForEvent("listening")["port"].toInt();
    const QString address = QString("https://127.0.0.1:%1/v1/provisioning/%2").arg(port).arg(kUnit);
    QVERIFY(curl({"--cacert", "tls.pem", address}).out.endsWith("401"));
    QVERIFY(curl({"--cacert", "tls.pem", "-H", "Authorization: Bearer 0123456789abcdef", address})
                .out.endsWith("404"));
}

void TstCommandLineServices::cloud_failsOnOrder()
{
    QCOMPARE(m_folder
                 ->json({"cloud", "serve", "--listen", "127.0.0.1:0", "--data", "cloud", "--faults",
                         "418"})
                 .exitCode,
             64);
    m_server = std::make_unique<RunningCommand>(
        *m_folder, QStringList{"cloud", "serve", "--listen", "127.0.0.1:0", "--data", "cloud",
                               "--faults", "429,500", "--training", "--json"});
    const QString url = m_server->waitForEvent("listening")["url"].toString();
    const QString address = url + "/v1/provisioning/" + kUnit;
    const auto busy = curl({"-D", "-", address});
    QVERIFY(busy.out.endsWith("429") && busy.out.contains("Retry-After: 1"));
    QVERIFY(curl({address}).out.endsWith("500"));
    QVERIFY(curl({address}).out.endsWith("404"));
    QVERIFY(curl({"-d", "faults=503", url + "/v1/training/faults"}).out.endsWith("200"));
    QVERIFY(curl({address}).out.endsWith("503"));
}

/// Two programs: the station, and the product's cloud, whose server key the station does not hold.
void TstCommandLineServices::cloud_provesAUnitAsTheProducts()
{
    RunningCommand cloud(
        *m_folder, {"cloud", "serve", "--listen", "127.0.0.1:0", "--data", "cloud", "--json"});
    const auto listening = cloud.waitForEvent("listening");
    const QByteArray url = listening["url"].toString().toUtf8();
    const QByteArray port = QByteArray::number(listening["handshake_port"].toInt());
    const auto changed = [](const char* file, const QList<std::pair<QByteArray, QByteArray>>& by) {
        QFile from(QStringLiteral(PROVOST_SOURCE_DIR "/stations/") + file);
        QByteArray text = from.open(QIODevice::ReadOnly) ? from.readAll() : QByteArray();
        for (const auto& [was, is] : by)
            text.replace(was, is);
        return text;
    };
    QVERIFY(m_folder->write(
        "own-cloud.toml",
        changed("plans/photon-cloud.toml", {{"shipping = \"photon-demo\"", "shipping = \"own\""},
                                            {"dwell_s = 10", "dwell_s = 1"}})));
    QVERIFY(m_folder->write("own.toml",
                            changed("shipping/photon-demo.toml",
                                    {{"photon-demo-server.pub.pem", "cloud/server-key.pub.pem"},
                                     {"device.demo.example", "127.0.0.1"},
                                     {"server_port = 5683", "server_port = " + port}})));
    QVERIFY(m_folder->write("bench.toml",
                            "[bench]\nname = \"t\"\nspeed = \"instant\"\n[network]\nssid = "
                            "\"plant\"\npassword = \"virtual-plant-wifi\"\nsecurity = 3\n"
                            "[[slot]]\nnumber = 1\n[[slot.unit]]\nstock = \"1.5.2\"\n"));
    QVERIFY(m_folder->write("station.toml",
                            "[station]\nname = \"T\"\n[[slot]]\nnumber = 1\nusb = \"1-1\"\n"
                            "[network]\nssid = \"plant\"\n[handshake]\nhost = "
                            "\"127.0.0.1\"\nport = 0\n[cloud]\nurl = \"" +
                                url + "\"\n"));
    const auto ran = m_folder->json({"run", "--plan", "own-cloud.toml", "--station", "station.toml",
                                     "--simulate", "bench.toml", "--db", "line.db"});
    QVERIFY2(ran.exitCode == 0, ran.out + ran.err);
    const QString unit = ran.lines()[0]["unit"].toString();
    QCOMPARE(ran.lines()[0]["verdict"], QJsonValue("pass"));
    const auto device = curl({QString(url) + "/v1/devices/" + unit});
    QVERIFY2(device.out.contains("\"claimed\":false"), device.out);
    QVERIFY2(device.out.contains("\"online\":false"), device.out);
    QVERIFY2(!device.out.contains("\"last_handshake_at\":null"), device.out);
    const auto shown = m_folder->json({"unit", "show", unit, "--db", "line.db"});
    QVERIFY2(shown.says("given up, and shown unclaimed"), shown.out);
}

void TstCommandLineServices::release_waitsForTheCloud()
{
    const QString db = m_folder->path("held.db");
    const QString pem = m_folder->read("unit.der.pub.pem");
    const auto held = [&] {
        const provost::SystemClock clock;
        const auto journal = provost::Journal::open(db.toStdString(), clock).value();
        const auto key =
            provost::RsaPublicKey::fromText(provost::viewOf(pem.toStdString())).value();
        const auto run = journal->beginRun({.slot = 1, .planId = "photon-full"}).value();
        const std::string id = kUnit.toStdString();
        return journal->identify(run, {.deviceId = id}, "listening") &&
               journal->journalKey(run, {.fingerprint = key.fingerprint(),
                                         .deviceId = id,
                                         .publicDer = key.toDer(),
                                         .origin = "generated"}) &&
               journal->setKeyState(run, key.fingerprint(), "proved") &&
               journal->finishRun(run, provost::Verdict::Hold, "H310", "", 1.0,
                                  {{.kind = "registration",
                                    .idempotencyKey = "registration:1",
                                    .deviceId = id,
                                    .payload = key.toPem()}});
    };
    QVERIFY(held());
    const auto early = m_folder->json({"unit", "release", kUnit, "--db", db});
    QCOMPARE(early.exitCode, 5);
    QCOMPARE(early.last()["released"], QJsonValue(false));
    m_server = std::make_unique<RunningCommand>(
        *m_folder, QStringList{"cloud", "serve", "--listen", "127.0.0.1:0", "--data", "cloud",
                               "--faults", "500", "--json"});
    const QString url = m_server->waitForEvent("listening")["url"].toString();
    QCOMPARE(m_folder->json({"cloud", "reconcile", "--db", db, "--cloud", url}).exitCode, 2);
    const auto released = m_folder->json({"unit", "release", kUnit, "--db", db, "--cloud", url});
    QVERIFY2(released.exitCode == 0, released.err);
    QCOMPARE(released.last()["released"], QJsonValue(true));
    QVERIFY(released.last()["evidence"].toString().contains("holds this key"));
    const auto again = m_folder->json({"unit", "release", kUnit, "--db", db});
    QCOMPARE(again.exitCode, 0);
    QCOMPARE(again.last()["at"], released.last()["at"]);
    const auto agreed = m_folder->json({"cloud", "reconcile", "--db", db, "--cloud", url});
    QCOMPARE(agreed.exitCode, 0);
    QCOMPARE(agreed.last()["equal"], QJsonValue(1));
    const auto listed = m_folder->json({"unit", "list", "--db", db});
    QVERIFY(listed.out.contains("\"released\""));
}

} // namespace

PROVOST_TEST("command_line_services", TstCommandLineServices)
#include "tst_command_line_services.moc"
