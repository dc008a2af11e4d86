// Whether a plan and the station's test network fit each other.
#pragma once

#include "engine/plan.h"

namespace provost {

/// Said at the start, before the first unit: a network of which nobody could tell whether a unit
/// leaves with it, and a plan that cuts the handshake off before its limit.
/// @returns Denied (C042), InvalidData (C042)
Result<> checkNetwork(const TestPlan& plan, const TestNetwork& network);

} // namespace provost
