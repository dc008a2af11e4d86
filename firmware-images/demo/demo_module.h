// Builds one firmware file that has everything a real one has, except firmware.
#pragma once

#include "core/bytes.h"

#include <array>
#include <string_view>

namespace provost::demo {

struct Requirement {
    std::uint8_t function = 0; ///< number as in the header; 0: none
    std::uint8_t index = 0;
    std::uint16_t version = 0; ///< at least
};

/// The header fields as numbers, so that nothing here is shared with the parser it should check.
struct ModulePlan {
    std::uint32_t start = 0;    ///< address of the first byte
    std::uint32_t fileSize = 0; ///< bytes, CRC included; a multiple of 4
    std::uint16_t version = 0;
    std::uint16_t platformId = 6;
    std::uint8_t function = 0;
    std::uint8_t index = 0;
    std::array<Requirement, 2> requirements{};
    std::uint16_t productId = 0xFFFF; ///< 0xFFFF: none
    std::uint16_t productVersion = 0xFFFF;
    std::uint32_t vectorTableBytes = 0x184; ///< in front of the header; 0: none
    std::uint32_t stackTop = 0x20020000;    ///< end of the RAM
};

/// The text behind the header by which a demo image is recognised.
inline constexpr std::string_view kMark = "PROVOST-DEMO";

/// The smallest file size that holds header, mark, suffix and CRC.
std::uint32_t smallestFileSize(const ModulePlan& plan);

/// Byte for byte the same for the same plan, on every computer. The content does not compress.
/// Precondition: fileSize is a multiple of 4 and at least smallestFileSize().
Bytes buildModule(const ModulePlan& plan);

} // namespace provost::demo
