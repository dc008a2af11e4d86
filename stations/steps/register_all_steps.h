// Every step a plan may use.
#pragma once

#include "crypto/key_pool.h"
#include "engine/step.h"

namespace provost {

/// @param pool  of keys for units; null: each is made when it is needed
void registerAllSteps(StepRegistry& registry, std::shared_ptr<KeyPool> pool = nullptr);

} // namespace provost
