#include "models/run_state.h"

#include <algorithm>
#include <type_traits>

namespace provost {

namespace {

double secondsSince(Clock::Steady from, Clock::Steady now)
{
    return std::max(0.0, std::chrono::duration<double>(now - from).count());
}

StepState stepFromAttempt(const AttemptRecord& attempt)
{
    return {.name = attempt.name, .stage = StepStage::Done, .record = attempt};
}

StepState* runningStep(RunState& run)
{
    const auto found = std::ranges::find(run.steps, StepStage::Running, &StepState::stage);
    return found != run.steps.end() ? &*found : nullptr;
}

/// The row for that try: the waiting one, or a new one behind the tries before it.
StepState& rowForAttempt(RunState& run, int planIndex, int attempt, const std::string& name)
{
    auto after = run.steps.begin();
    for (auto row = run.steps.begin(); row != run.steps.end(); ++row) {
        if (row->planIndex > planIndex)
            break;
        after = row + 1;
        if (row->planIndex != planIndex)
            continue;
        if (row->stage == StepStage::NotReached || row->record.attempt == attempt)
            return *row;
    }
    StepState extra{.name = name, .planIndex = planIndex};
    if (after != run.steps.begin() && (after - 1)->planIndex == planIndex)
        extra.typicalSeconds = (after - 1)->typicalSeconds;
    return *run.steps.insert(after, std::move(extra));
}

/// What each event does to its run. Every overload says whether anything changed.
struct Folding {
    RunState& run;
    Clock::Steady now;

    bool operator()(const UnitIdentified& event) const
    {
        run.unit = event.unit;
        run.route = event.route;
        return true;
    }
    bool operator()(const StepStarted& event) const
    {
        StepState& step = rowForAttempt(run, event.index, event.attempt, event.name);
        step.name = event.name;
        step.stage = StepStage::Running;
        step.began = now;
        step.activity.clear();
        step.record = {.name = event.name, .attempt = event.attempt};
        return true;
    }
    bool operator()(const StepFinished& event) const
    {
        StepState& step =
            rowForAttempt(run, event.index, event.attempt.attempt, event.attempt.name);
        step.name = event.attempt.name;
        step.stage = StepStage::Done;
        step.activity.clear();
        step.record = event.attempt;
        run.critical = false;
        run.promptText.clear();
        return true;
    }
    bool operator()(const Measured& event) const
    {
        StepState* step = runningStep(run);
        if (!step)
            return false;
        step->record.measurements.push_back(event.measurement);
        return true;
    }
    bool operator()(const ProgressMoved& event) const
    {
        const double fraction = std::clamp(event.fraction, run.fraction, 1.0);
        StepState* step = runningStep(run);
        const bool sameActivity =
            !step || step->activity == event.phase || event.phase == step->name;
        if (fraction == run.fraction && sameActivity)
            return false;
        run.fraction = fraction;
        if (step && event.phase != step->name)
            step->activity = event.phase;
        return true;
    }
    bool operator()(const CriticalWrite& event) const
    {
        if (run.critical == event.on && run.criticalWhat == event.what)
            return false;
        run.critical = event.on;
        run.criticalWhat = event.what;
        return true;
    }
    bool operator()(const HandshakeSeen& event) const
    {
        if (event.arrow.position == 0)
            run.handshake.clear(); // the unit dials again: the picture is of its last connection
        run.handshake.push_back(event.arrow);
        return true;
    }
    bool operator()(const PromptRaised& event) const
    {
        run.promptId = event.promptId;
        run.promptText = event.text;
        run.promptChoices = event.choices;
        return true;
    }
    bool operator()(const PromptAnswered&) const
    {
        run.promptText.clear();
        return true;
    }
    bool operator()(const StopRequested&) const
    {
        run.stopping = true;
        return true;
    }
    bool operator()(const RunFinished& event) const
    {
        run.finished = true;
        run.stopping = false;
        run.critical = false;
        run.promptText.clear();
        run.unit = event.unit;
        run.verdict = event.verdict;
        run.cause = event.cause;
        run.error = event.error;
        run.seconds = event.seconds;
        run.simulated = event.simulated;
        for (auto& step : run.steps) {
            if (step.stage == StepStage::Running)
                step.stage = StepStage::Done;
        }
        return true;
    }
};

template <class Event>
constexpr bool kBelongsToRun = std::is_invocable_r_v<bool, Folding, const Event&>;

} // namespace

std::optional<SlotId> slotOf(const StationEvent& event)
{
    return std::visit(
        [](const auto& concrete) -> std::optional<SlotId> {
            if constexpr (requires { concrete.slot; })
                return concrete.slot;
            else
                return std::nullopt;
        },
        event);
}

RunState begunRun(const RunStarted& event, Clock::Steady now, std::string startedUtc)
{
    RunState run{.id = event.run,
                 .slot = event.slot,
                 .unit = event.unit,
                 .simulated = event.simulated,
                 .began = now,
                 .startedUtc = std::move(startedUtc)};
    for (const auto& planned : event.steps)
        run.steps.push_back({.name = planned.name,
                             .typicalSeconds = planned.typicalSeconds,
                             .planIndex = static_cast<int>(run.steps.size())});
    return run;
}

RunState refusedRun(const RunFinished& event, std::string startedUtc)
{
    RunState run{.id = event.run, .slot = event.slot, .startedUtc = std::move(startedUtc)};
    Folding{run, {}}(event);
    return run;
}

RunState runFromRecord(const RunRecord& record)
{
    RunState run{.id = record.id,
                 .slot = SlotId{record.start.slot},
                 .unit = record.start.unit,
                 .planId = record.start.planId,
                 .planRevision = record.start.planRevision,
                 .simulated = record.start.simulated,
                 .startedUtc = record.startedUtc,
                 .finished = true,
                 .verdict = record.verdict,
                 .cause = record.cause,
                 .error = record.error,
                 .seconds = record.seconds,
                 .handshake = record.handshake};
    for (const auto& attempt : record.attempts)
        run.steps.push_back(stepFromAttempt(attempt));
    return run;
}

RunState withRecord(const RunState& live, const RunRecord& record)
{
    RunState run = runFromRecord(record);
    run.route = live.route;
    run.steps.clear();
    auto attempt = record.attempts.begin();
    int lastPlanIndex = -1;
    for (const auto& planned : live.steps) {
        if (planned.planIndex < 0 || planned.planIndex == lastPlanIndex)
            continue; // another try of a step whose tries were all taken already
        lastPlanIndex = planned.planIndex;
        bool reached = false;
        for (; attempt != record.attempts.end() && attempt->name == planned.name; ++attempt) {
            StepState step = stepFromAttempt(*attempt);
            // Two neighbours of one name are two steps: the second begins with try 1 again.
            if (reached && attempt->attempt == 1)
                break;
            step.planIndex = planned.planIndex;
            step.typicalSeconds = planned.typicalSeconds;
            run.steps.push_back(std::move(step));
            reached = true;
        }
        if (!reached)
            run.steps.push_back({.name = planned.name,
                                 .typicalSeconds = planned.typicalSeconds,
                                 .planIndex = planned.planIndex});
    }
    for (; attempt != record.attempts.end(); ++attempt)
        run.steps.push_back(stepFromAttempt(*attempt));
    return run;
}

bool fold(RunState& run, const StationEvent& event, Clock::Steady now)
{
    return std::visit(
        [&](const auto& concrete) {
            using Event = std::decay_t<decltype(concrete)>;
            if constexpr (kBelongsToRun<Event>) {
                if (run.finished || concrete.run != run.id)
                    return false;
                return Folding{run, now}(concrete);
            } else {
                return false;
            }
        },
        event);
}

const StepState* currentOrNextStep(const RunState& run)
{
    const StepState* last = nullptr;
    for (const auto& step : run.steps) {
        if (step.stage == StepStage::Running)
            return &step;
        // The steps behind a failed one will not come.
        if (step.stage == StepStage::NotReached)
            return last && last->record.verdict > Verdict::Hold ? nullptr : &step;
        last = &step;
    }
    return nullptr;
}

std::optional<double> remainingSeconds(const RunState& run, Clock::Steady now)
{
    if (run.finished || !currentOrNextStep(run))
        return std::nullopt;
    double left = 0;
    for (const auto& step : run.steps) {
        if (step.stage == StepStage::Done)
            continue;
        if (step.typicalSeconds <= 0)
            return std::nullopt;
        const double spent = step.stage == StepStage::Running ? secondsSince(step.began, now) : 0.0;
        left += std::max(0.0, step.typicalSeconds - spent);
    }
    return left;
}

double elapsedSeconds(const RunState& run, Clock::Steady now)
{
    return run.finished ? run.seconds : secondsSince(run.began, now);
}

} // namespace provost
