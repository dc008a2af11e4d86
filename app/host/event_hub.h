// One stream of events to any number of listeners.
#pragma once

#include "core/mutex.h"
#include "engine/events.h"

#include <condition_variable>
#include <deque>
#include <memory>
#include <thread>
#include <vector>

namespace provost {

/// Thread-safe. Every listener has a queue and a thread of its own: one that is held up (a pipe
/// that nobody reads) holds up neither the slots nor the others. All hear the same events in the
/// same order. Nothing is lost: who posts waits while a queue is full. Where many events wait, a
/// slot's progress that a later one supersedes is left out.
class EventHub final : public EventSink {
public:
    /// Some hours of a busy line.
    static constexpr std::size_t kMostWaiting = 1U << 16;
    /// From so many waiting events on, only a slot's latest progress is kept.
    static constexpr std::size_t kFoldFrom = 256;

    explicit EventHub(std::size_t mostWaiting = kMostWaiting) : m_most(mostWaiting) {}
    ~EventHub() override; ///< every listener has heard everything

    /// From the next event on. `sink` stays until remove() or the end of the hub.
    void add(EventSink& sink);
    /// Returns when the listener has heard everything that was posted before; it is not called
    /// again. Not to be called by the listener itself.
    void remove(EventSink& sink);
    void post(StationEvent event) override;

private:
    struct Queue {
        explicit Queue(EventSink& listener) : sink(listener) {}
        EventSink& sink;
        std::deque<StationEvent> waiting{};
        bool closing = false;
        std::jthread thread{};
    };
    void deliver(Queue& queue);
    bool hasRoom() const PROVOST_REQUIRES(m_mutex);

    const std::size_t m_most;
    Mutex m_mutex; ///< guards what is in the queues, too; never held while a listener is called
    std::condition_variable_any m_changed;
    std::vector<std::shared_ptr<Queue>> m_queues PROVOST_GUARDED_BY(m_mutex);
};

} // namespace provost
