// The device port: one thread that listens, reads, writes and watches the time for all units, and
// a worker per processor for what takes longer, RSA and files.
#pragma once

#include "cloud/handshake_connections_p.h"
#include "cloud/tcp_listener_p.h"

#include <condition_variable>
#include <deque>
#include <unordered_map>

namespace provost {

/// Stops and reports every connection when it goes.
class HandshakeLoop {
public:
    /// @param connections  must outlive the loop
    /// @returns Busy, Denied  as TcpListener
    static Result<std::unique_ptr<HandshakeLoop>> start(const TcpListener::Config& config,
                                                        HandshakeConnections& connections,
                                                        const Clock& clock,
                                                        ServerTimeouts timeouts);
    ~HandshakeLoop();
    HandshakeLoop(const HandshakeLoop&) = delete;
    HandshakeLoop& operator=(const HandshakeLoop&) = delete;
    std::uint16_t port() const { return m_port; }

private:
    struct Connection;
    struct HangUp {
        void operator()(Connection* connection) const;
    };
    using Owner = std::unique_ptr<Connection, HangUp>;
    /// Work on a connection that nobody else touches meanwhile.
    struct Task {
        Connection* connection = nullptr;
        bool ends = false; ///< report and forget it
    };

    HandshakeLoop(int listener, std::uint16_t port, std::size_t maxConnections,
                  HandshakeConnections& connections, const Clock& clock, ServerTimeouts timeouts);
    void run(const std::stop_token& stop);
    void accept();
    void admit(int fd, std::string peer);
    void serveFaulty(int fd, CloudHooks::Wrap wrap);
    void watch(Connection& connection, bool isNew);
    void handle(Connection& connection, bool toTheEnd);
    void read(Connection& connection);
    void advance(Connection& connection);
    static bool sendOn(Connection& connection);
    bool send(Connection& connection);
    void lookAtTheTime();
    void startStep(Connection& connection) const;
    void giveUp(Connection& connection, handshake::LineEnd end);
    void finish(Connection& connection);
    void close(Connection& connection);
    void giveToWorkers(Connection& connection, bool ends);
    void letThemGather();
    void takeBack();
    void forgetRing() const;
    void work(const std::stop_token& stop);
    bool runTask(const Task& task);
    bool answer(Connection& connection);
    static void end(Connection& connection);
    void endAll();

    int m_listener;
    int m_poll;
    int m_wake; ///< a worker is done, or a stop
    std::uint16_t m_port;
    std::size_t m_maxConnections;
    HandshakeConnections& m_owner;
    const Clock& m_clock;
    ServerTimeouts m_timeouts;

    // Of the loop's thread only.
    std::unordered_map<std::uint64_t, Owner> m_connections{}; ///< by what their events carry
    std::uint64_t m_latest = 1;                               ///< 0 and 1 are the events of others
    Clock::Steady m_nextLook{};
    Clock::Steady m_earliest{Clock::Steady::max()}; ///< no deadline is before
    Clock::Steady m_acceptAgain{};
    bool m_listening = false;
    std::vector<std::uint64_t> m_closed{};
    std::vector<std::jthread> m_faulty{};

    Mutex m_mutex;
    std::condition_variable_any m_changed{};
    std::deque<Task> m_tasks PROVOST_GUARDED_BY(m_mutex){};
    std::vector<Task> m_done PROVOST_GUARDED_BY(m_mutex){};
    bool m_rung PROVOST_GUARDED_BY(m_mutex) = false; ///< the loop knows that some are done
    std::vector<std::jthread> m_workers{};
    std::jthread m_thread{}; ///< last: starts when everything else is there
};

} // namespace provost
