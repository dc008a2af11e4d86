#include "protocol/handshake_explain.h"

#include "protocol/handshake_words_p.h"

#include <algorithm>

namespace provost {

using namespace handshake;

namespace {

constexpr std::string_view kSealedReply = "reply, sealed to the server key";
constexpr std::size_t kShortReplyPlain = kNonceBytes + kDeviceIdBytes; // Core before 0.4.0
constexpr std::string_view kReadTheseTwo =
    "without read-back the cause is not known; read these two on the unit: the server key, and the "
    "public key derived from its private key";

/// One direction, read like a line, with the time at which each byte was there.
class Track {
public:
    void append(const RecordedPiece& piece)
    {
        ByteWriter(m_bytes).raw(piece.bytes);
        m_marks.push_back({m_bytes.size(), piece.atMs});
    }
    std::size_t left() const { return m_bytes.size() - m_at; }
    ByteView rest() const { return ByteView(m_bytes).subspan(m_at); }
    /// When the last of the next `size` bytes had come; 0 where none did.
    double timeOf(std::size_t size) const
    {
        for (const Mark& mark : m_marks)
            if (mark.end >= m_at + size)
                return mark.atMs;
        return m_marks.empty() ? 0 : m_marks.back().atMs;
    }
    ByteView take(std::size_t size)
    {
        const ByteView bytes = rest().first(size);
        m_at += size;
        return bytes;
    }

private:
    struct Mark {
        std::size_t end = 0;
        double atMs = 0;
    };
    Bytes m_bytes{};
    std::vector<Mark> m_marks{};
    std::size_t m_at = 0;
};

struct Frame {
    bool fromDevice = false;
    double atMs = 0;
    std::size_t wireBytes = 0;
    bool malformed = false;
    std::optional<CoapMessage> message{}; ///< where the session could be opened
    std::optional<HelloInfo> hello{};
};

class Explainer {
public:
    Explainer(const RecordedConversation& conversation, const RecordedKeys& keys)
        : m_conversation(conversation), m_keys(keys)
    {
        for (const RecordedPiece& piece : conversation.pieces)
            (piece.fromDevice ? m_device : m_server).append(piece);
    }

    HandshakeExplanation run()
    {
        if (connected() && nonce() && reply() && credentials() && hellos())
            session();
        HandshakeReport& report = m_result.report;
        if (m_conversation.incomplete && !report.cause.empty()) {
            m_result.report.evidence.push_back(concat("found so far: ", report.cause));
            setCause("incomplete-capture");
        }
        report.passed = report.cause.empty();
        report.totalMs =
            m_conversation.end == RecordedEnd::Open
                ? (m_conversation.pieces.empty() ? 0 : m_conversation.pieces.back().atMs)
                : m_conversation.endMs;
        return std::move(m_result);
    }

private:
    bool connected();
    bool nonce();
    bool reply();
    bool openReply(ByteView sealed, HandshakeMessage record);
    bool credentials();
    bool noCredentials(HandshakeMessage record);
    bool openCredentials(ByteView sealed, ByteView signature, HandshakeMessage record);
    bool hellos();
    bool noHello();
    void session();
    bool countsOn(const Frame& frame, HandshakeMessage& record);
    void sayEnd();

    std::optional<Frame> nextFrame();
    Frame readFrame(Track& track, bool fromDevice);
    void say(HandshakeMessage message);
    bool refuse(std::string_view cause, HandshakeMessage message);
    void setCause(std::string_view cause);
    void evidence(std::string line) { m_result.report.evidence.push_back(std::move(line)); }
    bool deviceEnded() const
    {
        return m_conversation.end == RecordedEnd::DeviceClosed ||
               m_conversation.end == RecordedEnd::DeviceReset;
    }
    bool serverEnded() const
    {
        return m_conversation.end == RecordedEnd::ServerClosed ||
               m_conversation.end == RecordedEnd::ServerReset;
    }
    std::string endWords() const;

    const RecordedConversation& m_conversation;
    const RecordedKeys& m_keys;
    Track m_device{};
    Track m_server{};
    Bytes m_nonce{};
    std::optional<RsaPublicKey> m_offered{};
    bool m_replyOpened = false;
    std::optional<SessionCipher> m_fromDevice{}; ///< one for each direction, 5.2
    std::optional<SessionCipher> m_fromServer{};
    std::optional<std::uint16_t> m_lastId{};
    std::optional<std::uint16_t> m_openPing{};
    bool m_furtherMessage = false;
    SessionNames m_names{};
    HandshakeExplanation m_result{};
};

std::string Explainer::endWords() const
{
    const std::string at = concat(" at +", fixed(m_conversation.endMs, 0), " ms");
    switch (m_conversation.end) {
    case RecordedEnd::DeviceClosed:
        return "the unit closed the connection" + at;
    case RecordedEnd::ServerClosed:
        return "the server closed the connection" + at;
    case RecordedEnd::DeviceReset:
        return "the unit reset the connection" + at;
    case RecordedEnd::ServerReset:
        return "the server reset the connection" + at;
    case RecordedEnd::Refused:
        return "the connection was refused" + at;
    case RecordedEnd::Open:
        break;
    }
    return "the capture ends before the connection does";
}

void Explainer::say(HandshakeMessage message)
{
    m_result.report.stage = std::max(m_result.report.stage, message.stage);
    m_result.report.messages.push_back(std::move(message));
}

void Explainer::setCause(std::string_view cause)
{
    m_result.report.cause = cause;
    m_result.report.advice = adviceFor(cause);
}

bool Explainer::refuse(std::string_view cause, HandshakeMessage message)
{
    setCause(cause);
    message.failed = true;
    say(std::move(message));
    return false;
}

bool Explainer::connected()
{
    if (m_conversation.answered)
        return true;
    const bool refused = m_conversation.end == RecordedEnd::Refused;
    evidence(refused ? endWords() : "nobody answered the unit's request to connect");
    return refuse(refused ? "connection-refused" : "no-answer",
                  {.stage = HandshakeStage::Nonce, .what = "no connection"});
}

bool Explainer::nonce()
{
    HandshakeMessage record{.stage = HandshakeStage::Nonce, .what = "nonce"};
    const bool deviceFirst =
        !m_conversation.pieces.empty() && m_conversation.pieces.front().fromDevice;
    if (deviceFirst) {
        evidence(concat("the side that connected spoke first: ", firstBytes(m_device.rest())));
        record.fromDevice = true;
        record.what = "bytes before any nonce";
        record.bytes = m_device.left();
        record.atMs = m_device.timeOf(1);
        return refuse("not-a-unit", std::move(record));
    }
    // What the server says before the reply is the nonce and nothing else (5.1).
    std::size_t before = 0;
    for (const RecordedPiece& piece : m_conversation.pieces) {
        if (piece.fromDevice)
            break;
        before += piece.bytes.size();
    }
    record.atMs = m_server.timeOf(std::min(kNonceBytes, m_server.left()));
    const ByteView head = m_server.rest().first(std::min(kNonceBytes, m_server.left()));
    if (looksForeign(head) || before > kNonceBytes) {
        evidence(concat("the first ", before,
                        " bytes of the server's side are no nonce of 40: ", firstBytes(head)));
        record.what = "bytes that are no nonce";
        record.bytes = before;
        return refuse("captive-portal", std::move(record));
    }
    if (m_server.left() < kNonceBytes) {
        record.bytes = m_server.left();
        record.what = concat("no nonce: ", record.bytes, " of 40 bytes came");
        evidence(endWords());
        return refuse("silent-server", std::move(record));
    }
    record.bytes = kNonceBytes;
    m_nonce = toBytes(m_server.take(kNonceBytes));
    say(std::move(record));
    return true;
}

bool Explainer::reply()
{
    HandshakeMessage record{.stage = HandshakeStage::DeviceReply,
                            .fromDevice = true,
                            .what = std::string(kSealedReply),
                            .bytes = std::min(m_device.left(), kReplyBytes)};
    record.atMs = m_device.timeOf(record.bytes);
    if (m_device.left() == 0) {
        record.what = "no reply to the nonce";
        evidence(endWords());
        // RSA encrypt error N: with no usable server key the unit gives up here (5.7).
        return refuse(deviceEnded() ? "unusable-server-key" : "silent-unit", std::move(record));
    }
    if (looksForeign(m_device.rest())) {
        evidence(concat("the reply begins with ", firstBytes(m_device.rest())));
        return refuse("not-a-unit", std::move(record));
    }
    if (m_device.left() < kReplyBytes) {
        record.what = concat("part of a reply: ", record.bytes, " of 256 bytes");
        evidence(endWords());
        return refuse("short-reply", std::move(record));
    }
    const ByteView sealed = m_device.take(kReplyBytes);
    if (m_keys.serverPrivate != nullptr)
        return openReply(sealed, std::move(record));
    evidence("no private server key given: device ID and public key in the reply stay sealed");
    say(std::move(record));
    return true;
}

bool Explainer::openReply(ByteView sealed, HandshakeMessage record)
{
    const auto opened = m_keys.serverPrivate->decrypt(sealed);
    // Implicit rejection: a wrong key gives pseudo-random bytes, so length and nonce decide (5.1).
    const bool whole = opened && opened->size() >= kShortReplyPlain;
    const ByteView plain = opened ? opened->reveal() : ByteView{};
    const bool ours = whole && equalBytes(plain.first(kNonceBytes), m_nonce);
    const bool shaped = whole && (plain.size() == kShortReplyPlain ||
                                  RsaPublicKey::fromDer(plain.subspan(kShortReplyPlain)));
    if (!ours && !shaped) {
        evidence("the unit's reply does not open with the server key that was given");
        return refuse("wrong-server-key", std::move(record));
    }
    m_replyOpened = true;
    m_result.report.deviceId = toHex(plain.subspan(kNonceBytes, kDeviceIdBytes));
    record.what = concat(plain.size() == kShortReplyPlain
                             ? "nonce and device ID, sealed to the server key"
                             : "nonce, device ID and public key, sealed to the server key");
    record.note = concat("device ID ", m_result.report.deviceId);
    if (!ours) {
        evidence("the reply opens, and answers another nonce than this connection's");
        return refuse("wrong-nonce", std::move(record));
    }
    if (auto key = RsaPublicKey::fromDer(plain.subspan(kShortReplyPlain))) {
        m_result.report.offeredKeyFingerprint = key->fingerprint();
        evidence(concat("the unit offers the public key ", key->fingerprint()));
        m_offered = std::move(*key);
    }
    if (m_offered && m_keys.devicePrivate != nullptr &&
        m_keys.devicePrivate->publicKey().fingerprint() != m_offered->fingerprint())
        evidence(concat("the device key that was given is another one: ",
                        m_keys.devicePrivate->publicKey().fingerprint()));
    say(std::move(record));
    return true;
}

bool Explainer::credentials()
{
    constexpr std::size_t kWhole = kSealedBytes + kSignatureBytes;
    HandshakeMessage record{.stage = HandshakeStage::Credentials,
                            .what = "session credentials and signature",
                            .bytes = std::min(m_server.left(), kWhole)};
    record.atMs = m_server.timeOf(record.bytes);
    if (m_server.left() < kWhole)
        return noCredentials(std::move(record));
    const ByteView sealed = m_server.take(kSealedBytes);
    return openCredentials(sealed, m_server.take(kSignatureBytes), std::move(record));
}

bool Explainer::noCredentials(HandshakeMessage record)
{
    record.what = record.bytes == 0 ? std::string("no session credentials")
                                    : concat("part of message 3: ", record.bytes, " of 384 bytes");
    evidence(endWords());
    if (record.bytes == 0)
        record.atMs = m_conversation.endMs;
    if (!serverEnded())
        return refuse("timeout", std::move(record));
    record.note = "unit shows a red burst: connection closed by the peer (-19)";
    if (m_replyOpened) {
        evidence("the server key in the unit is the one that was given, so the server could read "
                 "the reply and did not accept the key in it");
        return refuse("unregistered-key", std::move(record));
    }
    evidence(std::string(kReadTheseTwo));
    return refuse("unknown-refusal", std::move(record));
}

bool Explainer::openCredentials(ByteView sealed, ByteView signature, HandshakeMessage record)
{
    constexpr std::size_t kMacBytes = 20;
    const auto mac = m_keys.serverPublic != nullptr
                         ? m_keys.serverPublic->recover(signature)
                         : Result<Bytes>(fail(Errc::NotFound, Blame::Operator, "no server key"));
    const bool signedByServer = mac && mac->size() == kMacBytes;
    if (m_keys.devicePrivate == nullptr) {
        evidence("no device key given: session credentials and session stay sealed");
    } else {
        const auto opened = m_keys.devicePrivate->decrypt(sealed);
        if (!opened || opened->size() != kCredentialBytes) {
            record.note = "unit flashes orange: decryption error (6)";
            evidence("message 3 is sealed to another public key than that of the device key given");
            return refuse("wrong-device-key", std::move(record));
        }
        m_fromDevice.emplace(opened->reveal());
        m_fromServer.emplace(opened->reveal());
        if (signedByServer &&
            !checkCredentials(*m_keys.serverPublic, opened->reveal(), sealed, signature)) {
            record.note = "unit flashes magenta: authentication error (8)";
            evidence("the signature is the server's, over other credentials than these");
            return refuse("wrong-server-signature", std::move(record));
        }
    }
    if (m_keys.serverPublic != nullptr && !signedByServer) {
        record.note = "unit flashes magenta: authentication error (8)";
        evidence("the signature was made with another key than the server key that was given");
        return refuse("wrong-server-signature", std::move(record));
    }
    if (m_keys.serverPublic == nullptr)
        evidence("no server key given: the signature was not checked");
    say(std::move(record));
    return true;
}

Frame Explainer::readFrame(Track& track, bool fromDevice)
{
    Frame frame{.fromDevice = fromDevice};
    const std::size_t size = track.left() >= 2 ? readBe16(track.rest()) : 0;
    frame.malformed =
        size == 0 || size % 16 != 0 || size > kLargestFrame || track.left() < size + 2;
    frame.wireBytes = frame.malformed ? track.left() : size + 2;
    frame.atMs = track.timeOf(frame.wireBytes);
    const ByteView wire = track.take(frame.wireBytes);
    auto& cipher = fromDevice ? m_fromDevice : m_fromServer;
    if (frame.malformed || !cipher)
        return frame;
    const auto plain = cipher->open(wire.subspan(2));
    auto message = plain ? parseCoap(*plain) : fail(Errc::InvalidData, Blame::Unit, "sealed");
    frame.malformed = !message;
    if (message) {
        if (auto hello = parseDeviceHello(*plain))
            frame.hello = *hello;
        frame.message = std::move(*message);
    }
    return frame;
}

/// Of both directions, the one that was there first.
std::optional<Frame> Explainer::nextFrame()
{
    const auto readyAt = [](const Track& track) -> std::optional<double> {
        if (track.left() == 0)
            return std::nullopt;
        const std::size_t size = track.left() >= 2 ? readBe16(track.rest()) + 2U : track.left();
        return track.timeOf(std::min<std::size_t>(size, track.left()));
    };
    const auto device = readyAt(m_device);
    const auto server = readyAt(m_server);
    if (!device && !server)
        return std::nullopt;
    const bool fromDevice = device && (!server || *device <= *server);
    return readFrame(fromDevice ? m_device : m_server, fromDevice);
}

bool Explainer::hellos()
{
    bool device = false;
    bool server = false;
    while (!device || !server) {
        const auto frame = nextFrame();
        if (!frame && !device)
            return noHello();
        HandshakeMessage record{.stage = HandshakeStage::Hello};
        if (!frame) {
            record.what = "no hello answer";
            evidence(endWords());
            return refuse("no-hello-answer", std::move(record));
        }
        record.fromDevice = frame->fromDevice;
        record.bytes = frame->wireBytes;
        record.atMs = frame->atMs;
        const bool sealed = !m_fromDevice && !frame->malformed;
        const bool isHello = frame->message && frame->message->isPostTo("h");
        if (frame->malformed || (!sealed && !isHello)) {
            record.what = "a message that is no hello";
            return refuse("bad-hello", std::move(record));
        }
        record.what = frame->fromDevice ? "hello" : "hello answer";
        if (sealed)
            record.what += ", sealed";
        if (frame->fromDevice && frame->hello) {
            m_result.report.hello = frame->hello;
            m_lastId = frame->hello->messageId;
            record.note = concat("product ", frame->hello->productId, ", firmware ",
                                 frame->hello->firmwareVersion);
        }
        (frame->fromDevice ? device : server) = true;
        say(std::move(record));
    }
    const auto& hello = m_result.report.hello;
    if (hello) {
        for (const auto order : {MessageIdOrder::BigEndian, MessageIdOrder::LittleEndian})
            if (hello->messageId == firstMessageId(m_fromDevice->salt(), order))
                m_result.report.idOrder = order;
        if (!m_result.report.idOrder)
            evidence(concat("the hello has message id ", hello->messageId,
                            ", which follows from neither reading of the salt"));
    }
    return true;
}

bool Explainer::noHello()
{
    HandshakeMessage record{
        .stage = HandshakeStage::Hello, .fromDevice = true, .what = "no hello of the unit"};
    evidence(endWords());
    if (!m_keys.unreadable.empty()) {
        evidence(concat("the device key that was given is in a form that the unit's own reader "
                        "cannot use: ",
                        m_keys.unreadable));
        record.note = "unit flashes orange: decryption error (6)";
        return refuse("unreadable-device-key", std::move(record));
    }
    if (m_fromDevice)
        evidence("credentials and signature are right for the keys that were given: the unit's own "
                 "reader may not read its private key, or its server key differs");
    else
        evidence("orange flash: the key on file is not the unit's; magenta: signed with another "
                 "key than the unit's server key");
    return refuse("no-hello", std::move(record));
}

/// The reference server demands the previous id plus one and else drops the link (5.3).
bool Explainer::countsOn(const Frame& frame, HandshakeMessage& record)
{
    if (!frame.fromDevice || !frame.message || frame.message->isReply() || !m_lastId)
        return true;
    const auto expected = static_cast<std::uint16_t>(*m_lastId + 1);
    m_lastId = frame.message->id;
    if (frame.message->id == expected)
        return true;
    record.note = concat("message id ", frame.message->id, " instead of ", expected);
    return false;
}

void Explainer::session()
{
    while (const auto frame = nextFrame()) {
        HandshakeMessage record{.stage = HandshakeStage::Session,
                                .fromDevice = frame->fromDevice,
                                .what = "message, sealed",
                                .bytes = frame->wireBytes,
                                .atMs = frame->atMs};
        if (frame->malformed) {
            // A capture that stops in the middle of a frame says nothing about the unit.
            if (m_conversation.end == RecordedEnd::Open || m_conversation.incomplete) {
                record.what = "part of a message";
                say(std::move(record));
                break;
            }
            record.what = "a message that cannot be read";
            refuse("bad-message", std::move(record));
            return;
        }
        if (frame->message)
            record.what = m_names.nameOf(*frame->message, frame->fromDevice);
        if (!countsOn(*frame, record)) {
            evidence(record.note);
            refuse("bad-message-counter", std::move(record));
            return;
        }
        if (frame->fromDevice && frame->message && frame->message->isPing())
            m_openPing = frame->message->id;
        if (!frame->fromDevice && frame->message && frame->message->isReply() &&
            m_openPing == frame->message->id)
            m_openPing.reset();
        m_furtherMessage = m_furtherMessage ||
                           (frame->fromDevice && !(frame->message && frame->message->isReply()));
        say(std::move(record));
    }
    sayEnd();
}

void Explainer::sayEnd()
{
    evidence(endWords());
    if (!m_furtherMessage) {
        refuse("no-further-message", {.stage = HandshakeStage::Session,
                                      .fromDevice = true,
                                      .what = "no message behind the hello"});
    } else if (m_openPing && deviceEnded()) {
        refuse("no-ping-answer", {.stage = HandshakeStage::Session,
                                  .what = concat("no answer to ping ", *m_openPing)});
    }
}

} // namespace

HandshakeExplanation explainHandshake(const RecordedConversation& conversation,
                                      const RecordedKeys& keys)
{
    return Explainer(conversation, keys).run();
}

} // namespace provost
