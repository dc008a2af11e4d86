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
        if (!unit.hasUsb())
            TRY(tableCanBeChanged(context));
        if (TRY(unit.mode(op)) == UnitMode::Dfu &&
            TRY(startFirmware(context)) == Started::NotNeeded)
            return {};
        auto route = clearCredentials(context, op);
        const bool noRoute = !route && route.error().code == Errc::Unsupported;
        if (!route && !noRoute)
            return Unexpected(std::move(route).error());
        // By itself it boots to listening mode only where none are stored (particle-devices 7.1).
        const auto mode = TRY(unit.restart(op));
        if (mode == UnitMode::Listening) {
            context.note(noRoute ? std::string("none stored · boots to listening mode")
                                 : concat("cleared by ", *route, " · boots to listening mode"));
            return {};
        }
        if (noRoute)
            return Unexpected(std::move(route).error());
        return Unexpected(
            unitError(Errc::Mismatch,
                      concat("clear Wi-Fi credentials by ", *route, ": the unit boots to ",
                             name(mode), " instead of listening mode"),
                      "C060"));
    }

private:
    enum class Started : std::uint8_t { Yes, NotNeeded };

    /// Said before anything is written: by SWD the table of new firmware cannot be changed (3.1).
    static Result<> tableCanBeChanged(StepContext& context)
    {
        const auto dct = TRY(context.unit().readDct(context.op()));
        const auto current = dct.current();
        if (!current || !dct.hasTrailer(*current))
            return {};
        return Unexpected(Error{.code = Errc::Denied,
                                .blame = Blame::Operator,
                                .message =
                                    "change the DCT by SWD: it ends with the checksum of "
                                    "firmware 0.7.0 and later, whose range is not published; "
                                    "restore both sectors of a table without it (provost "
                                    "stlink dct-restore), or use a carrier with USB",
                                .frames = {},
                                .native = {},
                                .cause = "C063"});
    }

    /// Only running firmware can clear them. Where both copies are blank there are none.
    static Result<Started> startFirmware(StepContext& context)
    {
        auto& unit = context.unit();
        {
            const auto dct = TRY(unit.readDct(context.op()));
            // A radio that keeps them itself does not show them.
            const bool shown = context.plan().platform.dct.wifi.size != 0;
            if (shown && blank(dct.wifi(0)) && blank(dct.wifi(1))) {
                context.note("none stored · Wi-Fi memory is blank");
                return Started::NotNeeded;
            }
        }
        if (TRY(unit.restart(context.op())) != UnitMode::Dfu)
            return Started::Yes;
        return Unexpected(unitError(
            Errc::Unsupported,
            "clear Wi-Fi credentials: the unit has some and no firmware that could clear them",
            "C061"));
    }
};

} // namespace

MadeStep makeClearCredentialsStep(const StepSpec&)
{
    return std::make_unique<ClearCredentialsStep>();
}

} // namespace provost
