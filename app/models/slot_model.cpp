#include "models/slot_model.h"

#include "models/display_text.h"

#include <QCoreApplication>
#include <QLocale>

#include <algorithm>
#include <cmath>

namespace provost {

using namespace std::chrono_literals;

namespace {

constexpr auto kClaimLasts = 2s;
/// The bar of a tile is some 400 pixels wide: finer steps of it cannot be seen.
constexpr double kFractionStep = 1.0 / 1000;

} // namespace

SlotState stateOf(Verdict verdict)
{
    switch (verdict) {
    case Verdict::Pass:
        return SlotState::Pass;
    case Verdict::Hold:
        return SlotState::Hold;
    case Verdict::Fail:
        return SlotState::Fail;
    case Verdict::Aborted:
        return SlotState::Stopped;
    case Verdict::NotRun:
    case Verdict::Error:
        break;
    }
    return SlotState::Check;
}

QString shownName(SlotState state)
{
    const auto tr = [](const char* word) { return QCoreApplication::translate("SlotState", word); };
    switch (state) {
    case SlotState::Off:
        return tr("OFF");
    case SlotState::Ready:
        return tr("READY");
    case SlotState::Running:
        return tr("RUNNING");
    case SlotState::Stopping:
        return tr("STOPPING");
    case SlotState::Pass:
        return tr("PASS");
    case SlotState::Hold:
        return tr("HOLD");
    case SlotState::Fail:
        return tr("FAIL");
    case SlotState::Stopped:
        return tr("STOPPED");
    case SlotState::Check:
        return tr("CHECK");
    }
    return {};
}

SlotModel::SlotModel(const std::vector<SlotId>& slots, bool simulated,
                     std::shared_ptr<const Clock> clock, QObject* parent)
    : QAbstractListModel(parent), m_simulated(simulated), m_clock(std::move(clock))
{
    for (const auto& slot : slots)
        m_entries.push_back({.id = slot});
    std::ranges::sort(m_entries, {}, &Entry::id);
}

int SlotModel::rowCount(const QModelIndex& parent) const
{
    return parent.isValid() ? 0 : static_cast<int>(m_entries.size());
}

QVariant SlotModel::data(const QModelIndex& index, int role) const
{
    if (!checkIndex(index, CheckIndexOption::IndexIsValid))
        return {};
    const Entry& entry = m_entries[static_cast<std::size_t>(index.row())];
    const RunState* run = entry.run ? &*entry.run : nullptr;
    switch (role) {
    case Qt::DisplayRole:
        return tr("Slot %1: %2").arg(entry.id.value).arg(shownName(stateOf(entry)));
    case NumberRole:
        return entry.id.value;
    case StateRole:
        return static_cast<int>(stateOf(entry));
    case WordRole:
        return shownName(stateOf(entry));
    case UnitRole:
        if (!run)
            return display::text(entry.claimedLabel);
        return display::text(run->unit.deviceId.empty() ? run->unit.serial : run->unit.deviceId);
    case LabelRole:
        return display::text(run ? run->unit.serial : entry.claimedLabel);
    case RunRole:
        return static_cast<qint64>(run ? run->id.value : 0);
    case PercentRole:
        return run ? static_cast<int>(std::floor(run->fraction * 100 + 1e-9)) : 0;
    case FractionRole:
        return run ? run->fraction : 0.0;
    case HeadlineRole:
        return headline(entry);
    case DetailRole:
        return detail(entry);
    case CauseRole:
        return run ? display::text(run->cause) : QString();
    case CriticalRole:
        return run && run->critical;
    case CriticalWhatRole:
        return run && run->critical ? display::text(run->criticalWhat) : QString();
    case PromptRole:
        return run ? display::text(run->promptText) : QString();
    case SimulatedRole:
        return m_simulated || (run && run->simulated);
    case SwitchedOffRole:
        return entry.availability == SlotAvailability::Off;
    default:
        return {};
    }
}

QHash<int, QByteArray> SlotModel::roleNames() const
{
    return {{NumberRole, "number"},       {StateRole, "state"},
            {WordRole, "word"},           {UnitRole, "unit"},
            {LabelRole, "label"},         {RunRole, "run"},
            {PercentRole, "percent"},     {FractionRole, "fraction"},
            {HeadlineRole, "headline"},   {DetailRole, "detail"},
            {CauseRole, "cause"},         {CriticalRole, "critical"},
            {PromptRole, "prompt"},       {CriticalWhatRole, "criticalWhat"},
            {SimulatedRole, "simulated"}, {SwitchedOffRole, "switchedOff"}};
}

QString SlotModel::headline(const Entry& entry) const
{
    const SlotState state = stateOf(entry);
    switch (state) {
    case SlotState::Off:
        return offHeadline(entry);
    case SlotState::Ready:
        return entry.claimed ? tr("Starting") : tr("Insert a unit and scan its label");
    case SlotState::Running:
    case SlotState::Stopping: {
        const StepState* step = currentOrNextStep(*entry.run);
        return step ? display::text(step->name) : tr("Finishing");
    }
    case SlotState::Pass:
        return entry.unitGone ? tr("Unit removed") : tr("Remove unit");
    case SlotState::Hold:
        return display::causeAction(entry.run->cause);
    case SlotState::Fail:
    case SlotState::Stopped:
    case SlotState::Check:
        return display::causeTitle(entry.run->cause);
    }
    return {};
}

QString SlotModel::detail(const Entry& entry) const
{
    const SlotState state = stateOf(entry);
    const QString separator = display::separator();
    switch (state) {
    case SlotState::Off:
        return offDetail(entry);
    case SlotState::Ready:
        return {};
    case SlotState::Running:
        return runningDetail(*entry.run);
    case SlotState::Stopping:
        return tr("ends at the next safe point");
    case SlotState::Pass:
        return display::seconds(entry.run->seconds);
    case SlotState::Hold:
        return display::text(entry.run->cause) + separator +
               display::continued(display::causeTitle(entry.run->cause));
    case SlotState::Fail:
    case SlotState::Stopped:
    case SlotState::Check:
        return display::text(entry.run->cause) + separator +
               display::continued(display::causeAction(entry.run->cause));
    }
    return {};
}

QString SlotModel::offHeadline(const Entry& entry)
{
    return entry.offBy.empty() ? tr("Switched off in the station file")
                               : tr("Switched off by %1").arg(display::text(entry.offBy));
}

QString SlotModel::offDetail(const Entry& entry)
{
    const QString since = display::dayAndTime(entry.offSince);
    if (entry.why.empty())
        return since.isEmpty() ? QString() : tr("since %1").arg(since);
    const QString why = display::text(entry.why);
    return since.isEmpty() ? why : tr("%1, %2").arg(why, display::unbroken(since));
}

QString SlotModel::runningDetail(const RunState& run) const
{
    const auto now = m_clock->now();
    QString text = display::wholeSeconds(std::floor(elapsedSeconds(run, now)));
    const auto left = remainingSeconds(run, now);
    if (left && *left >= 0.5)
        text +=
            display::separator() + tr("about %1 left").arg(display::wholeSeconds(std::ceil(*left)));
    return text;
}

void SlotModel::apply(const StationEvent& event)
{
    const auto slot = slotOf(event);
    if (!slot)
        return;
    const std::size_t row = rowFor(*slot);
    Entry& entry = m_entries[row];
    const SlotState before = stateOf(entry);
    const bool wasFree = isFree(entry);
    const double shown = entry.run ? entry.run->fraction : 0;
    if (!change(entry, event))
        return;
    if (std::holds_alternative<ProgressMoved>(event)) {
        // Only what can be seen is announced; 24 slots may report ten times a second each.
        const bool moved =
            std::floor(shown / kFractionStep) != std::floor(entry.run->fraction / kFractionStep);
        if (moved) {
            const QModelIndex at = index(static_cast<int>(row));
            Q_EMIT dataChanged(at, at, {FractionRole, PercentRole});
        }
        return;
    }
    announce(row);
    if (before != stateOf(entry) || wasFree != isFree(entry))
        Q_EMIT occupancyChanged();
}

bool SlotModel::change(Entry& entry, const StationEvent& event)
{
    if (const auto* changed = std::get_if<SlotChanged>(&event)) {
        entry.availability = changed->availability;
        entry.why = changed->why;
        entry.offBy = changed->actor;
        entry.offSince = changed->atUtc;
        return true;
    }
    if (std::holds_alternative<UnitRemoved>(event)) {
        if (!entry.run)
            return false;
        if (entry.run->finished)
            entry.run.reset();
        else
            entry.unitGone = true;
        return true;
    }
    return applyToRun(entry, event);
}

bool SlotModel::applyToRun(Entry& entry, const StationEvent& event)
{
    if (const auto* started = std::get_if<RunStarted>(&event)) {
        entry.run = begunRun(*started, m_clock->now(), nowUtc());
        entry.run->stopping = entry.stopAsked;
        entry.stopAsked = false;
        entry.unitGone = false;
        entry.claimed.reset();
        entry.claimedLabel.clear();
        return true;
    }
    const bool busy = entry.run && !entry.run->finished;
    if (std::holds_alternative<StopRequested>(event)) {
        // By slot, not by run: the stop may overtake the number of a run that just begins.
        entry.stopAsked = !busy;
        if (busy)
            entry.run->stopping = true;
        return busy;
    }
    const auto* finished = std::get_if<RunFinished>(&event);
    if (finished && !busy) {
        entry.run = refusedRun(*finished, nowUtc());
        entry.claimed.reset();
        entry.claimedLabel.clear();
        entry.stopAsked = false;
        return true;
    }
    return entry.run && fold(*entry.run, event, m_clock->now());
}

void SlotModel::claim(SlotId slot, const std::string& label)
{
    const std::size_t row = rowFor(slot);
    m_entries[row].claimed = m_clock->now();
    m_entries[row].claimedLabel = label;
    m_entries[row].stopAsked = false;
    announce(row);
    Q_EMIT occupancyChanged();
}

void SlotModel::answered(RunId run)
{
    for (std::size_t row = 0; row < m_entries.size(); ++row) {
        if (m_entries[row].run && m_entries[row].run->id == run) {
            m_entries[row].run->promptText.clear();
            announce(row);
        }
    }
}

void SlotModel::tick()
{
    bool freed = false;
    for (std::size_t row = 0; row < m_entries.size(); ++row) {
        Entry& entry = m_entries[row];
        if (entry.claimed && m_clock->now() - *entry.claimed >= kClaimLasts) {
            entry.claimed.reset();
            entry.claimedLabel.clear();
            freed = true;
            announce(row);
        }
        if (entry.run && !entry.run->finished) {
            const QModelIndex at = index(static_cast<int>(row));
            Q_EMIT dataChanged(at, at, {DetailRole});
        }
    }
    if (freed)
        Q_EMIT occupancyChanged();
}

SlotState SlotModel::stateOf(const Entry& entry)
{
    if (!entry.run)
        return entry.availability == SlotAvailability::Off ? SlotState::Off : SlotState::Ready;
    if (!entry.run->finished)
        return entry.run->stopping ? SlotState::Stopping : SlotState::Running;
    return provost::stateOf(entry.run->verdict);
}

bool SlotModel::isFree(const Entry& entry)
{
    if (entry.claimed || entry.availability == SlotAvailability::Off)
        return false;
    return !entry.run || (entry.run->finished && entry.unitGone);
}

bool SlotModel::anyFinished() const
{
    return std::ranges::any_of(m_entries, [](const Entry& entry) {
        return entry.run && entry.run->finished && !entry.unitGone;
    });
}

SlotState SlotModel::stateOf(SlotId slot) const
{
    const Entry* entry = find(slot);
    return entry ? stateOf(*entry) : SlotState::Off;
}

const RunState* SlotModel::runIn(SlotId slot) const
{
    const Entry* entry = find(slot);
    return entry && entry->run ? &*entry->run : nullptr;
}

std::optional<SlotId> SlotModel::slotWithLabel(const std::string& label) const
{
    for (const auto& entry : m_entries) {
        const bool inRun = entry.run && !entry.unitGone && entry.run->unit.serial == label;
        if (!label.empty() && (inRun || (entry.claimed && entry.claimedLabel == label)))
            return entry.id;
    }
    return std::nullopt;
}

std::optional<SlotId> SlotModel::nextFree() const
{
    const auto found = std::ranges::find_if(m_entries, [](const Entry& e) { return isFree(e); });
    return found != m_entries.end() ? std::optional(found->id) : std::nullopt;
}

int SlotModel::busyCount() const
{
    return static_cast<int>(std::ranges::count_if(
        m_entries, [](const Entry& entry) { return entry.run && !entry.run->finished; }));
}

QModelIndex SlotModel::indexOf(SlotId slot) const
{
    const auto found = std::ranges::find(m_entries, slot, &Entry::id);
    return found != m_entries.end() ? index(static_cast<int>(found - m_entries.begin()))
                                    : QModelIndex();
}

const SlotModel::Entry* SlotModel::find(SlotId slot) const
{
    const auto found = std::ranges::find(m_entries, slot, &Entry::id);
    return found != m_entries.end() ? &*found : nullptr;
}

std::size_t SlotModel::rowFor(SlotId slot)
{
    const auto found = std::ranges::lower_bound(m_entries, slot, {}, &Entry::id);
    const auto row = static_cast<std::size_t>(found - m_entries.begin());
    if (found != m_entries.end() && found->id == slot)
        return row;
    beginInsertRows({}, static_cast<int>(row), static_cast<int>(row));
    m_entries.insert(found, Entry{.id = slot});
    endInsertRows();
    return row;
}

void SlotModel::announce(std::size_t row)
{
    const QModelIndex at = index(static_cast<int>(row));
    Q_EMIT dataChanged(at, at);
}

std::string SlotModel::nowUtc() const
{
    return isoUtc(m_clock->utcNow());
}

} // namespace provost
