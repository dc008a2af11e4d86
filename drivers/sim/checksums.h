// The checksums of modules and tables as a unit computes them: a second reading, which shares
// nothing with the station's. Known answers are in tests/driver/tst_virtual_checksums.cpp.
#pragma once

#include "core/bytes.h"

#include <array>

namespace provost::sim {

/// CRC-32 of 6.2 and 3.2: reflected polynomial 0xEDB88320, start and final value all ones.
std::uint32_t unitCrc32(ByteView bytes);
std::array<std::byte, 32> unitSha256(ByteView bytes);

} // namespace provost::sim
