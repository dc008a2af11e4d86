// Reading a whole file that should be small.
#pragma once

#include "core/bytes.h"
#include "core/result.h"

#include <filesystem>

namespace provost {

/// The largest file taken for an image: twice the flash of the largest board
/// (particle-devices 1.1).
inline constexpr std::uintmax_t kLargestImageBytes = 2 * 1024 * 1024;

/// @returns NotFound     no such file
///          InvalidData  no regular file, or more than `limit` bytes
///          Io           it cannot be read
Result<Bytes> readFileBytes(const std::filesystem::path& path, std::uintmax_t limit);

} // namespace provost
