#include "sim/tcp_line.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace provost::sim {

namespace {

using namespace std::chrono_literals;
namespace e = cloud_error;

constexpr auto kSlice = 10ms;

int firmwareError(int systemError)
{
    switch (systemError) {
    case ECONNRESET:
    case EPIPE:
        return e::kResetByPeer;
    case ETIMEDOUT:
        return e::kTimedOut;
    default:
        return -20; // not connected (5.8)
    }
}

} // namespace

TcpLine::~TcpLine()
{
    if (m_socket >= 0)
        ::close(m_socket);
}

int TcpLine::connect(std::uint32_t ipv4, std::uint16_t port, std::chrono::milliseconds patience)
{
    if (ipv4 >> 24 != 127)
        return -20;
    m_socket = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (m_socket < 0)
        return firmwareError(errno);
    const int on = 1;
    ::setsockopt(m_socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    sockaddr_in where{};
    where.sin_family = AF_INET;
    where.sin_port = htons(port);
    where.sin_addr.s_addr = htonl(ipv4);
    sockaddr generic{};
    static_assert(sizeof generic == sizeof where);
    std::memcpy(&generic, &where, sizeof where);
    if (::connect(m_socket, &generic, sizeof generic) == 0)
        return e::kNone;
    if (errno != EINPROGRESS)
        return firmwareError(errno);
    const int ready = wait(POLLOUT, patience);
    if (ready <= 0)
        return ready == 0 ? e::kTimedOut : ready;
    int error = 0;
    socklen_t size = sizeof error;
    ::getsockopt(m_socket, SOL_SOCKET, SO_ERROR, &error, &size);
    return error == 0 ? e::kNone : firmwareError(error);
}

int TcpLine::wait(short events, std::chrono::milliseconds patience)
{
    const auto until = std::chrono::steady_clock::now() + patience;
    while (true) {
        if (m_interrupted())
            return e::kInterrupted;
        const auto left =
            std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
        if (left.count() <= 0)
            return 0;
        pollfd entry{.fd = m_socket, .events = events, .revents = 0};
        const auto slice = std::min<std::chrono::milliseconds>(kSlice, left);
        const int ready = ::poll(&entry, 1, static_cast<int>(slice.count()));
        if (ready > 0)
            return 1;
        if (ready < 0 && errno != EINTR)
            return firmwareError(errno);
    }
}

int TcpLine::waitReadable(std::chrono::milliseconds patience)
{
    return wait(POLLIN, patience);
}

int TcpLine::receive(ByteSpan to, std::chrono::milliseconds patience)
{
    while (!to.empty()) {
        const int ready = wait(POLLIN, patience);
        if (ready <= 0)
            return ready == 0 ? e::kTimedOut : ready;
        const ssize_t got = ::recv(m_socket, to.data(), to.size(), 0);
        if (got == 0)
            return e::kClosedByPeer;
        if (got < 0 && errno != EAGAIN && errno != EINTR)
            return firmwareError(errno);
        if (got > 0)
            to = to.subspan(static_cast<std::size_t>(got));
    }
    return e::kNone;
}

int TcpLine::send(ByteView bytes)
{
    while (!bytes.empty()) {
        const int ready = wait(POLLOUT, 20000ms);
        if (ready <= 0)
            return ready == 0 ? e::kTimedOut : ready;
        const ssize_t put = ::send(m_socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (put < 0 && errno != EAGAIN && errno != EINTR)
            return firmwareError(errno);
        if (put > 0)
            bytes = bytes.subspan(static_cast<std::size_t>(put));
    }
    return e::kNone;
}

} // namespace provost::sim
