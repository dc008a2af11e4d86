// Credentials of the test network, by the route that the unit has.
#include "core/text.h"
#include "steps/steps_p.h"

namespace provost {

namespace {

class GiveCredentialsStep final : public Step {
public:
    Result<> run(StepContext& context) override
    {
        TRY(giveTestCredentials(context, context.op()));
        context.note(concat("network ", context.station().network.ssid));
        return {};
    }
};

} // namespace

MadeStep makeGiveCredentialsStep(const StepSpec&)
{
    return std::make_unique<GiveCredentialsStep>();
}

} // namespace provost
