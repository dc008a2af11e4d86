// Interface strings of DfuSe: regions stay inside 32 bits and in order.
#include "fuzz/fuzz.h"
#include "protocol/dfu_device.h"

using namespace provost;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const auto regions = parseMemoryLayout(test::text(data, size));
    if (!regions)
        return 0;
    for (const MemoryRegion& region : *regions) {
        test::demand(region.size > 0 && region.sectorSize > 0);
        test::demand(std::uint64_t{region.base} + region.size <= 0x1'0000'0000U);
        test::demand(region.size % region.sectorSize == 0);
    }
    return 0;
}
