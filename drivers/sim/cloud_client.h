// The unit's half of the TCP handshake and of the session behind it (particle-devices 5).
#pragma once

#include "core/bytes.h"
#include "sim/pace.h"
#include "sim/unit_secret.h"

#include <functional>
#include <string>
#include <vector>

namespace provost::sim {

/// What the firmware takes out of its memory before it dials.
struct CloudIdentity {
    Bytes deviceId{};         ///< 12 bytes
    UnitSecret privateSlot{}; ///< 612 bytes
    Bytes serverSlot{};       ///< at least 296 bytes
    std::uint16_t platformId = 6;
    std::uint16_t productId = 6;
    std::uint16_t firmwareVersion = 0xFFFF;
    std::uint8_t helloFlags = 0;
    unsigned systemVersion = 1512; ///< decides log category and events
    bool lightSsl = true;          ///< decides byte order of ids and patience (5.3)
    std::string claimCode{};       ///< empty: none stored
    bool safeMode = false;
    unsigned keyErrors = 0;     ///< bit mask that it reports behind its Hello (3.6); 0: nothing
    bool miscounts = false;     ///< counts its messages by two, as broken firmware may
    std::string moduleReport{}; ///< answer to describe, without outer braces
};

/// Error numbers of 5.8. Negative ones come from the socket layer.
namespace cloud_error {
constexpr int kNone = 0;
constexpr int kPingTimeout = 1;
constexpr int kInvalidState = 3;
constexpr int kMalformed = 5;
constexpr int kDecryption = 6;
constexpr int kEncryption = 7;
constexpr int kAuthentication = 8;
constexpr int kMessageTimeout = 10;
constexpr int kTimedOut = -1;
constexpr int kClosedByPeer = -19;
constexpr int kResetByPeer = -18;
constexpr int kInterrupted = -1000; ///< not a firmware number: the board is reset meanwhile
} // namespace cloud_error

/// How long a unit waits for its cloud (5.6), at the pace of its bench.
struct CloudPatience {
    std::chrono::milliseconds connect{};
    std::chrono::milliseconds blocking{}; ///< each read of the handshake
    std::chrono::milliseconds hello{};    ///< for the server's
    std::chrono::microseconds backOff{};  ///< behind the first failures
};
CloudPatience cloudPatience(const Pace& pace, bool lightSsl);

/// A connected socket as the firmware's communication library sees it.
class CloudLine {
public:
    virtual ~CloudLine() = default;
    /// Fills `to` completely. 0, or a negative socket error.
    virtual int receive(ByteSpan to, std::chrono::milliseconds patience) = 0;
    virtual int send(ByteView bytes) = 0;
    /// 1: something can be read, 0: nothing within `patience`, negative: error.
    virtual int waitReadable(std::chrono::milliseconds patience) = 0;
};

/// Not thread-safe. `line` must outlive it.
class CloudClient {
public:
    enum class Progress : std::uint8_t { Handshaking, Connected };
    using Log = std::function<void(const std::string&)>;

    CloudClient(CloudLine& line, CloudIdentity identity, Pace pace, Log log);
    /// Steps 1 to 5 of 5.1. 0 or an error number.
    int handshake();
    /// The burst of 5.5, then answers and pings. Returns when the session ends.
    int session(const std::function<void()>& onStarted = {});

private:
    int receiveKey(ByteView nonce);
    int setKey(ByteView credentialsCipher, ByteView signature);
    int hello();
    int sendMessage(ByteView plain);
    int receiveMessage(Bytes& plain, std::chrono::milliseconds patience);
    int sendEvent(std::string_view name, std::string_view data, bool acknowledged);
    int startupBurst();
    int answer(ByteView message);
    std::uint16_t nextId();
    void note(const std::string& text) const;

    CloudLine& m_line;
    const CloudIdentity m_identity;
    const Pace m_pace;
    const CloudPatience m_patience;
    const Log m_log;
    Bytes m_key{};
    Bytes m_sendIv{};
    Bytes m_receiveIv{};
    std::uint16_t m_id = 0;
    std::uint8_t m_token = 0;
};

} // namespace provost::sim
