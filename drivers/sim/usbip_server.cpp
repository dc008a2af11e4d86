#include "sim/usbip_server.h"

#include "core/text.h"
#include "sim/usbip_session_p.h"

#include <arpa/inet.h>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <list>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <thread>

namespace provost::sim {

namespace {

constexpr std::size_t kMostClients = 128;
constexpr int kBacklog = 32;

struct AddressListDeleter {
    void operator()(addrinfo* list) const { ::freeaddrinfo(list); }
};

struct BoundSocket {
    UniqueFd fd{};
    std::uint16_t port = 0;
};

Errc codeOf(int error)
{
    if (error == EADDRINUSE)
        return Errc::Busy;
    if (error == EACCES)
        return Errc::Denied;
    return error == EADDRNOTAVAIL ? Errc::InvalidArgument : Errc::Io;
}

std::uint16_t boundPort(int fd)
{
    sockaddr_storage address{};
    socklen_t length = sizeof address;
    ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length);
    sockaddr_in6 v6{};
    sockaddr_in v4{};
    if (address.ss_family == AF_INET6) {
        std::memcpy(&v6, &address, sizeof v6);
        return ntohs(v6.sin6_port);
    }
    std::memcpy(&v4, &address, sizeof v4);
    return ntohs(v4.sin_port);
}

Result<BoundSocket> listenAt(const UsbIpAddress& at)
{
    const std::string attempt = concat("serve USB/IP at ", at.host, ":", at.port);
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV;
    addrinfo* raw = nullptr;
    const std::string service = toPiece(at.port);
    if (const int code = ::getaddrinfo(at.host.c_str(), service.c_str(), &hints, &raw); code != 0)
        return fail(Errc::InvalidArgument, Blame::Operator,
                    concat(attempt, ": ", ::gai_strerror(code), "; give a literal address"), code);
    const std::unique_ptr<addrinfo, AddressListDeleter> list(raw);
    UniqueFd fd(::socket(raw->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const int one = 1;
    ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (!fd.valid() || ::bind(fd.get(), raw->ai_addr, raw->ai_addrlen) != 0 ||
        ::listen(fd.get(), kBacklog) != 0) {
        const int error = errno;
        return fail(codeOf(error), Blame::Station, concat(attempt, ": ", systemMessage(error)),
                    error);
    }
    const std::uint16_t port = boundPort(fd.get());
    return BoundSocket{.fd = std::move(fd), .port = port};
}

} // namespace

/// Accepts clients on a thread of its own and gives each one another.
class UsbIpServer::Listener {
public:
    Listener(BoundSocket socket, VirtualPorts ports, Pace pace)
        : m_socket(std::move(socket)), m_ports(std::move(ports)), m_pace(pace),
          m_thread([this](const std::stop_token& stop) { acceptClients(stop); })
    {
    }
    std::uint16_t port() const { return m_socket.port; }

private:
    struct Client {
        std::atomic<bool> done = false;
        std::jthread thread{};
    };

    void acceptClients(const std::stop_token& stop)
    {
        const std::stop_callback onStop(stop, [this] { m_wake.raise(); });
        std::list<Client> clients;
        while (!stop.stop_requested()) {
            pollfd fds[] = {{.fd = m_socket.fd.get(), .events = POLLIN, .revents = 0},
                            {.fd = m_wake.fd(), .events = POLLIN, .revents = 0}};
            ::poll(fds, 2, -1);
            m_wake.clear();
            clients.remove_if([](const Client& client) { return client.done.load(); });
            UniqueFd fd(::accept4(m_socket.fd.get(), nullptr, nullptr, SOCK_CLOEXEC));
            if (fd.valid() && clients.size() < kMostClients)
                serve(clients.emplace_back(), std::move(fd));
        }
        for (Client& client : clients)
            client.thread.request_stop(); // all at once, then joined one by one
    }

    void serve(Client& client, UniqueFd fd)
    {
        const int one = 1;
        ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        auto session = std::make_unique<UsbIpSession>(std::move(fd), m_ports, m_pace);
        client.thread = std::jthread(
            [this, &client, session = std::move(session)](std::stop_token stop) mutable {
                session->run(std::move(stop));
                session.reset();
                client.done = true;
                m_wake.raise();
            });
    }

    const BoundSocket m_socket;
    const VirtualPorts m_ports;
    const Pace m_pace;
    const WakeUp m_wake;
    std::jthread m_thread; ///< last: it uses the others
};

Result<std::unique_ptr<UsbIpServer>> UsbIpServer::start(VirtualPorts ports, Pace pace,
                                                        const UsbIpAddress& at)
{
    BoundSocket socket = TRY(listenAt(at));
    auto listener = std::make_unique<Listener>(std::move(socket), std::move(ports), pace);
    return std::unique_ptr<UsbIpServer>(new UsbIpServer(std::move(listener)));
}

UsbIpServer::UsbIpServer(std::unique_ptr<Listener> listener) : m_listener(std::move(listener)) {}

UsbIpServer::~UsbIpServer() = default;

std::uint16_t UsbIpServer::port() const
{
    return m_listener->port();
}

std::string UsbIpServer::busId(std::size_t index)
{
    return concat("1-", index + 1);
}

} // namespace provost::sim
