// One run as its steps see it, and the record it leaves.
#pragma once

#include "engine/environment.h"

#include <condition_variable>
#include <map>
#include <optional>

namespace provost {

/// Where an operator's answer is handed to a waiting run. Thread-safe.
class PromptBox {
public:
    /// What was answered before nobody asks for any more.
    void clear();
    void answer(std::string reply);
    Result<std::string> wait(const OpContext& op);

private:
    Mutex m_mutex;
    std::condition_variable_any m_changed;
    std::optional<std::string> m_reply PROVOST_GUARDED_BY(m_mutex);
};

/// Maps a step's progress onto the run's bar, weighted by typical seconds.
class RunProgress final : public ProgressSink {
public:
    RunProgress(EventSink& events, RunId run, SlotId slot, std::vector<PlannedStep> steps);
    void enter(std::size_t step);
    void report(std::string_view phase, double fraction) override;

private:
    EventSink& m_events;
    RunId m_run;
    SlotId m_slot;
    std::vector<PlannedStep> m_steps;
    double m_total = 0;
    double m_before = 0;
    double m_share = 0;
    double m_shown = 0;
};

class RunContext final : public StepContext {
public:
    RunContext(const EngineEnvironment& environment, const TestPlan& plan, RunId run, SlotId slot,
               const std::string& label, UnitUnderTest& unit, PromptBox& prompts);

    /// Before each attempt: what the step may use, and an empty attempt to fill.
    void beginAttempt(const StepSpec& spec, int attempt, OpContext op);
    /// The attempt with everything measured and noted, judged against the limits.
    AttemptRecord endAttempt(const Result<>& outcome, double seconds);
    /// The arrows of each connection that the run saw, oldest first.
    std::vector<std::vector<HandshakeArrow>> handshakeSessions() const;
    /// From here on nobody is asked: the unit's verdict stands.
    void enterTeardown() { m_inTeardown = true; }
    /// Asks the operator for what the fixture cannot do. @returns false  it cannot be done
    Result<bool> byHand(HandAct act);
    const UnitIdentity& identity() const { return m_identity; }

    const OpContext& op() const override { return *m_op; }
    RunId run() const override { return m_run; }
    SlotId slot() const override { return m_slot; }
    const TestPlan& plan() const override { return m_plan; }
    const StationSettings& station() const override { return m_environment.station; }
    UnitFacts& facts() override { return m_facts; }
    UnitUnderTest& unit() override { return m_unit; }
    ImageCatalog& images() override { return m_environment.images; }
    Journal& journal() override { return m_environment.journal; }
    ProvisioningClient& cloud() override { return m_environment.cloud; }
    CloudView& view() override { return m_environment.view; }
    HandshakeServer& handshakes() override { return m_environment.handshakes; }
    NetworkWitness& network() override { return m_environment.network; }
    Result<> identified(const UnitIdentity& unit, std::string_view route) override;
    void measure(std::string_view name, double value, std::string_view unit) override;
    void measure(std::string_view name, std::string value) override;
    void notMeasured(std::string_view name) override;
    void note(std::string text) override { m_attempt.note = std::move(text); }
    void handshakeArrow(std::uint64_t connection, const HandshakeMessage& message) override;
    Result<> intend(std::string_view effect, std::string_view payload) override;
    Result<> settle(std::string_view effect, Verdict verdict) override;
    void critical(bool on, std::string_view what) override;
    Result<std::string> ask(std::string_view promptId, std::string_view text,
                            std::vector<PromptChoice> choices) override;

private:
    void add(Measurement measurement);
    /// Lights DO NOT UNPLUG, or puts it out.

    const EngineEnvironment& m_environment;
    const TestPlan& m_plan;
    RunId m_run;
    SlotId m_slot;
    UnitUnderTest& m_unit;
    PromptBox& m_prompts;
    UnitFacts m_facts;
    UnitIdentity m_identity;
    const StepSpec* m_spec = nullptr;
    std::optional<OpContext> m_op;
    AttemptRecord m_attempt;
    bool m_isCritical = false;
    bool m_inTeardown = false;
    double m_operatorSeconds = 0; ///< of this attempt
    mutable Mutex m_arrowMutex;   ///< held while an arrow is posted: they stay in order
    std::map<std::uint64_t, std::vector<HandshakeArrow>>
        m_sessions PROVOST_GUARDED_BY(m_arrowMutex);
};

} // namespace provost
