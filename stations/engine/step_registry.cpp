#include "engine/step.h"

#include "core/text.h"

namespace provost {

void StepRegistry::add(std::string id, Factory factory)
{
    m_factories.insert_or_assign(std::move(id), std::move(factory));
}

bool StepRegistry::has(std::string_view id) const { return m_factories.contains(id); }

Result<std::unique_ptr<Step>> StepRegistry::make(const StepSpec& spec) const
{
    const auto found = m_factories.find(spec.use);
    if (found == m_factories.end())
        return fail(Errc::InvalidArgument, Blame::Operator,
                    concat(spec.where, ": no step is called \"", spec.use, "\""));
    return found->second(spec);
}

} // namespace provost
