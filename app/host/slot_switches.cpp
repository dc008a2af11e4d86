#include "host/slot_switches.h"

#include "core/text.h"
#include "host/session_user.h"

#include <algorithm>

namespace provost {

namespace {

SlotChanged changed(SlotId slot, const SlotOff& off)
{
    return {.slot = slot,
            .availability = SlotAvailability::Off,
            .why = off.why,
            .actor = off.actor,
            .atUtc = off.atUtc};
}

SlotOff offBy(SlotAct act)
{
    return {
        .why = std::move(act.why), .actor = std::move(act.actor), .atUtc = std::move(act.atUtc)};
}

} // namespace

std::string describe(const SlotOff& off)
{
    return concat("switched off ", off.actor.empty() ? "in station.toml" : "by ", off.actor,
                  off.why.empty() ? "" : ": ", off.why);
}

SlotSwitches::SlotSwitches(Journal& journal, EventSink& events, bool simulated)
    : m_journal(journal), m_events(events), m_simulated(simulated)
{
}

void SlotSwitches::offByConfiguration(SlotId slot, std::string why)
{
    const MutexLock lock(m_mutex);
    m_configured.insert_or_assign(slot, SlotOff{.why = std::move(why)});
}

Result<> SlotSwitches::load(const std::vector<SlotId>& slots)
{
    auto acts = TRY(m_journal.slotActs(m_simulated));
    const MutexLock lock(m_mutex);
    m_switched.clear();
    for (auto& act : acts) {
        const SlotId slot{act.slot};
        if (std::ranges::find(slots, slot) == slots.end())
            continue;
        if (act.on)
            m_switched.erase(slot);
        else
            m_switched.insert_or_assign(slot, offBy(std::move(act)));
    }
    return {};
}

const SlotOff* SlotSwitches::find(SlotId slot) const
{
    for (const auto* reasons : {&m_configured, &m_switched}) {
        if (const auto found = reasons->find(slot); found != reasons->end())
            return &found->second;
    }
    return nullptr;
}

std::optional<SlotOff> SlotSwitches::whyOff(SlotId slot) const
{
    const MutexLock lock(m_mutex);
    const SlotOff* off = find(slot);
    return off != nullptr ? std::optional(*off) : std::nullopt;
}

Result<> SlotSwitches::start(SlotId slot, const std::function<Result<>()>& launch)
{
    {
        const MutexLock lock(m_mutex);
        if (const SlotOff* off = find(slot))
            return fail(Errc::Denied, Blame::Operator,
                        concat("start slot ", slot.value, ": it is ", describe(*off)));
        ++m_starting[slot];
    }
    auto launched = launch();
    const MutexLock lock(m_mutex);
    --m_starting[slot];
    return launched;
}

Result<SlotAct> SlotSwitches::record(SlotId slot, bool on, const std::string& why)
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
    {
        const MutexLock lock(m_mutex);
        if (const auto found = m_configured.find(slot); found != m_configured.end())
            return fail(Errc::Denied, Blame::Operator,
                        concat("switch slot ", slot.value, on ? " on" : " off", ": it is ",
                               describe(found->second), "; call whoever keeps station.toml"));
        if (m_switched.contains(slot) != on)
            return {};
        if (!on) {
            if (m_starting[slot] > 0 || busy(slot))
                return fail(Errc::Busy, Blame::Operator,
                            concat("switch slot ", slot.value,
                                   " off: its unit is in work; stop it or wait for its verdict"));
            // No start from here on.
            m_switched.insert_or_assign(slot, SlotOff{.why = why, .actor = sessionUser()});
        }
    }
    auto recorded = record(slot, on, why);
    {
        const MutexLock lock(m_mutex);
        if (on == recorded.has_value())
            m_switched.erase(slot);
        else if (recorded)
            m_switched.insert_or_assign(slot, offBy(*recorded));
    }
    const SlotAct act = TRY(std::move(recorded));
    m_events.post(on ? SlotChanged{.slot = slot, .availability = SlotAvailability::Ready}
                     : changed(slot, offBy(act)));
    return {};
}

void SlotSwitches::announce() const
{
    std::map<SlotId, SlotOff> off;
    {
        const MutexLock lock(m_mutex);
        off = m_switched;
        for (const auto& [slot, configured] : m_configured)
            off.insert_or_assign(slot, configured);
    }
    for (const auto& [slot, why] : off)
        m_events.post(changed(slot, why));
}

} // namespace provost
