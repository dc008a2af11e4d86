#include "core/text.h"
#include "engine/step.h"

#include <algorithm>

namespace provost {

void StepRegistry::add(std::string id, Factory factory, StepTraits traits)
{
    m_entries.insert_or_assign(std::move(id),
                               Entry{.factory = std::move(factory), .traits = std::move(traits)});
}

bool StepRegistry::has(std::string_view id) const
{
    return m_entries.contains(id);
}

Result<std::unique_ptr<Step>> StepRegistry::make(const StepSpec& spec) const
{
    const auto found = m_entries.find(spec.use);
    if (found == m_entries.end())
        return fail(Errc::InvalidArgument, Blame::Operator,
                    concat(spec.placeOf("use"), ": no step is called \"", spec.use, "\""));
    const auto& [factory, traits] = found->second;
    for (const auto& [key, value] : spec.parameters) {
        if (std::ranges::find(traits.parameters, key) == traits.parameters.end())
            return fail(Errc::InvalidArgument, Blame::Operator,
                        concat(spec.placeOf(key), ": step ", spec.use, " knows no \"", key, "\""));
    }
    for (const auto& [name, limit] : spec.limits) {
        if (name != "seconds" &&
            std::ranges::find(traits.measurements, name) == traits.measurements.end())
            return fail(Errc::InvalidArgument, Blame::Operator,
                        concat(spec.placeOf(name), ": step ", spec.use, " does not measure \"",
                               name, "\""));
    }
    return factory(spec);
}

} // namespace provost
