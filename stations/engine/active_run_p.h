// What a run shares with those who command it: its stop and its prompts.
#pragma once

#include "engine/run_context_p.h"

#include <atomic>

namespace provost {

/// Puts the operator's stop and the beginning of steps in one order: once StopRequested is in the
/// stream of events, no StepStarted follows. Thread-safe.
class StopGate {
public:
    std::stop_token token() const { return m_source.get_token(); }
    /// Posts the event unless the run is to stop. False: no step may begin.
    bool beginStep(EventSink& events, StepStarted event);
    /// The first time, while open: posts the event, then asks every wait of the run to end.
    void stop(EventSink& events, StopRequested event);
    /// The verdict is being made: a later stop comes too late.
    /// @returns true where the run was to stop
    bool close();

private:
    Mutex m_mutex;
    std::stop_source m_source;
    bool m_closed PROVOST_GUARDED_BY(m_mutex) = false;
};

struct ActiveRun {
    StopGate gate{};
    PromptBox prompts{};
    std::atomic<std::int64_t> run = 0; ///< 0: not in the journal yet
};

} // namespace provost
