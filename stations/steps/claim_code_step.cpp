// Gives the unit a code of the station's account to show to the cloud, which books the claim: who
// asks a cloud about a unit has to own it.
#include "core/text.h"
#include "engine/cloud_view.h"
#include "protocol/unit_settings.h"
#include "steps/steps_p.h"

namespace provost {

namespace {

class ClaimCodeStep final : public Step {
public:
    Result<> run(StepContext& context) override
    {
        const MeasuredRepeats repeats(context);
        const auto& op = context.op();
        const auto& layout = context.plan().platform.dct;
        // A unit that calls itself claimed shows no code.
        TRY(clearClaim(context, *TRY(context.unit().table(op)), op));
        const std::string code = TRY(context.view().claimCode(op));
        const std::string_view route = TRY(give(context, code, op));
        if (layout.claimCode.size != 0) {
            auto* table = TRY(context.unit().table(op));
            const Bytes stored =
                TRY(table->read(layout.claimCode.offset, layout.claimCode.size, op));
            if (toText(stored) != code)
                return Unexpected(unitError(
                    Errc::Mismatch, "read the claim code back: the unit holds another", "F421"));
        }
        context.facts().claimCode = code;
        context.note(concat("claim code given by ", route));
        return {};
    }

private:
    /// By request from 0.8.0 on, else by the console (particle-devices 1.3, 7.1).
    static Result<std::string_view> give(StepContext& context, const std::string& code,
                                         const OpContext& op)
    {
        auto& unit = context.unit();
        TRY(unit.bringTo(UnitMode::Listening, op));
        {
            const auto control = TRY(unit.openControl(op));
            const auto told = UnitSettings(*control).setClaimCode(code, op);
            if (told)
                return std::string_view("control request");
            if (told.error().code != Errc::Unsupported)
                return Unexpected(told.error());
        }
        auto line = TRY(unit.openConsole(op));
        TRY(ListeningConsole(*line).setClaimCode(code, op));
        return std::string_view("listening console");
    }
};

} // namespace

MadeStep makeClaimCodeStep(const StepSpec&)
{
    return std::make_unique<ClaimCodeStep>();
}

} // namespace provost
