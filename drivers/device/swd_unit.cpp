#include "device/swd_unit.h"

#include "core/byte_io.h"
#include "core/text.h"
#include "device/chip_platform.h"

#include <algorithm>

namespace provost {

namespace {

using namespace std::chrono_literals;

constexpr auto kProbeArrival = 5s;
constexpr auto kLetGoLimit = 5s;
constexpr auto kSerial1Poll = 20ms;
constexpr auto kFirstGreeting = 100ms;    // what is said before the tester runs is lost
constexpr auto kHoldToListening = 3500ms; // particle-devices 7.1: 3 s
constexpr auto kHoldClears = 10s;         // particle-devices 8

struct Error swdUnitError(Errc code, Blame blame, std::string message, std::string_view cause)
{
    return {.code = code,
            .blame = blame,
            .message = std::move(message),
            .frames = {},
            .native = {},
            .cause = std::string(cause)};
}

Unexpected withoutUsb(std::string_view what)
{
    return fail(Errc::Unsupported, Blame::Software,
                concat(what, ": this unit is reached by SWD and Serial1 only"));
}

/// No answer of the chip behind a probe that works: nothing is in the nest.
struct Error asEmptySlot(struct Error error)
{
    const bool silent = error.code == Errc::NotFound || error.code == Errc::Unavailable;
    return silent ? withCause(std::move(error), "C010") : error;
}

} // namespace

SwdUnit::SwdUnit(SwdConnection connection, PlatformSpec platform)
    : m_connection(std::move(connection)), m_platform(std::move(platform)),
      m_simulated(m_connection.simulated)
{
}

SwdUnit::~SwdUnit()
{
    release();
}

bool SwdUnit::look()
{
    const auto devices = m_connection.usb.enumerate();
    if (!devices)
        return false;
    const auto found = std::ranges::find(*devices, m_connection.probe, &UsbDeviceInfo::port);
    if (found == devices->end())
        return false;
    m_simulated = found->simulated;
    return true;
}

Result<StLinkProbe> SwdUnit::connect(const OpContext& op)
{
    const auto info =
        TRY(m_connection.usb.waitFor(m_connection.probe, {}, op.within(kProbeArrival)));
    m_simulated = info.simulated;
    if (!isStLink(info.id))
        return fail(Errc::Unsupported, Blame::Operator,
                    concat("open the probe at ", toText(info.port), ": ", hex16(info.id.vendor),
                           ":", hex16(info.id.product),
                           " is no ST-Link; correct \"probe\" of this slot in station.toml"));
    auto probe = TRY(StLinkProbe::open(TRY(m_connection.usb.open(info)), op));
    auto connected = probe.connect({.kilohertz = m_connection.kilohertz}, op);
    // Firmware that uses the SWD pins is caught at its first instruction.
    if (!connected && connected.error().code == Errc::NotFound)
        connected = probe.connect({.kilohertz = m_connection.kilohertz, .underReset = true}, op);
    if (!connected)
        return Unexpected(asEmptySlot(std::move(connected).error()));
    return probe;
}

Result<std::string> SwdUnit::idOf(StLinkProbe& probe, const OpContext& op) const
{
    auto part = Stm32Flash::identify(probe, op);
    if (!part && part.error().code == Errc::Unsupported)
        return Unexpected(withCause(std::move(part).error(), "C013"));
    const Stm32Part found = TRY(std::move(part));
    if (found.family != Stm32Part::Family::F2)
        return Unexpected(swdUnitError(Errc::Unsupported, Blame::Operator,
                                       concat("identify the unit: an ", name(found.family),
                                              " is behind the probe, no ", m_platform.name),
                                       "C013"));
    const auto platform = TRY(platformInFlash(probe, found.family, op));
    if (platform && *platform != m_platform.id)
        return Unexpected(
            swdUnitError(Errc::Unsupported, Blame::Operator,
                         concat("identify the unit: what it runs is for platform ", *platform,
                                ", no ", m_platform.name, " (", m_platform.id, ")"),
                         "C013"));
    const std::string id = toHex(found.uniqueId);
    if (!m_deviceId.empty() && id != m_deviceId)
        return Unexpected(swdUnitError(
            Errc::Mismatch, Blame::Operator,
            concat("look for unit ", m_deviceId, " behind the probe: ", id, " answers"), "C016"));
    return id;
}

Result<UnitIdentification> SwdUnit::identify(const OpContext& op)
{
    if (m_session) {
        m_deviceId = TRY(idOf(m_session->probe, op));
    } else {
        auto probe = TRY(connect(op));
        auto id = idOf(probe, op);
        const auto left = probe.disconnect(op);
        m_deviceId = TRY(std::move(id));
        TRY(Result<>(left));
    }
    return UnitIdentification{.deviceId = m_deviceId, .route = "swd"};
}

Result<SwdUnit::Session*> SwdUnit::session(const OpContext& op)
{
    if (m_session)
        return m_session.get();
    auto opened = std::make_unique<Session>(TRY(connect(op)));
    if (!m_deviceId.empty())
        TRY(idOf(opened->probe, op));
    opened->flash.emplace(TRY(Stm32Flash::attach(opened->probe, op)));
    opened->memory = std::make_unique<ProbeTarget>(*opened->flash, true);
    opened->table = std::make_unique<ProbeDct>(*opened->memory, m_platform.dct);
    m_session = std::move(opened);
    return m_session.get();
}

/// The firmware starts.
Result<> SwdUnit::letGo(const OpContext& op)
{
    if (!m_session)
        return {};
    const auto session = std::move(m_session);
    ++m_boots;
    return session->flash->leave(op);
}

void SwdUnit::release()
{
    const SystemClock clock;
    const OpContext op{.clock = clock, .deadline = {clock.now() + kLetGoLimit}};
    // A unit that left meanwhile needs no letting go.
    static_cast<void>(letGo(op));
}

Result<std::unique_ptr<SerialPort>> SwdUnit::openSerial1(const OpContext& op)
{
    const auto ports = TRY(m_connection.serial.enumerate());
    const auto found = std::ranges::find_if(ports, [this](const SerialPortInfo& port) {
        return port.usb && *port.usb == m_connection.serial1;
    });
    if (found == ports.end())
        return fail(Errc::NotFound, Blame::Fixture,
                    concat("open Serial1 at ", toText(m_connection.serial1),
                           ": there is no serial adapter; check its cable and \"usb\" of this slot "
                           "in station.toml"));
    auto port = TRY(m_connection.serial.open(found->path));
    TRY(port->setBaud(kSerial1Baud));
    TRY(port->setDtr(true));
    TRY(op.checkpoint());
    return port;
}

Result<std::unique_ptr<ByteStream>> SwdUnit::openConsole(const OpContext& op)
{
    TRY(letGo(op));
    return std::unique_ptr<ByteStream>(TRY(openSerial1(op)));
}

Result<bool> SwdUnit::greets(std::chrono::milliseconds patience, const OpContext& op)
{
    const auto limited = op.within(patience);
    auto port = TRY(openSerial1(limited));
    Serial1Tester tester(*port);
    for (std::chrono::milliseconds span = kFirstGreeting;; span *= 2) {
        const auto greeted = tester.wake(limited.within(span));
        if (greeted)
            return true;
        if (greeted.error().code != Errc::Timeout)
            return Unexpected(greeted.error());
        const auto slept = limited.sleepFor(kSerial1Poll);
        if (!slept && slept.error().code == Errc::Cancelled)
            return Unexpected(slept.error());
        if (!slept || limited.remaining() == 0ms)
            return false;
    }
}

Result<UnitMode> SwdUnit::mode(const OpContext& op)
{
    TRY(letGo(op));
    const bool listens = TRY(greets(m_connection.timing.console, op));
    return listens ? UnitMode::Listening : UnitMode::Application;
}

Result<> SwdUnit::reboot(const OpContext& op)
{
    if (m_session)
        return letGo(op);
    auto probe = TRY(connect(op));
    TRY(idOf(probe, op));
    ++m_boots;
    TRY(probe.reset(op));
    return probe.disconnect(op);
}

Result<UnitMode> SwdUnit::restart(const OpContext& op)
{
    TRY(reboot(op));
    const bool listens = TRY(greets(m_connection.timing.consoleAfterBoot, op));
    return listens ? UnitMode::Listening : UnitMode::Application;
}

Result<> SwdUnit::bringTo(UnitMode wanted, const OpContext& op)
{
    if (wanted == UnitMode::Application)
        return reboot(op);
    if (wanted != UnitMode::Listening)
        return withoutUsb(concat("bring the unit to mode ", name(wanted)));
    TRY(letGo(op));
    if (TRY(greets(m_connection.timing.consoleAfterBoot, op)))
        return {};
    if (TRY(holdMode(kHoldToListening, op)) &&
        TRY(greets(m_connection.timing.consoleAfterBoot, op)))
        return {};
    return Unexpected(swdUnitError(
        Errc::Timeout, Blame::Unit,
        "bring the unit to listening mode: nobody greets on Serial1; from 0.5.0 on its application "
        "has to start the tester",
        "C014"));
}

Result<bool> SwdUnit::holdMode(std::chrono::milliseconds span, const OpContext& op)
{
    if (m_connection.holdMode && TRY(m_connection.holdMode(span, op)))
        return true;
    if (!m_hands)
        return false;
    return m_hands(span < kHoldClears ? HandAct::ToListening : HandAct::ClearCredentials, op);
}

Result<DfuDevice*> SwdUnit::dfu(const OpContext&)
{
    return withoutUsb("open a DFU session");
}

Result<std::unique_ptr<UsbDevice>> SwdUnit::openControl(const OpContext&)
{
    return withoutUsb("send a control request");
}

Result<DctMemory*> SwdUnit::table(const OpContext& op)
{
    return TRY(session(op))->table.get();
}

Result<MemoryTarget*> SwdUnit::memory(std::uint8_t alternate, const OpContext& op)
{
    if (alternate != 0)
        return withoutUsb(concat("reach memory ", int{alternate}));
    return TRY(session(op))->memory.get();
}

Result<DctSnapshot> SwdUnit::readDct(const OpContext& op)
{
    return TRY(session(op))->table->snapshot(op);
}

/// Both copies: a stale one would show them to whoever reads the flash.
Result<std::string> SwdUnit::clearCredentials(const OpContext& op)
{
    auto* open = TRY(session(op));
    const SecretBytes zeros(m_platform.dct.wifi.size);
    for (int copy = 0; copy < 2; ++copy) {
        const auto dct = TRY(open->table->snapshot(op));
        if (blank(dct.wifi(0)) && blank(dct.wifi(1)))
            break;
        TRY(open->table->patch(m_platform.dct.wifi.offset, zeros, op));
    }
    return std::string("SWD");
}

Result<> SwdUnit::giveCredentials(const WifiAccess& network, const OpContext& op)
{
    if (network.storedPart.empty() || network.storedPart.size() > m_platform.dct.wifi.size)
        return Unexpected(swdUnitError(
            Errc::InvalidArgument, Blame::Operator,
            concat("give credentials by SWD: the Wi-Fi part of a golden unit has ",
                   network.storedPart.size(), " bytes, up to ", m_platform.dct.wifi.size,
                   " are meant; name its file as wifi_part_file in station.toml"),
            "C042"));
    SecretBytes part(m_platform.dct.wifi.size);
    std::ranges::copy(network.storedPart.reveal(), part.writable().begin());
    auto* open = TRY(session(op));
    TRY(open->table->patch(m_platform.dct.wifi.offset, part, op.withSecrets()));
    return letGo(op);
}

Result<> SwdUnit::waitForFirmware(const OpContext& op)
{
    return letGo(op);
}

Result<> SwdUnit::waitForNewIncarnation(std::uint32_t old, const OpContext& op)
{
    // A boot is what this end asks for; nothing else shows one.
    return m_boots != old ? Result<>() : reboot(op);
}

} // namespace provost
