// Counts beside a step what DFU had to repeat in it.
#include "steps/steps_p.h"

namespace provost {

namespace {

class DfuRetriesOf final : public Step {
public:
    explicit DfuRetriesOf(std::unique_ptr<Step> step) : m_step(std::move(step)) {}

    Result<> run(StepContext& context) override
    {
        const int before = context.unit().dfuRetries().value_or(0);
        auto outcome = m_step->run(context);
        // A step that failed is where it matters.
        if (const auto after = context.unit().dfuRetries())
            context.measure(kDfuRetries, *after - before, "");
        else
            context.notMeasured(kDfuRetries);
        return outcome;
    }

private:
    std::unique_ptr<Step> m_step;
};

} // namespace

MadeStep withDfuRetries(MadeStep step)
{
    return std::make_unique<DfuRetriesOf>(TRY(std::move(step)));
}

} // namespace provost
