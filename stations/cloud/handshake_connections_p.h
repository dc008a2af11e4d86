// The device port: each accepted connection through the server's half of the handshake.
#pragma once

#include "cloud/observer_list_p.h"
#include "cloud/registry.h"
#include "cloud/rest_api_p.h"
#include "core/clock.h"

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <stop_token>

namespace provost {

/// Thread-safe.
class HandshakeConnections {
public:
    using Wrap = std::function<std::unique_ptr<ByteStream>(std::unique_ptr<ByteStream>)>;
    /// @param wrap  put around each connection's stream; may be empty
    HandshakeConnections(const Clock& clock, const RsaPrivateKey& serverKey, Registry& registry,
                         ObserverList& observers, ServerTimeouts timeouts, Wrap wrap);
    /// Owns the socket.
    void serve(int fd, std::stop_token stop);
    UnitPresence presenceOf(const std::string& deviceId) const;

private:
    class Session;
    struct Seen {
        int sessions = 0; ///< open ones past Hello
        UnitPresence presence{};
    };
    void sessionOpened(const std::string& deviceId);
    void sessionEnded(const std::string& deviceId, const HandshakeReport& report);
    void bindKey(const HandshakeReport& report);

    const Clock& m_clock;
    const RsaPrivateKey& m_serverKey;
    Registry& m_registry;
    ObserverList& m_observers;
    ServerTimeouts m_timeouts;
    Wrap m_wrap;
    std::atomic<std::uint64_t> m_connections{0};
    mutable Mutex m_mutex;
    std::map<std::string, Seen> m_seen PROVOST_GUARDED_BY(m_mutex){};
};

} // namespace provost
