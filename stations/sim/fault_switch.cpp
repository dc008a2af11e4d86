#include "sim/fault_switch.h"

#include "core/text.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace provost {

namespace {

constexpr int kMostRepeats = 1'000'000;

struct FaultWord {
    std::string_view word;
    std::optional<RequestFault> fault;
};
constexpr std::array kFaultWords{FaultWord{"429", RequestFault::Answer429},
                                 FaultWord{"500", RequestFault::Answer500},
                                 FaultWord{"503", RequestFault::Answer503},
                                 FaultWord{"refuse", RequestFault::Refuse},
                                 FaultWord{"deny", RequestFault::Deny},
                                 FaultWord{"timeout-before", RequestFault::TimeOutBefore},
                                 FaultWord{"timeout-after", RequestFault::TimeOutAfter},
                                 FaultWord{"duplicate", RequestFault::Duplicate},
                                 FaultWord{"reorder", RequestFault::Reorder},
                                 FaultWord{"no-key-back", RequestFault::NoKeyBack},
                                 FaultWord{"no-events", RequestFault::NoEvents},
                                 FaultWord{"keep-claim", RequestFault::KeepClaim},
                                 FaultWord{"page", RequestFault::Page},
                                 FaultWord{"ok", std::nullopt}};

Unexpected noFault(std::string_view text)
{
    return fail(Errc::InvalidArgument, Blame::Operator,
                concat("order the fault \"", text,
                       "\": wanted is 429, 500, 503, refuse, deny, timeout-before, "
                       "timeout-after, duplicate, reorder, no-key-back, no-events, keep-claim, "
                       "page or ok, with :NUMBER "
                       "behind it for several requests, or outage:12h, or none"));
}

std::optional<int> numberIn(std::string_view text)
{
    int number = 0;
    const auto read = std::from_chars(text.data(), text.data() + text.size(), number);
    const bool whole = read.ec == std::errc{} && read.ptr == text.data() + text.size();
    return whole && number > 0 && number <= kMostRepeats ? std::optional(number) : std::nullopt;
}

std::optional<std::chrono::seconds> spanIn(std::string_view text)
{
    const char unit = text.empty() ? ' ' : text.back();
    const int seconds = unit == 'h' ? 3600 : unit == 'm' ? 60 : unit == 's' ? 1 : 0;
    const auto number = numberIn(text.substr(0, text.empty() ? 0 : text.size() - 1));
    if (seconds == 0 || !number)
        return std::nullopt;
    return std::chrono::seconds(static_cast<long long>(*number) * seconds);
}

Result<FaultOrder> parseOne(std::string_view text)
{
    const auto colon = text.find(':');
    const std::string_view word = text.substr(0, colon);
    const std::string_view rest =
        colon == std::string_view::npos ? std::string_view{} : text.substr(colon + 1);
    if (word == "outage") {
        const auto span = spanIn(rest);
        if (!span)
            return noFault(text);
        return FaultOrder{.outage = *span};
    }
    const auto found = std::ranges::find(kFaultWords, word, &FaultWord::word);
    const auto count = colon == std::string_view::npos ? std::optional(1) : numberIn(rest);
    if (found == kFaultWords.end() || !count)
        return noFault(text);
    return FaultOrder{.fault = found->fault, .count = *count};
}

} // namespace

Result<std::vector<FaultOrder>> parseFaultOrders(std::string_view text)
{
    std::vector<FaultOrder> orders;
    if (trimmed(text) == "none")
        return orders;
    while (true) {
        const auto comma = text.find(',');
        orders.push_back(TRY(parseOne(trimmed(text.substr(0, comma)))));
        if (comma == std::string_view::npos)
            return orders;
        text.remove_prefix(comma + 1);
    }
}

} // namespace provost
