// What a DFU interface says about itself (protocol sheet 1.1).
#pragma once

#include "protocol/dfu_device.h"

#include <optional>

namespace provost {

struct DfuInterface {
    std::uint8_t number = 0;
    DfuAttributes attributes{};
    std::vector<DfuAlternate> alternates{};
    /// The size that blocks are counted in by the unit; blocks are sent at attributes.transferSize.
    std::uint16_t announcedTransferSize = 0;
};

/// @returns Unsupported  no DFU-mode interface, not DfuSe, or a transfer size of 0
Result<DfuInterface> readDfuInterface(UsbDevice& usb, const OpContext& op);

/// The DFU interface of a board that runs its firmware.
struct DfuRunTime {
    std::uint8_t number = 0;
    DfuAttributes attributes{};
};

/// @returns Unsupported  there is none
Result<DfuRunTime> readDfuRunTime(UsbDevice& usb);

} // namespace provost
