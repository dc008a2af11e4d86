// `provost dfu write`: plain files, files with a DFU suffix, DfuSe files.
#pragma once

#include "cli/command_line.h"

namespace provost::cli {

/// --alt as it was given. @returns InvalidArgument
Result<std::uint8_t> alternateOf(const Arguments& arguments);

/// Refused before the first write, with exit code 4: a damaged file, one for another device, one
/// that does not fit the memory, a module that belongs elsewhere, a demo image for a real unit.
Result<> writeMemory(const Arguments& arguments);

} // namespace provost::cli
