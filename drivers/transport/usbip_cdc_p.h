// Where a device that is a serial port keeps its interfaces and endpoints (USB CDC 1.2, PSTN 1.2).
#pragma once

#include "core/bytes.h"

#include <optional>

namespace provost::usbip {

struct CdcLayout {
    std::uint8_t control = 0; ///< number of the communication interface
    std::uint8_t data = 0;    ///< number of the data interface
    std::uint8_t in = 0;      ///< bulk endpoints, number without direction
    std::uint8_t out = 0;
};
/// The first function of class communication, subclass abstract control.
/// @param configuration  descriptor with everything behind it, of any content
std::optional<CdcLayout> findCdc(ByteView configuration);

} // namespace provost::usbip
