// The unit reaches the product's own cloud, and the cloud says so by REST and by its event stream.
// What a cloud may change on a unit is read again behind the contact: modules, keys, address,
// claim. Where it changed the modules, the proof is made anew; its claim on the unit is given up.
#include "core/text.h"
#include "engine/cloud_view.h"
#include "engine/handshake_limit.h"
#include "steps/steps_p.h"

#include <algorithm>

namespace provost {

using namespace std::chrono_literals;

namespace {

/// So long an event may come behind what REST says.
constexpr auto kEventLag = 15s;
constexpr auto kAskEvery = 1s;
constexpr auto kDwellLook = 100ms;
constexpr auto kLastWord = 5s;
constexpr std::int64_t kMostRounds = 9;
constexpr int kPartings = 4;

/// What of a unit's modules a cloud may change, in words that can be compared.
std::string moduleWords(const ModuleReport& report)
{
    std::string words;
    for (const auto& each : report.modules) {
        if (each.location == 'm' && each.function)
            words += concat(words.empty() ? "" : ", ", *each.function, each.index, " version ",
                            each.version, " ", each.sha256.substr(0, 8), " checks ", each.passed);
    }
    return words;
}

/// An error of the cloud in the terms of this step: nothing of it is about the unit.
Error cloudSilent(Error error)
{
    if (error.code == Errc::Cancelled || error.blame != Blame::Cloud || !error.cause.empty())
        return error;
    return withCause(std::move(error), error.code == Errc::Denied ? "C080" : "C083");
}

class CloudContact {
public:
    CloudContact(StepContext& context, const StepSpec& spec, std::chrono::seconds dwell, int rounds)
        : m_context(context), m_spec(spec), m_view(context.view()),
          m_unit{.serial = context.facts().label, .deviceId = context.facts().id.deviceId},
          m_dwell(dwell), m_rounds(rounds)
    {
    }

    Result<> prove()
    {
        auto events = m_view.events(m_unit, m_context.op());
        if (!events)
            return Unexpected(cloudSilent(std::move(events).error()));
        m_events = *std::move(events);
        std::string before;
        for (int round = 1; round <= m_rounds; ++round) {
            if (round > 1)
                TRY(prepareAgain());
            TRY(reach());
            const bool again = TRY(dwell());
            TRY(part());
            const ModuleReport report = TRY(modules());
            const std::string after = moduleWords(report);
            const bool pending = TRY(readTable());
            const bool same =
                before.empty() ? checkModules(m_context, report).has_value() : after == before;
            if (!again && !pending && same) {
                m_seen.rounds = round;
                m_seen.modules = after;
                record();
                return m_context.unit().reboot(m_context.op()); // knows no network any more
            }
            m_changes =
                concat(again ? "it connected anew by itself, " : "",
                       pending ? "an update is pending, " : "", same ? "modules " : "now ", after);
            before = after;
        }
        return Unexpected(Error{.code = Errc::Mismatch,
                                .blame = Blame::Cloud,
                                .message = concat("see ", m_unit.deviceId,
                                                  " unchanged behind its contact with the "
                                                  "cloud: not in ",
                                                  m_rounds, " rounds; last, ", m_changes),
                                .frames = {},
                                .native = {},
                                .cause = "C085"});
    }

    /// The account's claim, where there is one: given up, and shown so.
    Result<> unclaim()
    {
        const auto op = m_context.op().shielded(kLastWord);
        const auto state = m_view.deviceState(m_unit, op);
        if (!state && state.error().code == Errc::NotFound)
            return claimIs("the cloud knows none");
        if (!state)
            return Unexpected(cloudSilent(state.error()));
        if (!state->claimed.value_or(false))
            return claimIs("none");
        auto freed = m_view.unclaim(m_unit, op);
        if (freed)
            return claimIs("given up, and shown unclaimed");
        auto error = std::move(freed).error();
        const bool gone = error.code == Errc::NotFound; // asked again, it is nobody's we know
        if (gone)
            return claimIs("given up, and no longer shown");
        const bool refused = error.code == Errc::Mismatch || error.code == Errc::InvalidData;
        return Unexpected(refused ? withCause(std::move(error), "C086")
                                  : cloudSilent(std::move(error)));
    }

    const std::string& changes() const { return m_changes; }

private:
    /// Of the last round, except where it says otherwise.
    struct Seen {
        int rounds = 0;
        double onlineSeconds = 0;
        std::optional<bool> ping{};
        bool redeemed = false;      ///< of any round
        bool clearedOnUnit = false; ///< of any round
        std::string modules{};
    };

    void record()
    {
        m_context.measure("contact_rounds", m_seen.rounds, "");
        m_context.measure("online_s", m_seen.onlineSeconds, "s");
        m_context.measure("modules", m_seen.modules);
        if (m_seen.ping)
            m_context.measure("cloud_ping", std::string(*m_seen.ping ? "online" : "offline"));
        else
            m_context.notMeasured("cloud_ping");
        if (m_seen.redeemed)
            m_context.measure("claim_code", std::string("redeemed"));
        m_context.measure("unit_claim", std::string(m_seen.clearedOnUnit ? "cleared" : "none"));
    }

    bool wifi() const { return m_context.plan().platform.network == Network::Wifi; }
    Result<> claimIs(std::string_view words)
    {
        m_context.measure("claim", std::string(words));
        return {};
    }
    double secondsSince(Clock::Steady when) const
    {
        return std::chrono::duration<double>(m_context.op().clock.now() - when).count();
    }

    Result<ModuleReport> modules()
    {
        const auto& op = m_context.op();
        TRY(m_context.unit().bringTo(UnitMode::Listening, op));
        auto line = TRY(m_context.unit().openConsole(op));
        return ListeningConsole(*line).modules(op);
    }

    /// With credentials and the product's server key, in DFU mode. What runs firmware in between
    /// knows the station's endpoint only: nothing reaches the cloud before it is watched.
    Result<> prepareAgain()
    {
        const auto& op = m_context.op();
        if (wifi()) {
            TRY(writeServerKey(m_context, false, op));
            TRY(giveTestCredentials(m_context, op));
        }
        TRY(writeServerKey(m_context, true, op));
        return {};
    }

    /// From a bootloader, which knows no network: what is heard behind the mark is of this restart.
    Result<> reach()
    {
        auto& unit = m_context.unit();
        const auto& network = m_context.station().network;
        const auto op =
            m_context.op().within(handshakeLimit(joinLimit(m_spec, network), network.waits));
        TRY(unit.bringTo(UnitMode::Dfu, op));
        m_mark = m_events->count();
        m_began = op.clock.now();
        TRY(unit.reboot(op));
        TRY(awaitOnline(op));
        m_context.network().joined(m_unit.deviceId, op.clock.now());
        m_seen.onlineSeconds = secondsSince(m_began);
        TRY(awaitClaim(op));
        const auto ping = m_view.ping(m_unit, op);
        m_seen.ping = ping ? *ping : std::nullopt;
        m_context.facts().handshakeSeen = true;
        return {};
    }

    bool saysOnline(const CloudEvent& event) const
    {
        const bool ours = event.deviceId.empty() || event.deviceId == m_unit.deviceId;
        return ours && event.name == "spark/status" && event.data == "online";
    }

    /// Both have to say it: an event since the restart, and REST.
    Result<> awaitOnline(const OpContext& op)
    {
        bool byEvent = false;
        std::optional<Clock::Steady> byRest;
        std::optional<Error> noAnswer;
        while (!byEvent || !byRest) {
            const auto heard = m_events->waitFor(
                m_mark, [this](const CloudEvent& event) { return saysOnline(event); },
                op.within(byEvent ? 0ms : std::chrono::milliseconds(kAskEvery)));
            byEvent = byEvent || heard.has_value();
            if (!heard && heard.error().code != Errc::Timeout)
                return Unexpected(cloudSilent(heard.error()));
            const auto state = m_view.deviceState(m_unit, op.shielded(kLastWord));
            noAnswer = state || state.error().code == Errc::NotFound ? std::nullopt
                                                                     : std::optional(state.error());
            if (state && state->online && !byRest)
                byRest = op.clock.now();
            else if (state && !state->online)
                byRest.reset();
            const bool late = byRest && !byEvent && op.clock.now() >= *byRest + kEventLag;
            const auto alive = op.checkpoint();
            if (!alive && alive.error().code == Errc::Cancelled)
                return Unexpected(alive.error());
            if (late || (!alive && (!byEvent || !byRest)))
                return notSeen(byEvent, byRest.has_value(), noAnswer);
            if (byEvent && !byRest)
                static_cast<void>(op.sleepFor(kDwellLook));
        }
        return {};
    }

    Result<> notSeen(bool byEvent, bool byRest, std::optional<Error> noAnswer)
    {
        const std::string attempt = concat("wait ", fixed(secondsSince(m_began), 0),
                                           " s until the cloud sees ", m_unit.deviceId, " online");
        if (byRest)
            return Unexpected(Error{.code = Errc::Timeout,
                                    .blame = Blame::Cloud,
                                    .message = concat(attempt, ": REST says so, and no event "
                                                               "spark/status came since the "
                                                               "restart"),
                                    .frames = {},
                                    .native = {},
                                    .cause = "C084"});
        if (noAnswer)
            return Unexpected(cloudSilent(inFrame(std::move(*noAnswer), attempt)));
        if (byEvent)
            return Unexpected(unitError(
                Errc::Timeout,
                concat(attempt, ": an event said so, REST never did: it did not stay"), "F420"));
        const auto op = m_context.op().shielded(kLastWord);
        const auto silence =
            judgeSilence(TRY(m_context.network().standingFor(m_unit.deviceId, m_began, op)));
        const bool unitsOwn = silence.blame == Blame::Unit;
        return Unexpected(
            Error{.code = Errc::Timeout,
                  .blame = silence.blame,
                  .message = concat(attempt, " at ", toText(m_context.plan().shipping->address),
                                    ": neither REST nor an event says so, and ", silence.why),
                  .frames = {},
                  .native = {},
                  .cause = std::string(unitsOwn ? "F420" : silence.cause)});
    }

    /// A code that was given has to make the unit the account's.
    Result<> awaitClaim(const OpContext& op)
    {
        auto& code = m_context.facts().claimCode;
        while (!code.empty()) {
            const auto state = m_view.deviceState(m_unit, op.shielded(kLastWord));
            if (!state && state.error().code != Errc::NotFound)
                return Unexpected(cloudSilent(state.error()));
            if (state && state->claimed.value_or(false)) {
                code.clear();
                m_seen.redeemed = true;
                break;
            }
            const auto rested = op.sleepFor(std::chrono::milliseconds(kAskEvery) / 4);
            if (!rested && rested.error().code == Errc::Cancelled)
                return rested;
            if (!rested)
                return Unexpected(unitError(
                    Errc::Timeout,
                    concat("wait until the cloud books ", m_unit.deviceId,
                           " for this account: it is online, and its claim code was not redeemed"),
                    "F421"));
        }
        return {};
    }

    /// Stays in contact for a while. True: the unit connected a second time since the mark, or
    /// restarted, as behind an update.
    Result<bool> dwell()
    {
        auto& unit = m_context.unit();
        const auto& op = m_context.op();
        const auto before = unit.incarnation(op);
        const auto until = op.clock.now() + m_dwell;
        bool again = false;
        while (!again && op.clock.now() < until) {
            TRY(op.sleepFor(kDwellLook));
            again = unit.incarnation(op) != before;
        }
        int times = 0;
        const auto counted = m_events->waitFor(
            m_mark, [&](const CloudEvent& event) { return saysOnline(event) && ++times == 2; },
            op.within(kDwellLook));
        TRY(unit.waitForFirmware(op));
        return again || counted.has_value();
    }

    /// The contact ends before anything is read: nothing changes behind that.
    Result<> part()
    {
        if (!wifi())
            return {};
        const auto& op = m_context.op();
        auto cleared = clearCredentials(m_context, op);
        for (int i = 1; !cleared && cleared.error().code == Errc::Disconnected && i < kPartings;
             ++i) {
            // Gone in the middle of it: a further update, if it comes back.
            if (!m_context.unit().waitForFirmware(op))
                break;
            cleared = clearCredentials(m_context, op);
        }
        TRY(Result<std::string>(std::move(cleared)));
        m_context.facts().credentialsGiven = false;
        return {};
    }

    /// Keys, address and claim as they are now. True: an update waits for the next start.
    Result<bool> readTable()
    {
        const auto& op = m_context.op();
        const auto& layout = m_context.plan().platform.dct;
        const auto key = TRY(proveKeysOnUnit(m_context, op));
        if (key.toDer() != m_context.facts().publicKeyDer)
            return Unexpected(unitError(
                Errc::Mismatch, "read the device key behind the contact: it is another", "F214"));
        auto* table = TRY(m_context.unit().table(op));
        const bool claimed = TRY(clearClaim(m_context, *table, op));
        m_seen.clearedOnUnit = m_seen.clearedOnUnit || claimed;
        for (const auto& field : {layout.updateFlag, layout.pendingModules}) {
            if (field.size != 0 && !blank(TRY(table->read(field.offset, field.size, op))))
                return true;
        }
        return false;
    }

    StepContext& m_context;
    const StepSpec& m_spec;
    CloudView& m_view;
    const UnitIdentity m_unit;
    const std::chrono::seconds m_dwell;
    const int m_rounds;
    std::unique_ptr<CloudEvents> m_events{};
    std::size_t m_mark = 0; ///< of the events, at the last restart
    Clock::Steady m_began{};
    Seen m_seen{};
    std::string m_changes{}; ///< that the last unfinished round saw
};

class CloudContactStep final : public Step {
public:
    CloudContactStep(StepSpec spec, std::chrono::seconds dwell, int rounds)
        : m_spec(std::move(spec)), m_dwell(dwell), m_rounds(rounds)
    {
    }

    Result<> run(StepContext& context) override
    {
        const MeasuredRepeats repeats(context);
        CloudContact contact(context, m_spec, m_dwell, m_rounds);
        const auto proved = contact.prove();
        const auto freed = contact.unclaim(); // of a unit that failed, too
        TRY(Result<>(proved));
        TRY(Result<>(freed));
        context.measure(
            "key_proof",
            std::string(context.facts().cloudProof == CloudProof::Equal
                            ? "unit, record and cloud are equal; the cloud saw it online"
                            : "2xx for this fingerprint, then seen online by that cloud"));
        context.note(
            concat("online at ", toText(context.plan().shipping->address), " by REST and event",
                   contact.changes().empty() ? "" : " · proved again: ", contact.changes()));
        return {};
    }

private:
    const StepSpec m_spec;
    std::chrono::seconds m_dwell;
    int m_rounds;
};

} // namespace

MadeStep makeCloudContactStep(const StepSpec& spec)
{
    const auto dwell = spec.integerOr("dwell_s", 5);
    const auto rounds = spec.integerOr("rounds", 3);
    if (dwell < 0 || dwell > 600 || rounds < 1 || rounds > kMostRounds)
        return fail(Errc::InvalidArgument, Blame::Operator,
                    concat(spec.where, ": \"dwell_s\" must be from 0 to 600, \"rounds\" from 1 to ",
                           kMostRounds));
    return std::make_unique<CloudContactStep>(spec, std::chrono::seconds(dwell),
                                              static_cast<int>(rounds));
}

} // namespace provost
