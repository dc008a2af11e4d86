// Slots and runs: one thread per busy slot, one verdict per run, never shown before it is on disk.
#pragma once

#include "core/mutex.h"
#include "engine/events.h"
#include "engine/step.h"

#include <map>
#include <memory>
#include <thread>

namespace provost {

/// Everything a run needs from outside; all of it outlives the engine.
struct EngineEnvironment {
    const Clock& clock;
    Journal& journal;
    ImageCatalog& images;
    ProvisioningClient& cloud;
    HandshakeServer& handshakes;
    const StepRegistry& steps;
    const StationSettings& station;
    EventSink& events;
    /// A new UnitUnderTest for whatever is in the slot.
    std::function<std::unique_ptr<UnitUnderTest>(SlotId)> unitIn;
};

/// Thread-safe.
class StationEngine {
public:
    explicit StationEngine(EngineEnvironment environment);
    ~StationEngine(); ///< stops every run and waits for its verdict

    /// @returns Busy  the slot runs already
    Result<> start(SlotId slot, const std::string& label, std::shared_ptr<const TestPlan> plan);
    /// Returns at once; the verdict arrives as an event.
    void abort(SlotId slot);
    void abortAll();
    void answer(RunId run, const std::string& reply);
    bool busy(SlotId slot) const;

private:
    struct Slot;
    void work(Slot& slot, std::shared_ptr<const TestPlan> plan, std::string label,
              std::stop_token stop);

    EngineEnvironment m_environment;
    mutable Mutex m_mutex;
    std::map<SlotId, std::unique_ptr<Slot>> m_slots PROVOST_GUARDED_BY(m_mutex);
};

} // namespace provost
