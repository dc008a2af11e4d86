#include "protocol/handshake_server_p.h"
#include "protocol/handshake_words_p.h"

#include "core/byte_io.h"
#include "core/text.h"
#include "crypto/unit_key.h"

#include <algorithm>
#include <utility>

namespace provost {

using namespace handshake;

namespace {

/// Every refusal before message 3 leaves this long, or a multiple of it where the machine is busy,
/// behind the last byte of message 2: what takes the server longer, a bad padding or an unknown id,
/// stays its own secret.
constexpr std::chrono::milliseconds kRefusalDelay{100};

constexpr std::size_t kUsualMessages = 7; ///< nonce to ping answer

constexpr std::string_view kReplyWords =
    "nonce, device ID and public key, sealed to the server key";
constexpr std::string_view kLegacyReplyWords = "nonce and device ID, sealed to the server key";
constexpr std::string_view kPrivateEvent = "E"; // 5.5
constexpr std::string_view kPublicEvent = "e";
constexpr std::string_view kOrangeFlash = "unit flashes orange: decryption error (6)";

} // namespace

bool ServerSession::refuse(std::string_view cause, HandshakeMessage message)
{
    m_recorder.failed(cause, std::move(message));
    m_over = true;
    return false;
}

Bytes ServerSession::start()
{
    if (!hasFittingKey())
        return {};
    m_outgoing =
        Outgoing{.record = {.stage = HandshakeStage::Nonce, .what = "nonce", .bytes = kNonceBytes},
                 .causeIfStalled = "silent-unit",
                 .causeIfNot = "silent-unit"};
    return m_material.nonce;
}

Bytes ServerSession::startWithout(const Error& why)
{
    refuse("server-failed",
           {.stage = HandshakeStage::Nonce, .what = "no nonce", .note = describe(why)});
    return {};
}

/// Units seal their reply to 2048 bits, whatever this server holds (5.1).
bool ServerSession::hasFittingKey()
{
    const int bits = m_serverKey.bits();
    if (bits == static_cast<int>(kReplyBytes) * 8)
        return true;
    return refuse("server-failed",
                  {.stage = HandshakeStage::Nonce,
                   .what = "not started",
                   .note = concat("the server key has ", bits, " bits, units expect 2048")});
}

void ServerSession::sent()
{
    if (!m_outgoing)
        return;
    Outgoing done = *std::exchange(m_outgoing, std::nullopt);
    if (!m_passed)
        m_recorder.message(std::move(done.record));
    ++m_step;
    m_over = done.last;
}

void ServerSession::notSent(LineEnd end)
{
    if (!m_outgoing)
        return;
    Outgoing failed = *std::exchange(m_outgoing, std::nullopt);
    m_over = m_over || m_passed;
    if (m_passed)
        return;
    failed.record.note = handshake::wordsFor(end, "device");
    refuse(causeOf(end, end == LineEnd::TimedOut ? failed.causeIfStalled : failed.causeIfNot),
           std::move(failed.record));
}

std::size_t ServerSession::wanted() const
{
    if (m_awaited == Awaited::Reply)
        return kReplyBytes;
    return m_frameBytes == 0 ? kFrameHeadBytes : m_frameBytes;
}

Bytes ServerSession::take(ByteView bytes, Clock::Steady arrivedAt)
{
    m_wire.clear();
    if (m_awaited == Awaited::Reply)
        takeReply(bytes, arrivedAt);
    else
        takeFramePiece(bytes);
    return std::exchange(m_wire, {});
}

void ServerSession::ended(LineEnd end, ByteView partial)
{
    if (m_awaited == Awaited::Reply)
        return noReply(end, partial);
    const std::size_t head = m_frameBytes == 0 ? 0 : kFrameHeadBytes;
    takeFrame({.wireBytes = head + partial.size(), .end = end});
}

void ServerSession::takeReply(ByteView reply, Clock::Steady arrivedAt)
{
    m_reply.bytes = reply.size();
    if (openReply(reply)) {
        prepareCredentials();
        return;
    }
    const auto beats = (m_clock.now() - arrivedAt) / kRefusalDelay + 1;
    m_leaveAt = arrivedAt + beats * kRefusalDelay;
}

void ServerSession::noReply(LineEnd end, ByteView partial)
{
    m_reply.bytes = partial.size();
    m_reply.what = concat("no reply: ", handshake::wordsFor(end, "device"));
    if (partial.empty()) {
        refuse(causeOf(end, "silent-unit"), m_reply);
        return;
    }
    m_reply.what = concat("reply cut off after ", partial.size(), " of ", kReplyBytes,
                          " bytes: ", handshake::wordsFor(end, "device"));
    if (looksForeign(partial))
        refuse(causeOf(end, "not-a-unit"), m_reply);
    else
        refuse(causeOf(end, end == LineEnd::TimedOut ? "timeout" : "short-reply"), m_reply);
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
    m_publicKey = m_keys.find(m_recorder.report.deviceId);
    // Most units offer the very key on file: no need to build it once more.
    if (m_publicKey && m_publicKey->bits() == kUnitKeyBits &&
        equalBytes(m_publicKey->toDer(), rest)) {
        m_recorder.report.offeredKeyFingerprint = m_publicKey->fingerprint();
        m_keyKnownToFit = true;
    } else if (!choosePublicKey(rest)) {
        return false;
    }
    m_recorder.report.messages.reserve(kUsualMessages);
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

bool ServerSession::choosePublicKey(ByteView offeredDer)
{
    const std::string& id = m_recorder.report.deviceId;
    const auto offered = offeredKey(offeredDer);
    if (offered)
        m_recorder.report.offeredKeyFingerprint = offered->fingerprint();
    else
        m_reply.note = offeredDer.empty() ? "no key offered: firmware before 0.4.0"
                                          : "the offered key is damaged";
    m_keyKnownToDiffer = !offered && !offeredDer.empty();
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

bool ServerSession::prepareCredentials()
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
    m_wire = *sealed;
    ByteWriter(m_wire).raw(*signature);
    message.bytes = m_wire.size();
    m_outgoing = Outgoing{
        .record = std::move(message), .causeIfStalled = "timeout", .causeIfNot = "no-hello"};
    m_awaited = Awaited::HelloFrame;
    return true;
}

/// A frame's length, or all of it.
bool ServerSession::takeFramePiece(ByteView bytes)
{
    if (m_frameBytes == 0) {
        const std::size_t size = readBe16(bytes);
        if (!isFrameSize(size))
            return takeFrame({.wireBytes = bytes.size(), .end = LineEnd::Malformed});
        m_frameBytes = size;
        return true;
    }
    m_frameBytes = 0;
    ++m_step;
    const std::size_t wireBytes = kFrameHeadBytes + bytes.size();
    auto message = m_cipher.open(bytes);
    if (!message)
        return takeFrame({.wireBytes = wireBytes, .end = LineEnd::Malformed});
    return takeFrame({.bytes = *std::move(message), .wireBytes = wireBytes});
}

bool ServerSession::takeFrame(const Incoming& frame)
{
    return m_awaited == Awaited::HelloFrame ? takeHello(frame) : takeMessage(frame);
}

bool ServerSession::takeHello(const Incoming& frame)
{
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
    if (!checkHello(*hello, message))
        return false;
    m_awaited = Awaited::SessionFrame;
    return prepare(serverHello(m_material.firstMessageId), HandshakeStage::Hello, "hello answer");
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

bool ServerSession::prepare(ByteView message, HandshakeStage stage, std::string_view what)
{
    HandshakeMessage record{.stage = stage, .what = std::string(what)};
    auto frame = m_cipher.seal(message);
    if (!frame) {
        record.note = describe(frame.error());
        return refuse("server-failed", std::move(record));
    }
    record.bytes = frame->size();
    m_wire = *std::move(frame);
    m_outgoing = Outgoing{.record = std::move(record),
                          .causeIfStalled = "timeout",
                          .causeIfNot = "no-further-message"};
    return true;
}

bool ServerSession::takeMessage(const Incoming& frame)
{
    if (m_passed)
        return takeFurther(frame);
    HandshakeMessage record{
        .stage = HandshakeStage::Session, .fromDevice = true, .bytes = frame.wireBytes};
    if (frame.end != LineEnd::None) {
        record.what = concat("no further message: ", handshake::wordsFor(frame.end, "device"));
        const bool stalled = frame.end == LineEnd::TimedOut && frame.wireBytes > 0;
        const bool damaged = frame.end == LineEnd::Malformed;
        return refuse(causeOf(frame.end, damaged   ? "bad-message"
                                         : stalled ? "timeout"
                                                   : "no-further-message"),
                      std::move(record));
    }
    const auto message = parseCoap(frame.bytes);
    if (!message) {
        record.what = "a message that cannot be read";
        return refuse("bad-message", std::move(record));
    }
    if (!take(*message, frame.wireBytes))
        return false;
    // The end-of-line criterion of 5.5 is met by any message that is no mere reply.
    if (!message->isReply()) {
        if (m_wishes.staysOpen)
            pass();
        else if (m_outgoing)
            m_outgoing->last = true;
        else
            m_over = true;
        return true;
    }
    if (m_recorder.report.messages.size() < kMostMessages)
        return true;
    m_recorder.failed("no-further-message");
    m_over = true;
    return false;
}

void ServerSession::pass()
{
    m_passed = true;
    if (m_wishes.onPassed)
        m_wishes.onPassed(m_recorder.soFar());
}

/// Of an open session nothing is kept. It ends as the unit likes, and for a wrong counter as the
/// reference server ends it (5.3).
bool ServerSession::takeFurther(const Incoming& frame)
{
    const auto message = parseCoap(frame.bytes); // of nothing, where the unit went
    const auto expected = static_cast<std::uint16_t>(m_lastDeviceId + 1);
    const bool counts = message && (message->isReply() || message->id == expected);
    m_over = frame.end != LineEnd::None || !counts;
    if (m_over || message->isReply())
        return !m_over;
    m_lastDeviceId = message->id;
    tellEvent(*message);
    return answer(*message);
}

void ServerSession::tellEvent(const CoapMessage& message) const
{
    const bool isPublic = message.isPostTo(kPublicEvent);
    if (!m_wishes.onEvent || message.path.size() < 2 ||
        (!isPublic && !message.isPostTo(kPrivateEvent)))
        return;
    UnitEvent event{.name = message.path[1], .data = toText(message.payload), .isPublic = isPublic};
    for (std::size_t i = 2; i < message.path.size(); ++i)
        event.name += concat("/", message.path[i]);
    m_wishes.onEvent(event);
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
    tellEvent(message);
    return answer(message);
}

bool ServerSession::answer(const CoapMessage& message)
{
    if (message.type != CoapType::Confirmable)
        return true;
    if (message.isPing())
        return prepare(acknowledgement(message.id), HandshakeStage::Session, "ping answer");
    const bool asksTime =
        message.code == kCoapGet && !message.path.empty() && message.path.front() == "t";
    if (!asksTime)
        return prepare(acknowledgement(message.id), HandshakeStage::Session, "acknowledgement");
    const auto seconds = std::chrono::floor<std::chrono::seconds>(m_clock.utcNow());
    Bytes time; // 2.05 Content, 5.5
    ByteWriter(time)
        .u8(0x60U | static_cast<unsigned>(message.token.size()))
        .u8(0x45)
        .be16(message.id)
        .raw(message.token)
        .u8(0xFF)
        .be32(static_cast<std::uint32_t>(seconds.time_since_epoch().count()));
    return prepare(time, HandshakeStage::Session, "time answer");
}

} // namespace provost
