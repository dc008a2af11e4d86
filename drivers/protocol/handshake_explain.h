// Says what a recorded conversation between a unit and its cloud means (particle-devices 5, 10).
#pragma once

#include "protocol/handshake_session.h"

#include <string>
#include <vector>

namespace provost {

/// Bytes of one direction that arrived together, in the order of the stream.
struct RecordedPiece {
    bool fromDevice = false;
    double atMs = 0; ///< since the conversation's first packet
    Bytes bytes{};
};

enum class RecordedEnd : std::uint8_t {
    Open, ///< the recording ends before the connection does
    DeviceClosed,
    ServerClosed,
    DeviceReset,
    ServerReset,
    Refused, ///< nobody listens at that port
};

struct RecordedConversation {
    std::vector<RecordedPiece> pieces{}; ///< both directions, by time
    bool answered = false;               ///< the server's side said anything at all, on TCP
    bool incomplete = false;             ///< bytes are missing in the recording
    RecordedEnd end = RecordedEnd::Open;
    double endMs = 0;
};

/// What opens the messages; each is optional, and what is missing is said in the evidence.
struct RecordedKeys {
    const RsaPrivateKey* serverPrivate = nullptr; ///< opens the unit's reply
    const RsaPublicKey* serverPublic = nullptr;   ///< checks the server's signature
    const RsaPrivateKey* devicePrivate = nullptr; ///< opens the session
    std::string unreadable{}; ///< why the unit's own reader cannot use that key; empty: it can
};

struct HandshakeExplanation {
    /// Causes beside those of HandshakeReport: no-answer, connection-refused, captive-portal,
    /// unknown-refusal, unregistered-key, no-hello-answer, incomplete-capture.
    HandshakeReport report{}; ///< with evidence where it passed, too
};

/// Never fails: what cannot be read is a cause.
HandshakeExplanation explainHandshake(const RecordedConversation& conversation,
                                      const RecordedKeys& keys);

} // namespace provost
