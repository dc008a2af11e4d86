// The buses behind the slots of a real station: this computer's, and those of USB/IP servers.
#pragma once

#include "config/load_station.h"
#include "transport/serial.h"
#include "transport/usb.h"

#include <functional>
#include <memory>

namespace provost {

/// Where one slot's unit is met.
struct SlotAccess {
    UsbBus* usb = nullptr;
    SerialPorts* serial = nullptr;
    UsbPortPath port{};
};

/// Whether a device may be touched without being named: boards of the platforms that are served,
/// and debug probes. @returns what loadPlatforms() says
Result<std::function<bool(const UsbId&)>> ownDevices();

class SlotHardware {
public:
    /// @returns C042  a slot names a place that is none; what LibusbBus::create() says
    static Result<std::unique_ptr<SlotHardware>> open(const std::vector<StationSlot>& slots);
    ~SlotHardware();
    const std::map<SlotId, SlotAccess>& slots() const { return m_slots; }
    /// Of the debug probes that are wired to nests, on the bus of their slot.
    const std::map<SlotId, UsbPortPath>& probes() const { return m_probes; }

private:
    struct Bus {
        std::unique_ptr<UsbBus> usb{};
        std::unique_ptr<SerialPorts> serial{};
    };
    SlotHardware() = default;
    Result<SlotAccess> find(const std::string& place);
    Result<> addProbe(const StationSlot& slot, const UsbBus& bus);
    Result<SlotAccess> local(const std::string& place);
    Result<SlotAccess> remote(const std::string& address);

    std::map<std::string, Bus> m_buses{}; ///< "" this computer's; "HOST:PORT" of a server
    std::map<SlotId, SlotAccess> m_slots{};
    std::map<SlotId, UsbPortPath> m_probes{};
};

} // namespace provost
