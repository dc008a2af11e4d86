#include "protocol/stlink_probe.h"

#include "core/byte_io.h"
#include "core/text.h"
#include "protocol/stlink_probe_p.h"

#include <algorithm>

namespace provost {

namespace {

using namespace std::chrono_literals;

constexpr std::uint16_t kStVendor = 0x0483;
constexpr double kLeastVolts = 1.5; // below it the target is off (2.6)
constexpr auto kResetLimit = 2s;
constexpr auto kFirstAnswerLimit = 300ms; // nothing but the probe is involved
constexpr int kMostModes = 4;

enum class ProbeMode : std::uint8_t { Dfu = 0, MassStorage = 1, Debug = 2, Swim = 3, Loader = 4 };

// 2.4: kHz and divisor of SWD_SET_FREQ, fastest first.
struct SwdStep {
    unsigned kilohertz;
    unsigned divisor;
};
constexpr SwdStep kSteps[] = {{4000, 0}, {1800, 1}, {1200, 2}, {950, 3},  {650, 5},  {480, 7},
                              {400, 9},  {360, 10}, {240, 15}, {150, 25}, {125, 31}, {100, 40},
                              {50, 79},  {25, 158}, {15, 265}, {5, 798}};

StLinkVersion versionOf(std::uint16_t word, std::uint16_t product)
{
    const unsigned x = word >> 6 & 63;
    const unsigned y = word & 63;
    StLinkVersion version{.generation = static_cast<unsigned>(word >> 12), .jtag = x};
    const bool isV21 = product == 0x374B || product == 0x3752;
    // OpenOCD: these builds of a V2-1 know SWIM only.
    const bool swimOnly = isV21 && ((x <= 22 && y == 7) || (x >= 25 && y >= 7 && y <= 12));
    if (swimOnly)
        version = {.generation = version.generation, .jtag = 0, .swim = y, .storage = x};
    else if (isV21)
        version.storage = y;
    else
        version.swim = y;
    return version;
}

bool isUsable(const StLinkVersion& version)
{
    // 16-bit access, and what works on either generation alike (2.3).
    return version.generation == 2 ? version.jtag >= 26
                                   : version.generation == 3 && version.jtag >= 3;
}

} // namespace

bool isStLink(UsbId id)
{
    static constexpr std::uint16_t kProducts[] = {0x3748, 0x374A, 0x374B, 0x3742, 0x3752,
                                                  0x374E, 0x374F, 0x3753, 0x3754, 0x3757};
    return id.vendor == kStVendor &&
           std::find(std::begin(kProducts), std::end(kProducts), id.product) != std::end(kProducts);
}

std::string stlinkSerial(ByteView descriptor)
{
    constexpr std::size_t kRawBytes = 26;
    std::string serial;
    for (std::size_t at = 2; at + 1 < descriptor.size(); at += 2) {
        const std::byte low = descriptor[at];
        if (descriptor.size() == kRawBytes)
            serial += toHex({&low, 1});
        else if (low != std::byte{0})
            serial += static_cast<char>(u8(low));
    }
    std::transform(serial.begin(), serial.end(), serial.begin(),
                   [](char c) { return c >= 'a' && c <= 'f' ? static_cast<char>(c - 32) : c; });
    return serial;
}

std::string toText(const StLinkVersion& version)
{
    return concat('V', version.generation, 'J', version.jtag,
                  version.storage ? concat('M', *version.storage) : std::string{},
                  version.swim ? concat('S', *version.swim) : std::string{});
}

StLinkProbe::StLinkProbe(std::unique_ptr<Impl> impl) : m_impl(std::move(impl)) {}
StLinkProbe::StLinkProbe(StLinkProbe&&) noexcept = default;
StLinkProbe& StLinkProbe::operator=(StLinkProbe&&) noexcept = default;
StLinkProbe::~StLinkProbe() = default;

const UsbDeviceInfo& StLinkProbe::usb() const
{
    return m_impl->link.info();
}

const StLinkVersion& StLinkProbe::version() const
{
    return m_impl->version;
}

const SwdTarget& StLinkProbe::target() const
{
    return m_impl->target;
}

Result<StLinkProbe> StLinkProbe::open(std::unique_ptr<UsbDevice> usb, const OpContext& op)
{
    if (!isStLink(usb->info().id))
        return fail(Errc::Unsupported, Blame::Operator,
                    concat("open ", toText(usb->info().port), " as a probe: it is no ST-Link V2, ",
                           "V2-1 or V3"));
    StLinkLink link = TRY(StLinkLink::open(std::move(usb)));
    auto impl = std::make_unique<Impl>(std::move(link));
    if (auto asked = impl->readVersion(op.within(kFirstAnswerLimit)); !asked) {
        // A half-finished session of somebody else: once more, from the start (2.6).
        if (asked.error().code != Errc::Timeout && asked.error().code != Errc::Protocol)
            return Unexpected(std::move(asked).error());
        TRY(impl->link.usb().reset());
        TRY(impl->link.usb().claim(0));
        TRY(impl->readVersion(op));
    }
    if (!isUsable(impl->version))
        return fail(Errc::Unsupported, Blame::Fixture,
                    concat("open the probe at ", toText(impl->link.info().port), ": its firmware ",
                           toText(impl->version),
                           " is too old; update it to V2J26 or V3J3 or newer"));
    TRY(impl->leaveMode(op));
    return StLinkProbe(std::move(impl));
}

Result<> StLinkProbe::Impl::readVersion(const OpContext& op)
{
    const Bytes reply = TRY(link.ask(StLinkCommand(0xF1), 6, op));
    const std::uint16_t word = readBe16(reply);
    version = versionOf(word, link.info().id.product);
    if (version.generation < 3 || (word & 0xFFF) != 0)
        return {};
    const Bytes more = TRY(link.ask(StLinkCommand(0xFB), 12, op));
    version = {.generation = u8(more[0]), .jtag = u8(more[2]), .storage = u8(more[3])};
    return {};
}

/// DFU, mass storage, SWIM or a debug session that was never closed.
Result<> StLinkProbe::Impl::leaveMode(const OpContext& op)
{
    for (int i = 0; i < kMostModes; ++i) {
        const Bytes reply = TRY(link.ask(StLinkCommand(0xF5), 2, op));
        switch (static_cast<ProbeMode>(u8(reply[0]))) {
        case ProbeMode::Dfu:
            TRY(link.tell(StLinkCommand(0xF3).u8(0x07), op));
            continue;
        case ProbeMode::Debug:
            TRY(link.tell(StLinkCommand::debug(0x21), op));
            continue;
        case ProbeMode::Swim:
            TRY(link.tell(StLinkCommand(0xF4).u8(0x01), op));
            continue;
        case ProbeMode::MassStorage:
            return {};
        case ProbeMode::Loader:
            break;
        }
        return fail(Errc::Unsupported, Blame::Fixture,
                    concat("open the probe at ", toText(link.info().port), ": it is in mode ",
                           unsigned{u8(reply[0])}, "; plug it in again"));
    }
    return fail(Errc::Protocol, Blame::Fixture,
                concat("open the probe at ", toText(link.info().port),
                       ": it does not leave its mode; plug it in again"));
}

Result<std::optional<double>> StLinkProbe::targetVoltage(const OpContext& op)
{
    const Bytes reply = TRY(m_impl->link.ask(StLinkCommand(0xF7), 8, op));
    const std::uint32_t reference = readLe32(reply);
    if (reference == 0)
        return std::optional<double>();
    return std::optional(2 * 1.2 * readLe32(reply, 4) / reference);
}

Result<SwdTarget> StLinkProbe::connect(const SwdSettings& settings, const OpContext& op)
{
    TRY(m_impl->leaveMode(op)); // whatever an earlier session left behind
    const auto volts = TRY(targetVoltage(op));
    if (volts && *volts < kLeastVolts)
        return fail(Errc::Unavailable, Blame::Fixture,
                    concat("connect to the target: the probe measures ", fixed(*volts, 2),
                           " V; switch the target on and check the cable's VTref"));
    m_impl->target = {};
    m_impl->target.kilohertz = TRY(m_impl->setFrequency(settings.kilohertz, op));
    // The probe may not know its pin yet: what it says now counts for nothing (2.6).
    if (settings.underReset)
        if (auto early = m_impl->driveReset(0, op); !early && !early.error().native)
            return Unexpected(std::move(early).error());
    auto entered = m_impl->enter(op);
    if (entered && settings.underReset)
        entered = m_impl->driveReset(0, op);
    if (entered)
        entered = m_impl->identify(op);
    if (entered && settings.underReset)
        entered = m_impl->catchAtReset(op);
    if (!entered) {
        // Nobody is left behind with a target that is held in reset or halted.
        const OpContext tidy = op.shielded(kResetLimit);
        if (settings.underReset)
            static_cast<void>(m_impl->driveReset(1, tidy));
        static_cast<void>(m_impl->link.tell(StLinkCommand::debug(0x21), tidy));
        return Unexpected(inFrame(std::move(entered).error(),
                                  concat("connect at ", m_impl->target.kilohertz, " kHz")));
    }
    return m_impl->target;
}

Result<unsigned> StLinkProbe::Impl::setFrequency(unsigned kilohertz, const OpContext& op)
{
    const std::string what = concat("set SWD to ", kilohertz, " kHz");
    if (version.generation < 3) {
        const auto step = std::find_if(std::begin(kSteps), std::end(kSteps), [&](const auto& each) {
            return each.kilohertz <= kilohertz;
        });
        if (step == std::end(kSteps))
            return fail(Errc::InvalidArgument, Blame::Operator, concat(what, ": 5 is the least"));
        TRY(link.askStatus(StLinkCommand::debug(0x43).le16(step->divisor), 2, what, op));
        return step->kilohertz;
    }
    const Bytes reply = TRY(link.askStatus(StLinkCommand::debug(0x62).u8(0), 52, what, op));
    const std::size_t count = std::min<std::size_t>(u8(reply[8]), 10);
    unsigned best = 0;
    for (std::size_t i = 0; i < count; ++i) {
        const unsigned each = readLe32(reply, 12 + 4 * i);
        if (each <= kilohertz)
            best = std::max(best, each);
    }
    if (best == 0)
        return fail(Errc::InvalidArgument, Blame::Operator,
                    concat(what, ": the probe has no step as slow as that"));
    const Bytes set =
        TRY(link.askStatus(StLinkCommand::debug(0x61).u8(0).u8(0).le32(best), 8, what, op));
    return readLe32(set, 4);
}

Result<> StLinkProbe::Impl::driveReset(std::uint8_t how, const OpContext& op)
{
    TRY(link.askStatus(StLinkCommand::debug(0x3C).u8(how), 2,
                       how == 0 ? "pull NRST low" : "let NRST go", op));
    return {};
}

Result<> StLinkProbe::Impl::enter(const OpContext& op)
{
    const StLinkCommand swdWithoutReset = StLinkCommand::debug(0x30).u8(0xA3);
    auto entered = link.askStatus(swdWithoutReset, 2, "enter SWD", op);
    constexpr int kOtherMode = 0x0E;
    if (!entered && entered.error().native == kOtherMode) {
        TRY(link.tell(StLinkCommand::debug(0x21), op));
        entered = link.askStatus(swdWithoutReset, 2, "enter SWD", op);
    }
    if (!entered)
        return Unexpected(std::move(entered).error());
    return {};
}

Result<> StLinkProbe::Impl::identify(const OpContext& op)
{
    const Bytes ids = TRY(link.askStatus(StLinkCommand::debug(0x31), 12, "read the DP's id", op));
    target.dpidr = readLe32(ids, 4);
    if (version.generation == 3 || version.jtag >= 28)
        TRY(link.askStatus(StLinkCommand::debug(0x4B).u8(0), 2, "open access port 0", op));
    target.cpuid = TRY(readWord(kCpuid, op));
    return {};
}

/// NRST is low. The core must meet the vector catch when it goes up.
Result<> StLinkProbe::Impl::catchAtReset(const OpContext& op)
{
    TRY(writeWord(kDhcsr, kDebugKey | kDebugEnable | kHalt, op));
    TRY(writeWord(kDemcr, kCatchReset, op));
    TRY(driveReset(1, op));
    TRY(pollCore(kHalted, kHalted, "halt behind reset", op.within(kResetLimit)));
    return writeWord(kDemcr, 0, op);
}

Result<> StLinkProbe::disconnect(const OpContext& op)
{
    TRY(m_impl->writeWord(kDemcr, 0, op));
    TRY(m_impl->writeWord(kDhcsr, kDebugKey, op));
    return m_impl->link.tell(StLinkCommand::debug(0x21), op);
}

} // namespace provost
