// The device port: each accepted connection through the server's half of the handshake.
#pragma once

#include "cloud/cloud_service.h"
#include "cloud/observer_list_p.h"
#include "cloud/registry.h"
#include "cloud/rest_api_p.h"
#include "core/clock.h"
#include "protocol/handshake_responder.h"

#include <atomic>
#include <functional>
#include <memory>
#include <stop_token>
#include <unordered_map>

namespace provost {

/// Thread-safe.
class HandshakeConnections {
public:
    using Wrap = CloudHooks::Wrap;
    /// What the cloud is told besides its observers.
    struct Told {
        std::function<void(const std::string& deviceId, bool online)> onStatus{};
        std::function<void(const std::string& deviceId, const UnitEvent& event)> onEvent{};
        std::function<void(const std::string& deviceId)> onPassed{};
    };

    /// One connection: answers who may connect, and tells the observers what happens.
    class Session final : public KeyDirectory {
    public:
        Session(HandshakeConnections& owner, ConnectionInfo info)
            : m_owner(owner), m_info(std::move(info))
        {
        }
        std::optional<RsaPublicKey> find(const std::string& deviceId) override;
        bool refuses(const std::string& deviceId, const RsaPublicKey& offered) override;
        void passOn(const HandshakeMessage& message);
        void passOn(const UnitEvent& event);
        /// It meets the end-of-line criterion, and goes on.
        void passed(const HandshakeReport& report);
        /// end() will write: not in a thread that others wait for.
        bool endsWithFiles(const HandshakeReport& report) const;
        /// Once, at the end.
        void end(const HandshakeReport& report);

    private:
        void tell(const HandshakeReport& report);
        HandshakeConnections& m_owner;
        ConnectionInfo m_info;
        bool m_told = false;
        bool m_open = false;
        bool m_unknown = false;
        std::string m_bound{};                   ///< fingerprint of the key that is locked already
        std::optional<RsaPublicKey> m_offered{}; ///< by an unknown unit
    };

    HandshakeConnections(const Clock& clock, const RsaPrivateKey& serverKey, Registry& registry,
                         ObserverList& observers, ServerTimeouts timeouts, bool keepSessions,
                         std::function<Wrap()> connectionFault, Told told);
    /// Something has just connected.
    std::unique_ptr<Session> begin(std::string peer);
    /// The session must outlive it.
    HandshakeResponder responderFor(Session& session) const;
    /// What is to be put around the next connection's stream; empty: nothing.
    Wrap faultOfNext() const;
    /// All of such a connection, in the calling thread. Owns the socket.
    void serve(int fd, const Wrap& wrap, std::stop_token stop);
    UnitPresence presenceOf(const std::string& deviceId) const;

private:
    struct Seen {
        int sessions = 0; ///< open ones past Hello
        UnitPresence presence{};
    };
    void sessionOpened(const std::string& deviceId);
    void sessionEnded(const std::string& deviceId);
    void keepHello(const HandshakeReport& report);
    void bindKey(const HandshakeReport& report, const std::string& bound);

    const Clock& m_clock;
    const RsaPrivateKey& m_serverKey;
    Registry& m_registry;
    ObserverList& m_observers;
    ServerTimeouts m_timeouts;
    const bool m_keepSessions;
    std::function<Wrap()> m_connectionFault;
    Told m_tell;
    std::atomic<std::uint64_t> m_connections{0};
    mutable Mutex m_mutex;
    std::unordered_map<std::string, Seen> m_seen PROVOST_GUARDED_BY(m_mutex){};
};

} // namespace provost
