// Sees units leave their nests between two runs, so that a tile becomes READY again.
#pragma once

#include "engine/events.h"
#include "transport/usb.h"

#include <functional>
#include <map>
#include <thread>
#include <vector>

namespace provost {

struct SlotWatcherConfig {
    std::map<SlotId, UsbPortPath> ports{};
    std::vector<UsbId> units{}; ///< anything else on a port is no unit
    /// A run notices by itself that its unit is gone.
    std::function<bool(SlotId)> busy{};
};

/// Says UnitRemoved when a unit has left its nest: its port is empty, or holds something else, for
/// longer than a unit that re-enumerates is away (kGoneFor); or another unit of the same kind
/// answers there, which is certain at once. Everything passed in outlives it.
class SlotWatcher {
public:
    static constexpr std::chrono::milliseconds kLookEvery{500};
    static constexpr std::chrono::milliseconds kGoneFor{1500};

    SlotWatcher(UsbBus& usb, EventSink& events, const Clock& clock, SlotWatcherConfig config);

    /// Looks twice a second, on a thread of its own, until destruction.
    void start();
    /// One look. Not while it looks by itself.
    void look();

private:
    struct Seen {
        bool present = false;
        Clock::Steady last{};
        UsbId id{};
        std::string serial{}; ///< of this unit since it came or its run ended
    };
    void lookAt(SlotId slot, const UsbDeviceInfo* unit);

    UsbBus& m_usb;
    EventSink& m_events;
    const Clock& m_clock;
    SlotWatcherConfig m_config;
    std::map<SlotId, Seen> m_seen;
    std::jthread m_thread;
};

} // namespace provost
