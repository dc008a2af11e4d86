// Small builders of text; GCC 12 has no std::format.
#pragma once

#include "core/bytes.h"
#include "core/result.h"

#include <concepts>
#include <string>
#include <string_view>

namespace provost {

/// Lower-case hexadecimal digits, two a byte, no separators.
std::string toHex(ByteView bytes);
/// @returns InvalidData  odd length or a character that is no hexadecimal digit
Result<Bytes> fromHex(std::string_view hex);
/// `0x08020000`: eight digits, for addresses.
std::string hex32(std::uint32_t value);
/// `0x2b04`-like without the prefix: four lower-case digits.
std::string hex16(std::uint16_t value);
std::string lowerCase(std::string_view text);
std::string_view trimmed(std::string_view text);
/// `value` with `decimals` digits behind the point, independent of the locale.
std::string fixed(double value, int decimals);

inline std::string toPiece(std::string_view text)
{
    return std::string(text);
}
inline std::string toPiece(const char* text)
{
    return text;
}
inline std::string toPiece(std::string text)
{
    return text;
}
inline std::string toPiece(char text)
{
    std::string piece(1, text);
    return piece;
}
template <std::integral T>
    requires(!std::same_as<T, char>)
std::string toPiece(T value)
{
    return std::to_string(value);
}

/// What the system says of an errno, as strerror(3) does, from any thread.
std::string systemMessage(int error);

/// concat("wrote ", 4096, " bytes"): the pieces, one behind the other.
template <class... Pieces>
std::string concat(Pieces&&... pieces)
{
    std::string text;
    (text.append(toPiece(std::forward<Pieces>(pieces))), ...);
    return text;
}

} // namespace provost
