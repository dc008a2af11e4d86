// Firmware modules as bootloader and firmware of a unit see them (particle-devices 6).
#pragma once

#include "sim/flash_memory.h"

#include <array>
#include <optional>
#include <string>
#include <vector>

namespace provost::sim {

enum class ModuleFunction : std::uint8_t {
    None = 0,
    Resource = 1,
    Bootloader = 2,
    Monolithic = 3,
    SystemPart = 4,
    UserPart = 5,
};

struct ModuleDependency {
    std::uint8_t function = 0; ///< 0: no dependency
    std::uint8_t index = 0;
    std::uint16_t version = 0;
};

struct ModuleInfo {
    std::uint32_t start = 0;
    std::uint32_t end = 0; ///< exclusive; the CRC lies here
    std::uint16_t version = 0;
    std::uint16_t platform = 0;
    std::uint8_t function = 0;
    std::uint8_t index = 0;
    std::array<ModuleDependency, 2> dependencies{};
    std::array<std::byte, 32> sha{};
    bool intact = false; ///< the CRC fits
    std::uint32_t fileSize() const { return end - start + 4; }
};

/// A place of the flash that holds a module (2.2).
struct ModuleRegion {
    std::uint32_t address = 0;
    std::uint32_t size = 0;
    char location = 'm'; ///< as in the module report
    ModuleFunction function{};
    std::uint8_t index = 0;
    bool vectorTable = true; ///< in front of the header; never in a user part (6.1)
};
struct BoardProfile;

/// "bootloader", "system-1", "user", "monolithic": as images are named.
std::string nameOf(const ModuleRegion& region);

/// `vc` and `vv` bits (6.3).
namespace check {
constexpr unsigned kIntegrity = 2;
constexpr unsigned kDependencies = 4;
constexpr unsigned kRange = 8;
constexpr unsigned kPlatform = 16;
constexpr unsigned kAll = kIntegrity | kDependencies | kRange | kPlatform;
} // namespace check

/// The module whose first byte is bytes[0]; nullopt where no header fits.
std::optional<ModuleInfo> readModule(const BoardProfile& board, ByteView bytes);
std::optional<ModuleInfo> moduleIn(const BoardProfile& board, const FlashMemory& flash,
                                   const ModuleRegion& region);
/// Intact, made for this place and for this platform: what may run.
std::optional<ModuleInfo> runnable(const BoardProfile& board, const FlashMemory& flash,
                                   const ModuleRegion& region);
/// Where a module belongs by its header; nullptr: nowhere on this unit.
const ModuleRegion* homeOf(const BoardProfile& board, const ModuleInfo& module);
bool dependenciesMet(const BoardProfile& board, const FlashMemory& flash, const ModuleInfo& module);
/// Every system part is there and may run: the bootloader starts it.
bool systemRuns(const BoardProfile& board, const FlashMemory& flash);
/// Checks passed, of check::kAll. 0 for no module.
unsigned passedChecks(const BoardProfile& board, const FlashMemory& flash,
                      const std::optional<ModuleInfo>& module);
/// `{"s":…}` of one region (7.4).
std::string moduleReport(const BoardProfile& board, const FlashMemory& flash,
                         const ModuleRegion& region);
/// `"p":6,"m":[…]`: everything between the outer braces.
std::string moduleReport(const BoardProfile& board, const FlashMemory& flash);

/// Release text of a system module version, e.g. 1512 is 1.5.2; the nearest older one otherwise.
std::string releaseName(unsigned systemVersion);
/// Bootloader version that the system part of that version demands by the table in 6.5; 0: none.
unsigned demandedBootloader(unsigned systemVersion);

/// Of the modem and the SIM of every virtual cellular board: numbers from ranges kept for tests.
constexpr std::string_view kImei = "001010000000017";
constexpr std::string_view kIccid = "8900100000000000012";

} // namespace provost::sim
