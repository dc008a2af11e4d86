// A TCP proxy on loopback that cuts its line at the n-th piece of what it carries.
#pragma once

#include "core/byte_io.h"
#include "core/mutex.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <stdexcept>
#include <thread>

namespace provost::test {

/// One connection at a time suffices its users; each gets a thread of its own.
class CuttingProxy {
public:
    explicit CuttingProxy(std::uint16_t upstream)
        : m_upstream(upstream), m_listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0))
    {
        sockaddr_in at = loopback(0);
        socklen_t size = sizeof at;
        auto* const generic = static_cast<sockaddr*>(static_cast<void*>(&at));
        if (m_listener < 0 || ::bind(m_listener, generic, size) != 0 ||
            ::listen(m_listener, 8) != 0 || ::getsockname(m_listener, generic, &size) != 0)
            throw std::runtime_error("no port on loopback");
        m_port = ntohs(at.sin_port);
        m_accepting = std::jthread([this](const std::stop_token& stop) { accept(stop); });
    }
    ~CuttingProxy()
    {
        m_accepting.request_stop();
        m_accepting.join();
        m_lines.clear();
        ::close(m_listener);
    }
    CuttingProxy(const CuttingProxy&) = delete;
    CuttingProxy& operator=(const CuttingProxy&) = delete;

    std::uint16_t port() const { return m_port; }
    /// The `piece`-th (from 0) of what is carried from now on, in both directions together, is the
    /// last: not a byte of it arrives, or its first half. -1: none.
    void cutAt(int piece, bool half)
    {
        m_half = half;
        m_carried = 0;
        m_cutAt = piece;
    }
    int carried() const { return m_carried; }

private:
    static sockaddr_in loopback(std::uint16_t port)
    {
        sockaddr_in at{};
        at.sin_family = AF_INET;
        at.sin_port = htons(port);
        at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        return at;
    }
    void accept(const std::stop_token& stop)
    {
        while (!stop.stop_requested()) {
            pollfd waiting{.fd = m_listener, .events = POLLIN, .revents = 0};
            if (::poll(&waiting, 1, 20) <= 0)
                continue;
            const int client = ::accept4(m_listener, nullptr, nullptr, SOCK_CLOEXEC);
            if (client >= 0)
                m_lines.emplace_back(
                    [this, client](const std::stop_token& ends) { carry(client, ends); });
        }
    }
    void carry(int client, const std::stop_token& stop)
    {
        const int server = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in at = loopback(m_upstream);
        const int on = 1;
        ::setsockopt(server, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        ::setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        bool alive =
            ::connect(server, static_cast<sockaddr*>(static_cast<void*>(&at)), sizeof at) == 0;
        while (alive && !stop.stop_requested()) {
            std::array<pollfd, 2> both{pollfd{.fd = client, .events = POLLIN, .revents = 0},
                                       pollfd{.fd = server, .events = POLLIN, .revents = 0}};
            if (::poll(both.data(), both.size(), 20) <= 0)
                continue;
            if (both[0].revents != 0)
                alive = move(client, server);
            if (alive && both[1].revents != 0)
                alive = move(server, client);
        }
        ::close(client);
        ::close(server);
    }
    /// False: it is over.
    bool move(int from, int to)
    {
        std::array<std::byte, 65536> piece{};
        const auto got = ::recv(from, piece.data(), piece.size(), 0);
        if (got <= 0)
            return false;
        auto count = static_cast<std::size_t>(got);
        const bool cut = m_carried++ == m_cutAt;
        if (cut)
            count = m_half ? count / 2 : 0;
        for (std::size_t sent = 0; sent < count;) {
            const auto more = ::send(to, piece.data() + sent, count - sent, MSG_NOSIGNAL);
            if (more <= 0)
                return false;
            sent += static_cast<std::size_t>(more);
        }
        return !cut;
    }

    const std::uint16_t m_upstream;
    const int m_listener;
    std::uint16_t m_port = 0;
    std::atomic<int> m_cutAt = -1;
    std::atomic<int> m_carried = 0;
    std::atomic<bool> m_half = false;
    std::vector<std::jthread> m_lines{}; ///< of the accepting thread, until it has ended
    std::jthread m_accepting{};
};

} // namespace provost::test
