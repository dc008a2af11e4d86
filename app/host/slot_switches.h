// Which slots are off: by station.toml, or by somebody who switched one off.
#pragma once

#include "core/mutex.h"
#include "engine/events.h"
#include "store/journal.h"

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace provost {

/// Why nothing runs in a slot.
struct SlotOff {
    std::string why{};   ///< empty: nobody gave a reason
    std::string actor{}; ///< who switched it off; empty: station.toml did
    std::string atUtc{}; ///< when; empty: station.toml did
    bool operator==(const SlotOff&) const = default;
};
/// `switched off by NAME: reason`, as part of a sentence.
std::string describe(const SlotOff& off);

/// Thread-safe. What somebody switched is on record before it holds.
class SlotSwitches {
public:
    /// @param simulated  of a virtual bench: the switches of real slots are others
    /// Everything passed in outlives it.
    SlotSwitches(Journal& journal, EventSink& events, bool simulated);

    /// station.toml says so: nobody at the line switches it on.
    void offByConfiguration(SlotId slot, std::string why);
    /// Takes up what is on record; acts about slots that are not in `slots` are left alone.
    Result<> load(const std::vector<SlotId>& slots);

    /// nullopt: the slot is in use.
    std::optional<SlotOff> whyOff(SlotId slot) const;
    /// Calls `launch` unless the slot is off; while it is called, the slot cannot be switched off.
    /// @returns Denied  it is off
    Result<> start(SlotId slot, const std::function<Result<>()>& launch);
    /// See Host::switchSlot(). @param busy  whether the slot's unit is in work
    Result<> turn(SlotId slot, bool on, const std::string& why,
                  const std::function<bool(SlotId)>& busy);
    /// Says SlotChanged for every slot that is off.
    void announce() const;

private:
    Result<SlotAct> record(SlotId slot, bool on, const std::string& why);
    const SlotOff* find(SlotId slot) const PROVOST_REQUIRES(m_mutex);

    Journal& m_journal;
    EventSink& m_events;
    const bool m_simulated;
    mutable Mutex m_mutex;
    std::map<SlotId, SlotOff> m_configured PROVOST_GUARDED_BY(m_mutex);
    std::map<SlotId, SlotOff> m_switched PROVOST_GUARDED_BY(m_mutex);
    std::map<SlotId, int> m_starting PROVOST_GUARDED_BY(m_mutex);
};

} // namespace provost
