// The private key of a cloud: read from a file, or made once and kept.
#pragma once

#include "crypto/rsa_key.h"

#include <filesystem>

namespace provost {

/// @param passphrase  of a key that is encrypted; empty: none is known
/// @returns NotFound  no such file; InvalidData  no RSA-2048 private key; Denied  it is under
///          another passphrase
Result<RsaPrivateKey> readServerKey(const std::filesystem::path& file,
                                    const SecretBytes& passphrase);

/// Reads `folder/server-key.pem`; where there is none, makes it (mode 0600), and the public part
/// beside it as `server-key.pub.pem`. With a passphrase the private part lies there encrypted; one
/// that was found in the clear is replaced.
Result<RsaPrivateKey> readOrMakeServerKey(const std::filesystem::path& folder,
                                          const SecretBytes& passphrase);

} // namespace provost
