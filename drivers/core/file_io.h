// Whole files, read and written in one go.
#pragma once

#include "core/bytes.h"
#include "core/result.h"

#include <filesystem>

namespace provost {

/// @returns NotFound, Denied, Io (native = errno); InvalidData  larger than `limit`
Result<Bytes> readFile(const std::filesystem::path& file, std::size_t limit = 64UL << 20);

/// Fills `to` from the beginning of the file, without a copy anywhere else: for what must be wiped.
/// @returns the number of bytes; `to.size()` where the file may be longer; errors as readFile()
Result<std::size_t> readFileInto(const std::filesystem::path& file, ByteSpan to);

/// Creates the file, never overwrites, synced to disk when it returns.
/// @param mode  permissions, such as 0600 for what holds keys
/// @returns Denied  it exists already; Io (native = errno)  the file was removed again
Result<> writeNewFile(const std::filesystem::path& file, ByteView bytes, unsigned mode);

} // namespace provost
