// Stands at a virtual bench: inserts units, scans their labels, takes them out after the verdict,
// and holds SETUP where the bench has no actuator and a run asks for it.
#pragma once

#include "core/mutex.h"
#include "engine/station_engine.h"
#include "sim/bench.h"

#include <condition_variable>
#include <deque>
#include <functional>
#include <optional>
#include <set>
#include <thread>

namespace provost {

struct BenchOperatorOptions {
    std::optional<int> units{};                 ///< stop inserting after so many; nullopt: for ever
    std::chrono::milliseconds lookAtVerdict{0}; ///< how long a verdict stays on the screen
    std::chrono::milliseconds betweenSlots{0};  ///< two hands serve one slot after the other
    std::chrono::milliseconds atPrompt{0};      ///< reads what he is asked to do by hand
    bool obeysPrompts = true;    ///< false: somebody else is asked, and says when to hold a button
    std::vector<SlotId> slots{}; ///< empty: all of the bench
    /// No unit is put into a slot that is not in use; what is in it is taken out. Empty: all are.
    std::function<bool(SlotId)> inUse{};
};

/// Thread-safe. Listens to the engine's events; acts on a thread of its own.
class BenchOperator final : public EventSink {
public:
    using Start = std::function<Result<>(SlotId, const std::string& label)>;
    using Answer = std::function<void(RunId, const std::string& reply)>;
    /// @param answer  where to say that he has done what a run asked for
    BenchOperator(sim::Bench& bench, EventSink& events, const Clock& clock, Start start,
                  BenchOperatorOptions options, Answer answer);
    ~BenchOperator() override;

    void post(StationEvent event) override;
    /// Inserts the first units and begins.
    void begin();
    /// No further unit is inserted; what runs ends by itself.
    void pause();
    /// Inserts again, now into every slot that is idle.
    void resume();
    /// Holds the unit's button as asked. @returns false  he does not know how
    bool hold(const PromptRaised& prompt);
    /// Looks after the slot again: it was switched off or on.
    void attend(SlotId slot);
    /// Waits until every started unit has its verdict and no further one is due.
    void waitUntilDone();

private:
    struct Due {
        SlotId slot;
        Clock::Steady at;
        std::optional<PromptRaised> prompt{}; ///< else the next unit
    };
    void work(std::stop_token stop);
    void serve(SlotId slot);
    void takeOut(SlotId slot);
    void obey(const PromptRaised& prompt);

    sim::Bench& m_bench;
    EventSink& m_events;
    const Clock& m_clock;
    Start m_start;
    BenchOperatorOptions m_options;
    Answer m_answer;
    Mutex m_mutex;
    std::condition_variable_any m_changed;
    std::deque<Due> m_due PROVOST_GUARDED_BY(m_mutex);
    int m_started PROVOST_GUARDED_BY(m_mutex) = 0;
    std::set<SlotId> m_busy PROVOST_GUARDED_BY(m_mutex);
    bool m_paused PROVOST_GUARDED_BY(m_mutex) = true; ///< until begin()
    bool m_serving PROVOST_GUARDED_BY(m_mutex) = false;
    std::jthread m_thread;
};

} // namespace provost
