// Module header and tail of a firmware file (particle-devices 6.1, 6.2).
#pragma once

#include "core/bytes.h"
#include "core/result.h"

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace provost {

enum class ModuleFunction : std::uint8_t {
    None = 0,
    Resource = 1,
    Bootloader = 2,
    Monolithic = 3,
    SystemPart = 4,
    UserPart = 5,
    Settings = 6,
    NetworkCoprocessor = 7,
    RadioStack = 8,
};
std::string_view name(ModuleFunction function); ///< bootloader, system-part, user-part, …
char reportLetter(ModuleFunction function); ///< as in the module report: n r b m s u c a, else _

struct ModuleDependency {
    ModuleFunction function = ModuleFunction::None;
    std::uint8_t index = 0;
    std::uint16_t version = 0; ///< at least
    bool operator==(const ModuleDependency&) const = default;
};

struct ModuleProduct {
    std::uint16_t id = 0xFFFF; ///< 0xFFFF: none
    std::uint16_t version = 0xFFFF;
};

struct ModuleInfo {
    std::uint32_t headerOffset = 0; ///< in the file
    std::uint32_t start = 0;        ///< address of the first byte
    std::uint32_t end = 0;          ///< exclusive; the CRC lies here
    std::uint8_t flags = 0;
    std::uint16_t version = 0;
    std::uint16_t platformId = 0;
    ModuleFunction function = ModuleFunction::None;
    std::uint8_t index = 0;
    std::vector<ModuleDependency> dependencies{}; ///< those with a function, at most 2
    std::optional<ModuleProduct> product{};       ///< absent where the suffix has no such fields
    std::array<std::byte, 32> sha256Stored{};
    std::uint16_t suffixSize = 0;
    std::uint32_t crcStored = 0;
    std::uint32_t crcComputed = 0;
    bool sha256Ok = false;      ///< stored SHA-256 equals the computed one
    bool placeholders = false;  ///< SHA field and CRC are the linker's: last build step skipped
    bool demo = false;          ///< carries the mark of Provost's demo images
    std::size_t moduleSize = 0; ///< end - start + 4; the file may be padded with FF behind it
    bool crcOk() const { return crcStored == crcComputed; }
};

/// Finds and reads the header by the on-device rule, then the tail. A Core image (header at 0x10C)
/// and a third-generation one (0x200) are recognised by the platform id they carry there.
///
/// Any input is safe. A module that is whole but wrong (CRC, SHA-256, placeholders) is returned,
/// with the fields saying so: see defects().
///
/// @returns InvalidData  no module; message names the field at fault and its value
/// @see     particle-devices 6.1, 6.2
Result<ModuleInfo> parseModule(ByteView file);

/// What is wrong with a module, one sentence each; empty: undamaged.
/// A SHA-256 that differs is no defect: units check the CRC only, and some released radio images
/// carry a wrong one (particle-devices 6.2).
std::vector<std::string> defects(const ModuleInfo& module);

/// The catalogue's word for a module: bootloader, system-<index>, user, monolithic; else empty.
std::string roleOf(const ModuleInfo& module);

/// Name of a platform id ("photon"), empty where unknown.
std::string_view platformName(std::uint16_t platformId);
/// A platform by name (case does not matter) or decimal number.
/// @returns InvalidArgument  neither
Result<std::uint16_t> parsePlatform(std::string_view text);

} // namespace provost
