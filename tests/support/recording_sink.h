// Keeps every event of a station, lets a test wait for one and act at the moment of one.
#pragma once

#include "core/mutex.h"
#include "engine/events.h"

#include <chrono>
#include <condition_variable>
#include <functional>
#include <optional>
#include <vector>

namespace provost::test {

/// Thread-safe.
class RecordingSink final : public EventSink {
public:
    using Hook = std::function<void(const StationEvent&)>;

    void post(StationEvent event) override;
    /// Called from the thread that posts, before that thread goes on: a place between two lines.
    void setHook(Hook hook);
    std::vector<StationEvent> events() const;
    void clear();

    /// The first event of the type that fits, looked for from event number `from` on. It is found
    /// when the hook has returned from it.
    template <class T, class Fits>
    std::optional<T> waitFor(std::chrono::milliseconds patience, Fits fits, std::size_t from = 0)
    {
        const auto until = std::chrono::steady_clock::now() + patience;
        MutexLock lock(m_mutex);
        while (true) {
            for (std::size_t at = from; at < m_events.size(); ++at) {
                const auto* event = std::get_if<T>(&m_events[at]);
                if (event != nullptr && m_seen[at] && fits(*event))
                    return *event;
            }
            if (m_changed.wait_until(lock, until) == std::cv_status::timeout)
                return std::nullopt;
        }
    }

    template <class T>
    std::vector<T> all() const
    {
        std::vector<T> found;
        const MutexLock lock(m_mutex);
        for (const auto& event : m_events) {
            if (const auto* one = std::get_if<T>(&event))
                found.push_back(*one);
        }
        return found;
    }

    std::size_t size() const
    {
        const MutexLock lock(m_mutex);
        return m_events.size();
    }

private:
    mutable Mutex m_mutex;
    std::condition_variable_any m_changed;
    std::vector<StationEvent> m_events PROVOST_GUARDED_BY(m_mutex){};
    std::vector<bool> m_seen PROVOST_GUARDED_BY(m_mutex){}; ///< the hook has returned
    std::size_t m_cleared PROVOST_GUARDED_BY(m_mutex) = 0;
    Hook m_hook PROVOST_GUARDED_BY(m_mutex){};
};

} // namespace provost::test
