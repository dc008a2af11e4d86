// The radio of a unit without USB, tried by the production tester on Serial1: it names the unit,
// joins the test network without keeping it, and says how well it hears it (particle-devices 7.6).
#include "core/text.h"
#include "protocol/serial1_tester.h"
#include "steps/steps_p.h"

namespace provost {

namespace {

class SerialTesterStep final : public Step {
public:
    Result<> run(StepContext& context) override
    {
        const auto& op = context.op();
        auto& unit = context.unit();
        if (unit.hasUsb())
            return fail(Errc::Unsupported, Blame::Operator,
                        "talk to the tester on Serial1: this unit has USB");
        TRY(unit.bringTo(UnitMode::Listening, op));
        auto line = TRY(unit.openConsole(op));
        Serial1Tester tester(*line);
        TRY(tester.wake(op));
        TRY(isThisUnit(context, TRY(tester.info(op))));
        const auto& network = context.station().network;
        const auto began = op.clock.now();
        auto joined = tester.connect(network.ssid, network.password, op);
        if (!joined && joined.error().code == Errc::Denied)
            return doesNotJoin(context, std::move(joined).error(), began, op);
        TRY(std::move(joined));
        const TesterInfo heard = TRY(tester.info(op));
        if (heard.rssi)
            context.measure("rssi_dbm", *heard.rssi, "dBm");
        else
            context.notMeasured("rssi_dbm");
        context.note(concat("joins ", network.ssid, " without keeping it",
                            heard.rssi ? concat(" · ", *heard.rssi, " dBm") : std::string()));
        // What it joined is in its RAM: the next step begins with a fresh boot.
        return unit.reboot(op);
    }

private:
    static Result<> doesNotJoin(StepContext& context, Error refusal, Clock::Steady began,
                                const OpContext& op)
    {
        const auto& deviceId = context.facts().id.deviceId;
        const auto silence = judgeSilence(TRY(context.network().standingFor(deviceId, began, op)));
        refusal.message += concat("; ", silence.why);
        refusal.blame = silence.blame;
        const bool ofTheUnit = silence.blame == Blame::Unit;
        return Unexpected(withCause(std::move(refusal), ofTheUnit ? "F502" : silence.cause));
    }

    static Result<> isThisUnit(StepContext& context, const TesterInfo& info)
    {
        const auto& deviceId = context.facts().id.deviceId;
        if (info.deviceId == deviceId)
            return {};
        return Unexpected(unitError(Errc::Mismatch,
                                    concat("ask the tester on Serial1 who it is: ", info.deviceId,
                                           " answers, ", deviceId,
                                           " is behind the probe; the cables of two slots are "
                                           "crossed"),
                                    "C016"));
    }
};

} // namespace

MadeStep makeSerialTesterStep(const StepSpec&)
{
    return std::make_unique<SerialTesterStep>();
}

} // namespace provost
