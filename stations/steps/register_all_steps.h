// Every step a plan may use.
#pragma once

#include "engine/step.h"

namespace provost {

void registerAllSteps(StepRegistry& registry);

} // namespace provost
