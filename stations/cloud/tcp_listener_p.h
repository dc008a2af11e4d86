// A listening socket with a bounded number of connections, each in a thread of its own.
#pragma once

#include "core/mutex.h"
#include "core/result.h"

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <stop_token>
#include <string>
#include <sys/socket.h>
#include <thread>

namespace provost {

/// Where to listen: a literal address, `localhost`, or the name of a network interface (its first
/// IPv4 address is taken). Names are not looked up: a listener must not move with a DNS answer.
struct BindAddress {
    std::string literal{}; ///< what clients dial
    bool loopback = false;
};
Result<BindAddress> resolveBindAddress(const std::string& host);

/// Who called, as accept4() fills it.
struct PeerAddress {
    sockaddr_storage storage{};
    socklen_t size = sizeof(sockaddr_storage);
    sockaddr* generic() { return static_cast<sockaddr*>(static_cast<void*>(&storage)); }
    std::string text() const; ///< `127.0.0.1:40112`, `[::1]:40112`
};

/// Stops and joins every connection when it goes.
class TcpListener {
public:
    /// Runs in the connection's thread and owns the socket (non-blocking, close-on-exec).
    using Handler = std::function<void(int fd, std::stop_token stop)>;
    struct Config {
        BindAddress address{};
        std::uint16_t port = 0; ///< 0: any free one
        std::size_t maxConnections = 64;
    };

    /// @returns Busy    somebody listens there already
    ///          Denied  the port or address may not be used
    static Result<std::unique_ptr<TcpListener>> start(const Config& config, Handler handler);
    ~TcpListener();
    std::uint16_t port() const { return m_port; }

    /// A listening socket alone: non-blocking, close-on-exec, without delay for small answers.
    static Result<std::pair<int, std::uint16_t>> open(const Config& config);

private:
    struct Connection {
        std::jthread thread{};
        bool done = false; ///< guarded by m_mutex
    };
    TcpListener(int fd, std::uint16_t port, std::size_t maxConnections, Handler handler);
    void acceptLoop(const std::stop_token& stop);
    bool waitForRoom(const std::stop_token& stop);
    void reap();
    void serve(int fd);

    int m_fd;
    std::uint16_t m_port;
    std::size_t m_maxConnections;
    Handler m_handler;
    std::stop_source m_stop{};
    Mutex m_mutex;
    std::condition_variable_any m_changed{};
    std::size_t m_active PROVOST_GUARDED_BY(m_mutex) = 0;
    std::list<Connection> m_connections PROVOST_GUARDED_BY(m_mutex){};
    std::jthread m_acceptor{}; ///< last: starts when everything else is there
};

} // namespace provost
