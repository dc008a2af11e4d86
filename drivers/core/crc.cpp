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

constexpr std::size_t kSlice = 4;

/// Row k holds what a byte makes that has k bytes behind it, so that four are looked up at once.
constexpr auto kTables16 = [] {
    std::array<std::array<std::uint16_t, 256>, kSlice> tables{};
    for (std::uint32_t i = 0; i < 256; ++i) {
        std::uint32_t value = i << 8;
        for (std::size_t row = 0; row < kSlice; ++row) {
            for (int bit = 0; bit < 8; ++bit)
                value = ((value << 1) ^ ((value & 0x8000) != 0 ? 0x1021U : 0U)) & 0xFFFF;
            tables.at(row).at(i) = static_cast<std::uint16_t>(value);
        }
    }
    return tables;
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
    const auto& [last, third, second, first] = kTables16;
    std::uint32_t value = 0;
    for (; bytes.size() >= kSlice; bytes = bytes.subspan(kSlice))
        value = std::uint32_t{first[(value >> 8) ^ u8(bytes[0])]} ^
                second[(value & 0xFF) ^ u8(bytes[1])] ^ third[u8(bytes[2])] ^ last[u8(bytes[3])];
    for (const std::byte b : bytes)
        value = ((value << 8) ^ last[((value >> 8) ^ u8(b)) & 0xFF]) & 0xFFFF;
    return static_cast<std::uint16_t>(value);
}

std::uint32_t crc32DfuSuffix(ByteView bytes)
{
    return ~crc32(bytes);
}

} // namespace provost
