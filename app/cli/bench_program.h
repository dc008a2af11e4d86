// provost-bench, the program beside this one, and what is recognised as served by it.
#pragma once

#include "core/result.h"

#include <filesystem>

namespace provost::cli {

/// Beside this program, where the build and the package put it.
/// @returns NotFound
Result<std::filesystem::path> benchProgram();

/// Whether a virtual bench stands behind the pseudo-terminal: a process of this very provost-bench
/// holds its other end. A device file of a port never passes, nor does a terminal that another
/// program joins to one; what cannot be looked into (another user's, another container's) neither.
///
/// @param terminal  resolved, and open: its number cannot become another one's meanwhile
bool servedByBench(const std::filesystem::path& terminal);

} // namespace provost::cli
