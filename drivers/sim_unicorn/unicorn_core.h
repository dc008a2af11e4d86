// A Cortex-M3 that executes Thumb-2 code, by libunicorn. Linked in the process of the bench and in
// its tests, never in a product program: the library is GPL-2 in part.
#pragma once

#include "sim/core_executor.h"

namespace provost::sim {

CoreExecutorMaker unicornCores();

} // namespace provost::sim
