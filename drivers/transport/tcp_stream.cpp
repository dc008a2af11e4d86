#include "transport/tcp_stream.h"

#include "core/text.h"
#include "transport/fd_io_p.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

namespace provost {

namespace {

using AddressList = std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)>;

std::string peerOf(int fd)
{
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    auto* const generic = reinterpret_cast<sockaddr*>(&address);
    std::array<char, NI_MAXHOST> host{};
    std::array<char, NI_MAXSERV> port{};
    if (::getpeername(fd, generic, &size) != 0 ||
        (address.ss_family != AF_INET && address.ss_family != AF_INET6) ||
        ::getnameinfo(generic, size, host.data(), host.size(), port.data(), port.size(),
                      NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        return {};
    return address.ss_family == AF_INET6 ? concat("[", host.data(), "]:", port.data())
                                         : concat(host.data(), ":", port.data());
}

Result<AddressList> resolve(const std::string& host, std::uint16_t port)
{
    const addrinfo hints{.ai_flags = AI_NUMERICSERV | AI_ADDRCONFIG,
                         .ai_family = AF_UNSPEC,
                         .ai_socktype = SOCK_STREAM};
    addrinfo* found = nullptr;
    int rc = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
    if (rc != 0) {
        // A host without a configured interface still has its loopback.
        const addrinfo literal{.ai_flags = AI_NUMERICSERV | AI_NUMERICHOST,
                               .ai_family = AF_UNSPEC,
                               .ai_socktype = SOCK_STREAM};
        if (::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &literal, &found) == 0)
            rc = 0;
    }
    if (rc != 0)
        return fail(Errc::NotFound, Blame::Station,
                    concat("look up ", host, ": ", ::gai_strerror(rc)), rc);
    return AddressList(found, &::freeaddrinfo);
}

Result<int> connectOne(const addrinfo& address, const std::string& name, const OpContext& op)
{
    const int fd = ::socket(address.ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return fail(Errc::Io, Blame::Station,
                    concat("connect to ", name, ": ", systemMessage(errno)), errno);
    FdIo io(fd, FdKind::Socket, name);
    int error = ::connect(fd, address.ai_addr, address.ai_addrlen) == 0 ? 0 : errno;
    if (error == EINPROGRESS) {
        TRY(io.waitFor(POLLOUT, op));
        socklen_t size = sizeof error;
        if (::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0)
            error = errno;
    }
    if (error != 0)
        return fail(Errc::Unavailable, Blame::Station,
                    concat("connect to ", name, ": ", systemMessage(error)), error);
    return io.release();
}

} // namespace

struct TcpStream::Impl {
    FdIo io{};
    std::string peer{};
};

Result<std::unique_ptr<TcpStream>> TcpStream::connect(const std::string& host, std::uint16_t port,
                                                      const OpContext& op)
{
    const auto addresses = TRY(resolve(host, port));
    Result<int> fd = fail(Errc::NotFound, Blame::Station, concat("look up ", host, ": no address"));
    for (const addrinfo* item = addresses.get(); item != nullptr; item = item->ai_next) {
        fd = connectOne(*item, concat(host, ":", port), op);
        if (fd || fd.error().code == Errc::Cancelled || fd.error().code == Errc::Timeout)
            break;
    }
    if (!fd)
        return Unexpected(std::move(fd).error());
    return std::make_unique<TcpStream>(*fd);
}

TcpStream::TcpStream(int connectedFd) : m_impl(std::make_unique<Impl>())
{
    const int on = 1;
    // Requests and answers are small: without this, delayed acknowledgements cost 40 ms each.
    ::setsockopt(connectedFd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    m_impl->peer = peerOf(connectedFd);
    m_impl->io = FdIo(connectedFd, FdKind::Socket,
                      m_impl->peer.empty() ? std::string("socket") : m_impl->peer);
}

TcpStream::~TcpStream() = default;

const std::string& TcpStream::peer() const
{
    return m_impl->peer;
}

Result<std::size_t> TcpStream::readSome(ByteSpan to, const OpContext& op)
{
    return m_impl->io.readSome(to, op);
}

Result<> TcpStream::writeAll(ByteView data, const OpContext& op)
{
    return m_impl->io.writeAll(data, op);
}

Result<> TcpStream::discardInput()
{
    std::array<char, 512> sink{};
    // Bounded: a peer that never stops talking must not hold the caller.
    for (int i = 0; i < 4096; ++i) {
        if (::recv(m_impl->io.fd(), sink.data(), sink.size(), MSG_DONTWAIT) <= 0)
            break;
    }
    return {};
}

void TcpStream::shutdownWrite()
{
    ::shutdown(m_impl->io.fd(), SHUT_WR);
}

int TcpStream::release()
{
    return m_impl->io.release();
}

} // namespace provost
