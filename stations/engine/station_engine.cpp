#include "engine/station_engine.h"

#include "core/text.h"
#include "engine/causes.h"
#include "engine/run_context.h"

#include <algorithm>
#include <atomic>
#include <exception>

namespace provost {

using namespace std::chrono_literals;

namespace {

constexpr auto kTeardownBudget = 30s;

double secondsBetween(Clock::Steady from, Clock::Steady to)
{
    return std::chrono::duration<double>(to - from).count();
}

std::vector<PlannedStep> plannedSteps(const TestPlan& plan, Journal& journal)
{
    std::vector<PlannedStep> steps;
    const auto typical = journal.typicalSteps(plan.id);
    for (const auto& spec : plan.steps) {
        PlannedStep step{.name = spec.name, .typicalSeconds = spec.typicalSeconds};
        if (typical) {
            const auto known = std::ranges::find(*typical, spec.name,
                                                 &std::pair<std::string, double>::first);
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
};

Result<> guarded(Step& step, StepContext& context)
{
    // Libraries below may throw on memory exhaustion; a run must end in a verdict all the same.
    try {
        return step.run(context);
    } catch (const std::exception& thrown) {
        return fail(Errc::Internal, Blame::Software, concat("step threw: ", thrown.what()));
    } catch (...) {
        return fail(Errc::Internal, Blame::Software, "step threw something unknown");
    }
}

/// Runs one plan on one unit.
class RunLoop {
public:
    RunLoop(const EngineEnvironment& environment, const TestPlan& plan, RunContext& context,
            std::vector<PlannedStep> planned, std::stop_token stop)
        : m_environment(environment), m_plan(plan), m_context(context),
          m_progress(environment.events, context.run(), context.slot(), std::move(planned)),
          m_stop(std::move(stop))
    {
    }

    Outcome run()
    {
        Outcome outcome;
        for (std::size_t i = 0; i < m_plan.steps.size(); ++i) {
            if (m_stop.stop_requested()) {
                outcome.take({.verdict = Verdict::Aborted, .cause = "S001"});
                break;
            }
            m_progress.enter(i);
            const auto attempt = runStep(m_plan.steps[i], static_cast<int>(i));
            outcome.take(attempt);
            if (attempt.verdict > Verdict::Hold)
                break;
        }
        return outcome;
    }

    void tearDown()
    {
        for (const auto& spec : m_plan.teardown) {
            const OpContext op = baseOp().shielded(kTeardownBudget);
            attemptOnce(spec, 1, op);
        }
        m_context.unit().release();
    }

private:
    OpContext baseOp() const
    {
        return OpContext{.clock = m_environment.clock,
                         .progress = {},
                         .stop = m_stop,
                         .deadline = {m_environment.clock.now() + std::chrono::hours(1)}};
    }

    AttemptRecord attemptOnce(const StepSpec& spec, int number, OpContext op)
    {
        m_context.beginAttempt(spec, number, op);
        const auto began = m_environment.clock.now();
        auto step = m_environment.steps.make(spec);
        Result<> outcome = step ? guarded(**step, m_context) : Unexpected(step.error());
        // An operator's stop wins over whatever it made the step report.
        if (!outcome && op.stop.stop_requested())
            outcome = fail(Errc::Cancelled, Blame::Operator, describe(outcome.error()));
        auto record =
            m_context.endAttempt(outcome, secondsBetween(began, m_environment.clock.now()));
        const auto kept = m_context.journal().recordAttempt(m_context.run(), record);
        if (!kept && record.verdict < Verdict::Error) {
            record.verdict = Verdict::Error;
            record.cause = causeOf(kept.error()).id;
            record.error = describe(kept.error());
        }
        return record;
    }

    AttemptRecord runStep(const StepSpec& spec, int index)
    {
        for (int number = 1;; ++number) {
            m_environment.events.post(StepStarted{.run = m_context.run(),
                                                  .slot = m_context.slot(),
                                                  .index = index,
                                                  .name = spec.name,
                                                  .attempt = number});
            OpContext op = baseOp().within(spec.timeout);
            op.progress = {.sink = &m_progress, .phase = spec.name, .from = 0, .to = 1};
            auto record = attemptOnce(spec, number, op);
            m_environment.events.post(StepFinished{.run = m_context.run(),
                                                   .slot = m_context.slot(),
                                                   .index = index,
                                                   .attempt = record});
            const bool again = record.verdict > Verdict::Hold &&
                               record.verdict != Verdict::Aborted && number <= spec.retries &&
                               !m_stop.stop_requested();
            if (!again)
                return record;
            m_context.unit().release();
        }
    }

    const EngineEnvironment& m_environment;
    const TestPlan& m_plan;
    RunContext& m_context;
    RunProgress m_progress;
    std::stop_token m_stop;
};

} // namespace

struct StationEngine::Slot {
    SlotId id;
    std::atomic<bool> busy = false;
    std::atomic<std::int64_t> run = 0;
    PromptBox prompts{};
    std::jthread thread{};
};

StationEngine::StationEngine(EngineEnvironment environment)
    : m_environment(std::move(environment))
{
}

StationEngine::~StationEngine()
{
    abortAll();
    std::map<SlotId, std::unique_ptr<Slot>> slots;
    {
        const MutexLock lock(m_mutex);
        slots.swap(m_slots);
    }
    slots.clear(); // joins
}

Result<> StationEngine::start(SlotId id, const std::string& label,
                              std::shared_ptr<const TestPlan> plan)
{
    const MutexLock lock(m_mutex);
    auto& slot = m_slots[id];
    if (slot && slot->busy)
        return fail(Errc::Busy, Blame::Operator,
                    concat("start slot ", id.value, ": it runs already"));
    slot = std::make_unique<Slot>(); // joins the thread of the run before
    slot->id = id;
    slot->busy = true;
    slot->thread = std::jthread([this, raw = slot.get(), plan = std::move(plan),
                                 label](const std::stop_token& stop) {
        work(*raw, plan, label, stop);
    });
    return {};
}

void StationEngine::abort(SlotId id)
{
    const MutexLock lock(m_mutex);
    const auto found = m_slots.find(id);
    if (found == m_slots.end() || !found->second || !found->second->busy)
        return;
    if (found->second->thread.request_stop())
        m_environment.events.post(StopRequested{.run = RunId{found->second->run}, .slot = id});
}

void StationEngine::abortAll()
{
    std::vector<SlotId> ids;
    {
        const MutexLock lock(m_mutex);
        for (const auto& [id, slot] : m_slots)
            ids.push_back(id);
    }
    for (const auto id : ids)
        abort(id);
}

void StationEngine::answer(RunId run, const std::string& reply)
{
    const MutexLock lock(m_mutex);
    for (const auto& [id, slot] : m_slots) {
        if (slot && slot->run == run.value)
            slot->prompts.answer(reply);
    }
}

bool StationEngine::busy(SlotId id) const
{
    const MutexLock lock(m_mutex);
    const auto found = m_slots.find(id);
    return found != m_slots.end() && found->second && found->second->busy;
}

void StationEngine::work(Slot& slot, std::shared_ptr<const TestPlan> plan, std::string label,
                         std::stop_token stop)
{
    const auto& env = m_environment;
    const auto began = env.clock.now();
    RunFinished finished{.slot = slot.id, .unit = {.serial = label, .deviceId = {}}};
    auto unit = env.unitIn(slot.id);
    unit->look(); // learns whether a virtual bench stands behind it
    RunStart start{.slot = slot.id.value,
                   .unit = finished.unit,
                   .planId = plan->id,
                   .planRevision = plan->revision,
                   .planDigest = plan->digest,
                   .simulated = unit->simulated(),
                   .station = env.station.name};
    const auto run = env.journal.beginRun(start);
    if (!run) {
        finished.verdict = Verdict::Error;
        finished.cause = causeOf(run.error()).id;
        finished.error = describe(run.error());
        slot.busy = false;
        env.events.post(std::move(finished));
        return;
    }
    finished.run = *run;
    slot.run = run->value;
    const auto planned = plannedSteps(*plan, env.journal);
    env.events.post(RunStarted{.run = *run,
                               .slot = slot.id,
                               .unit = finished.unit,
                               .simulated = start.simulated,
                               .steps = planned});
    RunContext context(env, *plan, *run, slot.id, *unit, slot.prompts);
    context.identity().serial = label;
    context.facts().label = label;
    RunLoop loop(env, *plan, context, planned, stop);
    Outcome outcome = loop.run();
    loop.tearDown();

    finished.seconds = secondsBetween(began, env.clock.now());
    if (!context.arrows().empty()) {
        const auto kept = env.journal.recordHandshake(*run, context.arrows());
        if (!kept)
            outcome.take({.verdict = Verdict::Error,
                          .cause = std::string(causeOf(kept.error()).id),
                          .error = describe(kept.error())});
    }
    // Only a verdict that was committed and read back is shown.
    const auto committed = env.journal.finishRun(*run, outcome.verdict, outcome.cause,
                                                 outcome.error, finished.seconds,
                                                 context.facts().outbox);
    if (!committed) {
        outcome.verdict = Verdict::Error;
        outcome.cause = causeOf(committed.error()).id;
        outcome.error = describe(committed.error());
    }
    finished.unit = context.identity();
    finished.verdict = outcome.verdict;
    finished.cause = outcome.cause;
    finished.error = outcome.error;
    finished.simulated = unit->simulated();
    unit.reset();
    slot.busy = false;
    env.events.post(std::move(finished));
}

} // namespace provost
