// What a unit says, made fit for a message.
#pragma once

#include "core/text.h"

#include <string>
#include <string_view>

namespace provost {

/// At most `limit` characters; what cannot be printed becomes a blank.
inline std::string printable(std::string_view text, std::size_t limit = 120)
{
    std::string shown;
    for (const char c : text.substr(0, limit))
        shown.push_back(c >= ' ' && c < 0x7F ? c : ' ');
    return std::string(trimmed(shown));
}

} // namespace provost
