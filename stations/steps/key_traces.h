// What earlier keys leave behind in a memory. Pure: bytes in, findings out.
#pragma once

#include "core/bytes.h"

#include <optional>
#include <span>
#include <string>
#include <vector>

namespace provost {

/// The modulus of every RSA-1024 key whose structure begins somewhere in `memory`, private or
/// public, whole or cut off behind its modulus; 128 bytes each.
std::vector<Bytes> moduliIn(ByteView memory);

/// True where any aligned 32 bytes of `number` occur anywhere in `memory`: what is left of it where
/// something else was written over the rest counts.
bool holdsPartOf(ByteView memory, ByteView number);

/// The key that may lie in a memory.
struct OwnKey {
    ByteView modulus{};        ///< 128 bytes
    std::size_t privateAt = 0; ///< offset of its PKCS#1 structure in that memory
};

/// Numbers of a key that is not `own`: of one of `former`, or any that have the structure of a key,
/// private exponents included.
/// @returns hex SHA-256 of the number that was found; nullopt: nothing
std::optional<std::string> foreignKeyIn(ByteView memory, const OwnKey& own,
                                        std::span<const Bytes> former);

} // namespace provost
