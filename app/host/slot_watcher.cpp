#include "host/slot_watcher.h"

#include <algorithm>

namespace provost {

SlotWatcher::SlotWatcher(UsbBus& usb, const StationEngine& engine, EventSink& events,
                         const Clock& clock, std::map<SlotId, UsbPortPath> ports)
    : m_usb(usb), m_engine(engine), m_events(events), m_clock(clock), m_ports(std::move(ports))
{
    m_thread = std::jthread([this](const std::stop_token& stop) {
        do
            look();
        while (m_clock.sleepUntil(m_clock.now() + kLookEvery, stop));
    });
}

void SlotWatcher::look()
{
    const auto devices = m_usb.enumerate();
    if (!devices)
        return; // a run that needs the bus reports it
    const auto now = m_clock.now();
    for (const auto& [slot, port] : m_ports) {
        auto& seen = m_seen[slot];
        const bool here = std::ranges::find(*devices, port, &UsbDeviceInfo::port) != devices->end();
        if (here || m_engine.busy(slot)) {
            seen = {.present = true, .last = now};
        } else if (seen.present && now - seen.last >= kGoneFor) {
            seen.present = false;
            m_events.post(UnitRemoved{.slot = slot});
        }
    }
}

} // namespace provost
