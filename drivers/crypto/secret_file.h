// Files that hold keys, passwords and tokens, read into wiped memory and nowhere else.
#pragma once

#include "crypto/secret_bytes.h"

#include <filesystem>

namespace provost {

/// @returns NotFound, Denied, Io (native = errno); InvalidData  larger than `limit`
Result<SecretBytes> readSecretFile(const std::filesystem::path& file, std::size_t limit);
/// A password or token: the first line of a file, at most 4096 bytes.
/// @returns as readSecretFile(); InvalidArgument  the line is empty
Result<SecretBytes> readSecretLine(const std::filesystem::path& file);

} // namespace provost
