// Small files that are either the old ones or the new ones, whatever happens in between.
#pragma once

#include "core/bytes.h"
#include "core/result.h"

#include <cstddef>
#include <filesystem>
#include <optional>
#include <sys/types.h>

namespace provost {

/// Writes beside `file`, syncs, renames over it, syncs the folder.
/// @returns Io  blame Station, native errno
Result<> writeDurably(const std::filesystem::path& file, ByteView content, mode_t mode);

/// In place, and not waited for: a power cut may leave it empty, half or as it was.
/// @returns Io  blame Station, native errno
Result<> writeQuickly(const std::filesystem::path& file, ByteView content, mode_t mode);

/// nullopt where there is no such file.
/// @returns InvalidData  larger than `limit`; Denied, Io  cannot be read
Result<std::optional<Bytes>> readSmallFile(const std::filesystem::path& file, std::size_t limit);

/// Removes a file that may be absent and syncs the folder.
Result<> removeDurably(const std::filesystem::path& file);

/// Makes the folder and its parents where they are missing.
Result<> makeFolder(const std::filesystem::path& folder);

} // namespace provost
