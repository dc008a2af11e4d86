#include "engine/active_run_p.h"

namespace provost {

bool StopGate::beginStep(EventSink& events, StepStarted event)
{
    const MutexLock lock(m_mutex);
    if (m_source.stop_requested())
        return false;
    events.post(std::move(event)); // a sink hands over and returns at once
    return true;
}

void StopGate::stop(EventSink& events, StopRequested event)
{
    const MutexLock lock(m_mutex);
    if (m_closed || m_source.stop_requested())
        return;
    events.post(event);
    m_source.request_stop();
}

bool StopGate::close()
{
    const MutexLock lock(m_mutex);
    m_closed = true;
    return m_source.stop_requested();
}

} // namespace provost
