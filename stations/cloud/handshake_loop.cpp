#include "cloud/handshake_loop_p.h"

#include "core/text.h"
#include "protocol/handshake_responder.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

namespace provost {

using namespace std::chrono_literals;
using handshake::LineEnd;

namespace {

/// How often deadlines are looked at, and how late a unit is hung up on at most.
constexpr auto kLookEvery = 20ms;
/// While no descriptor is to be had: connections that end make room.
constexpr auto kAcceptPause = 50ms;
constexpr std::size_t kEventsAtOnce = 256;
/// Holds the largest frame and the head of the next; what is behind it waits in the kernel.
constexpr std::size_t kBufferBytes = 1024;

void watchFor(int poll, int operation, int fd, std::uint32_t events, void* who)
{
    epoll_event event{};
    event.events = events;
    event.data.ptr = who;
    ::epoll_ctl(poll, operation, fd, &event);
}

void ring(int wake)
{
    const std::uint64_t one = 1;
    static_cast<void>(::write(wake, &one, sizeof one)); // fails only where it rings already
}

} // namespace

struct HandshakeLoop::Connection {
    Connection(int theFd, std::unique_ptr<HandshakeConnections::Session> theSession,
               HandshakeResponder theResponder)
        : fd(theFd), session(std::move(theSession)), responder(std::move(theResponder))
    {
    }
    ~Connection() { ::close(fd); }
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    ByteView received() const { return ByteView(buffer).subspan(at, end - at); }

    int fd;
    std::unique_ptr<HandshakeConnections::Session> session;
    HandshakeResponder responder;
    std::array<std::byte, kBufferBytes> buffer{};
    std::size_t at = 0;
    std::size_t end = 0;
    Bytes out{}; ///< not sent yet
    Clock::Steady arrivedAt{};
    Clock::Steady whole{};
    Clock::Steady deadline{}; ///< of the step, or when a refused unit is hung up on
    int step = 0;
    bool drained = true; ///< nothing is in the kernel that no event will tell
    bool peerClosed = false;
    bool leaving = false; ///< refused, until leaveAt()
    bool withWorker = false;
};

void HandshakeLoop::HangUp::operator()(Connection* connection) const
{
    delete connection;
}

Result<std::unique_ptr<HandshakeLoop>> HandshakeLoop::start(const TcpListener::Config& config,
                                                            HandshakeConnections& connections,
                                                            const Clock& clock,
                                                            ServerTimeouts timeouts)
{
    const auto [fd, port] = TRY(TcpListener::open(config));
    return std::unique_ptr<HandshakeLoop>(
        new HandshakeLoop(fd, port, config.maxConnections, connections, clock, timeouts));
}

HandshakeLoop::HandshakeLoop(int listener, std::uint16_t port, std::size_t maxConnections,
                             HandshakeConnections& connections, const Clock& clock,
                             ServerTimeouts timeouts)
    : m_listener(listener), m_poll(::epoll_create1(EPOLL_CLOEXEC)),
      m_wake(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)), m_port(port),
      m_maxConnections(maxConnections), m_owner(connections), m_clock(clock), m_timeouts(timeouts)
{
    watchFor(m_poll, EPOLL_CTL_ADD, m_wake, EPOLLIN, &m_wake);
    watchFor(m_poll, EPOLL_CTL_ADD, m_listener, 0, &m_listener);
    const unsigned processors = std::max(1U, std::thread::hardware_concurrency());
    for (unsigned i = 0; i < processors; ++i)
        m_workers.emplace_back([this](const std::stop_token& stop) { work(stop); });
    m_thread = std::jthread([this](const std::stop_token& stop) { run(stop); });
}

HandshakeLoop::~HandshakeLoop()
{
    m_thread.request_stop();
    ring(m_wake);
    m_thread.join();
    for (std::jthread& faulty : m_faulty)
        faulty.request_stop();
    m_faulty.clear();
    for (std::jthread& worker : m_workers)
        worker.request_stop();
    m_workers.clear();
    endAll();
    ::close(m_listener);
    ::close(m_poll);
    ::close(m_wake);
}

// --- the loop's thread

void HandshakeLoop::run(const std::stop_token& stop)
{
    std::array<epoll_event, kEventsAtOnce> events{};
    while (!stop.stop_requested()) {
        const bool room = m_connections.size() < m_maxConnections && m_clock.now() >= m_acceptAgain;
        if (room != m_listening)
            watchFor(m_poll, EPOLL_CTL_MOD, m_listener, room ? EPOLLIN : 0U, &m_listener);
        m_listening = room;
        const int wait = static_cast<int>(std::chrono::milliseconds(kLookEvery).count());
        const int count =
            ::epoll_wait(m_poll, events.data(), static_cast<int>(events.size()), wait);
        bool rung = false;
        for (int i = 0; i < count; ++i) {
            void* const who = events[static_cast<std::size_t>(i)].data.ptr;
            if (who == &m_listener)
                accept();
            else if (who == &m_wake)
                rung = true;
            else
                handle(*static_cast<Connection*>(who));
        }
        if (rung)
            takeBack(); // last: what it lets go may have an event among these
        lookAtTheTime();
    }
}

void HandshakeLoop::accept()
{
    while (m_connections.size() < m_maxConnections) {
        PeerAddress peer;
        const int fd =
            ::accept4(m_listener, peer.generic(), &peer.size, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            admit(fd, peer.text());
            continue;
        }
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
            m_acceptAgain = m_clock.now() + kAcceptPause; // the caller stays in the backlog
        return;
    }
}

void HandshakeLoop::admit(int fd, std::string peer)
{
    if (auto wrap = m_owner.faultOfNext())
        return serveFaulty(fd, std::move(wrap));
    auto session = m_owner.begin(std::move(peer));
    HandshakeResponder responder = m_owner.responderFor(*session);
    Owner made(new Connection(fd, std::move(session), std::move(responder)));
    Connection& connection = *made;
    m_connections.emplace(&connection, std::move(made));
    connection.whole = m_clock.now() + m_timeouts.whole;
    connection.deadline = std::min(m_clock.now() + m_timeouts.step, connection.whole);
    connection.out = connection.responder.start();
    watch(connection, true); // tells of what is there already
    static_cast<void>(send(connection));
}

/// What is misused on purpose takes a thread of its own.
void HandshakeLoop::serveFaulty(int fd, CloudHooks::Wrap wrap)
{
    m_faulty.emplace_back([this, fd, wrap = std::move(wrap)](const std::stop_token& stop) {
        m_owner.serve(fd, wrap, stop);
    });
}

void HandshakeLoop::watch(Connection& connection, bool isNew)
{
    const std::uint32_t events = connection.out.empty() ? EPOLLIN : EPOLLIN | EPOLLOUT;
    watchFor(m_poll, isNew ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, connection.fd, events | EPOLLET,
             &connection);
}

void HandshakeLoop::handle(Connection& connection)
{
    if (connection.withWorker || connection.leaving)
        return; // looked at again when it is back; what came stays in the kernel
    if (!send(connection))
        return;
    read(connection);
    advance(connection);
}

/// False: the connection is no longer the loop's.
bool HandshakeLoop::send(Connection& connection)
{
    if (connection.out.empty()) {
        if (connection.responder.isOver())
            finish(connection);
        return !connection.responder.isOver();
    }
    const ssize_t count = ::send(connection.fd, connection.out.data(), connection.out.size(),
                                 MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count < 0 && errno != EAGAIN && errno != EINTR) {
        connection.responder.notSent(errno == EPIPE || errno == ECONNRESET ? LineEnd::Closed
                                                                           : LineEnd::Broken);
        finish(connection);
        return false;
    }
    if (count > 0)
        connection.out.erase(connection.out.begin(), connection.out.begin() + count);
    if (!connection.out.empty()) {
        watch(connection, false); // the unit does not read: until its deadline
        return false;
    }
    connection.responder.sent();
    if (!connection.responder.isOver())
        return true;
    finish(connection);
    return false;
}

void HandshakeLoop::read(Connection& connection)
{
    const ByteView left = connection.received();
    std::copy(left.begin(), left.end(), connection.buffer.begin());
    connection.end = left.size();
    connection.at = 0;
    const std::size_t room = kBufferBytes - connection.end;
    const ssize_t count =
        ::recv(connection.fd, connection.buffer.data() + connection.end, room, MSG_DONTWAIT);
    connection.drained = count != static_cast<ssize_t>(room); // what comes later is an event again
    if (count > 0) {
        connection.end += static_cast<std::size_t>(count);
        connection.arrivedAt = m_clock.now();
    } else if (count == 0 || (errno != EAGAIN && errno != EINTR)) {
        connection.peerClosed = true;
    }
}

/// As many messages as are there.
void HandshakeLoop::advance(Connection& connection)
{
    HandshakeResponder& responder = connection.responder;
    while (true) {
        while (connection.received().size() >= responder.wanted()) {
            if (responder.isHeavy())
                return giveToWorkers(connection, false);
            const std::size_t size = responder.wanted();
            connection.out =
                responder.take(connection.received().first(size), connection.arrivedAt);
            connection.at += size;
            if (!send(connection))
                return;
        }
        if (connection.peerClosed)
            return giveUp(connection, LineEnd::Closed);
        if (connection.drained)
            break;
        read(connection);
    }
    if (connection.step != responder.step()) {
        connection.step = responder.step();
        const auto step = m_clock.now() + m_timeouts.step;
        connection.deadline = responder.hasPassed() ? step : std::min(step, connection.whole);
    }
}

void HandshakeLoop::lookAtTheTime()
{
    const auto now = m_clock.now();
    if (now < m_nextLook)
        return;
    m_nextLook = now + kLookEvery;
    std::vector<Connection*> due;
    for (const auto& [connection, owner] : m_connections) {
        if (!connection->withWorker && now >= connection->deadline)
            due.push_back(connection);
    }
    for (Connection* const connection : due) {
        if (connection->leaving)
            giveToWorkers(*connection, true);
        else
            giveUp(*connection, LineEnd::TimedOut);
    }
}

void HandshakeLoop::giveUp(Connection& connection, LineEnd end)
{
    if (connection.out.empty())
        connection.responder.ended(end, connection.received());
    else
        connection.responder.notSent(end);
    finish(connection);
}

/// The session is over; a refused unit leaves when it is time.
void HandshakeLoop::finish(Connection& connection)
{
    const auto leaveAt = connection.responder.leaveAt();
    if (!leaveAt)
        return giveToWorkers(connection, true);
    connection.leaving = true;
    connection.deadline = *leaveAt;
}

void HandshakeLoop::giveToWorkers(Connection& connection, bool ends)
{
    connection.withWorker = true;
    const MutexLock lock(m_mutex);
    m_tasks.push_back({.connection = &connection, .ends = ends});
    m_changed.notify_one();
}

/// What the workers have done.
void HandshakeLoop::takeBack()
{
    std::uint64_t rung = 0;
    static_cast<void>(::read(m_wake, &rung, sizeof rung));
    std::vector<Task> done;
    {
        const MutexLock lock(m_mutex);
        done.swap(m_done);
    }
    for (const Task& task : done) {
        Connection& connection = *task.connection;
        if (task.ends) {
            m_connections.erase(&connection); // hangs up
            continue;
        }
        connection.withWorker = false;
        handle(connection);
    }
}

// --- the workers

void HandshakeLoop::work(const std::stop_token& stop)
{
    while (true) {
        Task task;
        {
            MutexLock lock(m_mutex);
            const bool some = m_changed.wait(
                lock, stop, [this]() PROVOST_REQUIRES(m_mutex) { return !m_tasks.empty(); });
            if (!some || stop.stop_requested())
                return;
            task = m_tasks.front();
            m_tasks.pop_front();
        }
        runTask(task);
        bool first = false;
        {
            const MutexLock lock(m_mutex);
            first = m_done.empty();
            m_done.push_back(task);
        }
        if (first)
            ring(m_wake);
    }
}

void HandshakeLoop::runTask(Task& task)
{
    Connection& connection = *task.connection;
    HandshakeResponder& responder = connection.responder;
    if (task.ends) {
        connection.session->end(responder.finish());
        return;
    }
    const std::size_t size = responder.wanted();
    connection.out = responder.take(connection.received().first(size), connection.arrivedAt);
    connection.at += size;
}

/// Behind the last thread.
void HandshakeLoop::endAll()
{
    std::vector<Connection*> reported;
    {
        const MutexLock lock(m_mutex);
        for (const Task& task : m_done)
            if (task.ends)
                reported.push_back(task.connection);
    }
    for (const auto& [connection, owner] : m_connections) {
        if (std::ranges::find(reported, connection) != reported.end())
            continue;
        HandshakeResponder& responder = connection->responder;
        if (!responder.isOver())
            responder.ended(LineEnd::Cancelled, connection->received());
        connection->session->end(responder.finish());
    }
    m_connections.clear();
}

} // namespace provost
