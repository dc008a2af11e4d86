// The chips that stand behind virtual probes.
#pragma once

#include <cstdint>
#include <string_view>

namespace provost::sim {

/// Protocol sheet 3.1, 3.3, 3.4.
struct Stm32Profile {
    enum class Family : std::uint8_t { F1, F2 };
    std::string_view name{}; ///< as a bench file spells it
    Family family = Family::F1;
    std::uint32_t flashBytes = 0;
    std::uint32_t sramBytes = 0;
    std::uint32_t idcode = 0; ///< DBGMCU_IDCODE
    std::uint32_t cpuid = 0;
    std::uint32_t dpidr = 0;
    std::uint32_t flashRegisters = 0; ///< address of the controller
    std::uint32_t systemBase = 0;     ///< system memory with unique id and flash size
    std::uint32_t systemBytes = 0;    ///< whole pages
    std::uint32_t uniqueId = 0;
    std::uint32_t flashSize = 0; ///< address of the half-word
};

inline constexpr Stm32Profile kF103{.name = "f103",
                                    .family = Stm32Profile::Family::F1,
                                    .flashBytes = 128 * 1024,
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
                                    .flashBytes = 1024 * 1024,
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
