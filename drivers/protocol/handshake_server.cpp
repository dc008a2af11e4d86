#include "protocol/handshake_words_p.h"

#include "core/byte_io.h"
#include "core/text.h"
#include "crypto/unit_key.h"

#include <algorithm>

namespace provost {

using namespace handshake;

namespace {

/// Every refusal before message 3 leaves this long, or a multiple of it where the machine is busy,
/// behind the last byte of message 2: what takes the server longer, a bad padding or an unknown id,
/// stays its own secret.
constexpr std::chrono::milliseconds kRefusalDelay{100};

constexpr std::string_view kReplyWords =
    "nonce, device ID and public key, sealed to the server key";
constexpr std::string_view kLegacyReplyWords = "nonce and device ID, sealed to the server key";
constexpr std::string_view kOrangeFlash = "unit flashes orange: decryption error (6)";

class ServerSession {
public:
    ServerSession(const ServerMaterial& material, ByteStream& stream,
                  const RsaPrivateKey& serverKey, KeyDirectory& keys, ServerTimeouts timeouts,
                  const OpContext& op,
                  const std::function<void(const HandshakeMessage&)>& onProgress)
        : m_material(material), m_line(stream, timeouts.step, op.within(timeouts.whole)),
          m_serverKey(serverKey), m_keys(keys), m_recorder(op.clock, onProgress),
          m_cipher(material.credentials.reveal())
    {
    }

    HandshakeReport run()
    {
        if (hasFittingKey() && sendNonce() && admit() && sendCredentials() && receiveHello() &&
            answerHello())
            converse();
        return m_recorder.finish();
    }

private:
    bool refuse(std::string_view cause, HandshakeMessage message);
    bool hasFittingKey();
    bool sendNonce();
    bool admit();
    bool readReply(Bytes& reply);
    bool openReply(ByteView reply);
    bool identify(ByteView plain);
    std::optional<RsaPublicKey> offeredKey(ByteView der);
    bool choosePublicKey(const std::optional<RsaPublicKey>& offered);
    bool sendCredentials();
    bool receiveHello();
    bool noHello(const Incoming& frame);
    bool checkHello(const HelloInfo& hello, HandshakeMessage& message);
    bool answerHello();
    void converse();
    bool take(const CoapMessage& message, std::size_t wireBytes);
    bool answer(const CoapMessage& message);
    bool send(ByteView message, HandshakeStage stage, std::string_view what);

    const ServerMaterial& m_material;
    Line m_line;
    const RsaPrivateKey& m_serverKey;
    KeyDirectory& m_keys;
    Recorder m_recorder;
    SessionCipher m_cipher;
    HandshakeMessage m_reply{.stage = HandshakeStage::DeviceReply, .fromDevice = true};
    std::optional<RsaPublicKey> m_publicKey{};
    bool m_keyKnownToFit = false; ///< the unit offered the very key that message 3 is sealed to
    bool m_keyKnownToDiffer = false;
    std::uint16_t m_lastDeviceId = 0;
};

bool ServerSession::refuse(std::string_view cause, HandshakeMessage message)
{
    m_recorder.failed(cause, std::move(message));
    return false;
}

/// Units seal their reply to 2048 bits, whatever this server holds (5.1).
bool ServerSession::hasFittingKey()
{
    const int bits = m_serverKey.publicKey().bits();
    if (bits == static_cast<int>(kReplyBytes) * 8)
        return true;
    return refuse("server-failed",
                  {.stage = HandshakeStage::Nonce,
                   .what = "not started",
                   .note = concat("the server key has ", bits, " bits, units expect 2048")});
}

bool ServerSession::sendNonce()
{
    const LineEnd end = m_line.write(m_material.nonce);
    HandshakeMessage message{.stage = HandshakeStage::Nonce, .what = "nonce", .bytes = kNonceBytes};
    if (end != LineEnd::None) {
        message.note = handshake::wordsFor(end, "device");
        return refuse(causeOf(end, "silent-unit"), std::move(message));
    }
    m_recorder.message(std::move(message));
    return true;
}

bool ServerSession::admit()
{
    Bytes reply;
    if (!readReply(reply))
        return false;
    const OpContext& op = m_line.whole();
    const auto readAt = op.clock.now();
    m_reply.bytes = reply.size();
    if (openReply(reply))
        return true;
    // Cut short by a stop only, and then the caller closes at once whatever the cause was.
    const auto beats = (op.clock.now() - readAt) / kRefusalDelay + 1;
    static_cast<void>(op.clock.sleepUntil(readAt + beats * kRefusalDelay, op.stop));
    return false;
}

bool ServerSession::readReply(Bytes& reply)
{
    Incoming incoming = m_line.read(kReplyBytes);
    if (incoming.end == LineEnd::None) {
        reply = std::move(incoming.bytes);
        return true;
    }
    m_reply.bytes = incoming.wireBytes;
    m_reply.what = concat("no reply: ", handshake::wordsFor(incoming.end, "device"));
    if (incoming.bytes.empty())
        return refuse(causeOf(incoming.end, "silent-unit"), m_reply);
    m_reply.what = concat("reply cut off after ", incoming.wireBytes, " of ", kReplyBytes,
                          " bytes: ", handshake::wordsFor(incoming.end, "device"));
    if (looksForeign(incoming.bytes))
        return refuse(causeOf(incoming.end, "not-a-unit"), m_reply);
    return refuse(
        causeOf(incoming.end, incoming.end == LineEnd::TimedOut ? "timeout" : "short-reply"),
        m_reply);
}

bool ServerSession::openReply(ByteView reply)
{
    const auto plain = m_serverKey.decrypt(reply);
    const ByteView bytes = plain ? plain->reveal() : ByteView{};
    const std::size_t compared = std::min(bytes.size(), kNonceBytes);
    const bool nonceFits = compared > 0 && equalBytes(bytes.first(compared),
                                                      ByteView(m_material.nonce).first(compared));
    const bool tooShort = bytes.size() < kNonceBytes + kDeviceIdBytes;
    if (nonceFits && !tooShort)
        return identify(bytes);
    m_reply.what = "256 bytes that the server key does not open";
    if (!plain && looksForeign(reply))
        return refuse("not-a-unit", m_reply);
    if (nonceFits) {
        m_reply.what = concat("reply of ", bytes.size(), " bytes inside, 52 are the least");
        return refuse("short-reply", m_reply);
    }
    // OpenSSL builds with implicit rejection make up a random text of random length here (5.1).
    const std::size_t keyBytes =
        bytes.size() - std::min(bytes.size(), kNonceBytes + kDeviceIdBytes);
    if (!plain || tooShort ||
        (keyBytes != 0 && announcedDerLength(bytes.last(keyBytes)) != keyBytes))
        return refuse("wrong-server-key", m_reply);
    m_reply.what = std::string(keyBytes != 0 ? kReplyWords : kLegacyReplyWords);
    m_reply.note = "the nonce is not the one that was sent";
    return refuse("wrong-nonce", m_reply);
}

bool ServerSession::identify(ByteView plain)
{
    const ByteView rest = plain.subspan(kNonceBytes + kDeviceIdBytes);
    m_recorder.report.deviceId = toHex(plain.subspan(kNonceBytes, kDeviceIdBytes));
    m_reply.what = std::string(rest.empty() ? kLegacyReplyWords : kReplyWords);
    const auto offered = offeredKey(rest);
    if (offered)
        m_recorder.report.offeredKeyFingerprint = offered->fingerprint();
    else
        m_reply.note =
            rest.empty() ? "no key offered: firmware before 0.4.0" : "the offered key is damaged";
    m_keyKnownToDiffer = !offered && !rest.empty();
    if (!choosePublicKey(offered))
        return false;
    m_recorder.message(m_reply);
    return true;
}

std::optional<RsaPublicKey> ServerSession::offeredKey(ByteView der)
{
    if (der.empty())
        return std::nullopt;
    auto key = RsaPublicKey::fromDer(der);
    return key ? std::optional(std::move(*key)) : std::nullopt;
}

bool ServerSession::choosePublicKey(const std::optional<RsaPublicKey>& offered)
{
    const std::string& id = m_recorder.report.deviceId;
    m_publicKey = m_keys.find(id);
    if (!m_publicKey) {
        m_reply.note = "no key is on file for this device ID";
        const bool knownId = offered && m_keys.refuses(id, *offered);
        return refuse(knownId ? "key-not-registered" : "unknown-device", m_reply);
    }
    if (m_publicKey->bits() != kUnitKeyBits) {
        m_reply.note =
            concat("the key on file has ", m_publicKey->bits(), " bits, units have 1024");
        return refuse("key-not-registered", m_reply);
    }
    if (!offered)
        return true;
    m_keyKnownToFit = offered->fingerprint() == m_publicKey->fingerprint();
    m_keyKnownToDiffer = !m_keyKnownToFit;
    if (m_keyKnownToFit)
        return true;
    m_reply.note = "offered key is not the registered one";
    if (m_keys.refuses(id, *offered))
        return refuse("locked-key", m_reply);
    return true; // as the reference server does: the stored key decides, 5.9
}

bool ServerSession::sendCredentials()
{
    const ByteView credentials = m_material.credentials.reveal();
    HandshakeMessage message{.stage = HandshakeStage::Credentials,
                             .what = "session credentials and signature"};
    const auto sealed = m_publicKey->encrypt(credentials);
    const auto signature = sealed ? signCredentials(m_serverKey, credentials, *sealed)
                                  : Result<Bytes>(Unexpected(sealed.error()));
    if (!sealed || !signature) {
        message.note = describe(sealed ? signature.error() : sealed.error());
        return refuse("server-failed", std::move(message));
    }
    Bytes wire = *sealed;
    ByteWriter(wire).raw(*signature);
    message.bytes = wire.size();
    const LineEnd end = m_line.write(wire);
    if (end != LineEnd::None) {
        message.note = handshake::wordsFor(end, "device");
        return refuse(causeOf(end, end == LineEnd::TimedOut ? "timeout" : "no-hello"),
                      std::move(message));
    }
    m_recorder.message(std::move(message));
    return true;
}

bool ServerSession::receiveHello()
{
    const Incoming frame = m_line.readFrame(m_cipher);
    if (frame.end != LineEnd::None)
        return noHello(frame);
    HandshakeMessage message{.stage = HandshakeStage::Hello,
                             .fromDevice = true,
                             .what = "hello",
                             .bytes = frame.wireBytes};
    const auto hello = parseDeviceHello(frame.bytes);
    if (!hello) {
        message.what = "a message that is no hello";
        return refuse("bad-hello", std::move(message));
    }
    m_recorder.report.hello = *hello;
    return checkHello(*hello, message);
}

bool ServerSession::noHello(const Incoming& frame)
{
    HandshakeMessage message{.stage = HandshakeStage::Hello,
                             .fromDevice = true,
                             .what = concat("no hello: ", handshake::wordsFor(frame.end, "device")),
                             .bytes = frame.wireBytes};
    if (frame.end == LineEnd::Malformed)
        return refuse("bad-hello", std::move(message));
    if (frame.wireBytes > 0) {
        message.what = concat("hello cut off: ", handshake::wordsFor(frame.end, "device"));
        return refuse(causeOf(frame.end, frame.end == LineEnd::TimedOut ? "timeout" : "bad-hello"),
                      std::move(message));
    }
    // A unit that offers no key gives no other reason to hang up here than a key it cannot use.
    const bool cannotOpen =
        m_keyKnownToDiffer || (!m_keyKnownToFit && frame.end == LineEnd::Closed);
    message.note = cannotOpen ? std::string(kOrangeFlash)
                              : concat(kOrangeFlash, ", magenta: signature refused (8)");
    return refuse(causeOf(frame.end, cannotOpen ? "wrong-device-key" : "no-hello"),
                  std::move(message));
}

bool ServerSession::checkHello(const HelloInfo& hello, HandshakeMessage& message)
{
    const auto salt = m_cipher.salt();
    for (const MessageIdOrder order : {MessageIdOrder::BigEndian, MessageIdOrder::LittleEndian})
        if (!m_recorder.report.idOrder && hello.messageId == firstMessageId(salt, order))
            m_recorder.report.idOrder = order;
    if (!m_recorder.report.idOrder) {
        message.note = concat("message id ", hello.messageId, ", wanted ",
                              firstMessageId(salt, MessageIdOrder::BigEndian), " or ",
                              firstMessageId(salt, MessageIdOrder::LittleEndian));
        return refuse("bad-message-counter", std::move(message));
    }
    m_lastDeviceId = hello.messageId;
    message.note = concat("product ", hello.productId, " version ", hello.firmwareVersion);
    m_recorder.message(std::move(message));
    return true;
}

bool ServerSession::answerHello()
{
    return send(serverHello(m_material.firstMessageId), HandshakeStage::Hello, "hello answer");
}

bool ServerSession::send(ByteView message, HandshakeStage stage, std::string_view what)
{
    HandshakeMessage record{.stage = stage, .what = std::string(what)};
    const auto frame = m_cipher.seal(message);
    if (!frame) {
        record.note = describe(frame.error());
        return refuse("server-failed", std::move(record));
    }
    record.bytes = frame->size();
    const LineEnd end = m_line.write(*frame);
    if (end != LineEnd::None) {
        record.note = handshake::wordsFor(end, "device");
        return refuse(causeOf(end, end == LineEnd::TimedOut ? "timeout" : "no-further-message"),
                      std::move(record));
    }
    m_recorder.message(std::move(record));
    return true;
}

void ServerSession::converse()
{
    while (m_recorder.report.messages.size() < kMostMessages) {
        const Incoming frame = m_line.readFrame(m_cipher);
        HandshakeMessage record{
            .stage = HandshakeStage::Session, .fromDevice = true, .bytes = frame.wireBytes};
        if (frame.end != LineEnd::None) {
            record.what = concat("no further message: ", handshake::wordsFor(frame.end, "device"));
            const bool stalled = frame.end == LineEnd::TimedOut && frame.wireBytes > 0;
            const bool damaged = frame.end == LineEnd::Malformed;
            m_recorder.failed(causeOf(frame.end, damaged   ? "bad-message"
                                                 : stalled ? "timeout"
                                                           : "no-further-message"),
                              std::move(record));
            return;
        }
        const auto message = parseCoap(frame.bytes);
        if (!message) {
            record.what = "a message that cannot be read";
            m_recorder.failed("bad-message", std::move(record));
            return;
        }
        if (!take(*message, frame.wireBytes) || !message->isReply())
            return;
    }
    m_recorder.failed("no-further-message");
}

/// Records, checks the counter of 5.3, answers. False: the connection has failed.
bool ServerSession::take(const CoapMessage& message, std::size_t wireBytes)
{
    HandshakeMessage record{.stage = HandshakeStage::Session,
                            .fromDevice = true,
                            .what = wordsFor(message),
                            .bytes = wireBytes};
    const auto expected = static_cast<std::uint16_t>(m_lastDeviceId + 1);
    if (!message.isReply() && message.id != expected) {
        record.note = concat("message id ", message.id, ", wanted ", expected);
        return refuse("bad-message-counter", std::move(record));
    }
    m_recorder.message(std::move(record));
    if (message.isReply())
        return true;
    m_lastDeviceId = message.id;
    return answer(message);
}

bool ServerSession::answer(const CoapMessage& message)
{
    if (message.type != CoapType::Confirmable)
        return true;
    if (message.isPing())
        return send(acknowledgement(message.id), HandshakeStage::Session, "ping answer");
    const bool asksTime =
        message.code == kCoapGet && !message.path.empty() && message.path.front() == "t";
    if (!asksTime)
        return send(acknowledgement(message.id), HandshakeStage::Session, "acknowledgement");
    const auto seconds = std::chrono::floor<std::chrono::seconds>(m_line.whole().clock.utcNow());
    Bytes time; // 2.05 Content, 5.5
    ByteWriter(time)
        .u8(0x60U | static_cast<unsigned>(message.token.size()))
        .u8(0x45)
        .be16(message.id)
        .raw(message.token)
        .u8(0xFF)
        .be32(static_cast<std::uint32_t>(seconds.time_since_epoch().count()));
    return send(time, HandshakeStage::Session, "time answer");
}

} // namespace

namespace handshake {

HandshakeReport serveWith(const ServerMaterial& material, ByteStream& line,
                          const RsaPrivateKey& serverKey, KeyDirectory& keys,
                          ServerTimeouts timeouts, const OpContext& op,
                          const std::function<void(const HandshakeMessage&)>& onProgress)
{
    return ServerSession(material, line, serverKey, keys, timeouts, op, onProgress).run();
}

} // namespace handshake

HandshakeReport serveHandshake(ByteStream& line, const RsaPrivateKey& serverKey, KeyDirectory& keys,
                               ServerTimeouts timeouts, const OpContext& op,
                               const std::function<void(const HandshakeMessage&)>& onProgress)
{
    const auto material = drawServerMaterial();
    if (!material) {
        Recorder recorder(op.clock, onProgress);
        recorder.failed("server-failed", {.stage = HandshakeStage::Nonce,
                                          .what = "no nonce",
                                          .note = describe(material.error())});
        return recorder.finish();
    }
    return serveWith(*material, line, serverKey, keys, timeouts, op, onProgress);
}

} // namespace provost
