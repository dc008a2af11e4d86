#include "gui/host_commands.h"

#include "core/text.h"
#include "host/session_user.h"

#include <QDateTime>

namespace provost::gui {

namespace {

/// The shift begins at local midnight.
Clock::Utc shiftBegin()
{
    const auto midnight = QDate::currentDate().startOfDay().toMSecsSinceEpoch();
    return Clock::Utc(std::chrono::milliseconds(midnight));
}

} // namespace

HostCommands::HostCommands(Host& host, BenchPace pace) : m_host(host)
{
    if (m_host.bench() == nullptr)
        return;
    m_operator = std::make_unique<BenchOperator>(
        *m_host.bench(), m_host.events(), m_host.clock(),
        [this](SlotId slot, const std::string& label) { return m_host.start(slot, label); },
        BenchOperatorOptions{.lookAtVerdict = pace.lookAtVerdict,
                             .betweenSlots = pace.betweenSlots,
                             .atPrompt = pace.atPrompt,
                             .inUse = [this](SlotId slot) { return !m_host.whyOff(slot); }},
        [this](RunId run, const std::string& reply) { m_host.engine().answer(run, reply); });
    m_host.events().add(*m_operator);
}

HostCommands::~HostCommands()
{
    if (!m_operator)
        return;
    m_operator->pause();
    m_host.events().remove(*m_operator);
}

StationIdentity HostCommands::identity() const
{
    const auto plan = m_host.plan();
    return {.planTitle = plan->title,
            .planLine = concat("Plan ", plan->id, " · rev ", plan->revision),
            .planDigest = plan->digest,
            .stationName = m_host.settings().name,
            .operatorName = sessionUser(),
            .simulated = m_host.bench() != nullptr,
            .training = m_host.settings().training || !m_host.overridden().empty(),
            .databasePath = m_host.database().string(),
            .slots = m_host.slots()};
}

void HostCommands::start(SlotId slot, const std::string& label)
{
    tell(m_host.start(slot, label));
}

void HostCommands::switchSlot(SlotId slot, bool on)
{
    const auto switched = m_host.switchSlot(slot, on);
    tell(switched);
    if (switched && m_operator)
        m_operator->attend(slot);
}

void HostCommands::tell(const Result<>& done)
{
    if (!done)
        m_host.events().post(
            StationNotice{.subject = "station", .good = false, .text = done.error().message});
}

void HostCommands::startAll()
{
    if (!m_operator) {
        for (const auto slot : m_host.slotsInUse()) {
            if (!m_host.engine().busy(slot))
                start(slot, {});
        }
        return;
    }
    if (m_begun)
        m_operator->resume();
    else
        m_operator->begin();
    m_begun = true;
}

void HostCommands::stop(SlotId slot)
{
    m_host.engine().abort(slot);
}

void HostCommands::stopAll()
{
    if (m_operator)
        m_operator->pause();
    m_host.engine().abortAll();
}

void HostCommands::answer(RunId run, const std::string& reply)
{
    m_host.engine().answer(run, reply);
}

std::optional<RunRecord> HostCommands::run(RunId run)
{
    auto record = m_host.journal().run(run);
    return record ? std::optional(std::move(*record)) : std::nullopt;
}

std::vector<UnitRow> HostCommands::units()
{
    auto rows = m_host.journal().units();
    return rows ? std::move(*rows) : std::vector<UnitRow>{};
}

std::vector<RunRecord> HostCommands::runsOf(const std::string& deviceId)
{
    auto runs = m_host.journal().runsOf(deviceId);
    return runs ? std::move(*runs) : std::vector<RunRecord>{};
}

ShiftCounts HostCommands::counts()
{
    const auto counts = m_host.journal().counts(shiftBegin(), m_host.bench() != nullptr);
    return counts ? *counts : ShiftCounts{};
}

} // namespace provost::gui
