// Faults of a virtual cloud in words, for the command line and for training.
#pragma once

#include "core/result.h"
#include "sim/virtual_cloud.h"

#include <string_view>
#include <vector>

namespace provost {

/// `429:3,timeout-after,outage:12h`: one after the other; without a number once. Words: 429, 500,
/// 503, refuse, deny, timeout-before, timeout-after, duplicate, reorder, no-key-back, page, ok;
/// `outage:SPAN` with h, m or s; `none` clears.
/// @returns InvalidArgument  another word, or no number
Result<std::vector<FaultOrder>> parseFaultOrders(std::string_view text);

} // namespace provost
