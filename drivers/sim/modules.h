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
};
namespace region {
constexpr ModuleRegion kBootloader{0x08000000, 0x4000, 'm', ModuleFunction::Bootloader, 0};
constexpr ModuleRegion kPart1{0x08020000, 0x40000, 'm', ModuleFunction::SystemPart, 1};
constexpr ModuleRegion kPart2{0x08060000, 0x40000, 'm', ModuleFunction::SystemPart, 2};
constexpr ModuleRegion kUser{0x080A0000, 0x20000, 'm', ModuleFunction::UserPart, 1};
constexpr ModuleRegion kFactory{0x080E0000, 0x20000, 'f', ModuleFunction::UserPart, 1};
constexpr ModuleRegion kReceived{0x080C0000, 0x40000, 't', ModuleFunction::None, 0};
constexpr std::array<ModuleRegion, 5> kReported{kBootloader, kPart1, kPart2, kUser, kFactory};
} // namespace region

/// `vc` and `vv` bits (6.3).
namespace check {
constexpr unsigned kIntegrity = 2;
constexpr unsigned kDependencies = 4;
constexpr unsigned kRange = 8;
constexpr unsigned kPlatform = 16;
constexpr unsigned kAll = kIntegrity | kDependencies | kRange | kPlatform;
} // namespace check

/// The module whose first byte is bytes[0]; nullopt where no header fits.
std::optional<ModuleInfo> readModule(ByteView bytes);
std::optional<ModuleInfo> moduleIn(const FlashMemory& flash, const ModuleRegion& region);
/// Intact, made for this place and for this platform: what may run.
std::optional<ModuleInfo> runnable(const FlashMemory& flash, const ModuleRegion& region);
/// Where a module belongs by its header; nullopt: nowhere on this unit.
std::optional<ModuleRegion> homeOf(const ModuleInfo& module);
bool dependenciesMet(const FlashMemory& flash, const ModuleInfo& module);
/// Checks passed, of check::kAll. 0 for no module.
unsigned passedChecks(const FlashMemory& flash, const std::optional<ModuleInfo>& module);
/// `{"s":…}` of one region (7.4).
std::string moduleReport(const FlashMemory& flash, const ModuleRegion& region);
/// `"p":6,"m":[…]`: everything between the outer braces.
std::string moduleReport(const FlashMemory& flash);

/// Release text of a system module version, e.g. 1512 is 1.5.2; the nearest older one otherwise.
std::string releaseName(unsigned systemVersion);
/// Bootloader version that the system part of that version demands by the table in 6.5; 0: none.
unsigned demandedBootloader(unsigned systemVersion);

} // namespace provost::sim
