// Server key and address record of the station's endpoint, in one write of key, FF and record.
#include "core/text.h"
#include "steps/steps_p.h"

namespace provost {

namespace {

class ServerKeyStep final : public Step {
public:
    Result<> run(StepContext& context) override
    {
        const MeasuredRepeats repeats(context);
        const auto& layout = context.plan().platform.dct;
        auto& server = context.handshakes();
        const ServerAddress address{.host = server.host(), .port = server.port()};
        const auto key = server.serverKey();
        const Bytes slot = TRY(buildServerSlot(layout, key.toDer(), address));
        auto* table = TRY(context.unit().table(context.op()));
        TRY(writeSlot(context, *table, layout.serverKey.offset, slot, kServerKeyEffect, "F215",
                      context.op()));
        TRY(chooseTcp(context, *table, context.op()));
        context.facts().serverSlot = slot;
        context.note(
            concat("test endpoint ", toText(address), " · ", shortFingerprint(key.fingerprint())));
        return {};
    }
};

} // namespace

MadeStep makeServerKeyStep(const StepSpec&)
{
    return std::make_unique<ServerKeyStep>();
}

} // namespace provost
