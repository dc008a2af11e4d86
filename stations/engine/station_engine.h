// Slots and runs: one thread per busy slot, one verdict per run, never shown before it is on disk.
#pragma once

#include "core/mutex.h"
#include "engine/environment.h"

#include <map>
#include <memory>
#include <thread>

namespace provost {

struct ActiveRun;

/// Thread-safe.
class StationEngine {
public:
    explicit StationEngine(EngineEnvironment environment);
    ~StationEngine(); ///< stops every run and waits for its verdict

    /// @returns Busy  the slot runs already; Unavailable  the computer gives no further thread
    Result<> start(SlotId slot, const std::string& label, std::shared_ptr<const TestPlan> plan);
    /// Posts StopRequested and returns at once; the verdict arrives as an event.
    void abort(SlotId slot);
    void abortAll();
    void answer(RunId run, const std::string& reply);
    bool busy(SlotId slot) const;

private:
    struct Slot {
        std::shared_ptr<ActiveRun> active{}; ///< null: free
        std::jthread thread{};               ///< of the present run, or of the last one
    };
    Result<> launch(SlotId slot, const std::string& label, std::shared_ptr<const TestPlan> plan,
                    std::shared_ptr<ActiveRun> active);
    std::shared_ptr<ActiveRun> activeIn(SlotId slot) const;
    void release(SlotId slot);

    EngineEnvironment m_environment;
    mutable Mutex m_mutex;
    std::map<SlotId, Slot> m_slots PROVOST_GUARDED_BY(m_mutex);
};

} // namespace provost
