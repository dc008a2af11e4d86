// One run, from the first look at the slot to the verdict that was read back.
#pragma once

#include "engine/active_run_p.h"

namespace provost {

/// Never throws, never fails: whatever happens is in the verdict.
RunFinished executeRun(const EngineEnvironment& environment, const TestPlan& plan, SlotId slot,
                       const std::string& label, ActiveRun& active);

} // namespace provost
