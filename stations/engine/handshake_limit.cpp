#include "engine/handshake_limit.h"

#include "core/text.h"

#include <algorithm>

namespace provost {

using namespace std::chrono_literals;

namespace {

constexpr int kBlockingReads = 2; // nonce, session key
constexpr std::chrono::milliseconds kJoinUnlimited{30000};

double seconds(std::chrono::milliseconds span)
{
    return std::chrono::duration<double>(span).count();
}

} // namespace

std::chrono::milliseconds joinLimit(const StepSpec& step, const TestNetwork& network)
{
    const auto named = step.limits.find("join_s");
    auto join = kJoinUnlimited;
    if (named != step.limits.end() && named->second.max)
        join = std::chrono::ceil<std::chrono::milliseconds>(
            std::chrono::duration<double>(*named->second.max));
    return network.joinLimit > 0ms ? std::min(join, network.joinLimit) : join;
}

std::chrono::milliseconds talkLimit(const CloudWaits& waits)
{
    return kBlockingReads * waits.read + waits.hello;
}

std::chrono::milliseconds handshakeLimit(std::chrono::milliseconds join, const CloudWaits& waits)
{
    return join + waits.connect + talkLimit(waits) + waits.backOff;
}

Result<> checkHandshakeTime(const TestPlan& plan, const TestNetwork& network)
{
    for (const auto& step : plan.steps) {
        if (step.use != "live-handshake")
            continue;
        const auto join = joinLimit(step, network);
        const auto limit = handshakeLimit(join, network.waits);
        const auto refused = [&](const std::string& where, std::string_view what, double given) {
            return fail(Errc::InvalidData, Blame::Operator,
                        concat(where, ": ", what, " of ", fixed(given, 1),
                               " s cuts good units off: they may need ", fixed(seconds(limit), 1),
                               " s (join ", fixed(seconds(join), 1), ", connect ",
                               fixed(seconds(network.waits.connect), 1), ", two reads ",
                               fixed(seconds(kBlockingReads * network.waits.read), 1), ", hello ",
                               fixed(seconds(network.waits.hello), 1), ", back-off ",
                               fixed(seconds(network.waits.backOff), 1),
                               "); raise it, or lower max of join_s"));
        };
        if (step.timeout < limit)
            return refused(step.placeOf("timeout"), "\"timeout\"", seconds(step.timeout));
        const auto total = step.limits.find("seconds");
        if (total != step.limits.end() && total->second.max && *total->second.max < seconds(limit))
            return refused(step.placeOf("seconds"), "the limit of \"seconds\"", *total->second.max);
        const auto talk = step.limits.find("handshake_ms");
        if (talk != step.limits.end() && talk->second.max &&
            *talk->second.max <
                std::chrono::duration<double, std::milli>(talkLimit(network.waits)).count())
            return fail(
                Errc::InvalidData, Blame::Operator,
                concat(step.placeOf("handshake_ms"), ": the limit of \"handshake_ms\" of ",
                       fixed(*talk->second.max, 0), " ms cuts good units off: they may need ",
                       fixed(seconds(talkLimit(network.waits)) * 1000, 0),
                       " ms where the endpoint is slow (two reads and the Hello); raise it"));
    }
    return {};
}

} // namespace provost
