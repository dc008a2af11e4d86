// The chips that stand behind virtual probes.
#pragma once

#include "sim/flash_memory.h"

#include <string_view>

namespace provost::sim {

// Times: protocol sheet 3.5, typical, x32.
inline constexpr FlashGeometry kF205Flash{
    .base = 0x08000000,
    .groups = {{{4, 0x4000, std::chrono::milliseconds(250)},
                {1, 0x10000, std::chrono::milliseconds(550)},
                {7, 0x20000, std::chrono::milliseconds(1000)}}},
    .programUnit = 4,
    .programTime = std::chrono::microseconds(16),
    .protectable = 0x4000};
// DS5319, table 28; the sheet counts page erase at 20 ms.
inline constexpr FlashGeometry kF103Flash{.base = 0x08000000,
                                          .groups = {{{128, 0x400, std::chrono::milliseconds(20)}}},
                                          .programUnit = 2,
                                          .programTime = std::chrono::nanoseconds(52500),
                                          .protectable = 0x4000,
                                          .needsErasedUnit = true};

/// Protocol sheet 3.1, 3.3, 3.4.
struct Stm32Profile {
    enum class Family : std::uint8_t { F1, F2 };
    std::string_view name{}; ///< as a bench file spells it
    Family family = Family::F1;
    const FlashGeometry* flash = nullptr;
    std::uint32_t sramBytes = 0;
    std::uint32_t idcode = 0; ///< DBGMCU_IDCODE
    std::uint32_t cpuid = 0;
    std::uint32_t dpidr = 0;
    std::uint32_t flashRegisters = 0; ///< address of the controller
    std::uint32_t systemBase = 0;     ///< system memory with unique id and flash size
    std::uint32_t systemBytes = 0;    ///< whole pages
    std::uint32_t uniqueId = 0;
    std::uint32_t flashSize = 0; ///< address of the half-word
    std::uint32_t flashBytes() const { return flash->size(); }
};

inline constexpr Stm32Profile kF103{.name = "f103",
                                    .family = Stm32Profile::Family::F1,
                                    .flash = &kF103Flash,
                                    .sramBytes = 20 * 1024,
                                    .idcode = 0x20036410,
                                    .cpuid = 0x411FC231,
                                    .dpidr = 0x1BA01477,
                                    .flashRegisters = 0x40022000,
                                    .systemBase = 0x1FFFF000,
                                    .systemBytes = 0x1000,
                                    .uniqueId = 0x1FFFF7E8,
                                    .flashSize = 0x1FFFF7E0};
inline constexpr Stm32Profile kF205{.name = "f205",
                                    .family = Stm32Profile::Family::F2,
                                    .flash = &kF205Flash,
                                    .sramBytes = 128 * 1024,
                                    .idcode = 0x20036411,
                                    .cpuid = 0x412FC230,
                                    .dpidr = 0x2BA01477,
                                    .flashRegisters = 0x40023C00,
                                    .systemBase = 0x1FFF0000,
                                    .systemBytes = 0x10000,
                                    .uniqueId = 0x1FFF7A10,
                                    .flashSize = 0x1FFF7A22};

} // namespace provost::sim
