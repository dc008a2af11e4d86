#include "cli/device_address.h"

#include "config/load_plan.h"
#include "core/text.h"
#include "device/particle_unit.h"
#include "host/host.h"
#include "transport/libserialport_ports.h"
#include "transport/libusb_bus.h"
#include "transport/tcp_stream.h"
#include "transport/termios_port.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace provost::cli {

namespace {

Unexpected badAddress(const std::string& address)
{
    return fail(Errc::InvalidArgument, Blame::Operator,
                concat("address \"", address,
                       "\": must be usb:BUS-PORT[.PORT…], usb:VID:PID or sim:BENCH.toml#SLOT"));
}

Result<AddressedDevice> findSimulated(const std::string& address, const OpContext& op)
{
    const auto hash = address.rfind('#');
    int slot = 0;
    if (hash == std::string::npos ||
        std::from_chars(address.data() + hash + 1, address.data() + address.size(), slot).ec !=
            std::errc{})
        return badAddress(address);
    AddressedDevice device;
    device.bench = TRY(sim::Bench::load(address.substr(4, hash - 4)));
    if (!TRY(device.bench->insertNext(slot)))
        return fail(Errc::NotFound, Blame::Operator,
                    concat(address, ": the supply of slot ", slot, " is empty"));
    device.usb = &device.bench->usb();
    device.serial = &device.bench->serial();
    const auto slots = device.bench->slots();
    const auto found = std::ranges::find(slots, slot, &sim::BenchSlot::number);
    if (found == slots.end())
        return badAddress(address);
    device.info = TRY(device.usb->waitFor(found->port, {}, op.within(std::chrono::seconds(10))));
    return device;
}

bool matches(const UsbDeviceInfo& info, const std::string& wanted)
{
    return toText(info.port) == wanted ||
           concat("usb:", hex16(info.id.vendor), ":", hex16(info.id.product)) == lowerCase(wanted);
}

} // namespace

Result<AddressedDevice> findDevice(const std::string& address, const OpContext& op)
{
    if (address.starts_with("sim:"))
        return findSimulated(address, op);
    if (!address.starts_with("usb:"))
        return badAddress(address);
    AddressedDevice device;
    device.ownBus = TRY(LibusbBus::create());
    device.ownPorts = std::make_unique<LibserialportPorts>();
    device.usb = device.ownBus.get();
    device.serial = device.ownPorts.get();
    const auto all = TRY(device.usb->enumerate());
    const auto fits = [&](const UsbDeviceInfo& info) { return matches(info, address); };
    const auto count = std::ranges::count_if(all, fits);
    if (count == 0)
        return fail(Errc::NotFound, Blame::Fixture,
                    concat("find ", address, ": no such device among ", all.size(),
                           " on the bus; see provost dfu list"));
    if (count > 1)
        return fail(Errc::InvalidArgument, Blame::Operator,
                    concat("find ", address, ": ", count,
                           " devices match; name the one by its port, usb:BUS-PORT"));
    device.info = *std::ranges::find_if(all, fits);
    return device;
}

Result<DfuDevice> openDfu(AddressedDevice& device, const OpContext& op)
{
    const auto platform = TRY(loadPlatform(dataFolders().platforms / "photon.toml"));
    if (device.info.id == platform.firmware) {
        ParticleUnit unit({.usb = *device.usb, .serial = *device.serial, .port = device.info.port},
                          platform);
        TRY(unit.bringTo(UnitMode::Dfu, op));
        const std::array wanted{platform.dfu};
        device.info = TRY(device.usb->waitFor(device.info.port, wanted, op));
    }
    if (device.info.id != platform.dfu)
        return fail(
            Errc::Denied, Blame::Operator,
            concat("open ", toText(device.info.port), " for DFU: ", hex16(device.info.id.vendor),
                   ":", hex16(device.info.id.product), " is not a board that this program serves"));
    auto usb = TRY(device.usb->open(device.info));
    return DfuDevice::open(std::move(usb), op);
}

Result<HostPort> parseHostPort(const std::string& text)
{
    const auto colon = text.rfind(':');
    HostPort address;
    if (colon != std::string::npos) {
        address.host = text.substr(0, colon);
        const char* const end = text.data() + text.size();
        const auto [stopped, error] = std::from_chars(text.data() + colon + 1, end, address.port);
        if (error == std::errc{} && stopped == end && !address.host.empty())
            return address;
    }
    return fail(Errc::InvalidArgument, Blame::Operator,
                concat("address \"", text, "\": must be HOST:PORT"));
}

Result<AddressedStream> openStream(const std::string& address, const OpContext& op)
{
    AddressedStream opened;
    if (address.starts_with("tcp:")) {
        const auto to = TRY(parseHostPort(address.substr(4)));
        opened.stream = TRY(TcpStream::connect(to.host, to.port, op));
        return opened;
    }
    if (!address.starts_with("usb:") && !address.starts_with("sim:")) {
        const bool pseudo = address.find("/tty") == std::string::npos;
        if (pseudo)
            opened.stream = TRY(TermiosPort::open(address));
        else
            opened.stream = TRY(LibserialportPorts().open(address));
        return opened;
    }
    opened.device = std::make_unique<AddressedDevice>(TRY(findDevice(address, op)));
    const auto ports = TRY(opened.device->serial->enumerate());
    const auto found = std::ranges::find_if(ports, [&](const SerialPortInfo& port) {
        return port.usb && *port.usb == opened.device->info.port;
    });
    if (found == ports.end())
        return fail(Errc::NotFound, Blame::Fixture,
                    concat(address, ": the device has no serial port now"));
    opened.stream = TRY(opened.device->serial->open(found->path));
    return opened;
}

} // namespace provost::cli
