#include "store/record.h"

#include "core/text.h"

#include <algorithm>
#include <array>

namespace provost {

namespace {

struct Names {
    std::string_view plain;
    std::string_view shown;
};
constexpr std::array<Names, 6> kNames{{{"not-run", "READY"},
                                       {"pass", "PASS"},
                                       {"hold", "HOLD"},
                                       {"fail", "FAIL"},
                                       {"aborted", "STOPPED"},
                                       {"error", "CHECK"}}};

/// Written so that "not a number" lies outside.
bool within(const Limit& limit, double number)
{
    const bool aboveMin = !limit.min || number >= *limit.min;
    const bool belowMax = !limit.max || number <= *limit.max;
    return aboveMin && belowMax && number == number;
}

} // namespace

std::string_view name(Verdict verdict)
{
    return kNames.at(static_cast<std::size_t>(verdict)).plain;
}

std::string_view shownName(Verdict verdict)
{
    return kNames.at(static_cast<std::size_t>(verdict)).shown;
}

Result<Verdict> parseVerdict(std::string_view text)
{
    const auto* const found = std::ranges::find(kNames, text, &Names::plain);
    if (found == kNames.end())
        return fail(Errc::InvalidArgument, Blame::Operator,
                    concat("read verdict \"", text,
                           "\": not one of not-run, pass, hold, fail, aborted, error"));
    return static_cast<Verdict>(found - kNames.begin());
}

Verdict judge(const Measurement& measurement)
{
    const Limit& limit = measurement.limit;
    if (!measurement.value || (!limit.min && !limit.max))
        return Verdict::NotRun;
    const double* const number = std::get_if<double>(&*measurement.value);
    // A text or a flag cannot lie between two numbers.
    return number != nullptr && within(limit, *number) ? Verdict::Pass : Verdict::Fail;
}

std::string_view name(CustodyEvent event)
{
    switch (event) {
    case CustodyEvent::Birth:
        return "birth";
    case CustodyEvent::Burn:
        return "burn";
    case CustodyEvent::Proof:
        return "proof";
    case CustodyEvent::Escrow:
        return "escrow";
    case CustodyEvent::Destruction:
        break;
    }
    return "destruction";
}

} // namespace provost
