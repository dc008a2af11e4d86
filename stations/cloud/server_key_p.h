// The private key of a cloud: read from a file, or made once and kept.
#pragma once

#include "crypto/rsa_key.h"

#include <filesystem>

namespace provost {

/// @returns NotFound  no such file; InvalidData  no RSA-2048 private key
Result<RsaPrivateKey> readServerKey(const std::filesystem::path& file);

/// Reads `folder/server-key.pem`; where there is none, makes it (mode 0600), and the public part
/// beside it as `server-key.pub.pem`.
Result<RsaPrivateKey> readOrMakeServerKey(const std::filesystem::path& folder);

} // namespace provost
