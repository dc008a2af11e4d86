// What earlier keys leave behind in a memory. Pure: bytes in, findings out.
#pragma once

#include "core/bytes.h"

#include <optional>
#include <span>
#include <string>
#include <vector>

namespace provost {

/// The modulus of every RSA-1024 key whose structure begins somewhere in `memory`, private or
/// public, whole or cut off behind its modulus; 128 bytes each, each once.
std::vector<Bytes> moduliIn(ByteView memory);

/// True where any aligned 32 bytes of `number` occur anywhere in `memory`: what is left of it where
/// something else was written over the rest counts.
bool holdsPartOf(ByteView memory, ByteView number);

/// The number of a key that is not `own`: one of `former`, or any that has the structure of a key.
/// @returns what was found, for messages: hex SHA-256 of its modulus; nullopt: nothing
std::optional<std::string> foreignKeyIn(ByteView memory, ByteView ownModulus,
                                        std::span<const Bytes> former);

} // namespace provost
