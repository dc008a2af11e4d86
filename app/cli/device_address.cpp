#include "cli/device_address.h"

#include "cli/bench_program.h"
#include "cli/output.h"
#include "config/load_plan.h"
#include "core/text.h"
#include "device/particle_unit.h"
#include "host/host.h"
#include "host/slot_hardware.h"
#include "transport/libserialport_ports.h"
#include "transport/libusb_bus.h"
#include "transport/tcp_stream.h"
#include "transport/termios_port.h"
#include "transport/usbip_serial.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>

namespace provost::cli {

namespace {

constexpr std::chrono::seconds kArrival{10}; // protocol sheet 6.4
constexpr std::chrono::seconds kPeerStarts{5};

Unexpected badAddress(const std::string& address)
{
    return fail(Errc::InvalidArgument, Blame::Operator,
                concat("address \"", address,
                       "\": must be usb:BUS-PORT[.PORT…], usb:VID:PID, usbip:HOST:PORT/BUSID "
                       "or sim:BENCH#SLOT"));
}

/// Puts a unit into the slot, or into every slot, and waits until it is on the bus.
Result<AddressedBus> openSimulated(const std::string& bench, std::optional<int> onlySlot,
                                   const OpContext& op)
{
    AddressedBus bus;
    bus.bench = TRY(sim::Bench::load(fileOf(bench, dataFolders().benches)));
    for (const auto& slot : bus.bench->slots()) {
        if (onlySlot && *onlySlot != slot.number)
            continue;
        const auto unit = TRY(bus.bench->insertNext(slot.number));
        if (onlySlot && !unit)
            return fail(Errc::NotFound, Blame::Operator,
                        concat("find sim:", bench, "#", *onlySlot,
                               ": the supply of this slot is empty; name another slot"));
    }
    bus.usb = &bus.bench->usb();
    bus.serial = &bus.bench->serial();
    for (const auto& slot : bus.bench->slots()) {
        if (bus.bench->present(slot.number))
            TRY(bus.usb->waitFor(slot.port, {}, op.within(kArrival)));
    }
    return bus;
}

Result<AddressedDevice> findSimulated(const std::string& address, const OpContext& op)
{
    const auto hash = address.rfind('#');
    int slot = 0;
    const char* const end = address.data() + address.size();
    if (hash == std::string::npos || hash + 1 == address.size() ||
        std::from_chars(address.data() + hash + 1, end, slot).ptr != end)
        return badAddress(address);
    auto bus = TRY(openSimulated(address.substr(4, hash - 4), slot, op));
    AddressedDevice device{std::move(bus), {}};
    const auto slots = device.bench->slots();
    const auto found = std::ranges::find(slots, slot, &sim::BenchSlot::number);
    if (found == slots.end())
        return fail(Errc::InvalidArgument, Blame::Operator,
                    concat("find ", address, ": the bench has slots 1 to ", slots.size()));
    device.info = TRY(device.usb->waitFor(found->port, {}, op.within(kArrival)));
    return device;
}

bool matches(const UsbDeviceInfo& info, const std::string& wanted)
{
    if (wanted.starts_with("usbip:")) {
        const auto given = parseUsbIpAddress(wanted);
        const auto own = parseUsbIpAddress(toText(info.port));
        return given && own && given->busId == own->busId; // the bus has one server only
    }
    return toText(info.port) == wanted ||
           concat("usb:", hex16(info.id.vendor), ":", hex16(info.id.product)) == lowerCase(wanted);
}

} // namespace

std::string busNotes()
{
    return "BUS  this computer's USB where none is named\n"
           "     usbip:HOST:PORT  what a USB/IP server exports\n"
           "     sim:BENCH        a virtual bench by path or id, a new unit in every slot";
}

std::string deviceNotes()
{
    return "DEVICE  usb:BUS-PORT[.PORT…]   physical port, as dfu list shows it\n"
           "        usb:VID:PID            only if exactly one matches\n"
           "        usbip:HOST:PORT/BUSID  a device served over USB/IP, no kernel module needed\n"
           "        sim:BENCH#SLOT         a new unit on a virtual bench by path or id";
}

Result<AddressedBus> openBus(const std::string& address, const OpContext& op)
{
    if (address.starts_with("sim:") && address.find('#') == std::string::npos)
        return openSimulated(address.substr(4), {}, op);
    AddressedBus bus;
    if (address.starts_with("usbip:")) {
        const auto server = TRY(parseUsbIpAddress(address));
        auto remote = TRY(UsbIpBus::create(server.host, server.port, TRY(ownDevices())));
        bus.ownPorts = std::make_unique<UsbIpPorts>(*remote);
        bus.ownBus = std::move(remote);
        bus.usb = bus.ownBus.get();
        bus.serial = bus.ownPorts.get();
        return bus;
    }
    if (!address.empty())
        return fail(
            Errc::InvalidArgument, Blame::Operator,
            concat("bus \"", address, "\": must be usbip:HOST:PORT or sim:BENCH, or left out"));
    bus.ownBus = TRY(LibusbBus::create());
    bus.ownPorts = std::make_unique<LibserialportPorts>();
    bus.usb = bus.ownBus.get();
    bus.serial = bus.ownPorts.get();
    return bus;
}

Result<AddressedDevice> findDevice(const std::string& address, const OpContext& op)
{
    if (address.starts_with("sim:"))
        return findSimulated(address, op);
    const bool remote = address.starts_with("usbip:");
    if (!remote && !address.starts_with("usb:"))
        return badAddress(address);
    if (remote && TRY(parseUsbIpAddress(address)).busId.empty())
        return badAddress(address);
    auto bus = TRY(openBus(remote ? address : std::string{}, op));
    AddressedDevice device{std::move(bus), {}};
    const auto all = TRY(device.usb->enumerate());
    const auto fits = [&](const UsbDeviceInfo& info) { return matches(info, address); };
    const auto count = std::ranges::count_if(all, fits);
    if (count == 0)
        return fail(Errc::NotFound, Blame::Fixture,
                    concat("find ", address, ": not among the ", all.size(),
                           " devices there; check cable and address, see provost dfu list"));
    if (count > 1)
        return fail(Errc::InvalidArgument, Blame::Operator,
                    concat("find ", address, ": ", count,
                           " devices match; name the one by its port, usb:BUS-PORT"));
    device.info = *std::ranges::find_if(all, fits);
    return device;
}

Result<PlatformSpec> platformOf(const UsbDeviceInfo& info)
{
    auto platforms = TRY(loadPlatforms(dataFolders().platforms));
    for (auto& platform : platforms) {
        if (info.id == platform.firmware || info.id == platform.dfu)
            return std::move(platform);
    }
    return fail(Errc::Denied, Blame::Operator,
                concat("open ", toText(info.port), ": ", hex16(info.id.vendor), ":",
                       hex16(info.id.product),
                       " is not a board that this program serves; name another device"));
}

Result<DfuDevice> openDfu(AddressedDevice& device, const OpContext& op)
{
    const auto platform = TRY(platformOf(device.info));
    if (device.info.id == platform.firmware) {
        ParticleUnit unit({.usb = *device.usb, .serial = *device.serial, .port = device.info.port},
                          platform);
        TRY(unit.bringTo(UnitMode::Dfu, op));
        const std::array wanted{platform.dfu};
        device.info = TRY(device.usb->waitFor(device.info.port, wanted, op));
    }
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
                concat("address \"", text, "\": must be HOST:PORT, such as 127.0.0.1:5683"));
}

static AddressedStream asStream(std::unique_ptr<SerialPort> port)
{
    AddressedStream opened;
    opened.port = port.get();
    opened.stream = std::move(port);
    return opened;
}

/// A peer that was started a moment ago may not listen yet.
static Result<std::unique_ptr<TcpStream>> connectPatiently(const HostPort& to, const OpContext& op)
{
    const auto until = op.clock.now() + kPeerStarts;
    while (true) {
        auto connected = TcpStream::connect(to.host, to.port, op);
        if (connected || connected.error().native != ECONNREFUSED || op.clock.now() >= until)
            return connected;
        TRY(op.sleepFor(std::chrono::milliseconds(100)));
    }
}

/// A pseudo-terminal, by a link of the bench's folder for one.
static Result<AddressedStream> openTerminal(const std::string& address)
{
    std::error_code error;
    const auto resolved = std::filesystem::canonical(address, error);
    const std::string path = error ? address : resolved.string();
    auto opened = asStream(TRY(TermiosPort::open(path)));
    opened.simulated = servedByBench(path);
    return opened;
}

Result<AddressedStream> openStream(const std::string& address, const OpContext& op)
{
    AddressedStream opened;
    if (address.starts_with("tcp:")) {
        const auto to = TRY(parseHostPort(address.substr(4)));
        opened.stream = TRY(connectPatiently(to, op));
        return opened;
    }
    if (address.starts_with("listen:")) {
        const auto at = TRY(parseHostPort(address.substr(7)));
        opened.stream = TRY(TcpStream::accept(at.host, at.port, op));
        return opened;
    }
    const bool device =
        std::ranges::any_of(std::array{"usb:", "usbip:", "sim:"},
                            [&](const char* scheme) { return address.starts_with(scheme); });
    if (!device) {
        const bool pseudo = address.find("/tty") == std::string::npos;
        if (pseudo)
            return openTerminal(address);
        return asStream(TRY(LibserialportPorts().open(address)));
    }
    auto found = TRY(findDevice(address, op));
    const auto platform = TRY(platformOf(found.info));
    const auto ports = TRY(found.serial->enumerate());
    const auto port = std::ranges::find_if(ports, [&](const SerialPortInfo& each) {
        return each.usb && *each.usb == found.info.port;
    });
    if (port == ports.end())
        return fail(Errc::NotFound, Blame::Fixture,
                    concat("open ", address,
                           ": the device has no serial port now; tap RESET if it is in DFU mode"));
    opened = asStream(TRY(found.serial->open(port->path)));
    opened.simulated = found.info.simulated;
    opened.platform = platform.id;
    opened.device = std::make_unique<AddressedDevice>(std::move(found));
    return opened;
}

} // namespace provost::cli
