// The server's half of the handshake without a line: it is told what came and says what to send, so
// that one event loop serves any number of units.
#pragma once

#include "core/clock.h"
#include "protocol/handshake_session.h"

#include <memory>

namespace provost {

namespace handshake {
/// How a wait for bytes ended.
enum class LineEnd : std::uint8_t {
    None,   ///< all there
    Closed, ///< the peer hung up
    TimedOut,
    Cancelled,
    Broken,    ///< the transport failed
    Malformed, ///< a frame of impossible length, or one that does not decrypt
};
} // namespace handshake

/// What a unit publishes in its session (particle-devices 5.5).
struct UnitEvent {
    std::string name{}; ///< at most 63 characters
    std::string data{}; ///< at most 255
    bool isPublic = false;
};

/// What a server wants of the session behind the handshake. Calls come from within the responder's
/// functions.
struct SessionWishes {
    /// Answered until the unit goes or counts wrongly; else it is hung up on where the end-of-line
    /// criterion of 5.5 is met. Of what comes behind that, events alone are told.
    bool staysOpen = false;
    /// The criterion is met; only where the session stays open.
    std::function<void(const HandshakeReport&)> onPassed{};
    std::function<void(const UnitEvent&)> onEvent{};
};

/// One connection. Not thread-safe, and not bound to a thread.
///
/// start(), then in turns: send what was given out and say how that ended with sent() or notSent();
/// where nothing is over, wait for wanted() bytes and hand them to take(), or say with ended() why
/// they do not come. finish() at the end, after leaveAt() where that is set.
class HandshakeResponder {
public:
    /// @param onProgress  called with each message from within these functions
    HandshakeResponder(const RsaPrivateKey& serverKey, KeyDirectory& keys, const Clock& clock,
                       std::function<void(const HandshakeMessage&)> onProgress,
                       SessionWishes wishes = {});
    HandshakeResponder(HandshakeResponder&&) noexcept;
    ~HandshakeResponder();

    Bytes start();
    void sent();
    void notSent(handshake::LineEnd end);
    std::size_t wanted() const; ///< bytes, 1 to 800
    /// The next take() works with RSA and asks the directory, or tells what a session says.
    bool isHeavy() const;
    /// The criterion is met and the session goes on: it has no end but each step's.
    bool hasPassed() const;
    /// @param bytes  wanted() of them
    /// @returns what to send; may be empty
    Bytes take(ByteView bytes, Clock::Steady arrivedAt);
    void ended(handshake::LineEnd end, ByteView partial);
    bool isOver() const;
    bool isLast() const; ///< with what was given out to be sent it is over
    int step() const;    ///< changes with each whole message: a new ServerTimeouts::step begins
    /// When to hang up on a unit that was refused before message 3: whatever the reason was, this
    /// or a multiple of it behind its reply.
    std::optional<Clock::Steady> leaveAt() const;
    HandshakeReport finish();

private:
    struct Impl;
    std::unique_ptr<Impl> m_impl;
};

} // namespace provost
