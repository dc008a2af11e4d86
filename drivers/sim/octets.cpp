#include "sim/octets.h"

#include <algorithm>

namespace provost::sim {

namespace {

constexpr std::string_view kHexDigits = "0123456789abcdef";

/// Blank or control character.
bool isBlank(char c)
{
    return static_cast<unsigned char>(c) <= ' ';
}

char lower(char letter)
{
    return letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter + ('a' - 'A')) : letter;
}

} // namespace

Fields& Fields::raw(ByteView octets)
{
    m_to.insert(m_to.end(), octets.begin(), octets.end());
    return *this;
}

Fields& Fields::text(std::string_view text)
{
    return raw(octetsOf(text));
}

Fields& Fields::fill(std::size_t count, std::byte value)
{
    m_to.resize(m_to.size() + count, value);
    return *this;
}

ByteView octetsOf(std::string_view text)
{
    return std::as_bytes(std::span(text));
}

Bytes copyOf(ByteView octets)
{
    return {octets.begin(), octets.end()};
}

Bytes copyOf(std::string_view text)
{
    return copyOf(octetsOf(text));
}

std::string textOf(ByteView octets)
{
    std::string text;
    for (const std::byte each : octets)
        text += static_cast<char>(each);
    return text;
}

bool sameOctets(ByteView one, ByteView other)
{
    return std::ranges::equal(one, other);
}

std::string hexText(ByteView octets)
{
    std::string text;
    for (const std::byte each : octets)
        text += hexText(octet(each), 2);
    return text;
}

std::string hexText(std::uint32_t value, unsigned digits)
{
    std::string text(digits, '0');
    for (auto digit = text.rbegin(); digit != text.rend(); ++digit, value /= 16)
        *digit = kHexDigits[value % 16];
    return text;
}

std::optional<Bytes> fromHexText(std::string_view text)
{
    Bytes octets(text.size() / 2);
    if (octets.size() * 2 != text.size())
        return std::nullopt;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto value = kHexDigits.find(lower(text[i]));
        if (value == std::string_view::npos)
            return std::nullopt;
        octets[i / 2] |= static_cast<std::byte>(i % 2 == 0 ? value * 16 : value);
    }
    return octets;
}

std::string inLowerCase(std::string_view text)
{
    std::string lowered(text);
    std::ranges::transform(lowered, lowered.begin(), lower);
    return lowered;
}

std::string_view withoutBlanks(std::string_view text)
{
    while (!text.empty() && isBlank(text.front()))
        text.remove_prefix(1);
    while (!text.empty() && isBlank(text.back()))
        text.remove_suffix(1);
    return text;
}

} // namespace provost::sim
