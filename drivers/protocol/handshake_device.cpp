#include "protocol/handshake_words_p.h"

#include "core/byte_io.h"
#include "core/text.h"
#include "crypto/unit_key.h"

#include <array>
#include <cerrno>

namespace provost {

using namespace handshake;

namespace {

// particle-devices 5.6, 5.5
constexpr std::chrono::milliseconds kDeviceStep{20000};
constexpr std::chrono::milliseconds kHelloPatience{2000};
constexpr std::chrono::milliseconds kLightSslHelloPatience{4000};
constexpr std::chrono::milliseconds kPingPatience{10000};

// The unit takes these bytes of its server key slot as modulus, with e = 65537 (4.1).
constexpr std::size_t kServerModulusAt = 33;
constexpr std::size_t kServerModulusBytes = 256;
constexpr std::array<std::byte, 3> kAssumedExponent{std::byte{1}, std::byte{0}, std::byte{1}};

constexpr std::string_view kCredentialWords = "session credentials and signature";

class DeviceSession {
public:
    DeviceSession(ByteStream& stream, const DeviceIdentity& device, const OpContext& op)
        : m_device(device), m_line(stream, kDeviceStep, op), m_recorder(op.clock, m_nobody)
    {
        m_recorder.report.deviceId = toHex(device.deviceId);
    }

    HandshakeReport run()
    {
        if (loadKeys() && receiveNonce() && reply() && receiveCredentials() && sayHello())
            exchangePing();
        return m_recorder.finish();
    }

private:
    bool refuse(std::string_view cause, HandshakeMessage message);
    bool loadKeys();
    bool receiveNonce();
    bool reply();
    bool receiveCredentials();
    bool openCredentials(ByteView message, HandshakeMessage record);
    bool sayHello();
    bool awaitHello();
    void exchangePing();
    void awaitPingAnswer(std::uint16_t id);
    bool send(ByteView message, HandshakeStage stage, std::string_view what);

    const DeviceIdentity& m_device;
    Line m_line;
    const std::function<void(const HandshakeMessage&)> m_nobody{};
    Recorder m_recorder;
    std::optional<RsaPublicKey> m_ownKey{};
    std::optional<RsaPublicKey> m_serverKey{};
    Bytes m_nonce{};
    std::optional<SessionCipher> m_cipher{};
    std::uint16_t m_messageId = 0;
    SessionNames m_names{};
};

bool DeviceSession::refuse(std::string_view cause, HandshakeMessage message)
{
    m_recorder.failed(cause, std::move(message));
    return false;
}

bool DeviceSession::loadKeys()
{
    HandshakeMessage message{
        .stage = HandshakeStage::Nonce, .fromDevice = true, .what = "not connected"};
    KeyReading own = readAsUnit(m_device.privateSlot.reveal());
    if (!own.readable) {
        message.note = own.reason;
        return refuse("unreadable-device-key", std::move(message));
    }
    m_ownKey = std::move(own.publicKey);
    const ByteView slot = m_device.serverKeySlot;
    if (slot.size() < kServerModulusAt + kServerModulusBytes) {
        message.note = concat("the server key has ", slot.size(), " bytes, the unit reads 289");
        return refuse("unusable-server-key", std::move(message));
    }
    auto server = RsaPublicKey::fromNumbers(slot.subspan(kServerModulusAt, kServerModulusBytes),
                                            kAssumedExponent);
    if (!server || server->bits() != static_cast<int>(kServerModulusBytes) * 8) {
        message.note = "bytes 33 to 288 of the server key are no RSA-2048 modulus";
        return refuse("unusable-server-key", std::move(message));
    }
    m_serverKey = std::move(*server);
    m_recorder.report.offeredKeyFingerprint = m_ownKey->fingerprint();
    return true;
}

bool DeviceSession::receiveNonce()
{
    Incoming incoming = m_line.read(kNonceBytes);
    HandshakeMessage message{
        .stage = HandshakeStage::Nonce, .what = "nonce", .bytes = incoming.wireBytes};
    if (looksForeign(incoming.bytes)) {
        message.what = "bytes that are no nonce";
        m_recorder.report.evidence.push_back(
            concat("the server's side begins with ", firstBytes(incoming.bytes)));
        return refuse(causeOf(incoming.end, "captive-portal"), std::move(message));
    }
    if (incoming.end != LineEnd::None) {
        message.what = concat("no nonce: ", handshake::wordsFor(incoming.end, "server"));
        return refuse(causeOf(incoming.end, "silent-server"), std::move(message));
    }
    m_nonce = std::move(incoming.bytes);
    m_recorder.message(std::move(message));
    return true;
}

bool DeviceSession::reply()
{
    const Bytes key = m_device.sendsPublicKey ? m_ownKey->toDer() : Bytes{};
    HandshakeMessage message{.stage = HandshakeStage::DeviceReply,
                             .fromDevice = true,
                             .what =
                                 m_device.sendsPublicKey
                                     ? "nonce, device ID and public key, sealed to the server key"
                                     : "nonce and device ID, sealed to the server key"};
    const auto sealed = m_serverKey->encrypt(replyPlaintext(m_nonce, m_device.deviceId, key));
    if (!sealed) {
        message.note = describe(sealed.error());
        return refuse("unusable-server-key", std::move(message));
    }
    message.bytes = sealed->size();
    const LineEnd end = m_line.write(*sealed);
    if (end != LineEnd::None) {
        message.note = handshake::wordsFor(end, "server");
        return refuse(causeOf(end, "server-hung-up"), std::move(message));
    }
    m_recorder.message(std::move(message));
    return true;
}

bool DeviceSession::receiveCredentials()
{
    const Incoming incoming = m_line.read(kSealedBytes + kSignatureBytes);
    HandshakeMessage message{.stage = HandshakeStage::Credentials,
                             .what = std::string(kCredentialWords),
                             .bytes = incoming.wireBytes};
    if (incoming.end == LineEnd::None)
        return openCredentials(incoming.bytes, std::move(message));
    message.what = concat("no session credentials: ", handshake::wordsFor(incoming.end, "server"));
    if (incoming.end == LineEnd::Closed && incoming.bytes.empty()) {
        message.note = "unit shows a red burst: connection closed (-19)";
        return refuse("server-hung-up", std::move(message));
    }
    return refuse(
        causeOf(incoming.end, incoming.end == LineEnd::TimedOut ? "timeout" : "server-hung-up"),
        std::move(message));
}

bool DeviceSession::openCredentials(ByteView message, HandshakeMessage record)
{
    const ByteView sealed = message.first(kSealedBytes);
    const auto credentials = decryptAsUnit(m_device.privateSlot.reveal(), sealed);
    if (!credentials || credentials->size() != kCredentialBytes) {
        record.note = "unit flashes orange: decryption error (6)";
        return refuse("wrong-device-key", std::move(record));
    }
    const auto signedWell = checkCredentials(*m_serverKey, credentials->reveal(), sealed,
                                             message.subspan(kSealedBytes));
    if (!signedWell) {
        record.note = "unit flashes magenta: authentication error (8)";
        return refuse("wrong-server-signature", std::move(record));
    }
    m_cipher.emplace(credentials->reveal());
    m_messageId = firstMessageId(m_cipher->salt(), m_device.idOrder);
    m_recorder.report.idOrder = m_device.idOrder;
    m_recorder.message(std::move(record));
    return true;
}

bool DeviceSession::sayHello()
{
    HelloInfo hello{.messageId = m_messageId,
                    .productId = m_device.productId,
                    .firmwareVersion = m_device.firmwareVersion,
                    .flags = m_device.helloFlags};
    if (m_device.sendsPublicKey)
        hello.platformId = m_device.platformId;
    m_recorder.report.hello = hello;
    return send(deviceHello(hello), HandshakeStage::Hello, "hello") && awaitHello();
}

bool DeviceSession::awaitHello()
{
    const bool lightSsl = m_device.idOrder == MessageIdOrder::LittleEndian; // 5.3
    const Incoming frame =
        m_line.readFrame(*m_cipher, lightSsl ? kLightSslHelloPatience : kHelloPatience);
    HandshakeMessage message{
        .stage = HandshakeStage::Hello, .what = "hello answer", .bytes = frame.wireBytes};
    if (frame.end != LineEnd::None) {
        message.what = concat("no hello answer: ", handshake::wordsFor(frame.end, "server"));
        return refuse(
            causeOf(frame.end, frame.end == LineEnd::Malformed ? "bad-hello" : "no-hello"),
            std::move(message));
    }
    const auto coap = parseCoap(frame.bytes);
    if (!coap || coap->isReply() || !coap->isPostTo("h")) {
        message.what = "a message that is no hello";
        return refuse("bad-hello", std::move(message));
    }
    m_recorder.message(std::move(message));
    return true;
}

void DeviceSession::exchangePing()
{
    const auto id = static_cast<std::uint16_t>(m_messageId + 1);
    if (send(ping(id), HandshakeStage::Session, "ping"))
        awaitPingAnswer(id);
}

/// The server may ask for a description meanwhile; only the answer to this ping counts.
void DeviceSession::awaitPingAnswer(std::uint16_t id)
{
    const OpContext limit = m_line.whole().within(kPingPatience);
    while (m_recorder.report.messages.size() < kMostMessages) {
        const Incoming frame = m_line.readFrame(*m_cipher, limit.remaining());
        HandshakeMessage message{.stage = HandshakeStage::Session, .bytes = frame.wireBytes};
        const auto coap =
            frame.end == LineEnd::None ? parseCoap(frame.bytes) : fail(Errc::Io, Blame::Cloud, {});
        if (!coap) {
            message.what = concat("no ping answer: ", handshake::wordsFor(frame.end, "server"));
            const bool damaged = frame.end == LineEnd::None || frame.end == LineEnd::Malformed;
            m_recorder.failed(causeOf(frame.end, damaged ? "bad-message" : "no-ping-answer"),
                              std::move(message));
            return;
        }
        const bool answered = coap->type == CoapType::Acknowledgement && coap->id == id;
        message.what = answered ? "ping answer" : m_names.nameOf(*coap, false);
        m_recorder.message(std::move(message));
        if (answered)
            return;
        if (coap->isPing() &&
            !send(acknowledgement(coap->id), HandshakeStage::Session, "ping answer"))
            return;
    }
    m_recorder.failed("no-ping-answer");
}

bool DeviceSession::send(ByteView message, HandshakeStage stage, std::string_view what)
{
    HandshakeMessage record{.stage = stage, .fromDevice = true, .what = std::string(what)};
    const auto frame = m_cipher->seal(message);
    if (!frame) {
        record.note = describe(frame.error());
        return refuse("bad-message", std::move(record));
    }
    record.bytes = frame->size();
    const LineEnd end = m_line.write(*frame);
    if (end != LineEnd::None) {
        record.note = handshake::wordsFor(end, "server");
        return refuse(causeOf(end, stage == HandshakeStage::Hello ? "no-hello" : "no-ping-answer"),
                      std::move(record));
    }
    m_recorder.message(std::move(record));
    return true;
}

} // namespace

HandshakeReport dialHandshake(ByteStream& line, const DeviceIdentity& device, const OpContext& op)
{
    return DeviceSession(line, device, op).run();
}

HandshakeReport notConnected(const DeviceIdentity& device, const Error& why,
                             std::chrono::milliseconds took)
{
    const auto ms = static_cast<double>(took.count());
    const std::string_view cause = why.native == ECONNREFUSED ? "connection-refused" : "no-answer";
    return {.deviceId = toHex(device.deviceId),
            .cause = std::string(cause),
            .advice = std::string(adviceFor(cause)),
            .evidence = {concat(why.message, " at +", fixed(ms, 0), " ms")},
            .totalMs = ms,
            .messages = {{.stage = HandshakeStage::Nonce,
                          .what = "no connection",
                          .atMs = ms,
                          .note = why.message,
                          .failed = true}}};
}

} // namespace provost
