// What a virtual unit is delivered with: modules at realistic places and sizes, made here, and the
// factory's configuration table.
#pragma once

#include "core/result.h"
#include "sim/board_state.h"

#include <string_view>

namespace provost::sim {

struct ModuleSpec {
    std::uint32_t start = 0;
    std::uint32_t length = 0; ///< start to CRC
    std::uint16_t version = 0;
    ModuleFunction function{};
    std::uint8_t index = 0;
    std::array<ModuleDependency, 2> dependencies{};
    std::uint16_t platform = 6;
    std::uint32_t vectorTable = 0x184; ///< bytes in front of the header; 0: none
};
/// A complete module file: header, suffix, SHA-256 and CRC are right, the code in it is filler. A
/// user part has no vector table, whatever is asked for. Precondition: length at least 1024.
Bytes buildModule(const ModuleSpec& spec);

/// Modules of one release as they leave the works.
struct StockRelease {
    std::string_view board{};
    std::string_view name{};
    std::uint16_t bootloader = 0;
    std::uint16_t system = 0; ///< 0: no modules behind the bootloader
    std::uint16_t demandedBootloader = 0;
    std::uint16_t demandedByPart1 = 0;     ///< minimum version of part 2
    std::array<std::uint32_t, 3> length{}; ///< of the system parts, by index
};
/// "0.4.9", "0.6.3", "1.5.2", "2.3.1" and "empty" for a Photon, fewer for its kin.
/// @returns InvalidArgument  another board or name; the message lists what there is
Result<StockRelease> stockRelease(std::string_view board, std::string_view name);
/// Modules, and keys and table as the factory leaves them.
BoardMemory buildStock(const StockRelease& release);
/// The bootloader that system parts 0.6.3 and 0.6.4 carry (6.5).
Bytes embeddedBootloader(const BoardProfile& board);

} // namespace provost::sim
