#include "crypto/unit_key.h"
#include "support/test_program.h"
#include "transcript_runs.h"

#include <QFile>
#include <QJsonDocument>
#include <QTest>

#include <map>
#include <thread>

using namespace provost;
using namespace provost::test;
using namespace std::chrono_literals;

namespace {

class TstHandshake : public QObject, private PublishedTranscripts {
    Q_OBJECT

private Q_SLOTS:
    void initTestCase();
    void pieces_matchTranscripts_data() { transcriptRows(); }
    void pieces_matchTranscripts();
    void server_followsTranscripts_data() { transcriptRows(); }
    void server_followsTranscripts();
    void device_followsTranscripts_data() { transcriptRows(); }
    void device_followsTranscripts();
    void negativeCases_endAsTheVectorsSay_data();
    void negativeCases_endAsTheVectorsSay();
    void device_needsKeysItCanUse();
    void device_namesWhatTheServerDid();
    void device_namesACaptivePortal_data();
    void device_namesACaptivePortal();
    void device_saysWhyItIsNotConnected();
    void device_answersPingsOfTheServer();
    void bothHalves_agreeAcrossThreads_data();
    void bothHalves_agreeAcrossThreads();
    void bothHalves_seeAKeyThatIsNoPartner();
    void cancellation_returnsAtOnce();
};

void TstHandshake::initTestCase()
{
    QCOMPARE(m_transcripts.size(), 5);
    QCOMPARE(m_negatives.size(), 8);
}

void TstHandshake::pieces_matchTranscripts()
{
    QFETCH(const QString, name);
    const Transcript t = transcript(name);
    const DeviceIdentity device = t.identity();
    const Bytes plain = t.bytes("deviceReply", "plaintext");
    QVERIFY(equalBytes(
        handshake::replyPlaintext(t.bytes("nonce"), device.deviceId,
                                  device.sendsPublicKey ? t.deviceKey().toDer() : Bytes{}),
        plain));
    QVERIFY(equalBytes(t.serverKey().decrypt(reply(t))->reveal(), plain));
    const Bytes credentials = t.bytes("session", "credentials");
    const Bytes sealed = t.bytes("session", "ciphertext");
    QVERIFY(equalBytes(decryptAsUnit(device.privateSlot.reveal(), sealed)->reveal(), credentials));
    QVERIFY(equalBytes(handshake::signCredentials(t.serverKey(), credentials, sealed).value(),
                       t.bytes("session", "signature")));
    QVERIFY(handshake::checkCredentials(t.serverPublicKey(), credentials, sealed,
                                        t.bytes("session", "signature"))
                .has_value());
    const HelloInfo hello = t.hello();
    QVERIFY(equalBytes(handshake::deviceHello(hello), t.message("deviceMessages", 0, "plaintext")));
    const auto id = static_cast<std::uint16_t>(hello.messageId + 1);
    QVERIFY(equalBytes(handshake::ping(id), t.message("deviceMessages", 1, "plaintext")));
    QVERIFY(equalBytes(handshake::serverHello(t.material().firstMessageId),
                       t.message("serverMessages", 0, "plaintext")));
    QVERIFY(
        equalBytes(handshake::acknowledgement(id), t.message("serverMessages", 1, "plaintext")));
    QCOMPARE(handshake::firstMessageId(t.bytes("session", "salt"), t.order()), hello.messageId);
    const auto parsed = handshake::parseDeviceHello(t.message("deviceMessages", 0, "plaintext"));
    QVERIFY(parsed.has_value());
    QCOMPARE(parsed->platformId, hello.platformId);
    QCOMPARE(parsed->flags, hello.flags);
    for (const char* list : {"deviceMessages", "serverMessages"}) {
        SessionCipher sender(credentials);
        SessionCipher receiver(credentials);
        for (int i = 0; i < 2; ++i) {
            const Bytes message = t.message(list, i, "plaintext");
            QVERIFY(equalBytes(sender.seal(message).value(), t.message(list, i, "wire")));
            QVERIFY(equalBytes(receiver.open(t.message(list, i, "ciphertext")).value(), message));
        }
    }
}

void TstHandshake::server_followsTranscripts()
{
    QFETCH(const QString, name);
    const Transcript t = transcript(name);
    const Bytes credentials = t.bytes("session", "credentials");
    for (const std::vector<std::size_t>& pieces :
         {std::vector<std::size_t>{1}, {2, 3, 5, 7, 11}, {255, 3}, {4096}}) {
        const ServerRun run = serve(t, t.bytes("streamDeviceToServer"), Ending::Silence, pieces);
        QVERIFY2(run.report.passed, run.report.cause.c_str());
        QCOMPARE(run.report.stage, HandshakeStage::Session);
        QCOMPARE(text(run.report.deviceId), text(t.deviceId()));
        QVERIFY(run.report.idOrder == t.order());
        QCOMPARE(run.report.hello->productId, t.hello().productId);
        QCOMPARE(run.report.hello->platformId, t.hello().platformId);
        QCOMPARE(run.report.offeredKeyFingerprint.empty(), !t.identity().sendsPublicKey);
        const ByteView wire = run.written;
        QCOMPARE(wire.size(), t.bytes("streamServerToDevice").size());
        QVERIFY(equalBytes(wire.first(40), t.bytes("nonce")));
        const ByteView sealed = wire.subspan(40, 128);
        QVERIFY(equalBytes(decryptAsUnit(t.identity().privateSlot.reveal(), sealed)->reveal(),
                           credentials));
        QVERIFY(handshake::checkCredentials(t.serverPublicKey(), credentials, sealed,
                                            wire.subspan(168, 256))
                    .has_value());
        QVERIFY(equalBytes(wire.subspan(424), joined({t.message("serverMessages", 0, "wire"),
                                                      t.message("serverMessages", 1, "wire")})));
    }
}

void TstHandshake::device_followsTranscripts()
{
    QFETCH(const QString, name);
    const Transcript t = transcript(name);
    for (const std::vector<std::size_t>& pieces :
         {std::vector<std::size_t>{1}, {2, 3, 5, 7, 11}, {39, 2, 383}, {4096}}) {
        Bytes written;
        const HandshakeReport report =
            dial(t.identity(), t.bytes("streamServerToDevice"), &written, Ending::Silence, pieces);
        QVERIFY2(report.passed, report.cause.c_str());
        QVERIFY(equalBytes(t.serverKey().decrypt(ByteView(written).first(256))->reveal(),
                           t.bytes("deviceReply", "plaintext")));
        QVERIFY(equalBytes(ByteView(written).subspan(256),
                           joined({t.message("deviceMessages", 0, "wire"),
                                   t.message("deviceMessages", 1, "wire")})));
    }
}

void TstHandshake::negativeCases_endAsTheVectorsSay_data()
{
    QTest::addColumn<QJsonObject>("negative");
    QTest::addColumn<QString>("cause");
    const std::map<QString, QString> causes{
        {"server-signs-with-other-key", "wrong-server-signature"},
        {"credentials-for-other-device-key", "wrong-device-key"},
        {"hmac-off-by-one-bit", "wrong-server-signature"},
        {"signature-with-digestinfo", "wrong-server-signature"},
        {"reply-for-other-server-key", "wrong-server-key"},
        {"reply-with-wrong-nonce", "wrong-nonce"},
        {"reply-too-short", "short-reply"},
        {"reply-offers-other-public-key", "wrong-device-key"},
    };
    for (const QJsonValue& value : m_negatives) {
        const QString name = value["name"].toString();
        QVERIFY2(causes.contains(name), qPrintable(name));
        QTest::newRow(qPrintable(name)) << value.toObject() << causes.at(name);
    }
}

void TstHandshake::negativeCases_endAsTheVectorsSay()
{
    QFETCH(const QJsonObject, negative);
    QFETCH(const QString, cause);
    const Transcript t = transcript(negative["basedOn"].toString());
    HandshakeReport report;
    if (negative["who"].toString() == "device") {
        Bytes written;
        report = dial(
            t.identity(),
            joined({t.bytes("nonce"), hex(negative["ciphertext"]), hex(negative["signature"])}),
            &written, Ending::Close);
        QCOMPARE(written.size(), std::size_t{256});
        QVERIFY(text(report.messages.back().note).contains(negative["led"].toString()));
    } else {
        const ServerRun run = serve(t, hex(negative["replyCiphertext"]), Ending::Close);
        report = run.report;
        const bool closesEarly = negative["expect"].toString() == "close";
        QCOMPARE(run.written.size(), std::size_t{closesEarly ? 40U : 424U});
    }
    QVERIFY(!report.passed);
    QCOMPARE(text(report.cause), cause);
    QVERIFY(!report.advice.empty());
    QVERIFY(report.messages.back().failed);
}

void TstHandshake::device_needsKeysItCanUse()
{
    const Transcript t = photon();
    Bytes written;
    DeviceIdentity blank = t.identity();
    blank.privateSlot = SecretBytes(612);
    QCOMPARE(text(dial(blank, {}, &written).cause), QString("unreadable-device-key"));
    DeviceIdentity noServer = t.identity();
    noServer.serverKeySlot = Bytes(512, std::byte{0xFF});
    noServer.serverKeySlot.back() = std::byte{0};
    noServer.serverKeySlot[288] = std::byte{0xFE}; // even
    QCOMPARE(text(dial(noServer, {}, &written).cause), QString("unusable-server-key"));
    noServer.serverKeySlot.clear();
    QCOMPARE(text(dial(noServer, {}, &written).cause), QString("unusable-server-key"));
    QVERIFY(written.empty());
}

void TstHandshake::device_namesWhatTheServerDid()
{
    const Transcript t = photon();
    const Bytes all = t.bytes("streamServerToDevice");
    const auto after = [&](std::size_t size, Ending ending) {
        return text(dial(t.identity(), toBytes(ByteView(all).first(size)), nullptr, ending).cause);
    };
    QCOMPARE(after(0, Ending::Silence), QString("silent-server"));
    QCOMPARE(after(39, Ending::Close), QString("silent-server"));
    QCOMPARE(after(40, Ending::Close), QString("server-hung-up"));
    QCOMPARE(after(40, Ending::Silence), QString("timeout"));
    QCOMPARE(after(200, Ending::Close), QString("server-hung-up"));
    QCOMPARE(after(424, Ending::Close), QString("no-hello"));
    QCOMPARE(after(442, Ending::Silence), QString("no-ping-answer"));
    const Bytes noise = joined({ByteView(all).first(424), fromHex("0010").value(), Bytes(16)});
    QCOMPARE(text(dial(t.identity(), noise).cause), QString("bad-hello"));
}

void TstHandshake::device_namesACaptivePortal_data()
{
    QTest::addColumn<QByteArray>("said");
    QTest::addColumn<QString>("cause");
    QTest::newRow("web page") << QByteArray("HTTP/1.1 302 Found\r\nLocation: http://login.example/")
                              << "captive-portal";
    QTest::newRow("short text") << QByteArray("HTTP/1.1 400\r\n") << "captive-portal";
    QTest::newRow("another protocol") << QByteArray("SSH-2.0-OpenSSH_9.2\r\n") << "captive-portal";
    QTest::newRow("TLS alert") << QByteArray::fromHex("15030300020228") << "captive-portal";
    QTest::newRow("zeros") << QByteArray(40, '\0') << "captive-portal";
    QTest::newRow("part of a nonce") << QByteArray::fromHex("8f01c3aa55172b90") << "silent-server";
}

void TstHandshake::device_namesACaptivePortal()
{
    QFETCH(const QByteArray, said);
    QFETCH(const QString, cause);
    const Bytes script = toBytes(said.toStdString());
    Bytes written;
    const auto report = dial(photon().identity(), script, &written, Ending::Close);
    QCOMPARE(text(report.cause), cause);
    QVERIFY(!report.passed && !report.advice.empty());
    QVERIFY(written.empty()); // nothing is sealed for whoever that is
    QVERIFY(report.messages.size() == 1 && report.messages.back().failed);
    QVERIFY(!report.evidence.empty());
    const auto first = text(toHex(ByteView(script).first(4)));
    QCOMPARE(text(report.evidence.front()).contains(first), cause == "captive-portal");
}

void TstHandshake::device_saysWhyItIsNotConnected()
{
    const DeviceIdentity device = photon().identity();
    const auto of = [&](std::optional<int> native) {
        return notConnected(
            device, {.code = Errc::Unavailable, .message = "connect", .native = native}, 8000ms);
    };
    QCOMPARE(text(of(ECONNREFUSED).cause), QString("connection-refused"));
    for (const auto& report : {of(ECONNREFUSED), of({}), of(EHOSTUNREACH)}) {
        QVERIFY(!report.passed && !report.advice.empty() && !report.evidence.empty());
        QCOMPARE(text(report.deviceId), text(toHex(device.deviceId)));
        QVERIFY(report.messages.size() == 1 && report.messages.front().failed);
        QCOMPARE(report.totalMs, 8000.0);
    }
    QCOMPARE(text(of({}).cause), QString("no-answer"));
    QCOMPARE(text(of(EHOSTUNREACH).cause), QString("no-answer"));
}

void TstHandshake::device_answersPingsOfTheServer()
{
    const Transcript t = photon();
    SessionCipher cipher(t.bytes("session", "credentials"));
    Bytes script = joined({t.bytes("nonce"), t.bytes("session", "wire")});
    const auto ping = static_cast<std::uint16_t>(t.hello().messageId + 1);
    Bytes answer = handshake::acknowledgement(ping); // with the zero token of 5.5
    answer[0] = std::byte{0x61};
    answer.push_back(std::byte{0});
    for (const Bytes& message :
         {handshake::serverHello(7), handshake::ping(8), handshake::acknowledgement(1), answer})
        ByteWriter(script).raw(cipher.seal(message).value());
    Bytes written;
    QVERIFY(dial(t.identity(), script, &written).passed);
    QCOMPARE(written.size(), std::size_t{256 + 3 * 18});
}

void TstHandshake::bothHalves_agreeAcrossThreads_data()
{
    QTest::addColumn<int>("order");
    QTest::addColumn<bool>("sendsPublicKey");
    QTest::newRow("spark protocol") << static_cast<int>(MessageIdOrder::BigEndian) << true;
    QTest::newRow("light ssl") << static_cast<int>(MessageIdOrder::LittleEndian) << true;
    QTest::newRow("old core") << static_cast<int>(MessageIdOrder::BigEndian) << false;
}

struct Pair {
    HandshakeReport server{};
    HandshakeReport device{};
};
Pair runBoth(const RsaPrivateKey& serverKey, KeyDirectory& keys, const DeviceIdentity& device)
{
    const SystemClock clock;
    const OpContext op{.clock = clock, .deadline = {clock.now() + kHangGuard}};
    Channel up;
    Channel down;
    Pair pair;
    {
        std::jthread unit([&] {
            ChannelEnd line(down, up);
            pair.device = dialHandshake(line, device, op);
        });
        ChannelEnd line(up, down);
        pair.server = serveHandshake(line, serverKey, keys, {}, op);
    }
    return pair;
}

void TstHandshake::bothHalves_agreeAcrossThreads()
{
    QFETCH(const int, order);
    QFETCH(const bool, sendsPublicKey);
    const auto serverKey = RsaPrivateKey::generate(2048);
    UnitKey unit = generateUnitKey().value();
    OneKey keys(std::string(24, 'a'), unit.publicKey);
    DeviceIdentity device{.privateSlot = std::move(unit.privateDer),
                          .serverKeySlot = serverKey->publicKey().toDer(),
                          .idOrder = static_cast<MessageIdOrder>(order),
                          .sendsPublicKey = sendsPublicKey};
    device.deviceId.fill(std::byte{0xAA});
    for (int i = 0; i < 5; ++i) {
        const Pair pair = runBoth(*serverKey, keys, device);
        QVERIFY2(pair.server.passed, pair.server.cause.c_str());
        QVERIFY2(pair.device.passed, pair.device.cause.c_str());
        QVERIFY(pair.server.idOrder == device.idOrder);
    }
}

void TstHandshake::bothHalves_seeAKeyThatIsNoPartner()
{
    const auto serverKey = RsaPrivateKey::generate(2048);
    UnitKey unit = generateUnitKey().value();
    OneKey keys(std::string(24, '0'), generateUnitKey()->publicKey);
    DeviceIdentity device{.privateSlot = std::move(unit.privateDer),
                          .serverKeySlot = serverKey->publicKey().toDer()};
    const Pair pair = runBoth(*serverKey, keys, device);
    QCOMPARE(text(pair.server.cause), QString("wrong-device-key"));
    QCOMPARE(text(pair.device.cause), QString("wrong-device-key"));
    device.serverKeySlot = RsaPrivateKey::generate(2048)->publicKey().toDer();
    const Pair other = runBoth(*serverKey, keys, device);
    QCOMPARE(text(other.server.cause), QString("wrong-server-key"));
    QCOMPARE(text(other.device.cause), QString("server-hung-up"));
}

void TstHandshake::cancellation_returnsAtOnce()
{
    const Transcript t = photon();
    const Bytes all = t.bytes("streamDeviceToServer");
    for (const std::size_t sent :
         {std::size_t{0}, std::size_t{100}, std::size_t{256}, std::size_t{260}, std::size_t{274}}) {
        Channel up;
        Channel down;
        ChannelEnd unit(down, up);
        QVERIFY(unit.writeAll(ByteView(all).first(sent), WatchedClock().op()).has_value());
        OneKey keys(t.deviceId(), t.deviceKey());
        HandshakeReport report;
        stopped([&](const OpContext& op) {
            ChannelEnd line(up, down);
            report = handshake::serveWith(t.material(), line, t.serverKey(), keys, {}, op, {});
        });
        QCOMPARE(text(report.cause), QString("cancelled"));
    }
}

} // namespace

PROVOST_TEST("handshake", TstHandshake)
#include "tst_handshake.moc"
