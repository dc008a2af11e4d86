// Field-by-field access to wire formats: nothing is ever cast onto bytes.
#pragma once

#include "core/bytes.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <string_view>

namespace provost {

inline std::uint8_t u8(std::byte value)
{
    return std::to_integer<std::uint8_t>(value);
}

/// Precondition of every read and write: the field lies inside `bytes`.
inline std::uint16_t readLe16(ByteView bytes, std::size_t at = 0)
{
    return static_cast<std::uint16_t>(u8(bytes[at]) | (u8(bytes[at + 1]) << 8));
}
inline std::uint32_t readLe32(ByteView bytes, std::size_t at = 0)
{
    return readLe16(bytes, at) | (static_cast<std::uint32_t>(readLe16(bytes, at + 2)) << 16);
}
inline std::uint16_t readBe16(ByteView bytes, std::size_t at = 0)
{
    return static_cast<std::uint16_t>((u8(bytes[at]) << 8) | u8(bytes[at + 1]));
}
inline std::uint32_t readBe32(ByteView bytes, std::size_t at = 0)
{
    return (static_cast<std::uint32_t>(readBe16(bytes, at)) << 16) | readBe16(bytes, at + 2);
}
inline void writeLe16(ByteSpan bytes, std::size_t at, std::uint16_t value)
{
    bytes[at] = static_cast<std::byte>(value & 0xFF);
    bytes[at + 1] = static_cast<std::byte>(value >> 8);
}
inline void writeLe32(ByteSpan bytes, std::size_t at, std::uint32_t value)
{
    writeLe16(bytes, at, static_cast<std::uint16_t>(value & 0xFFFF));
    writeLe16(bytes, at + 2, static_cast<std::uint16_t>(value >> 16));
}
inline void writeBe16(ByteSpan bytes, std::size_t at, std::uint16_t value)
{
    bytes[at] = static_cast<std::byte>(value >> 8);
    bytes[at + 1] = static_cast<std::byte>(value & 0xFF);
}
inline void writeBe32(ByteSpan bytes, std::size_t at, std::uint32_t value)
{
    writeBe16(bytes, at, static_cast<std::uint16_t>(value >> 16));
    writeBe16(bytes, at + 2, static_cast<std::uint16_t>(value & 0xFFFF));
}

/// Appends fields in order.
class ByteWriter {
public:
    explicit ByteWriter(Bytes& to) : m_to(to) {}
    ByteWriter& u8(unsigned value)
    {
        m_to.push_back(static_cast<std::byte>(value & 0xFF));
        return *this;
    }
    ByteWriter& le16(unsigned value) { return u8(value).u8(value >> 8); }
    ByteWriter& le32(std::uint32_t value) { return le16(value & 0xFFFF).le16(value >> 16); }
    ByteWriter& be16(unsigned value) { return u8(value >> 8).u8(value); }
    ByteWriter& be32(std::uint32_t value) { return be16(value >> 16).be16(value & 0xFFFF); }
    ByteWriter& be64(std::uint64_t value)
    {
        return be32(static_cast<std::uint32_t>(value >> 32))
            .be32(static_cast<std::uint32_t>(value & 0xFFFFFFFF));
    }
    ByteWriter& raw(ByteView bytes)
    {
        m_to.insert(m_to.end(), bytes.begin(), bytes.end());
        return *this;
    }
    ByteWriter& text(std::string_view text)
    {
        for (const char c : text)
            u8(static_cast<unsigned char>(c));
        return *this;
    }
    ByteWriter& fill(std::size_t count, std::byte value)
    {
        m_to.insert(m_to.end(), count, value);
        return *this;
    }

private:
    Bytes& m_to;
};

inline ByteView viewOf(std::string_view text)
{
    return std::as_bytes(std::span(text.data(), text.size()));
}
inline Bytes toBytes(ByteView view)
{
    Bytes copy(view.begin(), view.end());
    return copy;
}
inline Bytes toBytes(std::string_view text)
{
    return toBytes(viewOf(text));
}
inline std::string toText(ByteView bytes)
{
    std::string text(bytes.size(), '\0');
    std::ranges::transform(bytes, text.begin(), [](std::byte b) { return static_cast<char>(b); });
    return text;
}
inline bool equalBytes(ByteView a, ByteView b)
{
    return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin());
}

} // namespace provost
