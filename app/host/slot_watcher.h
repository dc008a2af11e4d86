// Sees units leave their nests between two runs, so that a tile becomes READY again.
#pragma once

#include "engine/station_engine.h"
#include "transport/usb.h"

#include <map>
#include <thread>

namespace provost {

/// Looks at the bus twice a second on a thread of its own. A unit that re-enumerates is off the bus
/// for less than kGoneFor; during a run nothing is said, the run itself notices.
/// Everything passed in outlives it.
class SlotWatcher {
public:
    static constexpr std::chrono::milliseconds kLookEvery{500};
    static constexpr std::chrono::milliseconds kGoneFor{1500};

    SlotWatcher(UsbBus& usb, const StationEngine& engine, EventSink& events, const Clock& clock,
                std::map<SlotId, UsbPortPath> ports);

    /// One look; the thread does it again and again.
    void look();

private:
    struct Seen {
        bool present = false;
        Clock::Steady last{};
    };
    UsbBus& m_usb;
    const StationEngine& m_engine;
    EventSink& m_events;
    const Clock& m_clock;
    std::map<SlotId, UsbPortPath> m_ports;
    std::map<SlotId, Seen> m_seen;
    std::jthread m_thread;
};

} // namespace provost
