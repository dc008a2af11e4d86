#include "cloud/handshake_connections_p.h"

#include "transport/tcp_stream.h"

namespace provost {

std::optional<RsaPublicKey> HandshakeConnections::Session::find(const std::string& deviceId)
{
    m_info.deviceId = deviceId;
    auto onFile = m_owner.m_registry.look(deviceId);
    // A damaged file means that nobody knows the key: as good as none, and no other in its place.
    if (!onFile)
        return {};
    if (*onFile) {
        if ((*onFile)->locked)
            m_bound = (*onFile)->key.fingerprint();
        return std::move((*onFile)->key);
    }
    const auto observers = m_owner.m_observers.all();
    for (const auto& observer : *observers) {
        if (auto key = observer->keyFor(deviceId))
            return key;
    }
    m_unknown = true;
    return {};
}

bool HandshakeConnections::Session::refuses(const std::string& deviceId,
                                            const RsaPublicKey& offered)
{
    const auto onFile = m_owner.m_registry.look(deviceId);
    if (!onFile)
        return true; // cannot be read now: better no answer than a wrong one
    if (m_unknown)
        m_offered = offered;
    return *onFile && (*onFile)->locked && (*onFile)->key.fingerprint() != offered.fingerprint();
}

void HandshakeConnections::Session::passOn(const HandshakeMessage& message)
{
    const auto observers = m_owner.m_observers.all();
    for (const auto& observer : *observers)
        observer->onMessage(m_info, message);
    const bool greeted = message.stage == HandshakeStage::Hello && message.fromDevice;
    if (greeted && !message.failed && !m_open) {
        m_open = true;
        m_owner.sessionOpened(m_info.deviceId);
    }
}

void HandshakeConnections::Session::passOn(const UnitEvent& event)
{
    if (m_owner.m_tell.onEvent)
        m_owner.m_tell.onEvent(m_info.deviceId, event);
}

void HandshakeConnections::Session::passed(const HandshakeReport& report)
{
    tell(report);
    if (m_owner.m_tell.onPassed)
        m_owner.m_tell.onPassed(m_info.deviceId);
}

bool HandshakeConnections::Session::endsWithFiles(const HandshakeReport& report) const
{
    return m_offered || (report.passed && report.offeredKeyFingerprint != m_bound);
}

void HandshakeConnections::Session::end(const HandshakeReport& report)
{
    if (m_open)
        m_owner.sessionEnded(m_info.deviceId);
    tell(report);
}

/// An open session has been judged long before it ends.
void HandshakeConnections::Session::tell(const HandshakeReport& report)
{
    if (std::exchange(m_told, true))
        return;
    if (m_open)
        m_owner.keepHello(report);
    m_owner.bindKey(report, m_bound);
    // For the convenience of a person, and only now: the disk's time would tell the peer how far
    // its reply was understood. Where it cannot be kept, the unit offers it again.
    if (m_offered)
        static_cast<void>(m_owner.m_registry.keepOffer(m_info.deviceId, *m_offered));
    const auto observers = m_owner.m_observers.all();
    for (const auto& observer : *observers)
        observer->onReport(m_info, report);
}

HandshakeConnections::HandshakeConnections(const Clock& clock, const RsaPrivateKey& serverKey,
                                           Registry& registry, ObserverList& observers,
                                           ServerTimeouts timeouts, bool keepSessions,
                                           std::function<Wrap()> connectionFault, Told told)
    : m_clock(clock), m_serverKey(serverKey), m_registry(registry), m_observers(observers),
      m_timeouts(timeouts), m_keepSessions(keepSessions),
      m_connectionFault(std::move(connectionFault)), m_tell(std::move(told))
{
}

std::unique_ptr<HandshakeConnections::Session> HandshakeConnections::begin(std::string peer)
{
    return std::make_unique<Session>(
        *this, ConnectionInfo{.number = ++m_connections, .peer = std::move(peer)});
}

HandshakeResponder HandshakeConnections::responderFor(Session& session) const
{
    return {m_serverKey,
            session,
            m_clock,
            [&session](const HandshakeMessage& message) { session.passOn(message); },
            {.staysOpen = m_keepSessions,
             .onPassed = [&session](const HandshakeReport& report) { session.passed(report); },
             .onEvent = [&session](const UnitEvent& event) { session.passOn(event); }}};
}

HandshakeConnections::Wrap HandshakeConnections::faultOfNext() const
{
    return m_connectionFault ? m_connectionFault() : Wrap{};
}

void HandshakeConnections::serve(int fd, const Wrap& wrap, std::stop_token stop)
{
    auto socket = std::make_unique<TcpStream>(fd);
    const auto session = begin(socket->peer());
    const std::unique_ptr<ByteStream> line = wrap(std::move(socket));
    const OpContext op{.clock = m_clock,
                       .stop = std::move(stop),
                       .deadline = {m_clock.now() + m_timeouts.whole},
                       .sensitive = true};
    const HandshakeReport report =
        serveHandshake(*line, m_serverKey, *session, m_timeouts, op,
                       [&](const HandshakeMessage& message) { session->passOn(message); });
    session->end(report);
}

UnitPresence HandshakeConnections::presenceOf(const std::string& deviceId) const
{
    const MutexLock lock(m_mutex);
    const auto found = m_seen.find(deviceId);
    return found == m_seen.end() ? UnitPresence{} : found->second.presence;
}

void HandshakeConnections::sessionOpened(const std::string& deviceId)
{
    {
        const MutexLock lock(m_mutex);
        Seen& seen = m_seen[deviceId];
        ++seen.sessions;
        seen.presence.connected = true;
        seen.presence.lastHandshake = m_clock.utcNow();
    }
    // Of each session: the end of the one before may be seen later than a new one begins.
    m_tell.onStatus(deviceId, true);
}

void HandshakeConnections::keepHello(const HandshakeReport& report)
{
    if (!report.hello)
        return;
    const MutexLock lock(m_mutex);
    UnitPresence& presence = m_seen[report.deviceId].presence;
    presence.productId = report.hello->productId;
    if (report.hello->platformId)
        presence.platformId = *report.hello->platformId;
}

void HandshakeConnections::sessionEnded(const std::string& deviceId)
{
    bool last = false;
    {
        const MutexLock lock(m_mutex);
        Seen& seen = m_seen[deviceId];
        last = --seen.sessions == 0;
        seen.presence.connected = !last;
    }
    if (last)
        m_tell.onStatus(deviceId, false);
}

// The first successful connection binds the key (particle-devices 9).
void HandshakeConnections::bindKey(const HandshakeReport& report, const std::string& bound)
{
    if (!report.passed || report.offeredKeyFingerprint == bound)
        return;
    // A key of an expected unit need not be on file, or another may be. Where the lock cannot be
    // written now, the next connection tries again.
    if (!report.offeredKeyFingerprint.empty())
        static_cast<void>(m_registry.lock(report.deviceId, report.offeredKeyFingerprint));
}

} // namespace provost
