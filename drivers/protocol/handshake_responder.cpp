#include "protocol/handshake_responder.h"
#include "protocol/handshake_server_p.h"

namespace provost {

using namespace handshake;

// --- the session without a line

struct HandshakeResponder::Impl {
    std::optional<Error> noMaterial{};
    ServerSession session;
};

HandshakeResponder::HandshakeResponder(const RsaPrivateKey& serverKey, KeyDirectory& keys,
                                       const Clock& clock,
                                       std::function<void(const HandshakeMessage&)> onProgress,
                                       SessionWishes wishes)
{
    auto drawn = drawServerMaterial();
    std::optional<Error> error;
    if (!drawn)
        error = drawn.error();
    m_impl.reset(
        new Impl{.noMaterial = std::move(error),
                 .session = ServerSession(drawn ? *std::move(drawn) : ServerMaterial{}, serverKey,
                                          keys, clock, std::move(onProgress), std::move(wishes))});
}

HandshakeResponder::HandshakeResponder(HandshakeResponder&&) noexcept = default;
HandshakeResponder::~HandshakeResponder() = default;

Bytes HandshakeResponder::start()
{
    return m_impl->noMaterial ? m_impl->session.startWithout(*m_impl->noMaterial)
                              : m_impl->session.start();
}

void HandshakeResponder::sent()
{
    m_impl->session.sent();
}

void HandshakeResponder::notSent(LineEnd end)
{
    m_impl->session.notSent(end);
}

std::size_t HandshakeResponder::wanted() const
{
    return m_impl->session.wanted();
}

bool HandshakeResponder::isHeavy() const
{
    return m_impl->session.isHeavy();
}

bool HandshakeResponder::hasPassed() const
{
    return m_impl->session.hasPassed();
}

Bytes HandshakeResponder::take(ByteView bytes, Clock::Steady arrivedAt)
{
    return m_impl->session.take(bytes, arrivedAt);
}

void HandshakeResponder::ended(LineEnd end, ByteView partial)
{
    m_impl->session.ended(end, partial);
}

bool HandshakeResponder::isOver() const
{
    return m_impl->session.isOver();
}

bool HandshakeResponder::isLast() const
{
    return m_impl->session.isLast();
}

int HandshakeResponder::step() const
{
    return m_impl->session.step();
}

std::optional<Clock::Steady> HandshakeResponder::leaveAt() const
{
    return m_impl->session.leaveAt();
}

HandshakeReport HandshakeResponder::finish()
{
    return m_impl->session.finish();
}

// --- the same over a blocking stream

namespace {

void send(ServerSession& session, Line& line, ByteView wire)
{
    if (wire.empty())
        return;
    const LineEnd end = line.write(wire);
    if (end == LineEnd::None)
        session.sent();
    else
        session.notSent(end);
}

HandshakeReport serveOver(ServerSession& session, Line& line, const Bytes& first)
{
    send(session, line, first);
    Deadline until = line.step().deadline;
    int at = session.step();
    while (!session.isOver()) {
        if (std::exchange(at, session.step()) != session.step())
            until = line.step().deadline;
        const Incoming incoming = line.read(session.wanted(), until);
        if (incoming.end == LineEnd::None)
            send(session, line, session.take(incoming.bytes, line.whole().clock.now()));
        else
            session.ended(incoming.end, incoming.bytes);
    }
    // Cut short by a stop only, and then the caller closes at once whatever the cause was.
    if (const auto leaveAt = session.leaveAt())
        static_cast<void>(line.whole().clock.sleepUntil(*leaveAt, line.whole().stop));
    return session.finish();
}

} // namespace

namespace handshake {

HandshakeReport serveWith(const ServerMaterial& material, ByteStream& stream,
                          const RsaPrivateKey& serverKey, KeyDirectory& keys,
                          ServerTimeouts timeouts, const OpContext& op,
                          const std::function<void(const HandshakeMessage&)>& onProgress)
{
    Line line(stream, timeouts.step, op.within(timeouts.whole));
    ServerSession session({.nonce = material.nonce,
                           .credentials = material.credentials.clone(),
                           .firstMessageId = material.firstMessageId},
                          serverKey, keys, op.clock, onProgress);
    const Bytes first = session.start();
    return serveOver(session, line, first);
}

} // namespace handshake

HandshakeReport serveHandshake(ByteStream& stream, const RsaPrivateKey& serverKey,
                               KeyDirectory& keys, ServerTimeouts timeouts, const OpContext& op,
                               const std::function<void(const HandshakeMessage&)>& onProgress)
{
    const auto material = drawServerMaterial();
    if (material)
        return serveWith(*material, stream, serverKey, keys, timeouts, op, onProgress);
    ServerSession session({}, serverKey, keys, op.clock, onProgress);
    session.startWithout(material.error());
    return session.finish();
}

} // namespace provost
