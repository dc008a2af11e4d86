// Which platform's board a chip belongs to, told by the modules in its flash.
#pragma once

#include "protocol/stm32_flash.h"

#include <cstdint>
#include <optional>

namespace provost {

/// The platform id in the header of the bootloader, else of the first system part or firmware
/// (particle-devices 6.1); nothing where the flash holds no such header: blank, or not ours.
/// Reads without touching the core. Errors are those of the probe.
Result<std::optional<std::uint16_t>> platformInFlash(StLinkProbe& probe, Stm32Part::Family family,
                                                     const OpContext& op);

} // namespace provost
