#include "crypto/unit_key.h"
#include "handshake_support.h"
#include "support/test_program.h"

#include <QFile>
#include <QJsonDocument>
#include <QTest>

#include <map>
#include <thread>

using namespace provost;
using namespace provost::test;
using namespace std::chrono_literals;

namespace {

/// A server half against bytes, on a clock that jumps.
struct ServerRun {
    HandshakeReport report{};
    Bytes written{};
    std::chrono::milliseconds took{};
};
ServerRun serve(const Transcript& transcript, KeyDirectory& keys, Bytes script,
                Ending ending = Ending::Silence, std::vector<std::size_t> pieces = {3, 1, 64, 7})
{
    const VirtualClock clock;
    ScriptedStream stream(std::move(script), ending, std::move(pieces));
    const OpContext op{.clock = clock, .deadline = {clock.now() + 10min}};
    const auto start = clock.now();
    ServerRun run;
    run.report = handshake::serveWith(transcript.material(), stream, transcript.serverKey(), keys,
                                      {}, op, {});
    run.written = stream.written;
    run.took = std::chrono::duration_cast<std::chrono::milliseconds>(clock.now() - start);
    return run;
}
ServerRun serve(const Transcript& transcript, Bytes script, Ending ending = Ending::Silence,
                std::vector<std::size_t> pieces = {3, 1, 64, 7})
{
    OneKey keys(transcript.deviceId(), transcript.deviceKey());
    return serve(transcript, keys, std::move(script), ending, std::move(pieces));
}

HandshakeReport dial(const DeviceIdentity& device, Bytes script, Bytes* written = nullptr,
                     Ending ending = Ending::Silence, std::vector<std::size_t> pieces = {5, 1, 40})
{
    const VirtualClock clock;
    ScriptedStream stream(std::move(script), ending, std::move(pieces));
    const OpContext op{.clock = clock, .deadline = {clock.now() + 10min}};
    HandshakeReport report = dialHandshake(stream, device, op);
    if (written != nullptr)
        *written = stream.written;
    return report;
}

class TstHandshake : public QObject {
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
    void server_usesStoredKeyWhereAnotherIsOffered();
    void server_refusesLockedKey();
    void server_namesUnknownDevices();
    void server_refusesAlikeWhateverIsWrong();
    void server_tellsSilenceFromGarbage();
    void server_neverPassesACutConnection();
    void server_readsBothMessageIdOrders();
    void server_refusesHelloWithOtherCounter();
    void server_refusesHelloThatIsNone();
    void server_refusesImpossibleFrames();
    void server_checksTheCounterOfLaterMessages();
    void server_ignoresAcknowledgementsForTheCriterion();
    void server_needsAKeyOf2048Bits();
    void server_answersTimeRequests();
    void server_acceptsEvents();
    void server_endsWhereAcknowledgementsNeverEnd();
    void server_keepsWithinTheWholeTime();
    void server_reportsProgressInWords();
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

private:
    void transcriptRows();
    Transcript transcript(const QString& name) const;
    Transcript photon() const { return transcript("photon-minimal-der"); }
    Bytes reply(const Transcript& of) const { return of.bytes("deviceReply", "ciphertext"); }
    /// Reply and Hello as the transcript has them, then `messages` sealed.
    Bytes conversation(const Transcript& of, const std::vector<Bytes>& messages) const;
    QJsonArray m_transcripts{};
    QJsonArray m_negatives{};
};

void TstHandshake::initTestCase()
{
    const QJsonObject all = vectors();
    m_transcripts = all["transcripts"].toArray();
    m_negatives = all["negativeCases"].toArray();
    QCOMPARE(m_transcripts.size(), 5);
    QCOMPARE(m_negatives.size(), 8);
}

void TstHandshake::transcriptRows()
{
    QTest::addColumn<QString>("name");
    for (const QJsonValue& value : m_transcripts) {
        const QString name = value["name"].toString();
        QTest::newRow(qPrintable(name)) << name;
    }
}

Transcript TstHandshake::transcript(const QString& name) const
{
    for (const QJsonValue& value : m_transcripts)
        if (value["name"].toString() == name)
            return Transcript{value.toObject()};
    return {};
}

Bytes TstHandshake::conversation(const Transcript& of, const std::vector<Bytes>& messages) const
{
    SessionCipher cipher(of.bytes("session", "credentials"));
    Bytes script = reply(of);
    for (const Bytes& message : messages)
        ByteWriter(script).raw(cipher.seal(message).value());
    return script;
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

void TstHandshake::server_usesStoredKeyWhereAnotherIsOffered()
{
    const Transcript t = photon();
    const Bytes other = hex(m_negatives[7].toObject()["replyCiphertext"]);
    const ServerRun run = serve(t, other, Ending::Close);
    QCOMPARE(text(run.report.messages.at(1).note),
             QString("offered key is not the registered one"));
    QVERIFY(!run.report.messages.at(1).failed);
    QVERIFY(run.report.offeredKeyFingerprint != t.deviceKey().fingerprint());
    QVERIFY(decryptAsUnit(t.identity().privateSlot.reveal(), ByteView(run.written).subspan(40, 128))
                .has_value());
    QCOMPARE(text(run.report.messages.back().what),
             QString("no hello: the device closed the connection"));
    QCOMPARE(text(run.report.messages.back().note),
             QString("unit flashes orange: decryption error (6)"));
    QCOMPARE(run.report.stage, HandshakeStage::Hello);
}

void TstHandshake::server_refusesLockedKey()
{
    const Transcript t = photon();
    OneKey keys(t.deviceId(), t.deviceKey(), true);
    const ServerRun run =
        serve(t, keys, hex(m_negatives[7].toObject()["replyCiphertext"]), Ending::Close);
    QCOMPARE(text(run.report.cause), QString("locked-key"));
    QCOMPARE(run.written.size(), std::size_t{40});
    QVERIFY(
        serve(t, keys, t.bytes("streamDeviceToServer")).report.passed); // its own key is welcome
}

void TstHandshake::server_namesUnknownDevices()
{
    const Transcript t = photon();
    OneKey nobody("000000000000000000000000", t.deviceKey());
    const ServerRun unknown = serve(t, nobody, reply(t));
    QCOMPARE(text(unknown.report.cause), QString("unknown-device"));
    QCOMPARE(text(unknown.report.deviceId), text(t.deviceId()));
    QCOMPARE(text(unknown.report.offeredKeyFingerprint), text(t.deviceKey().fingerprint()));
    OneKey keyless(t.deviceId(), std::nullopt, true);
    QCOMPARE(text(serve(t, keyless, reply(t)).report.cause), QString("key-not-registered"));
    OneKey oversized(t.deviceId(), t.serverPublicKey());
    QCOMPARE(text(serve(t, oversized, reply(t)).report.cause), QString("key-not-registered"));
}

void TstHandshake::server_refusesAlikeWhateverIsWrong()
{
    const Transcript t = photon();
    OneKey nobody("000000000000000000000000", t.deviceKey());
    OneKey locked(t.deviceId(), t.deviceKey(), true);
    std::vector<ServerRun> runs;
    for (const int negative : {4, 5, 6})
        runs.push_back(serve(t, hex(m_negatives[negative].toObject()["replyCiphertext"])));
    runs.push_back(serve(t, nobody, reply(t)));
    runs.push_back(serve(t, locked, hex(m_negatives[7].toObject()["replyCiphertext"])));
    runs.push_back(serve(t, Bytes(256, std::byte{0x20})));
    for (const ServerRun& run : runs) {
        QVERIFY(equalBytes(run.written, t.bytes("nonce")));
        QCOMPARE(run.took, 100ms);
    }
}

void TstHandshake::server_tellsSilenceFromGarbage()
{
    const Transcript t = photon();
    const ServerRun silent = serve(t, {});
    QCOMPARE(text(silent.report.cause), QString("silent-unit"));
    QCOMPARE(silent.took, 30s); // 5.6
    QCOMPARE(text(serve(t, {}, Ending::Close).report.cause), QString("silent-unit"));
    const Bytes web = toBytes("GET / HTTP/1.1\r\nHost: station\r\n\r\n");
    QCOMPARE(text(serve(t, web).report.cause), QString("not-a-unit"));
    const Bytes tls = joined({fromHex("16030100a5010000a10303").value(), Bytes(300)});
    QCOMPARE(text(serve(t, tls).report.cause), QString("not-a-unit"));
    QCOMPARE(text(serve(t, Bytes(256)).report.cause), QString("not-a-unit"));
    const Bytes half = toBytes(ByteView(reply(t)).first(128));
    QCOMPARE(text(serve(t, half, Ending::Close).report.cause), QString("short-reply"));
    QCOMPARE(text(serve(t, half).report.cause), QString("timeout"));
}

void TstHandshake::server_neverPassesACutConnection()
{
    const Transcript t = photon();
    const Bytes all = t.bytes("streamDeviceToServer");
    for (std::size_t size = 0; size < all.size(); size += size < 250 ? 25 : 1) {
        for (const Ending ending : {Ending::Close, Ending::Silence}) {
            const ServerRun run = serve(t, toBytes(ByteView(all).first(size)), ending);
            QVERIFY(!run.report.passed);
            QVERIFY2(!run.report.advice.empty(), run.report.cause.c_str());
        }
    }
}

void TstHandshake::server_readsBothMessageIdOrders()
{
    const Transcript t = photon();
    for (const MessageIdOrder order : {MessageIdOrder::BigEndian, MessageIdOrder::LittleEndian}) {
        HelloInfo hello = t.hello();
        hello.messageId = handshake::firstMessageId(t.bytes("session", "salt"), order);
        const auto next = static_cast<std::uint16_t>(hello.messageId + 1);
        const ServerRun run =
            serve(t, conversation(t, {handshake::deviceHello(hello), handshake::ping(next)}));
        QVERIFY(run.report.passed);
        QVERIFY(run.report.idOrder == order);
    }
}

void TstHandshake::server_refusesHelloWithOtherCounter()
{
    const Transcript t = photon();
    HelloInfo hello = t.hello();
    hello.messageId = static_cast<std::uint16_t>(hello.messageId + 1);
    const ServerRun run = serve(t, conversation(t, {handshake::deviceHello(hello)}));
    QCOMPARE(text(run.report.cause), QString("bad-message-counter"));
    QCOMPARE(run.written.size(), std::size_t{424});
}

void TstHandshake::server_refusesHelloThatIsNone()
{
    const Transcript t = photon();
    const auto id = t.hello().messageId;
    for (const Bytes& message : {handshake::ping(id), handshake::serverHello(id), Bytes(3)})
        QCOMPARE(text(serve(t, conversation(t, {message})).report.cause), QString("bad-hello"));
    SessionCipher other(Bytes(40, std::byte{9}));
    const Bytes sealed = other.seal(handshake::deviceHello(t.hello())).value();
    QCOMPARE(text(serve(t, joined({reply(t), sealed})).report.cause), QString("bad-hello"));
}

void TstHandshake::server_refusesImpossibleFrames()
{
    const Transcript t = photon();
    for (const char* length : {"0000", "0011", "0330", "ffff"}) {
        const Bytes script = joined({reply(t), fromHex(length).value(), Bytes(65536)});
        QCOMPARE(text(serve(t, script, Ending::Silence, {4096}).report.cause),
                 QString("bad-hello"));
    }
}

void TstHandshake::server_checksTheCounterOfLaterMessages()
{
    const Transcript t = photon();
    const Bytes hello = handshake::deviceHello(t.hello());
    for (const int step : {0, 2, -1}) {
        const auto id = static_cast<std::uint16_t>(t.hello().messageId + step);
        const ServerRun run = serve(t, conversation(t, {hello, handshake::ping(id)}));
        QCOMPARE(text(run.report.cause), QString("bad-message-counter"));
        QCOMPARE(run.written.size(), std::size_t{424 + 18}); // no answer to it
    }
    const ServerRun none = serve(t, conversation(t, {hello}), Ending::Close);
    QCOMPARE(text(none.report.cause), QString("no-further-message"));
    QVERIFY(none.report.hello.has_value());
}

void TstHandshake::server_ignoresAcknowledgementsForTheCriterion()
{
    const Transcript t = photon();
    const Bytes hello = handshake::deviceHello(t.hello());
    const Bytes ack = handshake::acknowledgement(0x1234);
    QCOMPARE(text(serve(t, conversation(t, {hello, ack}), Ending::Close).report.cause),
             QString("no-further-message"));
    const auto next = static_cast<std::uint16_t>(t.hello().messageId + 1);
    QVERIFY(serve(t, conversation(t, {hello, ack, handshake::ping(next)})).report.passed);
}

void TstHandshake::server_needsAKeyOf2048Bits()
{
    const VirtualClock clock;
    ScriptedStream stream({}, Ending::Close, {1});
    OneKey keys("", std::nullopt);
    const auto key = RsaPrivateKey::generate(1024);
    const OpContext op{.clock = clock, .deadline = {clock.now() + 10min}};
    QCOMPARE(text(serveHandshake(stream, *key, keys, {}, op).cause), QString("server-failed"));
    QVERIFY(stream.written.empty());
}

void TstHandshake::server_answersTimeRequests()
{
    const Transcript t = photon();
    const auto next = static_cast<std::uint16_t>(t.hello().messageId + 1);
    Bytes request;
    ByteWriter(request).u8(0x41).u8(0x01).be16(next).u8(0x77).u8(0xB1).text("t");
    const ServerRun run = serve(t, conversation(t, {handshake::deviceHello(t.hello()), request}));
    QVERIFY(run.report.passed);
    QCOMPARE(text(run.report.messages.back().what), QString("time answer"));
    SessionCipher cipher(t.bytes("session", "credentials"));
    QVERIFY(cipher.open(ByteView(run.written).subspan(426, 16)).has_value());
    const auto answer = cipher.open(ByteView(run.written).subspan(444, 16));
    QVERIFY(answer.has_value());
    Bytes head;
    ByteWriter(head).u8(0x61).u8(0x45).be16(next).u8(0x77).u8(0xFF);
    QVERIFY(equalBytes(ByteView(*answer).first(6), head));
    const auto utc = std::chrono::floor<std::chrono::seconds>(VirtualClock().utcNow());
    QCOMPARE(readBe32(*answer, 6), static_cast<std::uint32_t>(utc.time_since_epoch().count()));
}

void TstHandshake::server_acceptsEvents()
{
    const Transcript t = photon();
    const auto next = static_cast<std::uint16_t>(t.hello().messageId + 1);
    for (const unsigned head : {0x50U, 0x40U}) { // NON, CON
        Bytes event;
        ByteWriter to(event);
        to.u8(head).u8(0x02).be16(next).u8(0xB1).text("E");
        to.u8(0x0D).u8(28 - 13).text("spark/hardware/max_binary\x01\x02\x03").u8(0xFF).text("9");
        const ServerRun run = serve(t, conversation(t, {handshake::deviceHello(t.hello()), event}));
        QVERIFY(run.report.passed);
        const std::size_t asked = head == 0x40 ? 18 : 0; // acknowledged where it wants to be
        QCOMPARE(run.written.size(), 424 + 18 + asked);
        QCOMPARE(text(run.report.messages.at(5).what),
                 QString("event spark/hardware/max_binary???"));
    }
}

void TstHandshake::server_endsWhereAcknowledgementsNeverEnd()
{
    const Transcript t = photon();
    std::vector<Bytes> messages{handshake::deviceHello(t.hello())};
    messages.resize(400, handshake::acknowledgement(1));
    QCOMPARE(text(serve(t, conversation(t, messages)).report.cause), QString("no-further-message"));
}

void TstHandshake::server_keepsWithinTheWholeTime()
{
    const Transcript t = photon();
    const VirtualClock clock;
    ScriptedStream stream(conversation(t, {handshake::deviceHello(t.hello())}), Ending::Silence,
                          {1});
    OneKey keys(t.deviceId(), t.deviceKey());
    const auto start = clock.now();
    const OpContext op{.clock = clock, .deadline = {start + 10min}};
    const HandshakeReport report = handshake::serveWith(t.material(), stream, t.serverKey(), keys,
                                                        {.step = 30s, .whole = 20s}, op, {});
    QCOMPARE(text(report.cause), QString("no-further-message"));
    QCOMPARE(clock.now() - start, 20s);
    QCOMPARE(report.totalMs, 20000.0);
}

void TstHandshake::server_reportsProgressInWords()
{
    const Transcript t = photon();
    const VirtualClock clock;
    ScriptedStream stream(t.bytes("streamDeviceToServer"), Ending::Close, {9});
    OneKey keys(t.deviceId(), t.deviceKey());
    const OpContext op{.clock = clock, .deadline = {clock.now() + 10min}};
    QStringList seen;
    const auto listen = [&](const HandshakeMessage& message) {
        seen << QString("%1 %2 %3")
                    .arg(message.fromDevice ? "<" : ">")
                    .arg(message.bytes)
                    .arg(text(message.what));
    };
    QVERIFY(handshake::serveWith(t.material(), stream, t.serverKey(), keys, {}, op, listen).passed);
    const QStringList wanted{"> 40 nonce",
                             "< 256 nonce, device ID and public key, sealed to the server key",
                             "> 384 session credentials and signature",
                             "< 18 hello",
                             "> 18 hello answer",
                             "< 18 ping",
                             "> 18 ping answer"};
    QCOMPARE(seen, wanted);
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
