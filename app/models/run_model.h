// The run that the Unit screen shows, live or from its record.
#pragma once

#include "models/diagnosis.h"
#include "models/handshake_model.h"
#include "models/slot_model.h"
#include "models/station_commands.h"
#include "models/step_model.h"

#include <QObject>

#include <memory>
#include <optional>

namespace provost {

/// Follows a slot (its runs as they come and go) or holds one run of the past.
class RunModel final : public QObject {
    Q_OBJECT

public:
    RunModel(SlotModel& slots, StationCommands& commands, std::shared_ptr<const Clock> clock,
             QObject* parent = nullptr);

    /// What is in that slot, and whatever comes next.
    void followSlot(SlotId slot);
    /// A run on record. @returns false where there is none of that number
    bool showRun(RunId run);
    /// The latest run of a unit. @returns false where it has none
    bool showUnit(const QString& deviceId);
    /// Nobody looks any longer: follows no slot.
    void leave();
    /// Call behind SlotModel::apply.
    void apply(const StationEvent& event);
    void tick();

    /// nullptr: the slot has no run.
    const RunState* run() const { return m_run ? &*m_run : nullptr; }
    std::optional<SlotId> slot() const { return m_slot; }
    /// Every run of the unit on record, newest first.
    const std::vector<RunRecord>& history() const { return m_history; }
    Diagnosis diagnosis() const;
    /// FAIL …: the badge.
    SlotState state() const;
    /// "F405 · Unit cannot open the session key · 14:31:07 · attempt 2"
    QString causeLine() const;
    /// "26 s · about 16 s left" while it runs.
    QString timeLine() const;
    /// What the tile says of a slot without a run; empty: it has one.
    QString idleLine() const;
    /// The answer to the question of the run.
    void answer(const QString& reply);

    StepModel& steps() { return m_steps; }
    HandshakeModel& handshake() { return m_handshake; }

Q_SIGNALS:
    void changed();

private:
    void takeFromSlot();
    void show();
    void loadHistory();
    int attemptNumber() const;

    SlotModel& m_slots;
    StationCommands& m_commands;
    std::shared_ptr<const Clock> m_clock;
    StepModel m_steps;
    HandshakeModel m_handshake;
    std::optional<SlotId> m_slot;
    std::optional<RunState> m_run;
    std::vector<RunRecord> m_history;
};

} // namespace provost
