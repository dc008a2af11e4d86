#include "cloud/tcp_listener_p.h"

#include "core/text.h"

#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <system_error>
#include <unistd.h>

namespace provost {

namespace {

using namespace std::chrono_literals;

constexpr int kBacklog = 128;
/// How soon the accept thread sees a stop.
constexpr int kAcceptSliceMs = 50;

struct Address {
    sockaddr_storage storage{};
    socklen_t size = 0;
    sockaddr* generic() { return static_cast<sockaddr*>(static_cast<void*>(&storage)); }
    sockaddr_in& v4() { return *static_cast<sockaddr_in*>(static_cast<void*>(&storage)); }
    sockaddr_in6& v6() { return *static_cast<sockaddr_in6*>(static_cast<void*>(&storage)); }
};

std::optional<Address> parseLiteral(const std::string& text, std::uint16_t port)
{
    Address address;
    if (::inet_pton(AF_INET, text.c_str(), &address.v4().sin_addr) == 1) {
        address.v4().sin_family = AF_INET;
        address.v4().sin_port = htons(port);
        address.size = sizeof(sockaddr_in);
        return address;
    }
    if (::inet_pton(AF_INET6, text.c_str(), &address.v6().sin6_addr) == 1) {
        address.v6().sin6_family = AF_INET6;
        address.v6().sin6_port = htons(port);
        address.size = sizeof(sockaddr_in6);
        return address;
    }
    return std::nullopt;
}

bool isLoopback(Address address)
{
    if (address.storage.ss_family == AF_INET)
        return (ntohl(address.v4().sin_addr.s_addr) >> 24) == IN_LOOPBACKNET;
    return IN6_IS_ADDR_LOOPBACK(&address.v6().sin6_addr) != 0;
}

std::optional<std::string> addressOfInterface(const std::string& name)
{
    ifaddrs* all = nullptr;
    if (::getifaddrs(&all) != 0)
        return std::nullopt;
    const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> owner(all, &::freeifaddrs);
    for (const ifaddrs* item = all; item != nullptr; item = item->ifa_next) {
        if (item->ifa_addr == nullptr || item->ifa_addr->sa_family != AF_INET ||
            name != item->ifa_name)
            continue;
        const auto* const v4 =
            static_cast<const sockaddr_in*>(static_cast<const void*>(item->ifa_addr));
        std::array<char, INET_ADDRSTRLEN> text{};
        if (::inet_ntop(AF_INET, &v4->sin_addr, text.data(), text.size()) != nullptr)
            return std::string(text.data());
    }
    return std::nullopt;
}

Unexpected broken(std::string_view attempt, const TcpListener::Config& config, int error)
{
    Errc code = Errc::Io;
    if (error == EADDRINUSE)
        code = Errc::Busy;
    else if (error == EACCES || error == EADDRNOTAVAIL)
        code = Errc::Denied;
    return fail(
        code, Blame::Station,
        concat(attempt, " ", config.address.literal, ":", config.port, ": ", systemMessage(error)),
        error);
}

} // namespace

Result<BindAddress> resolveBindAddress(const std::string& host)
{
    const std::string wanted = host == "localhost" ? "127.0.0.1" : host;
    if (const auto literal = parseLiteral(wanted, 0))
        return BindAddress{.literal = wanted, .loopback = isLoopback(*literal)};
    if (const auto found = addressOfInterface(wanted)) {
        const auto address = parseLiteral(*found, 0);
        return BindAddress{.literal = *found, .loopback = address && isLoopback(*address)};
    }
    return fail(Errc::InvalidArgument, Blame::Operator,
                concat("listen on ", host,
                       ": neither an IP address nor a network interface with an IPv4 address"));
}

Result<std::unique_ptr<TcpListener>> TcpListener::start(const Config& config, Handler handler)
{
    auto address = parseLiteral(config.address.literal, config.port);
    ENSURE(address.has_value());
    const int fd =
        ::socket(address->storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return broken("open a socket for", config, errno);
    const int on = 1;
    ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    Address bound;
    bound.size = sizeof bound.storage;
    if (::bind(fd, address->generic(), address->size) != 0 || ::listen(fd, kBacklog) != 0 ||
        ::getsockname(fd, bound.generic(), &bound.size) != 0) {
        const int error = errno;
        ::close(fd);
        return broken("listen on", config, error);
    }
    const std::uint16_t port =
        ntohs(bound.storage.ss_family == AF_INET ? bound.v4().sin_port : bound.v6().sin6_port);
    return std::unique_ptr<TcpListener>(
        new TcpListener(fd, port, config.maxConnections, std::move(handler)));
}

TcpListener::TcpListener(int fd, std::uint16_t port, std::size_t maxConnections, Handler handler)
    : m_fd(fd), m_port(port), m_maxConnections(maxConnections), m_handler(std::move(handler)),
      m_acceptor([this] { acceptLoop(m_stop.get_token()); })
{
}

TcpListener::~TcpListener()
{
    m_stop.request_stop();
    m_acceptor.join();
    ::close(m_fd);
    // Nobody accepts any more, so the list stays as it is; every handler sees the stop.
    std::list<Connection> last;
    {
        const MutexLock lock(m_mutex);
        last.swap(m_connections);
    }
    for (Connection& connection : last)
        connection.thread.join();
}

void TcpListener::acceptLoop(const std::stop_token& stop)
{
    while (waitForRoom(stop)) {
        pollfd ready{.fd = m_fd, .events = POLLIN};
        if (::poll(&ready, 1, kAcceptSliceMs) <= 0)
            continue;
        const int fd = ::accept4(m_fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            serve(fd);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            // The caller stays in the backlog; connections that end make room.
            MutexLock lock(m_mutex);
            m_changed.wait_for(lock, stop, 50ms, [] { return false; });
        }
    }
}

bool TcpListener::waitForRoom(const std::stop_token& stop)
{
    reap();
    MutexLock lock(m_mutex);
    m_changed.wait(lock, stop,
                   [this]() PROVOST_REQUIRES(m_mutex) { return m_active < m_maxConnections; });
    return !stop.stop_requested();
}

void TcpListener::reap()
{
    std::list<Connection> ended;
    const MutexLock lock(m_mutex);
    for (auto item = m_connections.begin(); item != m_connections.end();) {
        const auto current = item++;
        if (current->done)
            ended.splice(ended.end(), m_connections, current);
    }
    // The threads in `ended` have nothing left to do but to return: joining them is quick.
}

void TcpListener::serve(int fd)
{
    const MutexLock lock(m_mutex);
    Connection& connection = m_connections.emplace_back();
    ++m_active;
    try {
        connection.thread = std::jthread([this, fd, &connection] {
            m_handler(fd, m_stop.get_token());
            const MutexLock done(m_mutex);
            connection.done = true;
            --m_active;
            m_changed.notify_all();
        });
    } catch (const std::system_error&) { // no thread to be had: the caller is turned away
        ::close(fd);
        m_connections.pop_back();
        --m_active;
    }
}

} // namespace provost
