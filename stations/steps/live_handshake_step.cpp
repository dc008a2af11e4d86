// The unit proves, live, that it holds the private key: Hello both ways and one further message
// with the right id (particle-devices 5.5). Where it fails or never comes, what is on the unit is
// read back: the endpoint's word alone names no cause (10).
#include "core/text.h"
#include "engine/handshake_limit.h"
#include "engine/network_witness.h"
#include "steps/handshake_diagnosis.h"
#include "steps/join_attempts.h"
#include "steps/steps_p.h"

#include <algorithm>
#include <utility>

namespace provost {

using namespace std::chrono_literals;

namespace {

constexpr auto kLook = 200ms;
constexpr auto kProbeBudget = 5s;
constexpr auto kReadBackBudget = 30s; // a restart into DFU, two reads
constexpr std::string_view kStationFault = "server-failed";

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
            return silent(context, identity, began, limit);
        const HandshakeReport report = TRY(std::move(seen));
        if (report.deviceId.empty()) {
            for (const auto& message : report.messages)
                context.handshakeArrow(kNamelessConnection, message);
        }
        if (!report.passed)
            return failed(context, identity, report);
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
    static Result<> failed(StepContext& context, const UnitIdentity& identity,
                           const HandshakeReport& report)
    {
        std::string saw = concat("handshake of ", identity.deviceId, " ended at ",
                                 name(report.stage), ", the endpoint says ", report.cause);
        for (const auto& fact : report.evidence)
            saw += concat(" (", fact, ")");
        if (report.cause == kStationFault)
            return Unexpected(endpointFailed(saw, report));
        auto error = refuse(TRY(diagnose(context, identity, report.cause))).error();
        error.message = concat(saw, ": ", error.message);
        return Unexpected(std::move(error));
    }

    static Result<> silent(StepContext& context, const UnitIdentity& identity, Clock::Steady began,
                           std::chrono::milliseconds limit)
    {
        const auto waited = secondsSince(began, context.op());
        std::string message =
            concat("wait ", fixed(waited, 0), " s of ",
                   fixed(std::chrono::duration<double>(limit).count(), 1),
                   " s for the handshake of ", identity.deviceId, " at ",
                   context.handshakes().host(), ":", context.handshakes().port(),
                   " over the network ", context.station().network.ssid, ": it never connected");
        // What is wrong on the unit is its fault, however the network stands.
        const auto findings = TRY(diagnose(context, identity, {}));
        if (!findings.empty()) {
            auto error = refuse(findings).error();
            error.message = concat(message, ", and ", error.message);
            return Unexpected(std::move(error));
        }
        // The wait has used the step's time up.
        const auto op = context.op().shielded(kProbeBudget);
        const auto silence =
            judgeSilence(TRY(context.network().standingFor(identity.deviceId, began, op)));
        return Unexpected(Error{.code = Errc::Timeout,
                                .blame = silence.blame,
                                .message = concat(message, ", and ", silence.why),
                                .frames = {},
                                .native = {},
                                .cause = std::string(silence.cause)});
    }

    static Error endpointFailed(std::string_view saw, const HandshakeReport& report)
    {
        return Error{
            .code = Errc::Internal,
            .blame = Blame::Station,
            .message = concat(saw, ": ",
                              report.messages.empty() ? std::string() : report.messages.back().note,
                              "; ", report.advice),
            .frames = {},
            .native = {},
            .cause = "C075"};
    }

    /// @param said  the endpoint's word; empty: the unit never connected
    static Result<std::vector<ProofFinding>>
    diagnose(StepContext& context, const UnitIdentity& identity, std::string_view said)
    {
        const auto& platform = context.plan().platform;
        auto& server = context.handshakes();
        HandshakeWanted wanted{.rules = TRY(keyRulesOf(platform.id, KeyTransport::Tcp)),
                               .serverKeyDer = server.serverKey().toDer(),
                               .address = {.host = server.host(), .port = server.port()},
                               .provedKeyDer = context.facts().publicKeyDer};
        const auto op = context.op().shielded(kReadBackBudget).withSecrets();
        if (context.facts().registered) {
            const auto held = context.cloud().registeredKey(identity, op);
            if (held && held->has_value()) {
                wanted.registeredKeyDer = (*held)->publicDer;
                wanted.cloudHoldsNone = wanted.registeredKeyDer.empty();
            }
        }
        const auto read = readBack(context, op);
        if (!read && leftTheSlot(read.error()))
            return Unexpected(read.error());
        if (!read) {
            context.note(concat("not read back: ", read.error().message));
            return diagnoseHandshake(std::nullopt, wanted, said);
        }
        return diagnoseHandshake(
            HandshakeReadBack{.privateSlot = read->first.reveal(), .serverSlot = read->second},
            wanted, said);
    }

    static Result<std::pair<SecretBytes, Bytes>> readBack(StepContext& context, const OpContext& op)
    {
        const auto& layout = context.plan().platform.dct;
        auto* table = TRY(context.unit().table(op));
        auto privateSlot =
            TRY(table->readSecret(layout.privateKey.offset, layout.privateKey.size, op));
        auto serverSlot = TRY(table->read(layout.serverKey.offset, layout.serverKey.size, op));
        return std::pair(std::move(privateSlot), std::move(serverSlot));
    }

    /// Then there is no unit to be judged.
    static bool leftTheSlot(const Error& error)
    {
        return error.code == Errc::Disconnected || error.cause == "C016" ||
               error.code == Errc::Cancelled;
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
            if (seen && seen->cause == kStationFault)
                return seen;
            const bool ours = seen && seen->deviceId == deviceId && namesAKeyFault(seen->cause);
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
