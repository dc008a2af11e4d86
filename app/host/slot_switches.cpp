#include "host/slot_switches.h"

#include "core/text.h"

#include <algorithm>
#include <pwd.h>
#include <unistd.h>

namespace provost {

namespace {

constexpr std::string_view kByOperator = "Switched off by an operator";

/// Who is signed in to this computer.
std::string sessionUser()
{
    const auto* entry = ::getpwuid(::geteuid());
    const std::string name = entry != nullptr ? entry->pw_name : "";
    return name.empty() ? concat("uid ", ::geteuid()) : name;
}

} // namespace

SlotSwitches::SlotSwitches(Journal& journal, EventSink& events, bool simulated)
    : m_journal(journal), m_events(events), m_simulated(simulated)
{
}

void SlotSwitches::offByConfiguration(SlotId slot, std::string why)
{
    const MutexLock lock(m_mutex);
    m_configured.insert_or_assign(slot, std::move(why));
}

Result<> SlotSwitches::load(const std::vector<SlotId>& slots)
{
    const auto acts = TRY(m_journal.slotActs(m_simulated));
    const MutexLock lock(m_mutex);
    m_switched.clear();
    for (const auto& act : acts) {
        const SlotId slot{act.slot};
        if (std::ranges::find(slots, slot) == slots.end())
            continue;
        if (act.on)
            m_switched.erase(slot);
        else
            m_switched.insert_or_assign(slot, act.why);
    }
    return {};
}

std::optional<std::string> SlotSwitches::whyOff(SlotId slot) const
{
    const MutexLock lock(m_mutex);
    for (const auto* reasons : {&m_configured, &m_switched}) {
        if (const auto found = reasons->find(slot); found != reasons->end())
            return found->second;
    }
    return std::nullopt;
}

Result<> SlotSwitches::start(SlotId slot, const std::function<Result<>()>& launch)
{
    {
        const MutexLock lock(m_mutex);
        for (const auto* reasons : {&m_configured, &m_switched}) {
            if (const auto found = reasons->find(slot); found != reasons->end())
                return fail(Errc::Denied, Blame::Operator,
                            concat("start slot ", slot.value, ": it is off: ", found->second));
        }
        ++m_starting[slot];
    }
    auto launched = launch();
    const MutexLock lock(m_mutex);
    --m_starting[slot];
    return launched;
}

Result<> SlotSwitches::record(SlotId slot, bool on, const std::string& why)
{
    return m_journal.recordSlotAct({.slot = slot.value,
                                    .on = on,
                                    .simulated = m_simulated,
                                    .actor = sessionUser(),
                                    .why = why});
}

Result<> SlotSwitches::turn(SlotId slot, bool on, const std::string& why,
                            const std::function<bool(SlotId)>& busy)
{
    const std::string reason = why.empty() && !on ? std::string(kByOperator) : why;
    {
        const MutexLock lock(m_mutex);
        if (const auto found = m_configured.find(slot); found != m_configured.end())
            return fail(Errc::Denied, Blame::Operator,
                        concat("switch slot ", slot.value, on ? " on" : " off", ": ", found->second,
                               "; call whoever keeps station.toml"));
        if (m_switched.contains(slot) != on)
            return {};
        if (!on) {
            if (m_starting[slot] > 0 || busy(slot))
                return fail(Errc::Busy, Blame::Operator,
                            concat("switch slot ", slot.value,
                                   " off: its unit is in work; stop it or wait for its verdict"));
            m_switched.insert_or_assign(slot, reason); // no start from here on
        }
    }
    auto recorded = record(slot, on, reason);
    {
        const MutexLock lock(m_mutex);
        if (on == recorded.has_value())
            m_switched.erase(slot);
    }
    if (!recorded)
        return recorded;
    m_events.post(SlotChanged{.slot = slot,
                              .availability = on ? SlotAvailability::Ready : SlotAvailability::Off,
                              .why = on ? std::string() : reason});
    return {};
}

void SlotSwitches::announce() const
{
    std::map<SlotId, std::string> off;
    {
        const MutexLock lock(m_mutex);
        off = m_switched;
        for (const auto& [slot, why] : m_configured)
            off.insert_or_assign(slot, why);
    }
    for (const auto& [slot, why] : off)
        m_events.post(SlotChanged{.slot = slot, .availability = SlotAvailability::Off, .why = why});
}

} // namespace provost
