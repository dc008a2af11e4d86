// What units publish, to everybody who listens (particle-devices 9).
#pragma once

#include "core/clock.h"
#include "core/mutex.h"

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <stop_token>
#include <string>

namespace provost {

struct PublishedEvent {
    std::uint64_t number = 0; ///< counts up from 1
    std::string name{};       ///< "spark/status"
    std::string data{};
    std::string deviceId{};
    Clock::Utc at{};
};

/// Thread-safe. Keeps the latest 1000: a listener that is slower misses some.
class EventFeed {
public:
    explicit EventFeed(const Clock& clock) : m_clock(clock) {}
    void publish(std::string name, std::string data, std::string deviceId);

    using Wanted = std::function<bool(const PublishedEvent&)>;
    using Write = std::function<bool(std::string_view)>;
    /// Writes server-sent events from now on, with a line feed each 9 s, until `write` fails or a
    /// stop. False: there are too many listeners.
    bool stream(const Wanted& wanted, const Write& write, std::stop_token stop);

private:
    const Clock& m_clock;
    Mutex m_mutex;
    std::condition_variable_any m_changed{};
    std::deque<PublishedEvent> m_latest PROVOST_GUARDED_BY(m_mutex){};
    std::uint64_t m_count PROVOST_GUARDED_BY(m_mutex) = 0;
    int m_listeners PROVOST_GUARDED_BY(m_mutex) = 0;
};

} // namespace provost
