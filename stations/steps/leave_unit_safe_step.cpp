// Teardown: whatever happened above, the unit does not keep the test credentials if that can be
// helped. Best effort by design: the verdict stands already.
#include "core/text.h"
#include "steps/steps_p.h"

namespace provost {

namespace {

class LeaveUnitSafeStep final : public Step {
public:
    Result<> run(StepContext& context) override
    {
        TRY(endCustody(context, "the run ended before its proof"));
        if (!context.facts().credentialsGiven) {
            context.note("nothing to clean up");
            return {};
        }
        auto& unit = context.unit();
        if (!unit.look()) {
            context.note("the unit is gone; it may hold the test credentials");
            return {};
        }
        if (TRY(unit.mode(context.op())) == UnitMode::Dfu)
            TRY(unit.reboot(context.op()));
        const std::string route = TRY(clearCredentials(context, context.op()));
        context.facts().credentialsGiven = false;
        context.note(concat("test credentials cleared by ", route));
        return {};
    }
};

} // namespace

MadeStep makeLeaveUnitSafeStep(const StepSpec&)
{
    return std::make_unique<LeaveUnitSafeStep>();
}

} // namespace provost
