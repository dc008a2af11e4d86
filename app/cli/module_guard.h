// What a module file says of itself, compared with where it is to be written.
#pragma once

#include "core/result.h"
#include "image/module_info.h"

#include <functional>

namespace provost::cli {

/// A module that belongs elsewhere is refused before the first write; plain data passes.
/// @param fitsTarget  whether the module is made for what is at the address
/// @returns Denied  damaged, of another target, of another address, or a demo image for what is not
///          simulated (C041)
Result<> checkModule(ByteView file, std::uint32_t address, bool simulated,
                     const std::function<Result<>(const ModuleInfo&)>& fitsTarget);

} // namespace provost::cli
