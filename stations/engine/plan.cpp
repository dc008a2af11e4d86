#include "engine/plan.h"

#include "core/text.h"

namespace provost {

std::string StepSpec::placeOf(const std::string& key) const
{
    const auto found = places.find(key);
    return found != places.end() ? found->second : where;
}

Result<std::string> StepSpec::text(std::string_view key) const
{
    const auto found = parameters.find(std::string(key));
    if (found != parameters.end()) {
        if (const auto* value = std::get_if<std::string>(&found->second))
            return *value;
    }
    return fail(Errc::InvalidArgument, Blame::Operator,
                concat(placeOf(std::string(key)), ": step ", use, " needs a text \"", key, "\""));
}

std::string StepSpec::textOr(std::string_view key, std::string_view fallback) const
{
    auto value = text(key);
    return value ? *value : std::string(fallback);
}

std::int64_t StepSpec::integerOr(std::string_view key, std::int64_t fallback) const
{
    const auto found = parameters.find(std::string(key));
    if (found != parameters.end()) {
        if (const auto* value = std::get_if<std::int64_t>(&found->second))
            return *value;
    }
    return fallback;
}

} // namespace provost
