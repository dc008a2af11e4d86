#include "core/crc.h"

#include "core/byte_io.h"

#include <array>

namespace provost {

namespace {

constexpr auto kTable32 = [] {
    std::array<std::uint32_t, 256> table{};
    for (std::uint32_t i = 0; i < 256; ++i) {
        std::uint32_t value = i;
        for (int bit = 0; bit < 8; ++bit)
            value = (value >> 1) ^ ((value & 1) != 0 ? 0xEDB88320U : 0U);
        table.at(i) = value;
    }
    return table;
}();

constexpr auto kTable16 = [] {
    std::array<std::uint16_t, 256> table{};
    for (std::uint32_t i = 0; i < 256; ++i) {
        std::uint32_t value = i << 8;
        for (int bit = 0; bit < 8; ++bit)
            value = ((value << 1) ^ ((value & 0x8000) != 0 ? 0x1021U : 0U)) & 0xFFFF;
        table.at(i) = static_cast<std::uint16_t>(value);
    }
    return table;
}();

} // namespace

std::uint32_t crc32(ByteView bytes, std::uint32_t previous)
{
    std::uint32_t value = ~previous;
    for (const std::byte b : bytes)
        value = (value >> 8) ^ kTable32[(value ^ u8(b)) & 0xFF];
    return ~value;
}

std::uint16_t crc16Xmodem(ByteView bytes)
{
    std::uint32_t value = 0;
    for (const std::byte b : bytes)
        value = ((value << 8) ^ kTable16[((value >> 8) ^ u8(b)) & 0xFF]) & 0xFFFF;
    return static_cast<std::uint16_t>(value);
}

std::uint32_t crc32DfuSuffix(ByteView bytes)
{
    return ~crc32(bytes);
}

} // namespace provost
