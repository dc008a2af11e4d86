#include "models/liveness.h"

namespace provost {

Liveness::Liveness(std::chrono::milliseconds limit, std::shared_ptr<const Clock> clock,
                   QObject* parent)
    : QObject(parent), m_limit(limit), m_clock(std::move(clock)), m_latest(m_clock->now())
{
}

void Liveness::apply(const StationEvent& event)
{
    const auto* beat = std::get_if<Heartbeat>(&event);
    if (beat == nullptr)
        return;
    m_latest = std::max(m_latest, beat->at);
    tick();
}

void Liveness::tick()
{
    if (m_limit <= std::chrono::milliseconds::zero())
        return;
    const auto age = m_clock->now() - m_latest;
    const bool stale = age >= m_limit;
    const auto seconds = static_cast<int>(std::chrono::floor<std::chrono::seconds>(age).count());
    const bool another = stale && seconds != m_silentSeconds;
    m_silentSeconds = seconds;
    if (stale == m_stale && !another)
        return;
    m_stale = stale;
    Q_EMIT changed();
}

} // namespace provost
