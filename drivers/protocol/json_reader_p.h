// A strict reader of small JSON texts (RFC 8259) from a unit: bounded depth, no extensions.
#pragma once

#include "core/result.h"

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace provost::json {

struct Value {
    enum class Kind : std::uint8_t { Null, Boolean, Number, String, Array, Object };
    Kind kind = Kind::Null;
    bool boolean = false;
    std::string text{};              ///< of a string, decoded; of a number, as written
    std::vector<Value> items{};      ///< of an array; of an object, the members' values
    std::vector<std::string> keys{}; ///< of an object, unique, one for each item

    /// Member of an object; null where there is none.
    const Value* find(std::string_view key) const;
    /// A whole number in the range of `int`, written as a number or as a string of digits.
    std::optional<int> integer() const;
    std::optional<std::int64_t> integer64() const;
};

/// @returns InvalidData  not one JSON value, a key twice, deeper than 12; message names the
/// character
Result<Value> parse(std::string_view text);

} // namespace provost::json
