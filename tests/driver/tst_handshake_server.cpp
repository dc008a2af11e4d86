// The server's half against units that are unknown, wrong, silent, cut off or odd.
#include "support/test_program.h"
#include "transcript_runs.h"

#include <QTest>

using namespace provost;
using namespace provost::test;
using namespace std::chrono_literals;

namespace {

class TstHandshakeServer : public QObject, private PublishedTranscripts {
    Q_OBJECT

private Q_SLOTS:
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
};

void TstHandshakeServer::server_usesStoredKeyWhereAnotherIsOffered()
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

void TstHandshakeServer::server_refusesLockedKey()
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

void TstHandshakeServer::server_namesUnknownDevices()
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

void TstHandshakeServer::server_refusesAlikeWhateverIsWrong()
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

void TstHandshakeServer::server_tellsSilenceFromGarbage()
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

void TstHandshakeServer::server_neverPassesACutConnection()
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

void TstHandshakeServer::server_readsBothMessageIdOrders()
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

void TstHandshakeServer::server_refusesHelloWithOtherCounter()
{
    const Transcript t = photon();
    HelloInfo hello = t.hello();
    hello.messageId = static_cast<std::uint16_t>(hello.messageId + 1);
    const ServerRun run = serve(t, conversation(t, {handshake::deviceHello(hello)}));
    QCOMPARE(text(run.report.cause), QString("bad-message-counter"));
    QCOMPARE(run.written.size(), std::size_t{424});
}

void TstHandshakeServer::server_refusesHelloThatIsNone()
{
    const Transcript t = photon();
    const auto id = t.hello().messageId;
    for (const Bytes& message : {handshake::ping(id), handshake::serverHello(id), Bytes(3)})
        QCOMPARE(text(serve(t, conversation(t, {message})).report.cause), QString("bad-hello"));
    SessionCipher other(Bytes(40, std::byte{9}));
    const Bytes sealed = other.seal(handshake::deviceHello(t.hello())).value();
    QCOMPARE(text(serve(t, joined({reply(t), sealed})).report.cause), QString("bad-hello"));
}

void TstHandshakeServer::server_refusesImpossibleFrames()
{
    const Transcript t = photon();
    for (const char* length : {"0000", "0011", "0330", "ffff"}) {
        const Bytes script = joined({reply(t), fromHex(length).value(), Bytes(65536)});
        QCOMPARE(text(serve(t, script, Ending::Silence, {4096}).report.cause),
                 QString("bad-hello"));
    }
}

void TstHandshakeServer::server_checksTheCounterOfLaterMessages()
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

void TstHandshakeServer::server_ignoresAcknowledgementsForTheCriterion()
{
    const Transcript t = photon();
    const Bytes hello = handshake::deviceHello(t.hello());
    const Bytes ack = handshake::acknowledgement(0x1234);
    QCOMPARE(text(serve(t, conversation(t, {hello, ack}), Ending::Close).report.cause),
             QString("no-further-message"));
    const auto next = static_cast<std::uint16_t>(t.hello().messageId + 1);
    QVERIFY(serve(t, conversation(t, {hello, ack, handshake::ping(next)})).report.passed);
}

void TstHandshakeServer::server_needsAKeyOf2048Bits()
{
    const VirtualClock clock;
    ScriptedStream stream({}, Ending::Close, {1});
    OneKey keys("", std::nullopt);
    const auto key = RsaPrivateKey::generate(1024);
    const OpContext op{.clock = clock, .deadline = {clock.now() + 10min}};
    QCOMPARE(text(serveHandshake(stream, *key, keys, {}, op).cause), QString("server-failed"));
    QVERIFY(stream.written.empty());
}

void TstHandshakeServer::server_answersTimeRequests()
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

void TstHandshakeServer::server_acceptsEvents()
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

void TstHandshakeServer::server_endsWhereAcknowledgementsNeverEnd()
{
    const Transcript t = photon();
    std::vector<Bytes> messages{handshake::deviceHello(t.hello())};
    messages.resize(400, handshake::acknowledgement(1));
    QCOMPARE(text(serve(t, conversation(t, messages)).report.cause), QString("no-further-message"));
}

void TstHandshakeServer::server_keepsWithinTheWholeTime()
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

void TstHandshakeServer::server_reportsProgressInWords()
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

} // namespace

PROVOST_TEST("handshake_server", TstHandshakeServer)
#include "tst_handshake_server.moc"
