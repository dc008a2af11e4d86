// The byte types that every layer passes around.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace provost {

using Bytes = std::vector<std::byte>;
using ByteView = std::span<const std::byte>;
using ByteSpan = std::span<std::byte>;

} // namespace provost
