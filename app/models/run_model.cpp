#include "models/run_model.h"

#include "models/display_text.h"

#include <algorithm>
#include <cmath>

namespace provost {

RunModel::RunModel(SlotModel& slots, StationCommands& commands, std::shared_ptr<const Clock> clock,
                   QObject* parent)
    : QObject(parent), m_slots(slots), m_commands(commands), m_clock(std::move(clock))
{
}

void RunModel::followSlot(SlotId slot)
{
    m_slot = slot;
    m_history.clear();
    takeFromSlot();
    loadHistory();
    show();
}

bool RunModel::showRun(RunId id)
{
    // The run that a slot still holds is known better there: steps that were not reached.
    for (int row = 0; row < m_slots.rowCount(); ++row) {
        const SlotId slot{m_slots.index(row).data(SlotModel::NumberRole).toInt()};
        const RunState* inSlot = m_slots.runIn(slot);
        if (inSlot && inSlot->id == id) {
            followSlot(slot);
            return true;
        }
    }
    const auto record = m_commands.run(id);
    if (!record)
        return false;
    m_slot.reset();
    m_run = runFromRecord(*record);
    loadHistory();
    show();
    return true;
}

bool RunModel::showUnit(const QString& deviceId)
{
    const auto runs = m_commands.runsOf(deviceId.toStdString());
    return !runs.empty() && showRun(runs.front().id);
}

void RunModel::apply(const StationEvent& event)
{
    if (!m_slot || slotOf(event) != m_slot)
        return;
    const bool ended = std::holds_alternative<RunFinished>(event);
    if (m_run && m_run->finished && !m_slots.runIn(*m_slot))
        return; // the unit was taken out: whoever reads about it goes on reading
    takeFromSlot();
    if (ended || std::holds_alternative<RunStarted>(event) ||
        std::holds_alternative<UnitIdentified>(event))
        loadHistory();
    show();
}

void RunModel::leave()
{
    m_slot.reset();
}

void RunModel::tick()
{
    if (!m_run || m_run->finished)
        return;
    m_steps.tick(m_clock->now());
    Q_EMIT changed();
}

void RunModel::takeFromSlot()
{
    const RunState* inSlot = m_slots.runIn(*m_slot);
    m_run.reset();
    if (!inSlot)
        return;
    m_run = *inSlot;
    if (!m_run->finished || m_run->id.value <= 0)
        return;
    if (const auto record = m_commands.run(m_run->id))
        m_run = withRecord(*inSlot, *record);
}

void RunModel::loadHistory()
{
    m_history.clear();
    if (m_run && !m_run->unit.deviceId.empty())
        m_history = m_commands.runsOf(m_run->unit.deviceId);
}

void RunModel::show()
{
    const RunState none;
    const RunState& run = m_run ? *m_run : none;
    m_steps.show(run);
    m_steps.tick(m_clock->now());
    m_handshake.show(run.id, run.handshake);
    Q_EMIT changed();
}

Diagnosis RunModel::diagnosis() const
{
    return m_run ? diagnose(*m_run) : Diagnosis{};
}

SlotState RunModel::state() const
{
    if (m_slot && (!m_run || !m_run->finished))
        return m_slots.stateOf(*m_slot);
    if (!m_run)
        return SlotState::Ready;
    return provost::stateOf(m_run->verdict);
}

int RunModel::attemptNumber() const
{
    // Newest first: the number of runs up to and with this one.
    const auto found = std::ranges::find(m_history, m_run->id, &RunRecord::id);
    return found != m_history.end() ? static_cast<int>(m_history.end() - found) : 0;
}

QString RunModel::causeLine() const
{
    if (!m_run)
        return {};
    QStringList parts;
    if (m_run->finished && !m_run->cause.empty())
        parts << display::text(m_run->cause) << display::causeTitle(m_run->cause);
    else if (m_run->finished)
        parts << display::seconds(m_run->seconds);
    if (!m_run->unit.serial.empty() && m_run->unit.serial != m_run->unit.deviceId)
        parts << display::unbroken(tr("label %1").arg(display::text(m_run->unit.serial)));
    const QString started = display::startTime(m_run->startedUtc);
    if (!started.isEmpty())
        parts << display::unbroken(m_run->finished ? started : tr("since %1").arg(started));
    if (const int attempt = attemptNumber(); attempt > 0)
        parts << display::unbroken(tr("attempt %1").arg(attempt));
    return parts.join(display::separator());
}

QString RunModel::timeLine() const
{
    return m_slot ? m_slots.indexOf(*m_slot).data(SlotModel::DetailRole).toString() : QString();
}

QString RunModel::idleLine() const
{
    if (m_run || !m_slot)
        return {};
    const auto row = m_slots.indexOf(*m_slot);
    QStringList parts{row.data(SlotModel::HeadlineRole).toString(),
                      row.data(SlotModel::DetailRole).toString()};
    parts.removeAll(QString());
    return parts.join(display::separator());
}

void RunModel::answer(const QString& reply)
{
    if (!m_run || m_run->promptText.empty())
        return;
    m_commands.answer(m_run->id, reply.toStdString());
    m_slots.answered(m_run->id);
    m_run->promptText.clear();
    show();
}

} // namespace provost
