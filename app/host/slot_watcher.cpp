#include "host/slot_watcher.h"

#include <algorithm>

namespace provost {

SlotWatcher::SlotWatcher(UsbBus& usb, EventSink& events, const Clock& clock,
                         SlotWatcherConfig config)
    : m_usb(usb), m_events(events), m_clock(clock), m_config(std::move(config))
{
}

void SlotWatcher::start()
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
    for (const auto& [slot, port] : m_config.ports) {
        const auto found = std::ranges::find_if(*devices, [&](const UsbDeviceInfo& device) {
            return device.port == port &&
                   std::ranges::find(m_config.units, device.id) != m_config.units.end();
        });
        lookAt(slot, found != devices->end() ? &*found : nullptr);
    }
}

void SlotWatcher::lookAt(SlotId slot, const UsbDeviceInfo* unit)
{
    auto& seen = m_seen[slot];
    const auto now = m_clock.now();
    if (m_config.busy(slot)) {
        seen = {.present = true, .last = now};
        return;
    }
    if (unit == nullptr) {
        if (seen.present && now - seen.last >= kGoneFor) {
            seen = {};
            m_events.post(UnitRemoved{.slot = slot});
        }
        return;
    }
    // In another mode the same unit may call itself otherwise; in the same one it does not.
    const bool swapped =
        seen.present && seen.id == unit->id && !seen.serial.empty() && seen.serial != unit->serial;
    seen = {.present = true, .last = now, .id = unit->id, .serial = unit->serial};
    if (swapped)
        m_events.post(UnitRemoved{.slot = slot});
}

} // namespace provost
