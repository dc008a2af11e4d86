#include "protocol/handshake_words_p.h"

#include "core/byte_io.h"
#include "core/text.h"
#include "crypto/digest.h"

#include <algorithm>

namespace provost {

namespace {

constexpr std::size_t kBlock = 16;
constexpr std::size_t kMacBytes = 20;
constexpr std::size_t kHelloPayload = 6; // product, version, reserved, flags
constexpr std::size_t kHelloWithPlatform = 8;
constexpr std::byte kPayloadMarker{0xFF};

template <std::size_t N>
void copyTo(std::array<std::byte, N>& to, ByteView from)
{
    std::copy_n(from.begin(), std::min(N, from.size()), to.begin());
}

} // namespace

std::string_view name(HandshakeStage stage)
{
    switch (stage) {
    case HandshakeStage::Nonce:
        return "nonce";
    case HandshakeStage::DeviceReply:
        return "device-reply";
    case HandshakeStage::Credentials:
        return "credentials";
    case HandshakeStage::Hello:
        return "hello";
    case HandshakeStage::Session:
        return "session";
    }
    return "nonce";
}

SessionCipher::SessionCipher(ByteView credentials)
{
    if (credentials.size() != handshake::kCredentialBytes)
        return; // all zeros: nothing opens, which the peers notice at the first frame
    copyTo(m_key, credentials.first(kBlock));
    copyTo(m_sendIv, credentials.subspan(kBlock, kBlock));
    m_receiveIv = m_sendIv; // same start for both directions, 5.2
    copyTo(m_salt, credentials.last(8));
}

SessionCipher::~SessionCipher()
{
    wipe(m_key);
}

Result<Bytes> SessionCipher::seal(ByteView message)
{
    const Bytes cipherText = TRY(aes128CbcEncrypt(m_key, m_sendIv, message));
    copyTo(m_sendIv, ByteView(cipherText).first(kBlock));
    Bytes frame;
    ByteWriter(frame).be16(static_cast<unsigned>(cipherText.size())).raw(cipherText);
    return frame;
}

Result<Bytes> SessionCipher::open(ByteView cipherText)
{
    Bytes message = TRY(aes128CbcDecrypt(m_key, m_receiveIv, cipherText));
    copyTo(m_receiveIv, cipherText.first(kBlock));
    return message;
}

namespace handshake {

Bytes replyPlaintext(ByteView nonce, ByteView deviceId, ByteView publicKeyDer)
{
    Bytes plain;
    ByteWriter(plain).raw(nonce).raw(deviceId).raw(publicKeyDer);
    return plain;
}

Result<Bytes> signCredentials(const RsaPrivateKey& serverKey, ByteView credentials,
                              ByteView cipherText)
{
    return serverKey.signRaw(hmacSha1(credentials, cipherText));
}

Result<> checkCredentials(const RsaPublicKey& serverKey, ByteView credentials, ByteView cipherText,
                          ByteView signature)
{
    const Bytes mac = TRY(serverKey.recover(signature));
    if (mac.size() != kMacBytes || !equalBytes(mac, hmacSha1(credentials, cipherText)))
        return fail(Errc::InvalidData, Blame::Cloud,
                    concat("check the signature of message 3: it carries ", mac.size(),
                           " bytes that are not the MAC of this message"));
    return {};
}

Bytes deviceHello(const HelloInfo& hello)
{
    Bytes message;
    ByteWriter to(message);
    to.u8(0x50).u8(kCoapPost).be16(hello.messageId).u8(0xB1).text("h").u8(0xFF);
    to.be16(hello.productId).be16(hello.firmwareVersion).u8(0).u8(hello.flags);
    if (hello.platformId)
        to.be16(*hello.platformId);
    return message;
}

Bytes serverHello(std::uint16_t messageId)
{
    Bytes message;
    ByteWriter(message).u8(0x51).u8(kCoapPost).be16(messageId).u8(0x01).u8(0xB1).text("h");
    return message;
}

Bytes ping(std::uint16_t messageId)
{
    Bytes message;
    ByteWriter(message).u8(0x40).u8(kCoapEmpty).be16(messageId);
    return message;
}

Bytes acknowledgement(std::uint16_t messageId)
{
    Bytes message;
    ByteWriter(message).u8(0x60).u8(kCoapEmpty).be16(messageId);
    return message;
}

Result<HelloInfo> parseDeviceHello(ByteView message)
{
    const CoapMessage coap = TRY(parseCoap(message));
    if (coap.isReply() || !coap.isPostTo("h") || coap.payload.size() < kHelloPayload)
        return fail(Errc::InvalidData, Blame::Unit,
                    concat("read a Hello of ", message.size(), " bytes: it is another message"));
    HelloInfo hello{.messageId = coap.id,
                    .productId = readBe16(coap.payload, 0),
                    .firmwareVersion = readBe16(coap.payload, 2),
                    .flags = u8(coap.payload[5])};
    if (coap.payload.size() >= kHelloWithPlatform)
        hello.platformId = readBe16(coap.payload, kHelloPayload);
    return hello;
}

std::uint16_t firstMessageId(ByteView salt, MessageIdOrder order)
{
    const unsigned seed = order == MessageIdOrder::BigEndian ? readBe16(salt) : readLe16(salt);
    return static_cast<std::uint16_t>(seed + 1); // wraps, 5.3
}

// --- CoAP

namespace {

Unexpected noCoap(ByteView message, std::string_view why)
{
    return fail(Errc::InvalidData, Blame::Unit,
                concat("read a CoAP message of ", message.size(), " bytes: ", why));
}

/// Option delta or length with its extension bytes, RFC 7252 section 3.1.
std::optional<unsigned> extended(unsigned nibble, ByteView& rest)
{
    const std::size_t extra = nibble == 13 ? 1 : nibble == 14 ? 2 : 0;
    if (nibble == 15 || rest.size() < extra)
        return std::nullopt;
    const unsigned value = extra == 0   ? nibble
                           : extra == 1 ? 13U + u8(rest.front())
                                        : 269U + readBe16(rest);
    rest = rest.subspan(extra);
    return value;
}

bool readOptions(ByteView& rest, CoapMessage& message)
{
    unsigned number = 0;
    while (!rest.empty() && rest.front() != kPayloadMarker) {
        const unsigned head = u8(rest.front());
        rest = rest.subspan(1);
        const auto delta = extended(head >> 4, rest);
        if (!delta)
            return false;
        const auto length = extended(head & 0x0F, rest);
        if (!length || *length > rest.size())
            return false;
        number += *delta;
        if (number == kUriPath)
            message.path.push_back(toText(rest.first(*length)));
        rest = rest.subspan(*length);
    }
    return true;
}

} // namespace

Result<CoapMessage> parseCoap(ByteView message)
{
    if (message.size() < 4 || u8(message[0]) >> 6 != 1)
        return noCoap(message, "no header of version 1");
    const std::size_t tokenSize = u8(message[0]) & 0x0F;
    if (tokenSize > 8 || message.size() < 4 + tokenSize)
        return noCoap(message, "its token is cut off");
    CoapMessage coap{.type = static_cast<CoapType>((u8(message[0]) >> 4) & 3),
                     .code = u8(message[1]),
                     .id = readBe16(message, 2),
                     .token = toBytes(message.subspan(4, tokenSize))};
    ByteView rest = message.subspan(4 + tokenSize);
    if (!readOptions(rest, coap))
        return noCoap(message, "its options are damaged");
    if (!rest.empty())
        coap.payload = toBytes(rest.subspan(1));
    return coap;
}

// --- what a server draws

Result<ServerMaterial> drawServerMaterial()
{
    constexpr std::size_t kIdBytes = 2;
    Bytes drawn = TRY(randomBytes(kNonceBytes + kCredentialBytes + kIdBytes));
    const auto credentials = ByteSpan(drawn).subspan(kNonceBytes, kCredentialBytes);
    constexpr std::size_t kSaltAt = 32;
    // Equal bytes would hide which order of message ids the unit follows (5.3).
    if (credentials[kSaltAt] == credentials[kSaltAt + 1])
        credentials[kSaltAt + 1] ^= std::byte{1};
    ServerMaterial material{.nonce = toBytes(ByteView(drawn).first(kNonceBytes)),
                            .credentials = SecretBytes(ByteView(credentials)),
                            .firstMessageId = readBe16(ByteView(drawn).last(kIdBytes))};
    wipe(drawn);
    return material;
}

// --- line

Line::Line(ByteStream& stream, std::chrono::milliseconds step, const OpContext& whole)
    : m_stream(stream), m_step(step), m_whole(whole)
{
}

namespace {

LineEnd endOf(const Error& error)
{
    switch (error.code) {
    case Errc::Cancelled:
        return LineEnd::Cancelled;
    case Errc::Timeout:
        return LineEnd::TimedOut;
    case Errc::Disconnected:
        return LineEnd::Closed;
    default:
        return LineEnd::Broken;
    }
}

} // namespace

bool isFrameSize(std::size_t size)
{
    return size != 0 && size % kBlock == 0 && size <= kLargestFrame;
}

Incoming Line::read(std::size_t size)
{
    return read(size, step().deadline);
}

Incoming Line::read(std::size_t size, Deadline until)
{
    OpContext op = m_whole;
    op.deadline.at = std::min(op.deadline.at, until.at);
    Incoming incoming{.bytes = Bytes(size)};
    while (incoming.wireBytes < size) {
        // A stream may hand out what it holds without a look at the deadline.
        if (const auto alive = op.checkpoint(); !alive) {
            incoming.end = endOf(alive.error());
            break;
        }
        const auto got =
            m_stream.readSome(ByteSpan(incoming.bytes).subspan(incoming.wireBytes), op);
        if (!got) {
            incoming.end = endOf(got.error());
            break;
        }
        incoming.wireBytes += *got;
    }
    incoming.bytes.resize(incoming.wireBytes);
    return incoming;
}

Incoming Line::readFrame(SessionCipher& cipher, std::optional<std::chrono::milliseconds> patience)
{
    const Deadline until = m_whole.within(patience.value_or(m_step)).deadline;
    Incoming head = read(kFrameHeadBytes, until);
    if (head.end != LineEnd::None)
        return head;
    const std::size_t size = readBe16(head.bytes);
    if (!isFrameSize(size))
        return Incoming{.wireBytes = head.wireBytes, .end = LineEnd::Malformed};
    Incoming body = read(size, until);
    body.wireBytes += head.wireBytes;
    if (body.end != LineEnd::None)
        return body;
    auto message = cipher.open(body.bytes);
    if (!message)
        return Incoming{.wireBytes = body.wireBytes, .end = LineEnd::Malformed};
    body.bytes = std::move(*message);
    return body;
}

LineEnd Line::write(ByteView bytes)
{
    const auto written = m_stream.writeAll(bytes, m_whole.within(m_step));
    return written ? LineEnd::None : endOf(written.error());
}

std::string wordsFor(LineEnd end, std::string_view peer)
{
    switch (end) {
    case LineEnd::Closed:
        return concat("the ", peer, " closed the connection");
    case LineEnd::TimedOut:
        return concat("the ", peer, " stayed silent");
    case LineEnd::Cancelled:
        return "stopped";
    case LineEnd::Broken:
        return "the connection broke";
    case LineEnd::Malformed:
        return concat("the ", peer, " sent a frame that cannot be read");
    case LineEnd::None:
        break;
    }
    return {};
}

// --- recorder

Recorder::Recorder(const Clock& clock,
                   const std::function<void(const HandshakeMessage&)>& onProgress)
    : m_clock(clock), m_onProgress(onProgress), m_start(clock.now())
{
}

double Recorder::elapsedMs() const
{
    return std::chrono::duration<double, std::milli>(m_clock.now() - m_start).count();
}

void Recorder::message(HandshakeMessage message)
{
    message.atMs = elapsedMs();
    report.stage = std::max(report.stage, message.stage);
    report.messages.push_back(std::move(message));
    if (m_onProgress)
        m_onProgress(report.messages.back());
}

void Recorder::failed(std::string_view cause, HandshakeMessage message)
{
    failed(cause);
    report.evidence.push_back(concat(message.what, message.note.empty() ? "" : ": ", message.note,
                                     " at +", fixed(elapsedMs(), 0), " ms"));
    message.failed = true;
    this->message(std::move(message));
}

void Recorder::failed(std::string_view cause)
{
    report.cause = cause;
    report.advice = adviceFor(cause);
}

HandshakeReport Recorder::soFar() const
{
    HandshakeReport copy = report;
    copy.passed = copy.cause.empty();
    copy.totalMs = elapsedMs();
    return copy;
}

HandshakeReport Recorder::finish()
{
    report.passed = report.cause.empty();
    report.totalMs = elapsedMs();
    return std::move(report);
}

} // namespace handshake

} // namespace provost
