#include "cloud/handshake_loop_p.h"

#include "core/text.h"
#include "protocol/handshake_responder.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

namespace provost {

using namespace std::chrono_literals;
using handshake::LineEnd;

namespace {

/// How often deadlines are looked at, and how late a unit is hung up on at most.
constexpr auto kLookEvery = 20ms;
/// While no descriptor is to be had: connections that end make room.
constexpr auto kAcceptPause = 50ms;
constexpr std::size_t kEventsAtOnce = 256;
/// Five milliseconds of RSA for each, or more.
constexpr std::size_t kBacklogPerWorker = 20;
constexpr auto kGatherFor = 5ms;
constexpr std::uint32_t kEndEvents = EPOLLRDHUP | EPOLLHUP | EPOLLERR;
/// Holds the largest frame and the head of the next; what is behind it waits in the kernel.
constexpr std::size_t kBufferBytes = 1024;

// What an event carries: one of these, or the number of a connection.
constexpr std::uint64_t kListenerEvent = 0;
constexpr std::uint64_t kWakeEvent = 1;

void watchFor(int poll, int operation, int fd, std::uint32_t events, std::uint64_t who)
{
    epoll_event event{};
    event.events = events;
    event.data.u64 = who;
    ::epoll_ctl(poll, operation, fd, &event);
}

void ring(int wake)
{
    const std::uint64_t one = 1;
    static_cast<void>(::write(wake, &one, sizeof one)); // fails only where it rings already
}

} // namespace

/// Who may touch a connection.
enum class Holder : std::uint8_t {
    Loop,
    Worker,
    WorkerAsked ///< and something happens on the line: it is to be given back aloud
};

struct HandshakeLoop::Connection {
    Connection(int theFd, std::unique_ptr<HandshakeConnections::Session> theSession,
               HandshakeResponder theResponder)
        : fd(theFd), session(std::move(theSession)), responder(std::move(theResponder))
    {
    }
    ~Connection() { hangUp(); }
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    ByteView received() const { return ByteView(buffer).subspan(at, end - at); }
    void hangUp()
    {
        if (fd >= 0)
            ::close(std::exchange(fd, -1));
    }
    /// For the loop. False: a worker has it, and takeBack() goes on where this left off.
    bool isMine()
    {
        auto seen = Holder::Worker;
        return !holder.compare_exchange_strong(seen, Holder::WorkerAsked) && seen == Holder::Loop;
    }
    /// For a worker, as its last word. False: the loop was asked for it and must be told.
    bool leaveQuietly()
    {
        auto seen = Holder::Worker;
        return holder.compare_exchange_strong(seen, Holder::Loop);
    }

    std::uint64_t number = 0; ///< never used again: an event may come after its connection is gone
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
    bool toTheEnd = false; ///< read until nothing is left: an end of the line may be behind
    bool drained = true;   ///< nothing is in the kernel that no event will tell
    bool peerClosed = false;
    bool leaving = false;     ///< refused, until leaveAt()
    HandshakeReport report{}; ///< once it is over
    std::atomic<Holder> holder = Holder::Loop;
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
    watchFor(m_poll, EPOLL_CTL_ADD, m_wake, EPOLLIN, kWakeEvent);
    watchFor(m_poll, EPOLL_CTL_ADD, m_listener, 0, kListenerEvent);
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
            watchFor(m_poll, EPOLL_CTL_MOD, m_listener, room ? EPOLLIN : 0U, kListenerEvent);
        m_listening = room;
        letThemGather();
        const int wait = static_cast<int>(std::chrono::milliseconds(kLookEvery).count());
        const int count =
            ::epoll_wait(m_poll, events.data(), static_cast<int>(events.size()), wait);
        bool rung = false;
        for (int i = 0; i < count; ++i) {
            const auto& [what, data] = events[static_cast<std::size_t>(i)];
            if (data.u64 == kListenerEvent)
                accept();
            else if (data.u64 == kWakeEvent)
                rung = true;
            else if (const auto found = m_connections.find(data.u64); found != m_connections.end())
                handle(*found->second, (what & kEndEvents) != 0);
        }
        if (rung)
            forgetRing();
        takeBack();
        lookAtTheTime();
        for (const std::uint64_t number : m_closed)
            m_connections.erase(number);
        m_closed.clear();
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
    connection.number = ++m_latest;
    m_connections.emplace(connection.number, std::move(made));
    connection.whole = m_clock.now() + m_timeouts.whole;
    startStep(connection);
    m_earliest = std::min(m_earliest, connection.deadline);
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
    const std::uint32_t out = isNew ? 0U : EPOLLOUT;
    watchFor(m_poll, isNew ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, connection.fd,
             EPOLLIN | EPOLLRDHUP | EPOLLET | out, connection.number);
}

/// @param toTheEnd  the end of the line may be behind what is there to be read
void HandshakeLoop::handle(Connection& connection, bool toTheEnd)
{
    if (!connection.isMine() || connection.leaving)
        return; // what came stays in the kernel
    connection.toTheEnd = toTheEnd;
    if (!send(connection))
        return;
    read(connection);
    advance(connection);
}

/// False: the connection is no longer the loop's.
bool HandshakeLoop::send(Connection& connection)
{
    const bool all = sendOn(connection);
    if (connection.responder.isOver()) {
        finish(connection);
        return false;
    }
    if (!all)
        watch(connection, false); // the unit does not read: until its deadline
    return all;
}

/// False: not all could be sent; where the line is broken, the session is over.
bool HandshakeLoop::sendOn(Connection& connection)
{
    if (connection.out.empty())
        return true;
    // The last answer goes with the end of the line, in one packet: see close().
    const bool last = connection.responder.isLast();
    const ssize_t count = ::send(connection.fd, connection.out.data(), connection.out.size(),
                                 MSG_NOSIGNAL | MSG_DONTWAIT | (last ? MSG_MORE : 0));
    if (count < 0 && errno != EAGAIN && errno != EINTR) {
        const bool closed = errno == EPIPE || errno == ECONNRESET;
        connection.responder.notSent(closed ? LineEnd::Closed : LineEnd::Broken);
        connection.out.clear();
        return false;
    }
    if (count > 0)
        connection.out.erase(connection.out.begin(), connection.out.begin() + count);
    if (!connection.out.empty())
        return false;
    connection.responder.sent();
    return true;
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
    // What comes later is an event again.
    connection.drained = count <= 0 || (count < static_cast<ssize_t>(room) && !connection.toTheEnd);
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
    if (connection.step != responder.step())
        startStep(connection);
}

/// Never makes the deadline an earlier one.
void HandshakeLoop::startStep(Connection& connection) const
{
    connection.step = connection.responder.step();
    const auto step = m_clock.now() + m_timeouts.step;
    connection.deadline =
        connection.responder.hasPassed() ? step : std::min(step, connection.whole);
}

void HandshakeLoop::lookAtTheTime()
{
    const auto now = m_clock.now();
    if (now < m_nextLook || now < m_earliest)
        return;
    m_nextLook = now + kLookEvery;
    m_earliest = Clock::Steady::max();
    std::vector<Connection*> due;
    for (const auto& [number, connection] : m_connections) {
        if (connection->holder.load() != Holder::Loop)
            m_earliest = std::min(m_earliest, m_nextLook); // its deadline is being moved
        else if (now >= connection->deadline)
            due.push_back(connection.get());
        else
            m_earliest = std::min(m_earliest, connection->deadline);
    }
    for (Connection* const connection : due) {
        if (connection->leaving)
            close(*connection);
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
        return close(connection);
    connection.leaving = true;
    connection.deadline = *leaveAt;
    m_earliest = std::min(m_earliest, *leaveAt);
}

void HandshakeLoop::close(Connection& connection)
{
    connection.report = connection.responder.finish();
    if (connection.leaving)
        connection.hangUp(); // first: what the report takes would tell the peer something
    if (connection.session->endsWithFiles(connection.report)) {
        if (!connection.leaving)
            ::shutdown(connection.fd, SHUT_WR); // sends what is there
        return giveToWorkers(connection, true);
    }
    connection.holder.store(Holder::Worker); // nobody's any more
    end(connection);
    m_closed.push_back(connection.number);
}

void HandshakeLoop::giveToWorkers(Connection& connection, bool ends)
{
    connection.holder.store(Holder::Worker);
    const MutexLock lock(m_mutex);
    m_tasks.push_back({.connection = &connection, .ends = ends});
    m_changed.notify_one();
}

void HandshakeLoop::forgetRing() const
{
    std::uint64_t rung = 0;
    static_cast<void>(::read(m_wake, &rung, sizeof rung));
}

/// While the workers have enough to do, nobody is served sooner by looking at each event alone.
void HandshakeLoop::letThemGather()
{
    {
        const MutexLock lock(m_mutex);
        if (m_tasks.size() < kBacklogPerWorker * m_workers.size())
            return;
    }
    std::this_thread::sleep_for(kGatherFor);
}

/// What the workers give back.
void HandshakeLoop::takeBack()
{
    std::vector<Task> done;
    {
        const MutexLock lock(m_mutex);
        done.swap(m_done);
        m_rung = false;
    }
    for (const Task& task : done) {
        Connection& connection = *task.connection;
        if (task.ends) {
            m_closed.push_back(connection.number);
            continue;
        }
        connection.holder.store(Holder::Loop);
        handle(connection, true);
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
        if (!runTask(task))
            continue;
        bool rings = false;
        {
            const MutexLock lock(m_mutex);
            m_done.push_back(task);
            // What has ended waits for the loop's next round, which is never far.
            rings = !task.ends && !std::exchange(m_rung, m_rung || !task.ends);
        }
        if (rings)
            ring(m_wake);
    }
}

/// False: the loop need not be told.
bool HandshakeLoop::runTask(const Task& task)
{
    if (!task.ends)
        return !answer(*task.connection);
    end(*task.connection);
    return true;
}

/// True: the answer is sent, and the next event is the loop's.
bool HandshakeLoop::answer(Connection& connection)
{
    HandshakeResponder& responder = connection.responder;
    const std::size_t size = responder.wanted();
    connection.out = responder.take(connection.received().first(size), connection.arrivedAt);
    connection.at += size;
    if (!sendOn(connection) || responder.isOver() || connection.peerClosed || !connection.drained ||
        !connection.received().empty())
        return false;
    startStep(connection);
    return connection.leaveQuietly();
}

/// Reports and hangs up.
void HandshakeLoop::end(Connection& connection)
{
    connection.session->end(connection.report);
    connection.hangUp();
}

/// Behind the last thread.
void HandshakeLoop::endAll()
{
    std::vector<Connection*> ending;
    {
        const MutexLock lock(m_mutex);
        for (const Task& task : m_done)
            if (task.ends)
                m_connections.erase(task.connection->number); // reported
        for (const Task& task : m_tasks)
            if (task.ends)
                ending.push_back(task.connection);
    }
    for (Connection* const connection : ending) {
        connection->session->end(connection->report);
        m_connections.erase(connection->number);
    }
    for (const auto& [number, connection] : m_connections) {
        HandshakeResponder& responder = connection->responder;
        if (!responder.isOver())
            responder.ended(LineEnd::Cancelled, connection->received());
        connection->session->end(responder.finish());
    }
    m_connections.clear();
}

} // namespace provost
