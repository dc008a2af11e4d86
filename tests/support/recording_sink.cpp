#include "support/recording_sink.h"

namespace provost::test {

void RecordingSink::post(StationEvent event)
{
    Hook hook;
    {
        const MutexLock lock(m_mutex);
        m_events.push_back(event);
        hook = m_hook;
    }
    m_changed.notify_all();
    if (hook)
        hook(event);
}

void RecordingSink::setHook(Hook hook)
{
    const MutexLock lock(m_mutex);
    m_hook = std::move(hook);
}

std::vector<StationEvent> RecordingSink::events() const
{
    const MutexLock lock(m_mutex);
    return m_events;
}

void RecordingSink::clear()
{
    const MutexLock lock(m_mutex);
    m_events.clear();
}

} // namespace provost::test
