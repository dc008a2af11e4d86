#include "engine/run_loop_p.h"

#include "core/text.h"
#include "engine/causes.h"

#include <algorithm>
#include <exception>

namespace provost {

using namespace std::chrono_literals;

namespace {

constexpr auto kTeardownBudget = 30s;
constexpr auto kLongestRun = 1h;

double secondsBetween(Clock::Steady from, Clock::Steady to)
{
    return std::chrono::duration<double>(to - from).count();
}

std::vector<PlannedStep> plannedSteps(const TestPlan& plan, Journal& journal, bool simulated)
{
    std::vector<PlannedStep> steps;
    // Virtual benches run at any speed: what one took says nothing of the next, so the plan's own
    // figures hold there.
    const auto typical = simulated ? Result<std::vector<std::pair<std::string, double>>>()
                                   : journal.typicalSteps(plan.id, false);
    for (const auto& spec : plan.steps) {
        PlannedStep step{.name = spec.name, .typicalSeconds = spec.typicalSeconds};
        if (typical) {
            const auto known =
                std::ranges::find(*typical, spec.name, &std::pair<std::string, double>::first);
            if (known != typical->end())
                step.typicalSeconds = known->second;
        }
        steps.push_back(std::move(step));
    }
    return steps;
}

/// How a run stands: the worst attempt so far.
struct Outcome {
    Verdict verdict = Verdict::NotRun;
    std::string cause{};
    std::string error{};

    void take(const AttemptRecord& attempt)
    {
        if (attempt.verdict <= verdict)
            return;
        verdict = attempt.verdict;
        cause = attempt.cause;
        error = attempt.error;
    }
    void takeError(const struct Error& why)
    {
        const Cause& row = causeOf(why);
        take({.verdict = row.verdict, .cause = std::string(row.id), .error = describe(why)});
    }
};

/// Libraries below may throw on memory exhaustion; a run must end in a verdict all the same.
template <class Act>
Result<> guarded(std::string_view what, Act act)
{
    try {
        return act();
    } catch (const std::exception& thrown) {
        return fail(Errc::Internal, Blame::Software, concat(what, " threw: ", thrown.what()));
    } catch (...) {
        return fail(Errc::Internal, Blame::Software, concat(what, " threw something unknown"));
    }
}

/// True where an operator's stop explains the error. What the unit was found guilty of stands.
bool comesFromStop(const struct Error& error)
{
    return causeOf(error).verdict != Verdict::Fail;
}

/// A second try helps against a bad moment, not against a missing unit, file or permission.
bool mayHelpAgain(const struct Error& error)
{
    const bool outside =
        error.blame == Blame::Unit || error.blame == Blame::Fixture || error.blame == Blame::Cloud;
    return outside && error.code != Errc::Cancelled && error.code != Errc::Disconnected;
}

/// Runs the steps of one plan on one unit.
class RunLoop {
public:
    RunLoop(const EngineEnvironment& environment, const TestPlan& plan, RunContext& context,
            std::vector<PlannedStep> planned, StopGate& gate)
        : m_environment(environment), m_plan(plan), m_context(context),
          m_progress(environment.events, context.run(), context.slot(), std::move(planned)),
          m_gate(gate)
    {
    }

    Outcome run()
    {
        Outcome outcome;
        const auto ran = guarded("run", [&]() -> Result<> {
            for (std::size_t i = 0; i < m_plan.steps.size(); ++i) {
                outcome.take(runStep(m_plan.steps[i], static_cast<int>(i)));
                if (outcome.verdict > Verdict::Hold)
                    break;
            }
            return {};
        });
        if (!ran)
            outcome.takeError(ran.error());
        return outcome;
    }

    /// Always, in order, shielded. The unit's verdict stands; only a good one can still be spoilt.
    void tearDown(Outcome& outcome)
    {
        m_context.enterTeardown();
        for (const auto& spec : m_plan.teardown) {
            const auto ran = guarded("teardown", [&]() -> Result<> {
                const auto tried = attemptOnce(spec, 1, baseOp().shielded(kTeardownBudget));
                if (outcome.verdict <= Verdict::Hold)
                    outcome.take(tried.record);
                return {};
            });
            if (!ran && outcome.verdict <= Verdict::Hold)
                outcome.takeError(ran.error());
        }
        m_context.unit().release();
    }

private:
    struct Tried {
        AttemptRecord record{};
        bool mayHelpAgain = false;
    };

    OpContext baseOp() const
    {
        return OpContext{.clock = m_environment.clock,
                         .progress = {},
                         .stop = m_gate.token(),
                         .deadline = {m_environment.clock.now() + kLongestRun}};
    }

    Tried attemptOnce(const StepSpec& spec, int number, OpContext op)
    {
        m_context.beginAttempt(spec, number, op);
        const auto began = m_environment.clock.now();
        auto outcome = guarded("step", [&]() -> Result<> {
            const auto step = TRY(m_environment.steps.make(spec));
            return step->run(m_context);
        });
        if (!outcome && op.stop.stop_requested() && comesFromStop(outcome.error()))
            outcome = fail(Errc::Cancelled, Blame::Operator, describe(outcome.error()));
        Tried tried;
        tried.mayHelpAgain = outcome || mayHelpAgain(outcome.error());
        tried.record =
            m_context.endAttempt(outcome, secondsBetween(began, m_environment.clock.now()));
        const auto kept = m_context.journal().recordAttempt(m_context.run(), tried.record);
        if (!kept && tried.record.verdict < Verdict::Error) {
            tried.record.verdict = Verdict::Error;
            tried.record.cause = causeOf(kept.error()).id;
            tried.record.error = describe(kept.error());
            tried.mayHelpAgain = false;
        }
        return tried;
    }

    AttemptRecord runStep(const StepSpec& spec, int index)
    {
        AttemptRecord last{.verdict = Verdict::Aborted, .cause = "S001"}; // where none may begin
        for (int number = 1; number <= 1 + spec.retries; ++number) {
            if (!m_gate.beginStep(m_environment.events, StepStarted{.run = m_context.run(),
                                                                    .slot = m_context.slot(),
                                                                    .index = index,
                                                                    .name = spec.name,
                                                                    .attempt = number}))
                break;
            if (number == 1)
                m_progress.enter(static_cast<std::size_t>(index));
            OpContext op = baseOp().within(spec.timeout);
            op.progress = {.sink = &m_progress, .phase = spec.name, .from = 0, .to = 1};
            auto tried = attemptOnce(spec, number, op);
            last = std::move(tried.record);
            m_environment.events.post(StepFinished{
                .run = m_context.run(), .slot = m_context.slot(), .index = index, .attempt = last});
            if (last.verdict <= Verdict::Hold || last.verdict == Verdict::Aborted ||
                !tried.mayHelpAgain || !m_context.unit().look())
                break;
            m_context.unit().release();
        }
        return last;
    }

    const EngineEnvironment& m_environment;
    const TestPlan& m_plan;
    RunContext& m_context;
    RunProgress m_progress;
    StopGate& m_gate;
};

/// What led to a verdict other than PASS. It explains the verdict and does not change it.
void keepTrace(const EngineEnvironment& env, const RunFinished& finished)
{
    if (finished.verdict == Verdict::Pass || !env.traceOf)
        return;
    const auto trace = env.traceOf(finished.slot);
    const auto kept = trace ? env.journal.recordTrace(finished.run, *trace) : Result<>();
    if (!kept)
        env.events.post(
            StationNotice{.subject = "station", .good = false, .text = describe(kept.error())});
}

/// Only a verdict that was committed and read back is shown.
void commit(const EngineEnvironment& env, RunContext& context, Outcome& outcome, double seconds)
{
    auto& journal = env.journal;
    // Together: how often a unit dials is its own affair, and no row of the record hangs on it.
    std::vector<HandshakeArrow> arrows;
    for (const auto& session : context.handshakeSessions())
        arrows.insert(arrows.end(), session.begin(), session.end());
    const auto kept = journal.recordHandshake(context.run(), arrows);
    if (!kept)
        outcome.takeError(kept.error());
    keepTrace(env, {.run = context.run(), .slot = context.slot(), .verdict = outcome.verdict});
    // A registration may wait only for a unit whose local proofs are all done.
    const bool waits = outcome.verdict == Verdict::Hold;
    const auto committed =
        journal.finishRun(context.run(), outcome.verdict, outcome.cause, outcome.error, seconds,
                          waits ? context.facts().outbox : std::vector<OutboxEntry>{});
    if (committed)
        return;
    outcome.verdict = Verdict::Error;
    outcome.cause = causeOf(committed.error()).id;
    outcome.error = describe(committed.error());
    // Where the record refused this verdict it may take the other one; where not, the next start
    // closes the run.
    static_cast<void>(
        journal.finishRun(context.run(), outcome.verdict, outcome.cause, outcome.error, seconds));
}

/// The promise behind PASS, checked once more where it is given.
bool proved(const TestPlan& plan, const UnitFacts& facts)
{
    if (plan.kind == PlanKind::KeyInjection)
        return !facts.publicKeyDer.empty() && facts.registered;
    return !plan.demandsProofs ||
           (facts.registered && facts.handshakeSeen && facts.shippingStateProved);
}

Result<> runUnit(const EngineEnvironment& env, const TestPlan& plan, ActiveRun& active,
                 RunFinished& finished)
{
    const auto began = env.clock.now();
    const auto unit = env.unitIn(finished.slot);
    unit->look(); // learns whether a virtual bench stands behind it
    const RunStart start{.slot = finished.slot.value,
                         .unit = finished.unit,
                         .planId = plan.id,
                         .planRevision = plan.revision,
                         .planDigest = plan.digest,
                         .simulated = unit->simulated(),
                         .station = env.station.name,
                         .keyBatch = env.station.keyBatch,
                         .training = env.station.training};
    finished.simulated = start.simulated;
    finished.run = TRY(env.journal.beginRun(start));
    active.run = finished.run.value;
    const auto planned = plannedSteps(plan, env.journal, start.simulated);
    env.events.post(RunStarted{.run = finished.run,
                               .slot = finished.slot,
                               .unit = finished.unit,
                               .simulated = start.simulated,
                               .steps = planned});
    RunContext context(env, plan, finished.run, finished.slot, finished.unit.serial, *unit,
                       active.prompts);
    unit->setHands([&context](HandAct act, const OpContext&) { return context.byHand(act); });
    RunLoop loop(env, plan, context, planned, active.gate);
    Outcome outcome = loop.run();
    if (active.gate.close() && outcome.verdict <= Verdict::Hold)
        outcome.take({.verdict = Verdict::Aborted, .cause = "S001"});
    if (outcome.verdict == Verdict::Pass && !proved(plan, context.facts()))
        outcome.takeError(Error{.code = Errc::Internal,
                                .blame = Blame::Software,
                                .message = "judge the run: a step reported success and left out "
                                           "a proof that its plan demands",
                                .frames = {},
                                .native = {},
                                .cause = "C998"});
    loop.tearDown(outcome);
    finished.seconds = secondsBetween(began, env.clock.now());
    commit(env, context, outcome, finished.seconds);
    finished.unit = context.identity();
    finished.verdict = outcome.verdict;
    finished.cause = outcome.cause;
    finished.error = outcome.error;
    return {};
}

} // namespace

RunFinished executeRun(const EngineEnvironment& environment, const TestPlan& plan, SlotId slot,
                       const std::string& label, ActiveRun& active)
{
    RunFinished finished{.slot = slot, .unit = {.serial = label, .deviceId = {}}};
    const auto ran =
        guarded("run", [&]() -> Result<> { return runUnit(environment, plan, active, finished); });
    if (!ran) {
        finished.verdict = Verdict::Error;
        finished.cause = causeOf(ran.error()).id;
        finished.error = describe(ran.error());
        // Where not even this can be written, the next start closes the run.
        if (finished.run.value != 0) {
            keepTrace(environment, finished);
            static_cast<void>(environment.journal.finishRun(
                finished.run, finished.verdict, finished.cause, finished.error, finished.seconds));
        }
    }
    return finished;
}

} // namespace provost
