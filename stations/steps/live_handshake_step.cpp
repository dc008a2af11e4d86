// The unit proves, live, that it holds the private key: Hello both ways and one further message
// with the right id (particle-devices 5.5).
#include "core/text.h"
#include "steps/steps_p.h"

#include <array>
#include <utility>

namespace provost {

using namespace std::chrono_literals;

namespace {

// particle-devices 5.6. One refused attempt may precede the good one: back-off of failures 1 to 5.
constexpr auto kConnect = 8s;
constexpr auto kBlockingRead = 20s;
constexpr int kBlockingReads = 2; // nonce, session key
constexpr auto kServerHello = 4s;
constexpr auto kBackOff = 1s;

constexpr std::array<std::pair<std::string_view, std::string_view>, 7> kCauses{{
    {"wrong-server-key", "F401"},
    {"wrong-device-key", "F405"},
    {"unknown-device", "F402"},
    {"key-not-registered", "F402"},
    {"locked-key", "F402"},
    {"registered-key-differs", "F221"},
    {"bad-message-counter", "F410"},
}};

std::string_view causeId(std::string_view kind)
{
    for (const auto& [name, id] : kCauses) {
        if (name == kind)
            return id;
    }
    return "F403";
}

class LiveHandshakeStep final : public Step {
public:
    Result<> run(StepContext& context) override
    {
        auto& facts = context.facts();
        const auto limit = context.station().network.joinLimit + kConnect +
                           kBlockingReads * kBlockingRead + kServerHello + kBackOff;
        const auto op = context.op().within(limit);
        const UnitIdentity identity{.serial = facts.label, .deviceId = facts.id.deviceId};
        const auto expectation =
            TRY(context.handshakes().expect(identity, facts.publicKeyDer, {}));
        TRY(context.unit().reboot(op));
        const auto booted = op.clock.now();
        auto seen = expectation->wait(op);
        if (!seen && (seen.error().code == Errc::NotFound || seen.error().code == Errc::Timeout))
            return Unexpected(unitError(
                seen.error().code,
                concat("wait ", std::chrono::duration_cast<std::chrono::seconds>(limit).count(),
                       " s for the handshake of ", identity.deviceId, " at ",
                       context.handshakes().host(), ":", context.handshakes().port(),
                       ": it never connected"),
                "F404"));
        const HandshakeReport report = TRY(std::move(seen));
        for (const auto& message : report.messages)
            context.handshakeArrow(message);
        if (!report.passed)
            return Unexpected(unitError(Errc::Mismatch,
                                        concat("handshake of ", identity.deviceId, " ended at ",
                                               name(report.stage), ": ", report.cause, "; ",
                                               report.advice),
                                        causeId(report.cause)));
        const double waited = std::chrono::duration<double>(op.clock.now() - booted).count();
        context.measure("join_s", std::max(0.0, waited - report.totalMs / 1000));
        context.measure("handshake_ms", report.totalMs);
        context.notMeasured("rssi_dbm"); // this firmware does not report it
        context.note(concat("hello both ways and one more message · ", fixed(report.totalMs, 0),
                            " ms"));
        return {};
    }
};

} // namespace

MadeStep makeLiveHandshakeStep(const StepSpec&) { return std::make_unique<LiveHandshakeStep>(); }

} // namespace provost
