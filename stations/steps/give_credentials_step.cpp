// Credentials of the test network, by the listening dialogue.
#include "core/text.h"
#include "steps/steps_p.h"

namespace provost {

namespace {

class GiveCredentialsStep final : public Step {
public:
    Result<> run(StepContext& context) override
    {
        const auto& op = context.op();
        const auto& network = context.station().network;
        TRY(context.unit().bringTo(UnitMode::Listening, op));
        auto line = TRY(context.unit().openConsole(op));
        ListeningConsole console(*line);
        context.facts().credentialsGiven = true; // from here on they may be on the unit
        auto given =
            console.setWifi(network.ssid, network.password, network.security, op.withSecrets());
        if (!given && given.error().code == Errc::Denied)
            return Unexpected(withCause(std::move(given).error(), "F230"));
        TRY(std::move(given));
        context.note(concat("network ", network.ssid));
        return {};
    }
};

} // namespace

MadeStep makeGiveCredentialsStep(const StepSpec&)
{
    return std::make_unique<GiveCredentialsStep>();
}

} // namespace provost
