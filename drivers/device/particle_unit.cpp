// ParticleUnit: from any mode to any other.
#include "device/particle_unit.h"

#include "core/text.h"
#include "device/dfu_target.h"
#include "protocol/control_requests.h"
#include "protocol/listening_console.h"

#include <array>

namespace provost {

using namespace std::chrono_literals;

namespace {

constexpr int kDfuBaud = 14400;           // particle-devices 7.2
constexpr int kListeningBaud = 28800;     // particle-devices 7.2
constexpr auto kModeToListening = 3500ms; // particle-devices 7.1: 3 s
constexpr auto kModeClears = 10s;         // particle-devices 8
constexpr auto kModeClearsHeld = 10500ms;
constexpr auto kRequestLimit = 10s;

/// The unit answered that it does not know the request, or with nonsense: another way may do.
bool worthAnotherWay(const Error& error)
{
    return error.code != Errc::Cancelled && error.code != Errc::Disconnected &&
           error.cause != "C016";
}

} // namespace

std::string_view name(UnitMode mode)
{
    static constexpr std::array<std::string_view, 5> kNames{"absent", "boot-rom", "dfu",
                                                            "listening", "application"};
    return kNames.at(static_cast<std::size_t>(mode));
}

ParticleUnit::ParticleUnit(UnitConnection connection, PlatformSpec platform)
    : m_connection(std::move(connection)), m_platform(std::move(platform)),
      m_simulated(m_connection.simulated)
{
}

Result<std::unique_ptr<UsbDevice>> ParticleUnit::openControl(const OpContext& op)
{
    const auto info = TRY(arrival(op));
    if (info.id != m_platform.firmware)
        return Unexpected(Error{.code = Errc::Unavailable,
                                .blame = Blame::Unit,
                                .message = "open the unit for control requests: it is in DFU mode",
                                .frames = {},
                                .native = {},
                                .cause = "C014"});
    return m_connection.usb.open(info);
}

Result<bool> ParticleUnit::holdMode(std::chrono::milliseconds span, const OpContext& op)
{
    if (m_connection.holdMode && TRY(m_connection.holdMode(span, op)))
        return true;
    if (!m_hands)
        return false;
    return m_hands(span < kModeClears ? HandAct::ToListening : HandAct::ClearCredentials, op);
}

/// 24 hex digits: firmware from 0.6.0, which answers request 20 in every mode (1.2, 1.3).
Result<std::string> ParticleUnit::identifyByRequest(const UsbDeviceInfo& info, std::string& route,
                                                    const OpContext& op)
{
    const std::string fromSerial = m_platform.deviceIdOf(info.serial);
    auto usb = TRY(openControl(op));
    auto asked = ControlRequests(*usb).deviceId(op.within(m_connection.timing.console));
    if (!asked && !worthAnotherWay(asked.error()))
        return asked;
    route = asked ? "control-request" : "cdc-serial";
    if (asked && *asked != fromSerial)
        return Unexpected(Error{.code = Errc::Mismatch,
                                .blame = Blame::Unit,
                                .message = concat("read the device id: request 20 says ", *asked,
                                                  ", the USB serial ", info.serial),
                                .frames = {},
                                .native = {},
                                .cause = "C016"});
    return fromSerial;
}

Result<std::string> ParticleUnit::identifyRunning(const UsbDeviceInfo& info, std::string& route,
                                                  const OpContext& op)
{
    if (!m_platform.deviceIdOf(info.serial).empty())
        return identifyByRequest(info, route, op);
    route = "listening";
    auto id = askListening(m_connection.timing.consoleAfterBoot, op);
    if (id || !worthAnotherWay(id.error()) || id.error().cause == "C031")
        return id;
    // 28800 baud would start YModem on 0.4.9 (7.2): only the button is safe.
    if (TRY(holdMode(kModeToListening, op))) {
        id = askListening(m_connection.timing.consoleAfterBoot, op);
        if (id || !worthAnotherWay(id.error()))
            return id;
    }
    TRY(arrival(op));
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
    auto info = TRY(arrival(op));
    UnitIdentification found;
    if (info.id == m_platform.dfu) {
        found.deviceId = m_platform.deviceIdOf(info.serial);
        found.route = "dfu-serial";
        if (found.deviceId.empty())
            info = TRY(leaveDfu(op));
    }
    if (found.deviceId.empty() && info.id != m_platform.firmware)
        return Unexpected(Error{.code = Errc::Unavailable,
                                .blame = Blame::Operator,
                                .message = concat("read the device id: the unit stays in DFU and "
                                                  "its USB serial ",
                                                  info.serial, " names no unit"),
                                .frames = {},
                                .native = {},
                                .cause = "C012"});
    if (found.deviceId.empty())
        found.deviceId = TRY(identifyRunning(info, found.route, op));
    m_deviceId = found.deviceId;
    return found;
}

Result<UnitMode> ParticleUnit::mode(const OpContext& op)
{
    return modeWithin(m_connection.timing.console, op);
}

Result<UnitMode> ParticleUnit::modeWithin(std::chrono::milliseconds patience, const OpContext& op)
{
    auto info = TRY(present());
    if (!info)
        return UnitMode::Absent;
    TRY(isOurs(*info));
    if (info->id == m_platform.dfu)
        return UnitMode::Dfu;
    const auto id = askListening(patience, op);
    if (id)
        return UnitMode::Listening;
    if (id.error().code == Errc::Cancelled || !id.error().cause.empty())
        return Unexpected(id.error());
    info = TRY(present());
    if (!info)
        return UnitMode::Absent;
    return info->id == m_platform.dfu ? UnitMode::Dfu : UnitMode::Application;
}

Result<UsbDeviceInfo> ParticleUnit::leaveDfu(const OpContext& op)
{
    auto* device = TRY(dfu(op));
    const auto before = m_dfuIncarnation;
    const auto left = device->leave(m_platform.entry, op);
    closeDfu();
    if (!left)
        return Unexpected(left.error());
    TRY(waitForNewIncarnation(before, op));
    return arrival(op);
}

Result<> ParticleUnit::sendBaudCommand(int bitsPerSecond, const OpContext& op)
{
    auto port = TRY(openPort(op.within(m_connection.timing.arrival)));
    // Where the port stands at that rate already, no request would be sent (protocol sheet 6.4).
    TRY(port->setBaud(kConsoleBaud));
    const auto sent = port->setBaud(bitsPerSecond);
    if (!sent && sent.error().code != Errc::Disconnected && sent.error().code != Errc::Io)
        return Unexpected(sent.error());
    return {};
}

Result<UsbDeviceInfo> ParticleUnit::waitForDfu(const OpContext& op)
{
    const std::array wanted{m_platform.dfu};
    return m_connection.usb.waitFor(m_connection.port, wanted,
                                    op.within(m_connection.timing.arrival));
}

Result<> ParticleUnit::toDfu(const OpContext& op)
{
    const auto info = TRY(arrival(op));
    if (info.id == m_platform.dfu)
        return {};
    TRY(sendBaudCommand(kDfuBaud, op));
    auto seen = waitForDfu(op);
    // An application may have switched the command off (particle-devices 7.2).
    const bool ignored = !seen && seen.error().code == Errc::Timeout && op.checkpoint() && look();
    if (ignored && m_hands && TRY(m_hands(HandAct::ToDfu, op)))
        seen = waitForDfu(op);
    if (!seen)
        return ranOut(std::move(seen).error(), "wait for DFU mode behind the 14400 baud command",
                      "C014");
    return isOurs(*seen);
}

Result<> ParticleUnit::toListening(const OpContext& op)
{
    auto info = TRY(arrival(op));
    if (info.id == m_platform.dfu) {
        info = TRY(leaveDfu(op));
        if (info.id == m_platform.dfu)
            TRY(waitForFirmware(op));
    }
    // A constant serial: at 28800 baud 0.4.9 would start its YModem receiver (7.2). To any other
    // unit the command does no harm, so there is no need to wait for one that may just be starting.
    const bool onlyByButton = m_platform.deviceIdOf(info.serial).empty();
    auto id = askListening(
        onlyByButton ? m_connection.timing.consoleAfterBoot : m_connection.timing.console, op);
    if (id)
        return {};
    if (!worthAnotherWay(id.error()) || id.error().cause == "C031")
        return Unexpected(std::move(id).error());
    TRY(arrival(op));
    if (onlyByButton)
        TRY(holdMode(kModeToListening, op));
    else
        TRY(sendBaudCommand(kListeningBaud, op));
    id = askListening(m_connection.timing.consoleAfterBoot, op);
    if (!id)
        return ranOut(std::move(id).error(), "bring the unit to listening mode", "C014");
    return {};
}

Result<> ParticleUnit::bringTo(UnitMode wanted, const OpContext& op)
{
    switch (wanted) {
    case UnitMode::Dfu:
        return toDfu(op);
    case UnitMode::Listening:
        return toListening(op);
    case UnitMode::Application:
        return reboot(op);
    case UnitMode::Absent:
    case UnitMode::BootRom:
        break;
    }
    return fail(Errc::Unsupported, Blame::Software,
                concat("bring a unit over USB to mode ", name(wanted)));
}

/// The first device that shows itself behind a reset.
Result<UsbDeviceInfo> ParticleUnit::freshBoot(const OpContext& op)
{
    const auto info = TRY(arrival(op));
    if (info.id == m_platform.dfu)
        return leaveDfu(op);
    if (!m_platform.deviceIdOf(info.serial).empty()) {
        auto usb = TRY(openControl(op));
        const auto sent = ControlRequests(*usb).reset(op.within(m_connection.timing.console));
        usb.reset();
        if (sent) {
            TRY(waitForNewIncarnation(info.incarnation, op));
            return arrival(op);
        }
        if (!worthAnotherWay(sent.error()))
            return Unexpected(sent.error());
    }
    TRY(toDfu(op));
    return leaveDfu(op);
}

Result<> ParticleUnit::reboot(const OpContext& op)
{
    const auto info = TRY(freshBoot(op));
    if (info.id == m_platform.dfu)
        return Unexpected(Error{.code = Errc::Unavailable,
                                .blame = Blame::Unit,
                                .message = "start the unit's firmware: it boots into DFU mode",
                                .frames = {},
                                .native = {},
                                .cause = "C014"});
    return {};
}

Result<UnitMode> ParticleUnit::restart(const OpContext& op)
{
    const auto info = TRY(freshBoot(op));
    if (info.id == m_platform.dfu)
        return UnitMode::Dfu;
    const auto mode = TRY(modeWithin(m_connection.timing.consoleAfterBoot, op));
    if (mode == UnitMode::Absent)
        TRY(arrival(op)); // says that it is gone
    return mode;
}

Result<DfuDevice*> ParticleUnit::dfu(const OpContext& op)
{
    TRY(toDfu(op));
    const auto info = TRY(arrival(op));
    if (m_dfu && m_dfuIncarnation == info.incarnation)
        return &*m_dfu;
    closeDfu();
    const bool again = m_dfuRetries && m_dfuIncarnation == info.incarnation;
    m_dfuRetries = m_dfuRetries.value_or(0) + (again ? 1 : 0);
    m_dfuIncarnation = info.incarnation;
    auto usb = TRY(m_connection.usb.open(info));
    m_dfu.emplace(TRY(DfuDevice::open(std::move(usb), op)));
    return &*m_dfu;
}

std::optional<int> ParticleUnit::dfuRetries() const
{
    if (!m_dfuRetries)
        return std::nullopt;
    return *m_dfuRetries + (m_dfu ? m_dfu->repeats() : 0);
}

void ParticleUnit::closeDfu()
{
    m_dfuRetries = dfuRetries();
    m_table.reset();
    m_memory.reset();
    m_dfu.reset();
}

Result<DctMemory*> ParticleUnit::table(const OpContext& op)
{
    auto* device = TRY(dfu(op));
    m_table = TRY(DfuDct::open(*device, m_platform.dct, op));
    return m_table.get();
}

Result<MemoryTarget*> ParticleUnit::memory(std::uint8_t alternate, const OpContext& op)
{
    auto* device = TRY(dfu(op));
    TRY(device->select(alternate, op));
    m_memory = std::make_unique<DfuTarget>(*device);
    return m_memory.get();
}

Result<std::string> ParticleUnit::clearCredentials(const OpContext& op)
{
    {
        auto usb = TRY(openControl(op));
        const auto cleared = ControlRequests(*usb).clearWifiCredentials(op.within(kRequestLimit));
        if (cleared)
            return std::string("USB request");
        if (cleared.error().code != Errc::Unsupported)
            return Unexpected(inFrame(cleared.error(), "clear Wi-Fi credentials by USB request"));
    }
    if (TRY(holdMode(kModeClearsHeld, op)))
        return std::string("MODE button");
    return Unexpected(Error{.code = Errc::Unsupported,
                            .blame = Blame::Operator,
                            .message = "clear Wi-Fi credentials: this firmware has no USB request "
                                       "for it and the fixture no actuator for MODE; hold SETUP "
                                       "for 10 s, until blue flickers, and run the unit again",
                            .frames = {},
                            .native = {},
                            .cause = "C060"});
}

Result<> ParticleUnit::giveCredentials(const WifiAccess& network, const OpContext& op)
{
    TRY(bringTo(UnitMode::Listening, op));
    auto line = TRY(openConsole(op));
    auto given = ListeningConsole(*line).setWifi(network.ssid, network.password, network.security,
                                                 op.withSecrets());
    if (!given && given.error().code == Errc::Denied)
        return Unexpected(withCause(std::move(given).error(), "F230"));
    return given;
}

Result<DctSnapshot> ParticleUnit::readDct(const OpContext& op)
{
    const auto& layout = m_platform.dct;
    auto* device = TRY(dfu(op));
    // Plain: the table is all that this memory shows. Else the sectors as they are, side by side.
    TRY(device->select(layout.format == DctFormat::Plain ? layout.alternate : std::uint8_t{0}, op));
    const auto size = static_cast<std::uint32_t>(layout.copyCount()) * layout.sectorSize;
    auto sectors = TRY(device->uploadSecret(layout.copies[0], size, op.withSecrets()));
    return DctSnapshot::create(layout, std::move(sectors));
}

} // namespace provost
