// Credentials of the test network, by the route that the unit has.
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
        context.facts().credentialsGiven = true; // from here on they may be on the unit
        const WifiAccess access{.ssid = network.ssid,
                                .password = network.password,
                                .security = network.security,
                                .storedPart = network.storedPart};
        TRY(changeWifiPart(context, "give",
                           [&] { return context.unit().giveCredentials(access, op); }));
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
