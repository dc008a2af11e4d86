#include "models/step_model.h"

#include "models/display_text.h"

#include <algorithm>
#include <cmath>

namespace provost {

namespace {

bool limited(const Measurement& measurement)
{
    return measurement.limit.min || measurement.limit.max;
}

/// A value that was not taken is a failure only where its step says so: some may be missing.
bool broken(const Measurement& measurement, const AttemptRecord& attempt)
{
    const bool missing = limited(measurement) && !measurement.value;
    return measurement.verdict == Verdict::Fail || (missing && attempt.verdict == Verdict::Fail);
}

QStringList lines(const StepState& step, bool wantBroken)
{
    QStringList lines;
    for (const auto& measurement : step.record.measurements) {
        // What has no limit is in the record, and in the note where it helps people. The seconds
        // stand beside the name.
        const bool isBroken = broken(measurement, step.record);
        const bool isSaid = measurement.name == "seconds" && !isBroken;
        if (limited(measurement) && !isSaid && isBroken == wantBroken)
            lines << display::measurement(measurement);
    }
    return lines;
}

} // namespace

StepModel::StepModel(QObject* parent) : QAbstractListModel(parent) {}

int StepModel::rowCount(const QModelIndex& parent) const
{
    return parent.isValid() ? 0 : static_cast<int>(m_steps.size());
}

QVariant StepModel::data(const QModelIndex& index, int role) const
{
    if (!checkIndex(index, CheckIndexOption::IndexIsValid))
        return {};
    const StepState& step = m_steps[static_cast<std::size_t>(index.row())];
    switch (role) {
    case Qt::DisplayRole:
    case NameRole:
        return display::text(step.name);
    case MarkRole:
        return static_cast<int>(markOf(step, m_finished));
    case NoteRole:
        return note(step);
    case SecondsRole:
        return secondsText(step);
    case AttemptRole:
        return step.record.attempt;
    case MeasurementsRole:
        return lines(step, false);
    case BrokenRole:
        return lines(step, true);
    case ErrorRole:
        return display::text(step.record.error);
    default:
        return {};
    }
}

QHash<int, QByteArray> StepModel::roleNames() const
{
    return {{NameRole, "name"},       {MarkRole, "mark"},       {NoteRole, "note"},
            {SecondsRole, "seconds"}, {AttemptRole, "attempt"}, {MeasurementsRole, "measurements"},
            {BrokenRole, "broken"},   {ErrorRole, "error"}};
}

void StepModel::show(const RunState& run)
{
    const bool sameRows = run.id == m_run && run.steps.size() == m_steps.size();
    if (!sameRows)
        beginResetModel();
    m_steps = run.steps;
    m_run = run.id;
    m_finished = run.finished;
    m_asks = !run.promptText.empty();
    if (!sameRows)
        endResetModel();
    else if (!m_steps.empty())
        Q_EMIT dataChanged(index(0), index(static_cast<int>(m_steps.size()) - 1));
}

void StepModel::tick(Clock::Steady now)
{
    m_now = now;
    const int row = runningRow();
    if (row >= 0)
        Q_EMIT dataChanged(index(row), index(row), {SecondsRole});
}

int StepModel::runningRow() const
{
    const auto found = std::ranges::find(m_steps, StepStage::Running, &StepState::stage);
    return found != m_steps.end() ? static_cast<int>(found - m_steps.begin()) : -1;
}

int StepModel::rowThatMatters() const
{
    const int running = runningRow();
    if (running >= 0)
        return running;
    for (std::size_t row = m_steps.size(); row-- > 0;) {
        if (m_steps[row].stage == StepStage::Done && m_steps[row].record.verdict > Verdict::Pass)
            return static_cast<int>(row);
    }
    return -1;
}

StepModel::Mark StepModel::markOf(const StepState& step, bool runFinished)
{
    if (step.stage == StepStage::NotReached)
        return runFinished ? Mark::NotReached : Mark::Waiting;
    if (step.stage == StepStage::Running)
        return Mark::Running;
    switch (step.record.verdict) {
    case Verdict::Pass:
        return Mark::Passed;
    case Verdict::Hold:
        return Mark::Held;
    case Verdict::Fail:
        return Mark::Failed;
    case Verdict::Aborted:
        return Mark::Stopped;
    case Verdict::Error:
        return Mark::Check;
    case Verdict::NotRun:
        break;
    }
    return Mark::NotReached; // begun, and cut off by the end of the run
}

QString StepModel::note(const StepState& step) const
{
    QStringList parts;
    if (step.record.attempt > 1)
        parts << tr("try %1").arg(step.record.attempt);
    switch (markOf(step, m_finished)) {
    case Mark::Waiting:
        break;
    case Mark::NotReached:
        parts << (step.stage == StepStage::NotReached ? tr("not reached") : tr("not finished"));
        break;
    case Mark::Running:
        parts << (m_asks                  ? tr("waits for the operator")
                  : step.activity.empty() ? tr("running")
                                          : display::text(step.activity));
        break;
    default:
        if (!step.record.note.empty())
            parts << display::text(step.record.note);
        else if (!step.record.cause.empty())
            parts << display::continued(display::causeTitle(step.record.cause));
    }
    return parts.join(display::separator());
}

QString StepModel::secondsText(const StepState& step) const
{
    switch (step.stage) {
    case StepStage::NotReached:
        return {};
    case StepStage::Running:
        return m_now > step.began ? display::wholeSeconds(std::floor(
                                        std::chrono::duration<double>(m_now - step.began).count()))
                                  : QString();
    case StepStage::Done:
        return step.record.verdict == Verdict::NotRun ? QString()
                                                      : display::seconds(step.record.seconds);
    }
    return {};
}

} // namespace provost
