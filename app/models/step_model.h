// The steps of one run as rows.
#pragma once

#include "models/run_state.h"

#include <QAbstractListModel>

namespace provost {

/// One row per try of a step, in the order of the plan; steps not reached have a row too.
class StepModel final : public QAbstractListModel {
    Q_OBJECT

public:
    enum Role {
        NameRole = Qt::UserRole + 1,
        MarkRole,         ///< StepModel::Mark as int
        NoteRole,         ///< what it is doing, or what it left behind
        SecondsRole,      ///< "4.2 s", empty where it did not run
        AttemptRole,      ///< int, 1: first try
        MeasurementsRole, ///< QStringList, those with a meaning for people
        BrokenRole,       ///< QStringList, the ones outside their limits or missing
        ErrorRole,        ///< technical text, empty where it passed
    };
    enum class Mark : std::uint8_t {
        Waiting,
        NotReached,
        Running,
        Passed,
        Held,
        Failed,
        Stopped,
        Check
    };

    explicit StepModel(QObject* parent = nullptr);

    int rowCount(const QModelIndex& parent = {}) const override;
    QVariant data(const QModelIndex& index, int role) const override;
    QHash<int, QByteArray> roleNames() const override;

    /// Shows the steps of `run` from now on.
    void show(const RunState& run);
    /// Counts the seconds of the running step on.
    void tick(Clock::Steady now);
    /// -1: none runs.
    int runningRow() const;
    /// The running row, else the last one that did not pass; -1: neither.
    int rowThatMatters() const;

private:
    static Mark markOf(const StepState& step, bool runFinished);
    QString note(const StepState& step) const;
    QString secondsText(const StepState& step) const;

    std::vector<StepState> m_steps;
    RunId m_run{};
    bool m_finished = false;
    bool m_asks = false;
    Clock::Steady m_now{};
};

} // namespace provost
