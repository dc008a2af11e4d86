// The unit proves, live, that it holds the private key: Hello both ways and one further message
// with the right id (particle-devices 5.5).
#include "core/text.h"
#include "engine/handshake_limit.h"
#include "engine/network_witness.h"
#include "steps/join_attempts.h"
#include "steps/steps_p.h"

#include <algorithm>
#include <array>
#include <utility>

namespace provost {

using namespace std::chrono_literals;

namespace {

constexpr auto kLook = 200ms;
constexpr auto kProbeBudget = 5s;
constexpr std::string_view kBroken = "F403";

constexpr std::array<std::pair<std::string_view, std::string_view>, 8> kCauses{{
    {"wrong-server-key", "F401"},
    {"wrong-device-key", "F405"},
    {"no-hello", "F405"},
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
    return kBroken;
}

class LiveHandshakeStep final : public Step {
public:
    explicit LiveHandshakeStep(StepSpec spec) : m_spec(std::move(spec)) {}
    Result<> run(StepContext& context) override
    {
        auto& facts = context.facts();
        const auto& network = context.station().network;
        const auto limit = handshakeLimit(joinLimit(m_spec, network), network.waits);
        const auto op = context.op().within(limit);
        const auto began = op.clock.now();
        const UnitIdentity identity{.serial = facts.label, .deviceId = facts.id.deviceId};
        JoinAttempts attempts; // outlives the expectation, which speaks of it
        const auto expectation = TRY(context.handshakes().expect(
            identity, facts.publicKeyDer,
            [&](std::uint64_t connection, const HandshakeMessage& message) {
                const auto now = op.clock.now();
                attempts.heard(connection, now);
                context.network().joined(identity.deviceId, now);
                context.handshakeArrow(connection, message);
            }));
        TRY(context.unit().reboot(op));
        auto seen = waitFor(*expectation, identity.deviceId, op);
        if (sawNothing(seen))
            return silent(context, identity.deviceId, began, limit);
        const HandshakeReport report = TRY(std::move(seen));
        if (report.deviceId.empty()) {
            for (const auto& message : report.messages)
                context.handshakeArrow(kNamelessConnection, message);
        }
        if (!report.passed)
            return Unexpected(
                unitError(Errc::Mismatch,
                          concat("handshake of ", identity.deviceId, " ended at ",
                                 name(report.stage), ": ", report.cause, "; ", report.advice),
                          causeId(report.cause)));
        // From the restart, or the end of the attempt before, to the connection that passed: the
        // unit may dial before its USB device is seen.
        context.measure(
            "join_s",
            std::max(0.0, secondsSince(attempts.latestSince(began), op) - report.totalMs / 1000),
            "s");
        context.measure("join_attempts", attempts.count(), "");
        facts.handshakeSeen = true;
        context.measure("key_proof", proofWords(context));
        context.measure("handshake_ms", report.totalMs, "ms");
        // Request 100, diagnostics, may name the RSSI from 0.8.0 on; what it answers is in no sheet
        // (particle-devices 1.3, 12.7). INFO exists on Serial1 only (7.6).
        context.notMeasured("rssi_dbm");
        context.note(
            concat("hello both ways and one more message · ", fixed(report.totalMs, 0), " ms"));
        return {};
    }

private:
    static Result<> silent(StepContext& context, const std::string& deviceId, Clock::Steady began,
                           std::chrono::milliseconds limit)
    {
        const auto waited = secondsSince(began, context.op());
        // The wait has used the step's time up.
        const auto op = context.op().shielded(kProbeBudget);
        const auto silence = judgeSilence(TRY(context.network().standingFor(deviceId, began, op)));
        return Unexpected(
            Error{.code = Errc::Timeout,
                  .blame = silence.blame,
                  .message = concat("wait ", fixed(waited, 0), " s of ",
                                    fixed(std::chrono::duration<double>(limit).count(), 1),
                                    " s for the handshake of ", deviceId, " at ",
                                    context.handshakes().host(), ":", context.handshakes().port(),
                                    " over the network ", context.station().network.ssid,
                                    ": it never connected, and ", silence.why),
                  .frames = {},
                  .native = {},
                  .cause = std::string(silence.cause)});
    }

    /// What the record may say of the three-way proof, no more than was seen.
    static std::string proofWords(StepContext& context)
    {
        const auto& server = context.handshakes();
        switch (context.facts().cloudProof) {
        case CloudProof::Equal:
            return "unit, record and cloud are equal";
        case CloudProof::Accepted:
            return concat("2xx for this fingerprint, then a handshake finished at ", server.host(),
                          ":", server.port());
        case CloudProof::None:
            break;
        }
        return concat("not registered; a handshake finished at ", server.host(), ":",
                      server.port());
    }

    static double secondsSince(Clock::Steady when, const OpContext& op)
    {
        return std::chrono::duration<double>(op.clock.now() - when).count();
    }

    /// A connection without a word tells neither whose it was nor that it was a unit's at all.
    static bool sawNothing(const Result<HandshakeReport>& seen)
    {
        if (seen)
            return !seen->passed && seen->deviceId.empty() && seen->cause == "silent-unit";
        return seen.error().code == Errc::NotFound || seen.error().code == Errc::Timeout;
    }

    /// A repetition cannot repair a wrong key (particle-devices 13): the second refusal for such a
    /// reason ends the wait. The first may be of a connection that was under way already.
    static Result<HandshakeReport> waitFor(HandshakeServer::Expectation& expectation,
                                           const std::string& deviceId, const OpContext& op)
    {
        double known = -1;
        int refusals = 0;
        while (true) {
            auto seen = expectation.wait(op.within(kLook));
            if (seen && seen->passed)
                return seen;
            const bool ours = seen && seen->deviceId == deviceId && causeId(seen->cause) != kBroken;
            if (ours && seen->totalMs != known) {
                known = seen->totalMs;
                if (++refusals == 2)
                    return seen;
            }
            const auto alive = op.checkpoint();
            if (!alive && alive.error().code == Errc::Cancelled)
                return Unexpected(alive.error());
            const bool waits =
                seen || seen.error().code == Errc::NotFound || seen.error().code == Errc::Timeout;
            if (!alive || !waits)
                return seen;
        }
    }

    StepSpec m_spec;
};

} // namespace

MadeStep makeLiveHandshakeStep(const StepSpec& spec)
{
    return std::make_unique<LiveHandshakeStep>(spec);
}

} // namespace provost
