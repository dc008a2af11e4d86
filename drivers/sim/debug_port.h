// The registers of an SW-DP and of its AHB access port, as raw commands reach them (ADIv5.2).
#pragma once

#include "sim/stm32_chip.h"

namespace provost::sim {

/// Not thread-safe. Nothing: the register or the port is not there, or the bus answers FAULT.
class DebugPort {
public:
    static constexpr std::uint16_t kDp = 0xFFFF;
    std::optional<std::uint32_t> read(Stm32Chip& chip, std::uint16_t port, std::uint16_t reg);
    bool write(Stm32Chip& chip, std::uint16_t port, std::uint16_t reg, std::uint32_t value);
    /// The target's supply went, or SWD was entered anew.
    void reset() { *this = {}; }

private:
    struct Place {
        std::uint32_t address = 0;
        unsigned width = 4;
    };
    std::optional<std::uint32_t> readAp(Stm32Chip& chip, std::uint16_t reg);
    bool writeAp(Stm32Chip& chip, std::uint16_t reg, std::uint32_t value);
    Place place() const;
    std::optional<std::uint32_t> load(Stm32Chip& chip, const Place& at);
    bool store(Stm32Chip& chip, const Place& at, std::uint32_t value);
    void advance(unsigned width);

    std::uint32_t m_control = 0; ///< CTRL/STAT, what may be written
    std::uint32_t m_select = 0;
    std::uint32_t m_csw = 0x23000002;
    std::uint32_t m_tar = 0;
    std::uint32_t m_readBuffer = 0;
    bool m_sticky = false; ///< STICKYERR
};

} // namespace provost::sim
