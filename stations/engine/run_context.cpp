#include "engine/run_context_p.h"

#include "core/text.h"
#include "engine/causes.h"

#include <algorithm>

namespace provost {

using namespace std::chrono_literals;

namespace {

struct Prompt {
    std::string_view id;
    std::string_view text; ///< read at arm's length: one thing to do, and how one sees that it is
};

// What the light shows: particle-devices 8.
Prompt promptFor(HandAct act)
{
    switch (act) {
    case HandAct::ToListening:
        return {"hold-setup-listening", "Hold SETUP for 3 s, until the light blinks blue"};
    case HandAct::ClearCredentials:
        return {"hold-setup-clear", "Hold SETUP for 10 s, until blue flickers fast"};
    case HandAct::ToDfu:
        return {"hold-setup-dfu", "Hold SETUP, tap RESET, release at yellow"};
    }
    return {};
}

} // namespace

void PromptBox::clear()
{
    const MutexLock lock(m_mutex);
    m_reply.reset();
}

void PromptBox::answer(std::string reply)
{
    const MutexLock lock(m_mutex);
    m_reply = std::move(reply);
    m_changed.notify_all();
}

Result<std::string> PromptBox::wait(const OpContext& op)
{
    while (true) {
        {
            const MutexLock lock(m_mutex);
            if (m_reply) {
                std::string reply = std::move(*m_reply);
                m_reply.reset();
                return reply;
            }
        }
        auto slept = op.sleepFor(50ms);
        if (!slept) {
            auto error = withCause(std::move(slept).error(), "C090");
            error.frames.emplace_back("wait for the operator's answer");
            return Unexpected(std::move(error));
        }
    }
}

RunProgress::RunProgress(EventSink& events, RunId run, SlotId slot, std::vector<PlannedStep> steps)
    : m_events(events), m_run(run), m_slot(slot), m_steps(std::move(steps))
{
    for (const auto& step : m_steps)
        m_total += std::max(step.typicalSeconds, 0.01);
}

void RunProgress::enter(std::size_t step)
{
    m_before = 0;
    for (std::size_t i = 0; i < step && i < m_steps.size(); ++i)
        m_before += std::max(m_steps[i].typicalSeconds, 0.01) / m_total;
    m_share = step < m_steps.size() ? std::max(m_steps[step].typicalSeconds, 0.01) / m_total : 0;
    report(step < m_steps.size() ? m_steps[step].name : std::string{}, 0);
}

void RunProgress::report(std::string_view phase, double fraction)
{
    m_shown = std::max(m_shown, m_before + m_share * std::clamp(fraction, 0.0, 1.0));
    m_events.post(ProgressMoved{.run = m_run,
                                .slot = m_slot,
                                .phase = std::string(phase),
                                .fraction = std::min(m_shown, 1.0)});
}

RunContext::RunContext(const EngineEnvironment& environment, const TestPlan& plan, RunId run,
                       SlotId slot, const std::string& label, UnitUnderTest& unit,
                       PromptBox& prompts)
    : m_environment(environment), m_plan(plan), m_run(run), m_slot(slot), m_unit(unit),
      m_prompts(prompts)
{
    m_identity.serial = label;
    m_facts.label = label;
}

void RunContext::beginAttempt(const StepSpec& spec, int attempt, OpContext op)
{
    m_spec = &spec;
    m_op.emplace(op);
    m_operatorSeconds = 0;
    m_attempt = {.step = spec.use, .name = spec.name, .attempt = attempt};
}

AttemptRecord RunContext::endAttempt(const Result<>& outcome, double seconds)
{
    critical(false, {});
    m_attempt.seconds = std::max(0.0, seconds - m_operatorSeconds);
    measure("seconds", m_attempt.seconds, "s");
    if (m_operatorSeconds > 0)
        measure("operator_s", m_operatorSeconds, "s");
    for (const auto& [name, limit] : m_spec->limits) {
        if (std::ranges::find(m_attempt.measurements, name, &Measurement::name) ==
            m_attempt.measurements.end())
            notMeasured(name);
    }
    m_attempt.verdict = Verdict::Pass;
    if (!outcome) {
        const Cause& cause = causeOf(outcome.error());
        m_attempt.verdict = cause.verdict;
        m_attempt.cause = cause.id;
        m_attempt.error = describe(outcome.error());
        return m_attempt;
    }
    for (const auto& measurement : m_attempt.measurements) {
        const Limit& limit = measurement.limit;
        const bool missing = !measurement.value && (limit.min || limit.max) && !limit.optional;
        if (measurement.verdict != Verdict::Fail && !missing)
            continue;
        m_attempt.verdict = Verdict::Fail;
        m_attempt.cause = "F501";
        m_attempt.error =
            concat("measure ", measurement.name, missing ? ": not measured" : ": out of limits");
    }
    return m_attempt;
}

Result<> RunContext::identified(const UnitIdentity& unit, std::string_view route)
{
    m_identity = unit;
    TRY(journal().identify(m_run, unit, route, m_plan.platform.name));
    m_environment.events.post(
        UnitIdentified{.run = m_run, .slot = m_slot, .unit = unit, .route = std::string(route)});
    return {};
}

void RunContext::add(Measurement measurement)
{
    const auto limit = m_spec->limits.find(measurement.name);
    if (limit != m_spec->limits.end())
        measurement.limit = limit->second;
    measurement.verdict = judge(measurement);
    m_environment.events.post(Measured{.run = m_run, .slot = m_slot, .measurement = measurement});
    m_attempt.measurements.push_back(std::move(measurement));
}

void RunContext::measure(std::string_view name, double value, std::string_view unit)
{
    Measurement measurement;
    measurement.name = name;
    measurement.value = value;
    measurement.limit.unit = unit;
    add(std::move(measurement));
}

void RunContext::measure(std::string_view name, std::string value)
{
    Measurement measurement;
    measurement.name = name;
    measurement.value = std::move(value);
    add(std::move(measurement));
}

void RunContext::notMeasured(std::string_view name)
{
    Measurement measurement;
    measurement.name = name;
    add(std::move(measurement));
}

void RunContext::handshakeArrow(std::uint64_t connection, const HandshakeMessage& message)
{
    const MutexLock lock(m_arrowMutex);
    auto& session = m_sessions[connection];
    HandshakeArrow arrow;
    arrow.position = static_cast<int>(session.size());
    arrow.fromDevice = message.fromDevice;
    arrow.what = message.what;
    arrow.note = message.note;
    arrow.bytes = static_cast<std::int64_t>(message.bytes);
    arrow.atMs = message.atMs;
    arrow.failed = message.failed;
    session.push_back(arrow);
    // An older connection that still ends is no part of the picture of the new one.
    if (connection == m_sessions.rbegin()->first)
        m_environment.events.post(HandshakeSeen{.run = m_run, .slot = m_slot, .arrow = arrow});
}

std::vector<std::vector<HandshakeArrow>> RunContext::handshakeSessions() const
{
    const MutexLock lock(m_arrowMutex);
    std::vector<std::vector<HandshakeArrow>> sessions;
    for (const auto& [connection, arrows] : m_sessions)
        sessions.push_back(arrows);
    return sessions;
}

Result<> RunContext::intend(std::string_view effect, std::string_view payload)
{
    TRY(journal().intend(m_run, effect, payload));
    critical(true, effect);
    return {};
}

Result<> RunContext::settle(std::string_view effect, Verdict verdict)
{
    auto settled = journal().settle(m_run, effect, verdict);
    critical(false, {});
    return settled;
}

void RunContext::critical(bool on, std::string_view what)
{
    if (!on && !m_isCritical)
        return;
    m_isCritical = on;
    m_environment.events.post(
        CriticalWrite{.run = m_run, .slot = m_slot, .on = on, .what = std::string(what)});
}

Result<std::string> RunContext::ask(std::string_view promptId, std::string_view text,
                                    std::vector<PromptChoice> choices)
{
    const auto began = m_environment.clock.now();
    OpContext waiting = *m_op;
    waiting.deadline = {began + station().operatorPatience};
    m_prompts.clear();
    m_environment.events.post(PromptRaised{.run = m_run,
                                           .slot = m_slot,
                                           .promptId = std::string(promptId),
                                           .text = std::string(text),
                                           .choices = choices});
    auto reply = m_prompts.wait(waiting);
    while (reply && std::ranges::find(choices, *reply, &PromptChoice::reply) == choices.end())
        reply = m_prompts.wait(waiting); // not an answer to this question
    m_environment.events.post(PromptAnswered{.run = m_run, .slot = m_slot});
    const auto took = m_environment.clock.now() - began;
    m_operatorSeconds += std::chrono::duration<double>(took).count();
    m_op->deadline.at += took;
    return reply;
}

Result<bool> RunContext::byHand(HandAct act)
{
    if (m_inTeardown || !station().operatorAnswers)
        return false;
    const Prompt prompt = promptFor(act);
    const auto reply =
        TRY(ask(prompt.id, prompt.text, {{"done", "Done"}, {"cannot", "Cannot be done"}}));
    return reply == "done";
}

} // namespace provost
