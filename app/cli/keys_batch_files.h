// `provost keys batch --out DIR`: keys as files, for whoever injects them elsewhere.
#pragma once

#include "cli/command_line.h"

namespace provost::cli {

/// Makes what is missing of `wanted` key files in --out, then the signed manifest. The folder is
/// the record: a pair of files counts, half a pair (cut off) is made anew under another key.
/// @returns Denied  the folder holds something and --resume is not given
Result<Exit> makeKeyFiles(const Arguments& arguments, std::uint32_t wanted);

} // namespace provost::cli
