// Server key and address record in one write of key, FF and record: those of the station's endpoint
// (the default), or the product's own, where the unit is to reach its cloud.
#include "core/text.h"
#include "crypto/digest.h"
#include "steps/steps_p.h"

namespace provost {

namespace {

class ServerKeyStep final : public Step {
public:
    explicit ServerKeyStep(bool ofProduct) : m_ofProduct(ofProduct) {}

    Result<> run(StepContext& context) override
    {
        const MeasuredRepeats repeats(context);
        const auto written = TRY(writeServerKey(context, m_ofProduct, context.op()));
        context.note(concat(m_ofProduct ? "the product's own " : "test endpoint ", written));
        return {};
    }

private:
    bool m_ofProduct;
};

} // namespace

Result<std::string> writeServerKey(StepContext& context, bool ofProduct, const OpContext& op)
{
    const auto& layout = context.plan().platform.dct;
    const auto& shipping = *context.plan().shipping;
    auto& server = context.handshakes();
    const ServerAddress address =
        ofProduct ? shipping.address : ServerAddress{.host = server.host(), .port = server.port()};
    const Bytes key = ofProduct ? shipping.serverKeyDer : server.serverKey().toDer();
    const Bytes slot = TRY(buildServerSlot(layout, key, address));
    auto* table = TRY(context.unit().table(op));
    TRY(writeSlot(context, *table, layout.serverKey.offset, slot,
                  ofProduct ? kShippingKeyEffect : kServerKeyEffect, "F215", op));
    TRY(chooseTcp(context, *table, op));
    context.facts().serverSlot = slot;
    return concat(toText(address), " · ", shortFingerprint(sha256Hex(key)));
}

MadeStep makeServerKeyStep(const StepSpec& spec)
{
    const std::string endpoint = spec.textOr("endpoint", "station");
    if (endpoint != "station" && endpoint != "product")
        return fail(Errc::InvalidArgument, Blame::Operator,
                    concat(spec.placeOf("endpoint"), ": endpoint = \"", endpoint,
                           "\": must be \"station\" or \"product\""));
    return std::make_unique<ServerKeyStep>(endpoint == "product");
}

} // namespace provost
