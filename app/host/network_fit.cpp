#include "host/network_fit.h"

#include "engine/handshake_limit.h"
#include "steps/network_traces.h"

namespace provost {

Result<> checkNetwork(const TestPlan& plan, const TestNetwork& network)
{
    if (plan.kind != PlanKind::Product)
        return {}; // its units join nothing
    if (plan.platform.network == Network::Wifi)
        TRY(checkTraceable(network));
    if (auto time = checkHandshakeTime(plan, network); !time)
        return Unexpected(withCause(std::move(time).error(), "C042"));
    return {};
}

} // namespace provost
