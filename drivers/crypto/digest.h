// Hashes, MAC and cipher of the formats in use, over OpenSSL 3.
#pragma once

#include "core/bytes.h"
#include "core/result.h"

#include <array>
#include <string>

namespace provost {

using Sha256 = std::array<std::byte, 32>;

Sha256 sha256(ByteView bytes);
/// 20 bytes.
Bytes hmacSha1(ByteView key, ByteView data);
/// `count` random bytes from the system's generator.
Result<Bytes> randomBytes(std::size_t count);
/// AES-128-CBC with PKCS#7 padding (always 1..16 bytes).
/// @param key, iv  16 bytes each
Result<Bytes> aes128CbcEncrypt(ByteView key, ByteView iv, ByteView plain);
/// @returns InvalidData  length or padding is wrong
Result<Bytes> aes128CbcDecrypt(ByteView key, ByteView iv, ByteView cipher);
/// Lower-case hexadecimal SHA-256, the form of records and files.
std::string sha256Hex(ByteView bytes);

} // namespace provost
