// The sign of life that screens wait for.
#pragma once

#include "core/clock.h"
#include "engine/events.h"

#include <chrono>
#include <functional>
#include <thread>

namespace provost {

/// Posts a Heartbeat twice a second from a thread of its own, each after the engine has answered:
/// an engine or a stream of events that hangs is silence.
class HeartbeatSender {
public:
    static constexpr std::chrono::milliseconds kEvery{500};

    /// @param askEngine  returns once the engine has answered
    /// Everything passed in outlives it.
    HeartbeatSender(EventSink& events, const Clock& clock, std::function<void()> askEngine);

    void start();
    void stop(); ///< returns when no further beat comes
    /// One beat, now.
    void beat();

private:
    EventSink& m_events;
    const Clock& m_clock;
    std::function<void()> m_askEngine;
    std::jthread m_thread;
};

} // namespace provost
