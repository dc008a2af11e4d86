// What both halves of the handshake share: the line with its deadlines, the report that is filled
// as messages pass, CoAP messages, and the seam through which transcripts are replayed.
#pragma once

#include "crypto/secret_bytes.h"
#include "protocol/handshake_responder.h"

#include <string_view>

namespace provost::handshake {

// particle-devices 5.1, 5.2
inline constexpr std::size_t kNonceBytes = 40;
inline constexpr std::size_t kDeviceIdBytes = 12;
inline constexpr std::size_t kReplyBytes = 256;
inline constexpr std::size_t kCredentialBytes = 40;
inline constexpr std::size_t kSealedBytes = 128;
inline constexpr std::size_t kSignatureBytes = 256;
inline constexpr std::size_t kLargestFrame = 800;
inline constexpr int kUnitKeyBits = 1024;

inline constexpr std::size_t kFrameHeadBytes = 2;
bool isFrameSize(std::size_t size); ///< of cipher text: whole blocks, no more than a unit takes

inline constexpr std::size_t kMostMessages = 200; ///< acknowledgements without end are no session

inline std::string_view causeOf(LineEnd end, std::string_view otherwise)
{
    return end == LineEnd::Cancelled ? std::string_view("cancelled") : otherwise;
}

struct Incoming {
    Bytes bytes{}; ///< what came, complete where end is None; a frame comes decrypted
    std::size_t wireBytes = 0;
    LineEnd end = LineEnd::None;
};

/// Whole messages over a byte stream; every wait has the step's deadline within the whole.
class Line {
public:
    Line(ByteStream& stream, std::chrono::milliseconds step, const OpContext& whole);
    Incoming read(std::size_t size);
    Incoming read(std::size_t size, Deadline until);
    /// @param patience  for this frame instead of the step's
    Incoming readFrame(SessionCipher& cipher,
                       std::optional<std::chrono::milliseconds> patience = {});
    LineEnd write(ByteView bytes);
    const OpContext& whole() const { return m_whole; }
    OpContext step() const { return m_whole.within(m_step); } ///< one step from now on

private:
    ByteStream& m_stream;
    std::chrono::milliseconds m_step;
    OpContext m_whole;
};

/// "the device closed the connection" and its like.
std::string wordsFor(LineEnd end, std::string_view peer);

/// Fills a report as the connection goes on.
class Recorder {
public:
    Recorder(const Clock& clock, const std::function<void(const HandshakeMessage&)>& onProgress);
    void message(HandshakeMessage message); ///< stamps it
    /// Ends the connection with a cause and its advice, and the message that did not come or fit.
    void failed(std::string_view cause, HandshakeMessage message);
    /// Ends it where no message can be named.
    void failed(std::string_view cause);
    bool hasFailed() const { return !report.cause.empty(); }
    HandshakeReport soFar() const; ///< as finish() would give it now
    HandshakeReport finish();      ///< stamps the total

    HandshakeReport report{};

private:
    double elapsedMs() const;
    const Clock& m_clock;
    const std::function<void(const HandshakeMessage&)>& m_onProgress;
    Clock::Steady m_start;
};

enum class CoapType : std::uint8_t {
    Confirmable = 0,
    NonConfirmable = 1,
    Acknowledgement = 2,
    Reset = 3
};

// RFC 7252, sections 5.10 and 12.1
inline constexpr unsigned kCoapEmpty = 0x00;
inline constexpr unsigned kCoapGet = 0x01;
inline constexpr unsigned kCoapPost = 0x02;
inline constexpr unsigned kUriPath = 11;

struct CoapMessage {
    CoapType type = CoapType::Confirmable;
    unsigned code = 0;
    std::uint16_t id = 0;
    Bytes token{};
    std::vector<std::string> path{}; ///< Uri-Path options in order
    Bytes payload{};

    bool isReply() const { return type == CoapType::Acknowledgement || type == CoapType::Reset; }
    bool isPing() const { return type == CoapType::Confirmable && code == kCoapEmpty; }
    bool isPostTo(std::string_view first) const
    {
        return code == kCoapPost && !path.empty() && path.front() == first;
    }
};
/// @returns InvalidData  not RFC 7252
Result<CoapMessage> parseCoap(ByteView message);

/// What a server half draws at random, so that a transcript can be replayed through it.
struct ServerMaterial {
    Bytes nonce{};
    SecretBytes credentials{};
    std::uint16_t firstMessageId = 0;
};
Result<ServerMaterial> drawServerMaterial();
HandshakeReport serveWith(const ServerMaterial& material, ByteStream& line,
                          const RsaPrivateKey& serverKey, KeyDirectory& keys,
                          ServerTimeouts timeouts, const OpContext& op,
                          const std::function<void(const HandshakeMessage&)>& onProgress);

} // namespace provost::handshake
