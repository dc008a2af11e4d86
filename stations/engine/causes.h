// The one table of everything that an operator can be told: id, verdict, title, one action.
#pragma once

#include "core/result.h"
#include "store/record.h"

#include <span>
#include <string_view>

namespace provost {

struct Cause {
    std::string_view id{}; ///< F…: fail, H…: hold, C…: check, S…: stopped
    Verdict verdict = Verdict::Error;
    std::string_view title{};  ///< what is so, for the tile
    std::string_view action{}; ///< the one thing to do
};

std::span<const Cause> allCauses();
/// The cause of that id; the row for unknown errors (C999) where there is none.
const Cause& causeById(std::string_view id);
/// The row that fits an error: its own id if it names one, else by blame and code.
const Cause& causeOf(const Error& error);

} // namespace provost
