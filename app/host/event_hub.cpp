#include "host/event_hub.h"

#include <algorithm>
#include <utility>

namespace provost {

namespace {

/// A listener that is stuck is not buried under beats: the latest one is enough.
bool superseded(std::deque<StationEvent>& waiting, const Heartbeat& beat)
{
    auto* earlier = waiting.empty() ? nullptr : std::get_if<Heartbeat>(&waiting.back());
    if (earlier != nullptr)
        *earlier = beat;
    return earlier != nullptr;
}

/// Puts `progress` in the place of the one of its slot that is still to be heard. Only among
/// progress: nothing else may be overtaken.
bool superseded(std::deque<StationEvent>& waiting, const ProgressMoved& progress)
{
    for (auto each = waiting.rbegin(); each != waiting.rend(); ++each) {
        auto* earlier = std::get_if<ProgressMoved>(&*each);
        if (earlier == nullptr)
            return false;
        if (earlier->slot == progress.slot) {
            *earlier = progress;
            return true;
        }
    }
    return false;
}

} // namespace

EventHub::~EventHub()
{
    std::vector<std::shared_ptr<Queue>> queues;
    {
        const MutexLock lock(m_mutex);
        queues.swap(m_queues);
        for (const auto& queue : queues)
            queue->closing = true;
        m_changed.notify_all();
    }
    queues.clear(); // joins
}

void EventHub::add(EventSink& sink)
{
    const MutexLock lock(m_mutex);
    auto queue = std::make_shared<Queue>(sink);
    queue->thread = std::jthread([this, raw = queue.get()] { deliver(*raw); });
    m_queues.push_back(std::move(queue));
}

void EventHub::remove(EventSink& sink)
{
    std::shared_ptr<Queue> queue;
    {
        const MutexLock lock(m_mutex);
        const auto found =
            std::ranges::find(m_queues, &sink, [](const auto& each) { return &each->sink; });
        if (found == m_queues.end())
            return;
        queue = *found;
        m_queues.erase(found);
        queue->closing = true;
        m_changed.notify_all();
    }
    queue->thread.join();
}

bool EventHub::hasRoom() const
{
    // A listener that posts cannot wait for itself.
    const auto self = std::this_thread::get_id();
    return std::ranges::all_of(m_queues, [&](const auto& queue) {
        return queue->waiting.size() < m_most || queue->thread.get_id() == self;
    });
}

void EventHub::post(StationEvent event)
{
    MutexLock lock(m_mutex);
    while (!hasRoom())
        m_changed.wait(lock);
    const auto* progress = std::get_if<ProgressMoved>(&event);
    const auto* beat = std::get_if<Heartbeat>(&event);
    for (const auto& queue : m_queues) {
        auto& waiting = queue->waiting;
        if (beat != nullptr && superseded(waiting, *beat))
            continue;
        if (progress != nullptr && waiting.size() >= kFoldFrom && superseded(waiting, *progress))
            continue;
        waiting.push_back(event);
    }
    m_changed.notify_all();
}

void EventHub::deliver(Queue& queue)
{
    MutexLock lock(m_mutex);
    while (true) {
        while (queue.waiting.empty()) {
            if (queue.closing)
                return;
            m_changed.wait(lock);
        }
        StationEvent event = std::move(queue.waiting.front());
        queue.waiting.pop_front();
        m_changed.notify_all();
        lock.unlock();
        queue.sink.post(std::move(event));
        lock.lock();
    }
}

} // namespace provost
