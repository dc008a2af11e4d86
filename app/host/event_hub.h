// One stream of events to any number of listeners.
#pragma once

#include "core/mutex.h"
#include "engine/events.h"

#include <vector>

namespace provost {

/// Thread-safe. Listeners outlive the last event.
class EventHub final : public EventSink {
public:
    void add(EventSink& sink);
    void remove(EventSink& sink);
    void post(StationEvent event) override;

private:
    Mutex m_mutex;
    std::vector<EventSink*> m_sinks PROVOST_GUARDED_BY(m_mutex);
};

} // namespace provost
