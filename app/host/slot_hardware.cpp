#include "host/slot_hardware.h"

#include "config/load_plan.h"
#include "core/text.h"
#include "host/host.h"
#include "protocol/stlink_probe.h"
#include "transport/libserialport_ports.h"
#include "transport/libusb_bus.h"
#include "transport/usbip_serial.h"

#include <algorithm>

namespace provost {

Result<std::function<bool(const UsbId&)>> ownDevices()
{
    std::vector<UsbId> known;
    for (const auto& platform : TRY(loadPlatforms(dataFolders().platforms))) {
        known.push_back(platform.dfu);
        known.push_back(platform.firmware);
    }
    return [known = std::move(known)](const UsbId& id) {
        return isStLink(id) || std::ranges::find(known, id) != known.end();
    };
}

SlotHardware::~SlotHardware() = default;

Result<std::unique_ptr<SlotHardware>> SlotHardware::open(const std::vector<StationSlot>& slots)
{
    std::unique_ptr<SlotHardware> hardware(new SlotHardware);
    for (const auto& slot : slots) {
        const SlotAccess access = TRY(hardware->find(slot.usb));
        hardware->m_slots.emplace(slot.slot, access);
        if (!slot.probe.empty())
            TRY(hardware->addProbe(slot, *access.usb));
    }
    return hardware;
}

Result<SlotAccess> SlotHardware::find(const std::string& place)
{
    return place.starts_with("usbip:") ? remote(place) : local(place);
}

Result<> SlotHardware::addProbe(const StationSlot& slot, const UsbBus& bus)
{
    const SlotAccess access = TRY(find(slot.probe));
    if (access.usb != &bus)
        return Unexpected(
            withCause(Error{.code = Errc::InvalidArgument,
                            .blame = Blame::Operator,
                            .message = concat("slot ", slot.slot.value, ": its probe at ",
                                              slot.probe, " is on another bus than its unit at ",
                                              slot.usb, "; plug both into one computer")},
                      "C042"));
    m_probes.emplace(slot.slot, access.port);
    return {};
}

Result<SlotAccess> SlotHardware::local(const std::string& place)
{
    auto& bus = m_buses[""];
    if (!bus.usb) {
        bus.usb = TRY(LibusbBus::create());
        bus.serial = std::make_unique<LibserialportPorts>();
    }
    auto path = LibusbBus::portPath(place);
    if (!path)
        return Unexpected(withCause(std::move(path).error(), "C042"));
    return SlotAccess{.usb = bus.usb.get(), .serial = bus.serial.get(), .port = *path};
}

Result<SlotAccess> SlotHardware::remote(const std::string& address)
{
    auto parsed = parseUsbIpAddress(address);
    if (!parsed)
        return Unexpected(withCause(std::move(parsed).error(), "C042"));
    if (parsed->busId.empty())
        return Unexpected(withCause(
            Error{.code = Errc::InvalidArgument,
                  .blame = Blame::Operator,
                  .message = concat("slot at ", address,
                                    ": name one device of the server, usbip:HOST:PORT/BUSID")},
            "C042"));
    auto& bus = m_buses[concat(parsed->host, ":", parsed->port)];
    if (!bus.usb) {
        auto server = TRY(UsbIpBus::create(parsed->host, parsed->port, TRY(ownDevices())));
        bus.serial = std::make_unique<UsbIpPorts>(*server);
        bus.usb = std::move(server);
    }
    return SlotAccess{
        .usb = bus.usb.get(), .serial = bus.serial.get(), .port = portPathOf(*parsed)};
}

} // namespace provost
