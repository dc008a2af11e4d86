#include "device/particle_unit.h"

#include "core/text.h"
#include "protocol/control_requests.h"
#include "protocol/listening_console.h"

#include <algorithm>
#include <array>

namespace provost {

using namespace std::chrono_literals;

namespace {

constexpr int kDfuBaud = 14400;       // particle-devices 7.2
constexpr int kListeningBaud = 28800; // particle-devices 7.2
constexpr int kConsoleBaud = 9600;
constexpr auto kArrivalPatience = 10s;   // protocol sheet 6.4
constexpr auto kBootPatience = 20s;
constexpr auto kConsolePatience = 1500ms; // one `i`, asked of firmware that is up
constexpr auto kConsoleAfterBoot = 4s;
constexpr auto kPoll = 20ms;
constexpr auto kModeToListening = 3s;  // particle-devices 7.1

} // namespace

std::string_view name(UnitMode mode)
{
    static constexpr std::array<std::string_view, 5> kNames{"absent", "boot-rom", "dfu",
                                                            "listening", "application"};
    return kNames.at(static_cast<std::size_t>(mode));
}

ParticleUnit::ParticleUnit(UnitConnection connection, PlatformSpec platform)
    : m_connection(std::move(connection)), m_platform(std::move(platform))
{
}

Result<std::optional<UsbDeviceInfo>> ParticleUnit::present()
{
    const auto devices = TRY(m_connection.usb.enumerate());
    const auto found = std::ranges::find(devices, m_connection.port, &UsbDeviceInfo::port);
    if (found == devices.end())
        return std::optional<UsbDeviceInfo>{};
    m_simulated = found->simulated;
    return std::optional(*found);
}

Result<UsbDeviceInfo> ParticleUnit::arrival(const OpContext& op)
{
    auto info = m_connection.usb.waitFor(m_connection.port, {}, op.within(kArrivalPatience));
    if (!info && info.error().code == Errc::Timeout)
        return Unexpected(withCause(inFrame(std::move(info).error(), "wait for a unit in the slot"),
                                    "C010"));
    const UsbDeviceInfo seen = TRY(std::move(info));
    m_simulated = seen.simulated;
    if (seen.id != m_platform.dfu && seen.id != m_platform.firmware)
        return Unexpected(Error{.code = Errc::Unsupported,
                                .blame = Blame::Operator,
                                .message = concat("identify the unit at ", toText(seen.port),
                                                  ": USB id ", hex16(seen.id.vendor), ":",
                                                  hex16(seen.id.product), " is no ",
                                                  m_platform.name),
                                .frames = {},
                                .native = {},
                                .cause = "C013"});
    return seen;
}

Result<std::unique_ptr<SerialPort>> ParticleUnit::openPort(const OpContext& op)
{
    // The tty node follows the USB device by some milliseconds.
    while (true) {
        const auto ports = TRY(m_connection.serial.enumerate());
        const auto found = std::ranges::find_if(ports, [this](const SerialPortInfo& p) {
            return p.usb && *p.usb == m_connection.port;
        });
        if (found != ports.end()) {
            auto port = m_connection.serial.open(found->path);
            if (port)
                return port;
            const auto code = port.error().code;
            if (code != Errc::NotFound && code != Errc::Disconnected && code != Errc::Denied)
                return port;
        }
        if (const auto slept = op.sleepFor(kPoll); !slept)
            return fail(slept.error().code, Blame::Fixture,
                        concat("open the serial port of the unit at ", toText(m_connection.port),
                               ": none came up"));
    }
}

Result<std::unique_ptr<ByteStream>> ParticleUnit::openConsole(const OpContext& op)
{
    auto port = TRY(openPort(op.within(kArrivalPatience)));
    TRY(port->setBaud(kConsoleBaud));
    TRY(port->setDtr(true));
    TRY(port->discardInput());
    return std::unique_ptr<ByteStream>(std::move(port));
}

Result<std::string> ParticleUnit::askListening(std::chrono::milliseconds patience,
                                               const OpContext& op)
{
    const auto limited = op.within(patience);
    while (true) {
        auto line = TRY(openConsole(limited));
        ListeningConsole console(*line);
        auto id = console.deviceId(limited.within(kConsolePatience));
        if (id || id.error().code == Errc::Cancelled)
            return id;
        if (!limited.sleepFor(kPoll))
            return id;
    }
}

Result<std::unique_ptr<UsbDevice>> ParticleUnit::openControl(const OpContext&)
{
    const auto info = TRY(present());
    if (!info || info->id != m_platform.firmware)
        return fail(Errc::NotFound, Blame::Unit,
                    "open the unit for control requests: its firmware is not on the bus");
    return m_connection.usb.open(*info);
}

Result<bool> ParticleUnit::holdMode(std::chrono::milliseconds span, const OpContext& op)
{
    if (!m_connection.holdMode)
        return false;
    return m_connection.holdMode(span, op);
}

Result<std::string> ParticleUnit::identifyRunning(const UsbDeviceInfo& info, std::string& route,
                                                  const OpContext& op)
{
    route = "listening";
    auto id = askListening(kConsoleAfterBoot, op);
    if (id || id.error().code == Errc::Cancelled)
        return id;
    const std::string fromSerial = m_platform.deviceIdOf(info.serial);
    if (!fromSerial.empty()) {
        // 24 hex digits: firmware from 0.6.0, which answers request 20 too (1.2, 1.3).
        auto usb = TRY(openControl(op));
        route = "control-request";
        auto asked = ControlRequests(*usb).deviceId(op.within(kConsolePatience));
        if (asked)
            return asked;
        route = "cdc-serial";
        return fromSerial;
    }
    // A constant serial. 28800 baud would start YModem on 0.4.9 (7.2): only the button is safe.
    if (TRY(holdMode(kModeToListening + 500ms, op))) {
        route = "listening";
        id = askListening(kConsoleAfterBoot, op);
        if (id)
            return id;
    }
    return Unexpected(Error{.code = Errc::Unavailable,
                            .blame = Blame::Operator,
                            .message = concat("read the device id: USB serial ", info.serial,
                                              " is the same on every unit of this firmware, and "
                                              "the unit is not in listening mode"),
                            .frames = {},
                            .native = {},
                            .cause = "C012"});
}

Result<UnitIdentification> ParticleUnit::identify(const OpContext& op)
{
    const auto info = TRY(arrival(op));
    UnitIdentification found;
    if (info.id == m_platform.dfu) {
        found.arrivedIn = UnitMode::Dfu;
        found.deviceId = m_platform.deviceIdOf(info.serial);
        found.route = "dfu-serial";
        if (!found.deviceId.empty())
            return found;
        TRY(leaveDfu(op));
    }
    const auto running = TRY(arrival(op));
    if (running.id != m_platform.firmware)
        return Unexpected(Error{.code = Errc::Unavailable,
                                .blame = Blame::Operator,
                                .message = concat("read the device id: the unit stays in DFU and "
                                                  "its USB serial ",
                                                  running.serial, " names no unit"),
                                .frames = {},
                                .native = {},
                                .cause = "C012"});
    found.deviceId = TRY(identifyRunning(running, found.route, op));
    if (found.arrivedIn == UnitMode::Absent)
        found.arrivedIn =
            found.route == "listening" ? UnitMode::Listening : UnitMode::Application;
    return found;
}

bool ParticleUnit::look()
{
    const auto info = present();
    return info && info->has_value();
}

Result<UnitMode> ParticleUnit::mode(const OpContext& op)
{
    return modeWithin(kConsolePatience, op);
}

Result<UnitMode> ParticleUnit::modeWithin(std::chrono::milliseconds patience, const OpContext& op)
{
    const auto info = TRY(present());
    if (!info)
        return UnitMode::Absent;
    if (info->id == m_platform.dfu)
        return UnitMode::Dfu;
    if (info->id != m_platform.firmware)
        return fail(Errc::Unsupported, Blame::Operator,
                    concat("see the unit's mode: USB id ", hex16(info->id.vendor), ":",
                           hex16(info->id.product), " is no ", m_platform.name));
    const auto id = askListening(patience, op);
    if (!id && id.error().code == Errc::Cancelled)
        return Unexpected(id.error());
    return id ? UnitMode::Listening : UnitMode::Application;
}

std::uint32_t ParticleUnit::incarnation(const OpContext&)
{
    const auto info = present();
    return info && *info ? (*info)->incarnation : 0;
}

Result<> ParticleUnit::waitForNewIncarnation(std::uint32_t old, const OpContext& op)
{
    while (true) {
        const auto info = TRY(present());
        if (info && info->incarnation != old)
            return {};
        auto slept = op.sleepFor(kPoll);
        if (!slept)
            return Unexpected(withCause(
                inFrame(std::move(slept).error(), "wait until the unit is back on the bus"),
                "C015"));
    }
}

Result<> ParticleUnit::waitForFirmware(const OpContext& op)
{
    const std::array wanted{m_platform.firmware};
    auto seen = m_connection.usb.waitFor(m_connection.port, wanted, op.within(kBootPatience));
    if (!seen)
        return Unexpected(
            withCause(inFrame(std::move(seen).error(), "wait for the unit's firmware"), "C014"));
    return {};
}

Result<> ParticleUnit::leaveDfu(const OpContext& op)
{
    auto* device = TRY(dfu(op));
    const auto before = m_dfuIncarnation;
    TRY(device->leave(m_platform.entry, op));
    m_dfu.reset();
    return waitForNewIncarnation(before, op.within(kBootPatience));
}

Result<> ParticleUnit::sendBaudCommand(int bitsPerSecond, const OpContext& op)
{
    auto port = TRY(openPort(op.within(kArrivalPatience)));
    // Where the port stands at that rate already, no request would be sent (protocol sheet 6.4).
    TRY(port->setBaud(kConsoleBaud));
    const auto sent = port->setBaud(bitsPerSecond);
    if (!sent && sent.error().code != Errc::Disconnected && sent.error().code != Errc::Io)
        return Unexpected(sent.error());
    return {};
}

Result<> ParticleUnit::toDfu(const OpContext& op)
{
    const auto info = TRY(arrival(op));
    if (info.id == m_platform.dfu)
        return {};
    TRY(sendBaudCommand(kDfuBaud, op));
    const std::array wanted{m_platform.dfu};
    auto seen = m_connection.usb.waitFor(m_connection.port, wanted, op.within(kArrivalPatience));
    if (!seen && seen.error().code == Errc::Timeout)
        return Unexpected(withCause(
            inFrame(std::move(seen).error(), "wait for DFU mode behind the 14400 baud command"),
            "C014"));
    TRY(std::move(seen));
    return {};
}

Result<> ParticleUnit::toListening(const OpContext& op)
{
    auto info = TRY(arrival(op));
    if (info.id == m_platform.dfu) {
        TRY(leaveDfu(op));
        TRY(waitForFirmware(op));
        info = TRY(arrival(op));
    }
    auto id = askListening(kConsoleAfterBoot, op);
    if (id || id.error().code == Errc::Cancelled)
        return id ? Result<>{} : Unexpected(id.error());
    const bool mayStartYModem = m_platform.deviceIdOf(info.serial).empty();
    if (mayStartYModem) {
        TRY(holdMode(kModeToListening + 500ms, op));
    } else {
        TRY(sendBaudCommand(kListeningBaud, op));
    }
    id = askListening(kConsoleAfterBoot, op);
    if (!id)
        return Unexpected(
            withCause(inFrame(std::move(id).error(), "bring the unit to listening mode"), "C014"));
    return {};
}

Result<> ParticleUnit::bringTo(UnitMode wanted, const OpContext& op)
{
    switch (wanted) {
    case UnitMode::Dfu:
        return toDfu(op);
    case UnitMode::Listening:
        m_dfu.reset();
        return toListening(op);
    case UnitMode::Application:
        TRY(restart(op));
        return {};
    case UnitMode::Absent:
    case UnitMode::BootRom:
        break;
    }
    return fail(Errc::Unsupported, Blame::Software,
                concat("bring a unit over USB to mode ", name(wanted)));
}

Result<> ParticleUnit::reboot(const OpContext& op)
{
    const auto info = TRY(arrival(op));
    if (info.id == m_platform.firmware) {
        const bool hasRequests = !m_platform.deviceIdOf(info.serial).empty();
        if (hasRequests) {
            auto usb = TRY(openControl(op));
            TRY(ControlRequests(*usb).reset(op.within(kConsolePatience)));
            usb.reset();
            TRY(waitForNewIncarnation(info.incarnation, op.within(kBootPatience)));
        } else {
            TRY(toDfu(op));
            TRY(leaveDfu(op));
        }
    } else {
        TRY(leaveDfu(op));
    }
    return waitForFirmware(op);
}

Result<UnitMode> ParticleUnit::restart(const OpContext& op)
{
    TRY(reboot(op));
    return modeWithin(kConsoleAfterBoot, op);
}

Result<DfuDevice*> ParticleUnit::dfu(const OpContext& op)
{
    TRY(toDfu(op));
    const auto info = TRY(arrival(op));
    if (m_dfu && m_dfuIncarnation == info.incarnation)
        return &*m_dfu;
    m_dfu.reset();
    auto usb = TRY(m_connection.usb.open(info));
    m_dfu.emplace(TRY(DfuDevice::open(std::move(usb), op)));
    m_dfuIncarnation = info.incarnation;
    return &*m_dfu;
}

Result<DctSnapshot> ParticleUnit::readDct(const OpContext& op)
{
    const auto& layout = m_platform.dct;
    auto* device = TRY(dfu(op));
    TRY(device->select(0, op));
    if (layout.copies[1] != layout.copies[0] + layout.sectorSize)
        return fail(Errc::Internal, Blame::Software, "the DCT sectors do not adjoin");
    auto sectors = TRY(
        device->uploadSecret(layout.copies[0], 2 * layout.sectorSize, op.withSecrets()));
    return DctSnapshot::create(layout, std::move(sectors));
}

} // namespace provost
