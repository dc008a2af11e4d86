#include "host/event_hub.h"

namespace provost {

void EventHub::add(EventSink& sink)
{
    const MutexLock lock(m_mutex);
    m_sinks.push_back(&sink);
}

void EventHub::remove(EventSink& sink)
{
    const MutexLock lock(m_mutex);
    std::erase(m_sinks, &sink);
}

void EventHub::post(StationEvent event)
{
    // Sinks hand over and return at once (EventSink), so the order of events holds for all.
    const MutexLock lock(m_mutex);
    for (auto* sink : m_sinks)
        sink->post(event);
}

} // namespace provost
