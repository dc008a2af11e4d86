#include "host/heartbeat.h"

namespace provost {

HeartbeatSender::HeartbeatSender(EventSink& events, const Clock& clock,
                                 std::function<void()> askEngine)
    : m_events(events), m_clock(clock), m_askEngine(std::move(askEngine))
{
}

void HeartbeatSender::start()
{
    m_thread = std::jthread([this](const std::stop_token& stop) {
        do
            beat();
        while (m_clock.sleepUntil(m_clock.now() + kEvery, stop));
    });
}

void HeartbeatSender::stop()
{
    m_thread = {};
}

void HeartbeatSender::beat()
{
    const auto at = m_clock.now(); // before it asks: a slow answer is old
    m_askEngine();
    m_events.post(Heartbeat{.at = at});
}

} // namespace provost
