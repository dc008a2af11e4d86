// Ranges of a unit's memory.
#pragma once

#include "core/bytes.h"

namespace provost {

struct MemoryBlock {
    std::uint32_t address = 0;
    Bytes bytes{};
};

/// `sectorSize` equal erase sectors from `base`.
struct MemoryRegion {
    std::uint32_t base = 0;
    std::uint32_t size = 0;       ///< bytes
    std::uint32_t sectorSize = 0; ///< bytes
    bool readable = true;
    bool writable = true;
    bool erasable = true;
};

} // namespace provost
