#include "core/text.h"

#include "core/byte_io.h"

#include <array>
#include <cctype>
#include <charconv>
#include <system_error>

namespace provost {

namespace {

int digitValue(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

std::string hexDigits(std::uint32_t value, int digits)
{
    std::string text;
    for (int shift = (digits - 1) * 4; shift >= 0; shift -= 4)
        text.push_back("0123456789abcdef"[(value >> shift) & 0xF]);
    return text;
}

} // namespace

std::string systemMessage(int error)
{
    return std::generic_category().message(error);
}

std::string toHex(ByteView bytes)
{
    std::string text;
    text.reserve(bytes.size() * 2);
    for (const std::byte b : bytes)
        text += hexDigits(u8(b), 2);
    return text;
}

Result<Bytes> fromHex(std::string_view hex)
{
    if (hex.size() % 2 != 0)
        return fail(Errc::InvalidData, Blame::Operator,
                    concat("read hexadecimal text: odd number of digits (", hex.size(), ")"));
    Bytes bytes;
    bytes.reserve(hex.size() / 2);
    for (std::size_t i = 0; i < hex.size(); i += 2) {
        const int high = digitValue(hex[i]);
        const int low = digitValue(hex[i + 1]);
        if (high < 0 || low < 0)
            return fail(Errc::InvalidData, Blame::Operator,
                        concat("read hexadecimal text: no digit at position ", i));
        bytes.push_back(static_cast<std::byte>(high * 16 + low));
    }
    return bytes;
}

std::string hex32(std::uint32_t value)
{
    return "0x" + hexDigits(value, 8);
}
std::string hex16(std::uint16_t value)
{
    return hexDigits(value, 4);
}

std::string lowerCase(std::string_view text)
{
    std::string lower(text);
    for (char& c : lower)
        c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return lower;
}

std::string_view trimmed(std::string_view text)
{
    constexpr std::string_view kBlank = " \t\r\n";
    const auto first = text.find_first_not_of(kBlank);
    if (first == std::string_view::npos)
        return {};
    return text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

std::string fixed(double value, int decimals)
{
    std::array<char, 64> buffer{};
    const auto [end, error] = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value,
                                            std::chars_format::fixed, decimals);
    return error == std::errc{} ? std::string(buffer.data(), end) : std::string("?");
}

std::string_view name(Errc code)
{
    static constexpr std::array<std::string_view, 16> kNames{
        "cancelled", "timeout",     "not-found",        "busy",         "disconnected", "io",
        "protocol",  "unsupported", "invalid-argument", "invalid-data", "mismatch",     "protected",
        "denied",    "unavailable", "corrupt",          "internal"};
    return kNames.at(static_cast<std::size_t>(code));
}

std::string_view name(Blame blame)
{
    static constexpr std::array<std::string_view, 6> kNames{"unit",  "fixture",  "station",
                                                            "cloud", "operator", "software"};
    return kNames.at(static_cast<std::size_t>(blame));
}

std::string describe(const Error& error)
{
    std::string text = error.message;
    for (const auto& frame : error.frames)
        text += concat(" (", frame, ")");
    return text;
}

namespace detail {

Unexpected brokenPrecondition(const char* condition, const char* file, int line)
{
    return fail(Errc::Internal, Blame::Software,
                concat("precondition broken: ", condition, " at ", file, ":", line));
}

} // namespace detail

} // namespace provost
