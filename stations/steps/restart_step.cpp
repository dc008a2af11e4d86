// A fresh boot. Between system parts and bootloader the unit may run in safe mode: expected.
#include "core/text.h"
#include "steps/steps_p.h"

namespace provost {

namespace {

class RestartStep final : public Step {
public:
    Result<> run(StepContext& context) override
    {
        const auto mode = TRY(context.unit().restart(context.op()));
        if (mode == UnitMode::Dfu)
            return Unexpected(unitError(Errc::Unavailable,
                                        "restart the unit: it boots into DFU mode, so it does not "
                                        "take the system parts for valid",
                                        "C014"));
        context.note(concat("back in ", name(mode), " mode"));
        return {};
    }
};

} // namespace

MadeStep makeRestartStep(const StepSpec&)
{
    return std::make_unique<RestartStep>();
}

} // namespace provost
