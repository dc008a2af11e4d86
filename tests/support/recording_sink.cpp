#include "support/recording_sink.h"

namespace provost::test {

void RecordingSink::post(StationEvent event)
{
    Hook hook;
    std::size_t number = 0;
    {
        const MutexLock lock(m_mutex);
        number = m_cleared + m_events.size();
        m_events.push_back(event);
        m_seen.push_back(false);
        hook = m_hook;
    }
    if (hook)
        hook(event);
    const MutexLock lock(m_mutex);
    if (number >= m_cleared)
        m_seen[number - m_cleared] = true;
    m_changed.notify_all();
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
    m_cleared += m_events.size();
    m_events.clear();
    m_seen.clear();
}

} // namespace provost::test
