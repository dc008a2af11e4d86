// Bytes as boards, bootloaders and probes lay them out: byte order, text, hexadecimal digits. The
// second reading of what core/byte_io.h and core/text.h do for the drivers; see Decisions.
#pragma once

#include "core/bytes.h"

#include <optional>
#include <string>
#include <string_view>

namespace provost::sim {

constexpr std::uint8_t octet(std::byte value)
{
    return static_cast<std::uint8_t>(value);
}

/// Least significant octet first. Precondition, here and below: the number lies inside `from`.
template <class Number>
constexpr Number littleEndian(ByteView from, std::size_t at)
{
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < sizeof(Number); ++i)
        sum += std::uint64_t{octet(from[at + i])} << (8 * i);
    return static_cast<Number>(sum);
}
template <class Number>
constexpr Number bigEndian(ByteView from, std::size_t at)
{
    std::uint64_t sum = 0;
    for (const std::byte each : from.subspan(at, sizeof(Number)))
        sum = sum * 256 + octet(each);
    return static_cast<Number>(sum);
}
constexpr std::uint16_t le16At(ByteView from, std::size_t at = 0)
{
    return littleEndian<std::uint16_t>(from, at);
}
constexpr std::uint32_t le32At(ByteView from, std::size_t at = 0)
{
    return littleEndian<std::uint32_t>(from, at);
}
constexpr std::uint16_t be16At(ByteView from, std::size_t at = 0)
{
    return bigEndian<std::uint16_t>(from, at);
}
constexpr std::uint32_t be32At(ByteView from, std::size_t at = 0)
{
    return bigEndian<std::uint32_t>(from, at);
}

template <class Number>
constexpr void putLittleEndian(ByteSpan to, std::size_t at, Number value)
{
    for (std::size_t i = 0; i < sizeof(Number); ++i)
        to[at + i] = static_cast<std::byte>((value >> (8 * i)) & 0xFF);
}
template <class Number>
constexpr void putBigEndian(ByteSpan to, std::size_t at, Number value)
{
    for (std::size_t i = 0; i < sizeof(Number); ++i)
        to[at + sizeof(Number) - 1 - i] = static_cast<std::byte>((value >> (8 * i)) & 0xFF);
}
constexpr void putLe16(ByteSpan to, std::size_t at, std::uint16_t value)
{
    putLittleEndian(to, at, value);
}
constexpr void putLe32(ByteSpan to, std::size_t at, std::uint32_t value)
{
    putLittleEndian(to, at, value);
}
constexpr void putBe16(ByteSpan to, std::size_t at, std::uint16_t value)
{
    putBigEndian(to, at, value);
}
constexpr void putBe32(ByteSpan to, std::size_t at, std::uint32_t value)
{
    putBigEndian(to, at, value);
}

/// Lays fields out one behind the other. `to` must outlive it.
class Fields {
public:
    explicit Fields(Bytes& to) : m_to(to) {}
    Fields& u8(unsigned value) { return number(static_cast<std::uint8_t>(value), Order::Little); }
    Fields& le16(unsigned value)
    {
        return number(static_cast<std::uint16_t>(value), Order::Little);
    }
    Fields& le32(std::uint32_t value) { return number(value, Order::Little); }
    Fields& be16(unsigned value) { return number(static_cast<std::uint16_t>(value), Order::Big); }
    Fields& be32(std::uint32_t value) { return number(value, Order::Big); }
    Fields& raw(ByteView octets);
    Fields& text(std::string_view text);
    Fields& fill(std::size_t count, std::byte value);

private:
    enum class Order : std::uint8_t { Little, Big };

    template <class Number>
    Fields& number(Number value, Order order)
    {
        const std::size_t at = m_to.size();
        m_to.resize(at + sizeof(Number));
        if (order == Order::Little)
            putLittleEndian(m_to, at, value);
        else
            putBigEndian(m_to, at, value);
        return *this;
    }

    Bytes& m_to;
};

ByteView octetsOf(std::string_view text);
Bytes copyOf(ByteView octets);
Bytes copyOf(std::string_view text);
std::string textOf(ByteView octets);
bool sameOctets(ByteView one, ByteView other);

/// Two lower-case digits an octet.
std::string hexText(ByteView octets);
/// So many lower-case digits, the last ones of `value`.
std::string hexText(std::uint32_t value, unsigned digits);
/// nullopt: odd length, or something that is no hexadecimal digit.
std::optional<Bytes> fromHexText(std::string_view text);
/// ASCII only.
std::string inLowerCase(std::string_view text);
/// Without blanks and control characters at both ends.
std::string_view withoutBlanks(std::string_view text);

} // namespace provost::sim
