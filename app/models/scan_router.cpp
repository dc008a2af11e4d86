#include "models/scan_router.h"

#include "models/display_text.h"

namespace provost {

using namespace std::chrono_literals;

namespace {

constexpr auto kNoticeLasts = 8s;

} // namespace

ScanRouter::ScanRouter(SlotModel& slots, StationCommands& commands,
                       std::shared_ptr<const Clock> clock, QObject* parent)
    : QObject(parent), m_slots(slots), m_commands(commands), m_clock(std::move(clock))
{
    connect(&m_slots, &SlotModel::occupancyChanged, this, &ScanRouter::changed);
}

ScanRouter::Outcome ScanRouter::scan(const QString& text)
{
    const QString code = text.trimmed();
    m_notice.clear();
    if (code == QStringLiteral("CMD:START")) {
        m_commands.startAll();
        Q_EMIT changed();
        return Outcome::StartedAll;
    }
    if (code == QStringLiteral("CMD:STOP")) {
        m_commands.stopAll();
        Q_EMIT changed();
        return Outcome::StoppedAll;
    }
    if (code.startsWith(QStringLiteral("CMD:")))
        return refuse(tr("%1 is no command").arg(code));
    if (code.isEmpty())
        return refuse(tr("Nothing was scanned"));

    const std::string label = code.toStdString();
    if (const auto where = m_slots.slotWithLabel(label)) {
        const SlotState state = m_slots.stateOf(*where);
        // Not judged: the same label runs the same unit again where it is.
        if (state == SlotState::Check || state == SlotState::Stopped)
            return start(*where, label);
        return refuse(tr("%1 is in slot %2: %3").arg(code).arg(where->value).arg(shownName(state)));
    }
    const auto slot = m_slots.nextFree();
    if (!slot)
        return refuse(tr("No free slot for %1").arg(code));
    return start(*slot, label);
}

ScanRouter::Outcome ScanRouter::start(SlotId slot, const std::string& label)
{
    m_slots.claim(slot, label);
    m_commands.start(slot, label);
    Q_EMIT changed();
    return Outcome::Started;
}

ScanRouter::Outcome ScanRouter::refuse(const QString& why)
{
    warn(why);
    return Outcome::Refused;
}

void ScanRouter::warn(const QString& what)
{
    m_notice = what;
    m_noticeSince = m_clock->now();
    Q_EMIT changed();
}

QString ScanRouter::prompt() const
{
    const auto slot = m_slots.nextFree();
    return slot                    ? tr("Scan a label to start slot %1").arg(slot->value)
           : m_slots.anyFinished() ? tr("No free slot: take a unit out")
                                   : tr("All slots are working");
}

void ScanRouter::tick()
{
    if (m_notice.isEmpty() || m_clock->now() - m_noticeSince < kNoticeLasts)
        return;
    m_notice.clear();
    Q_EMIT changed();
}

} // namespace provost
