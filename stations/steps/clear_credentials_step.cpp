// Clears the credentials of an earlier life, so that the unit reaches no cloud before its key is
// registered (particle-devices 9, 13); proved by a boot that shows listening mode.
#include "core/text.h"
#include "steps/steps_p.h"

namespace provost {

namespace {

class ClearCredentialsStep final : public Step {
public:
    Result<> run(StepContext& context) override
    {
        auto& unit = context.unit();
        const auto& op = context.op();
        if (TRY(unit.mode(op)) == UnitMode::Dfu)
            return withoutFirmware(context);
        auto route = clearCredentials(context, op);
        if (!route && route.error().code == Errc::Unsupported &&
            TRY(unit.restart(op)) == UnitMode::Listening) {
            // No route, and none needed: by itself it boots to listening mode only without any.
            context.note("none stored · boots to listening mode");
            return {};
        }
        const std::string done = TRY(std::move(route));
        const auto mode = TRY(unit.restart(op));
        if (mode != UnitMode::Listening)
            return Unexpected(unitError(Errc::Mismatch,
                                        concat("clear Wi-Fi credentials by ", done,
                                               ": the unit boots to ", name(mode),
                                               " instead of listening mode"),
                                        "C060"));
        context.note(concat("cleared by ", done, " · boots to listening mode"));
        return {};
    }

private:
    static Result<> withoutFirmware(StepContext& context)
    {
        auto& unit = context.unit();
        const auto dct = TRY(unit.readDct(context.op()));
        if (allFf(dct.wifi(0)) && allFf(dct.wifi(1))) {
            context.note("none stored · Wi-Fi memory is blank");
            return {};
        }
        const auto started = unit.restart(context.op());
        if (!started && started.error().code == Errc::Cancelled)
            return Unexpected(started.error());
        if (!started || *started == UnitMode::Dfu)
            return Unexpected(unitError(
                Errc::Unsupported,
                "clear Wi-Fi credentials: the unit has some and no firmware that could clear them",
                "C061"));
        const auto route = TRY(clearCredentials(context, context.op()));
        context.note(concat("cleared by ", route));
        return {};
    }
};

} // namespace

MadeStep makeClearCredentialsStep(const StepSpec&)
{
    return std::make_unique<ClearCredentialsStep>();
}

} // namespace provost
