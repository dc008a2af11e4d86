// ParticleUnit: who is on the port, and its console.
#include "core/text.h"
#include "device/particle_unit.h"
#include "protocol/listening_console.h"

#include <algorithm>

namespace provost {

using namespace std::chrono_literals;

namespace {

constexpr std::chrono::milliseconds kPoll = 20ms;
// What is asked before the console listens is lost without a word, so the first asks are short.
constexpr std::chrono::milliseconds kFirstAsk = 80ms;

} // namespace

Result<std::optional<UsbDeviceInfo>> ParticleUnit::present()
{
    const auto devices = TRY(m_connection.usb.enumerate());
    const auto found = std::ranges::find(devices, m_connection.port, &UsbDeviceInfo::port);
    if (found == devices.end())
        return std::optional<UsbDeviceInfo>{};
    m_simulated = found->simulated;
    return std::optional(*found);
}

bool ParticleUnit::look()
{
    const auto info = present();
    return info && info->has_value();
}

Result<> ParticleUnit::isOurs(const UsbDeviceInfo& info) const
{
    if (info.id != m_platform.dfu && info.id != m_platform.firmware)
        return Unexpected(
            Error{.code = Errc::Unsupported,
                  .blame = Blame::Operator,
                  .message = concat("identify the unit at ", toText(info.port), ": USB id ",
                                    hex16(info.id.vendor), ":", hex16(info.id.product), " is no ",
                                    m_platform.name),
                  .frames = {},
                  .native = {},
                  .cause = "C013"});
    const std::string named = m_platform.deviceIdOf(info.serial);
    if (!m_deviceId.empty() && !named.empty() && named != m_deviceId)
        return Unexpected(Error{.code = Errc::Mismatch,
                                .blame = Blame::Operator,
                                .message = concat("find unit ", m_deviceId, " again at ",
                                                  toText(info.port), ": ", named, " is there"),
                                .frames = {},
                                .native = {},
                                .cause = "C016"});
    return {};
}

Unexpected ParticleUnit::ranOut(struct Error error, std::string_view waitedFor,
                                std::string_view cause)
{
    if (error.code == Errc::Cancelled)
        return Unexpected(std::move(error));
    const auto now = present();
    if (now && !now->has_value()) {
        error.code = m_seen ? Errc::Disconnected : Errc::NotFound;
        error.blame = Blame::Fixture;
        error.cause = m_seen ? "C011" : "C010";
    }
    return Unexpected(withCause(inFrame(std::move(error), std::string(waitedFor)), cause));
}

Result<UsbDeviceInfo> ParticleUnit::arrival(const OpContext& op)
{
    auto info =
        m_connection.usb.waitFor(m_connection.port, {}, op.within(m_connection.timing.arrival));
    if (!info)
        return ranOut(std::move(info).error(), "wait for a unit in the slot", "C030");
    m_simulated = info->simulated;
    TRY(isOurs(*info));
    m_seen = true;
    return info;
}

std::uint32_t ParticleUnit::incarnation(const OpContext&)
{
    const auto info = present();
    return info && *info ? (*info)->incarnation : 0;
}

Result<> ParticleUnit::waitForNewIncarnation(std::uint32_t old, const OpContext& op)
{
    const auto limited = op.within(m_connection.timing.boot);
    while (true) {
        const auto info = TRY(present());
        if (info && info->incarnation != old)
            return {};
        auto slept = limited.sleepFor(kPoll);
        if (!slept)
            return ranOut(std::move(slept).error(), "wait until the unit is back on the bus",
                          "C015");
    }
}

Result<> ParticleUnit::waitForFirmware(const OpContext& op)
{
    const std::array wanted{m_platform.firmware};
    auto seen =
        m_connection.usb.waitFor(m_connection.port, wanted, op.within(m_connection.timing.boot));
    if (!seen)
        return ranOut(std::move(seen).error(), "wait for the unit's firmware", "C014");
    return isOurs(*seen);
}

Result<std::unique_ptr<SerialPort>> ParticleUnit::openPort(const OpContext& op)
{
    // The tty node follows the USB device by some milliseconds, its permissions by some more.
    Error last{.code = Errc::NotFound,
               .blame = Blame::Fixture,
               .message = concat("open the serial port of the unit at ", toText(m_connection.port),
                                 ": there is none")};
    while (true) {
        const auto ports = TRY(m_connection.serial.enumerate());
        const auto found = std::ranges::find_if(ports, [this](const SerialPortInfo& p) {
            return p.usb && *p.usb == m_connection.port;
        });
        if (found != ports.end()) {
            if (const auto here = TRY(present()))
                TRY(isOurs(*here)); // a device of another maker is not opened
            auto port = m_connection.serial.open(found->path);
            if (port)
                return port;
            last = std::move(port).error();
        }
        auto slept = op.sleepFor(kPoll);
        if (slept)
            continue;
        if (slept.error().code == Errc::Cancelled)
            return Unexpected(std::move(slept).error());
        const bool taken = last.code == Errc::Denied || last.code == Errc::Busy;
        return ranOut(std::move(last), "open the unit's console", taken ? "C031" : "C015");
    }
}

Result<std::unique_ptr<ByteStream>> ParticleUnit::openConsole(const OpContext& op)
{
    auto port = TRY(openPort(op.within(m_connection.timing.arrival)));
    TRY(port->setBaud(kConsoleBaud));
    TRY(port->setDtr(true));
    TRY(port->discardInput());
    return std::unique_ptr<ByteStream>(std::move(port));
}

Result<std::string> ParticleUnit::askOnce(const OpContext& op)
{
    auto line = TRY(openConsole(op));
    return ListeningConsole(*line).deviceId(op);
}

Result<std::string> ParticleUnit::askListening(std::chrono::milliseconds patience,
                                               const OpContext& op)
{
    const auto limited = op.within(patience);
    auto span = kFirstAsk;
    while (true) {
        auto id = askOnce(limited.within(span));
        if (id && !m_deviceId.empty() && *id != m_deviceId)
            return Unexpected(
                Error{.code = Errc::Mismatch,
                      .blame = Blame::Operator,
                      .message = concat("ask unit ", m_deviceId, " for its id: ", *id, " answers"),
                      .frames = {},
                      .native = {},
                      .cause = "C016"});
        if (id || id.error().code == Errc::Cancelled || id.error().cause == "C031")
            return id;
        const auto slept = limited.sleepFor(kPoll);
        if (!slept && slept.error().code == Errc::Cancelled)
            return Unexpected(slept.error());
        if (!slept || limited.remaining() == 0ms)
            return id;
        span = std::min(2 * span, m_connection.timing.console);
    }
}

} // namespace provost
