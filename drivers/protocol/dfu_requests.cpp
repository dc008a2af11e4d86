#include "protocol/dfu_requests_p.h"

#include "core/byte_io.h"
#include "core/text.h"

#include <algorithm>
#include <array>

namespace provost {

namespace {

using namespace std::chrono_literals;

constexpr std::uint8_t kClassOut = 0x21;
constexpr std::uint8_t kClassIn = 0xA1;
constexpr std::size_t kStatusBytes = 6;
constexpr auto kRequestLimit = 5s;
// Endpoint 0 answers nothing while a sector is erased: fwupd waits this long, too.
constexpr auto kStatusLimit = 35s;
constexpr auto kLeaveLimit = 2s;
constexpr std::chrono::milliseconds kPollFloor{1};
// Longer times are no times (sheet 1.8). What the work can take instead, at the slowest: a sector
// of 128 KiB byte by byte, and 4 KiB of programming with room to spare (DS6329; sheet 3.5).
constexpr std::chrono::milliseconds kPollCeiling{60000};
constexpr std::chrono::milliseconds kLongestErase{4000};
constexpr std::chrono::milliseconds kLongestWrite{1000};
constexpr auto kBusyLimit = 120s; // of one command, whatever times it names (fwupd)
constexpr int kIdleRounds = 5;
constexpr int kZeroPolls = 100; // dfu-util's limit of answers "busy, ask at once"
constexpr int kEarlyPollStalls = 3;
constexpr std::uint16_t kLeaveBlock = 2;
constexpr UsbId kStBootRom{.vendor = 0x0483, .product = 0xDF11};

constexpr std::uint8_t kErrFirmware = 0x0A;

// AN3156
constexpr std::byte kSetAddress{0x21};
constexpr std::byte kErase{0x41};

Unexpected framed(Error error, const std::string& what)
{
    return Unexpected(inFrame(std::move(error), what));
}

std::chrono::milliseconds pause(const DfuStatus& status, std::chrono::milliseconds longest)
{
    return status.poll > kPollCeiling ? longest : std::max(status.poll, kPollFloor);
}

/// What a bStatus of a DfuSe boot loader asks somebody to do (sheet 1.1).
std::string_view adviceFor(std::uint8_t status)
{
    switch (status) {
    case 0x01:
    case 0x08:
        return "; the address is not the unit's to erase or write";
    case 0x0B:
        return "; its flash is read-protected, and lifting that erases the chip";
    default:
        return "";
    }
}

/// What bStatus means to a caller: refused memory is Protected, everything else is a fault.
Unexpected reported(const DfuStatus& status, const std::string& what)
{
    constexpr std::array<std::uint8_t, 4> kRefusals{0x01, 0x03, 0x08, 0x0B};
    const bool isRefusal =
        std::find(kRefusals.begin(), kRefusals.end(), status.status) != kRefusals.end();
    return fail(isRefusal ? Errc::Protected : Errc::Io, Blame::Unit,
                concat(what, ": the unit reports ", dfuStatusName(status.status), " in state ",
                       static_cast<unsigned>(status.state), adviceFor(status.status)),
                status.status);
}

} // namespace

std::string_view dfuStatusName(std::uint8_t status)
{
    static constexpr std::array<std::string_view, 16> kNames{
        "OK",      "errTARGET", "errFILE",    "errWRITE",     "errERASE",    "errCHECK_ERASED",
        "errPROG", "errVERIFY", "errADDRESS", "errNOTDONE",   "errFIRMWARE", "errVENDOR",
        "errUSBR", "errPOR",    "errUNKNOWN", "errSTALLEDPKT"};
    return status < kNames.size() ? kNames.at(status) : std::string_view("an unknown error");
}

DfuRequests::DfuRequests(UsbDevice& usb, std::uint8_t interface)
    : m_usb(usb), m_interface(interface), m_stallsWhenPolledEarly(usb.info().id == kStBootRom)
{
}

Result<> DfuRequests::makeIdle(const OpContext& op)
{
    int waits = 0;
    const OpContext bounded = op.within(kBusyLimit);
    for (int round = 0; round < kIdleRounds;) {
        auto status = getStatus(bounded);
        if (!status && !isStalled(status.error()))
            return framed(std::move(status).error(), "bring DFU to idle");
        // A stall here is left over from a failed block: the next request starts afresh.
        if (!status) {
            ++round;
            ++m_repeats;
            continue;
        }
        if (status->state == DfuState::Idle && status->status == 0)
            return {};
        if (status->state == DfuState::DownloadBusy || status->state == DfuState::Manifest) {
            if (++waits > kZeroPolls)
                return fail(Errc::Timeout, Blame::Unit, "bring DFU to idle: the unit stays busy");
            TRY(bounded.sleepFor(pause(*status, kLongestErase)));
            continue;
        }
        ++round;
        TRY(idleRound(*status, op));
    }
    return fail(Errc::Protocol, Blame::Unit,
                concat("bring DFU to idle: not reached in ", kIdleRounds, " rounds"));
}

Result<> DfuRequests::idleRound(const DfuStatus& status, const OpContext& op)
{
    switch (status.state) {
    case DfuState::Error:
        m_repeats += status.status == kErrFirmware ? 0 : 1;
        // Only here: in any other state it makes an error of its own (particle-devices 1.5).
        return out(Request::ClearStatus, 0, {}, op.withoutSecrets());
    case DfuState::AppIdle:
    case DfuState::AppDetach:
        return fail(Errc::Unsupported, Blame::Unit,
                    "bring DFU to idle: the unit runs its firmware, not its boot loader");
    case DfuState::ManifestWaitReset:
        ++m_repeats;
        return m_usb.reset();
    default:
        return abort(op);
    }
}

Result<> DfuRequests::abort(const OpContext& op)
{
    return out(Request::Abort, 0, {}, op.withoutSecrets());
}

Result<> DfuRequests::setAddress(std::uint32_t address, const OpContext& op)
{
    return command(kSetAddress, address, concat("set address ", hex32(address)), op);
}

Result<> DfuRequests::erase(std::uint32_t address, const OpContext& op)
{
    return command(kErase, address, concat("erase sector ", hex32(address)), op);
}

Result<> DfuRequests::command(std::byte code, std::uint32_t address, const std::string& what,
                              const OpContext& op)
{
    std::array<std::byte, 5> data{code};
    writeLe32(data, 1, address);
    return transact(0, data, what, code == kErase ? kLongestErase : kLongestWrite,
                    op.withoutSecrets());
}

Result<> DfuRequests::write(std::uint16_t block, ByteView data, const std::string& what,
                            const OpContext& op)
{
    return transact(block, data, what, kLongestWrite, op);
}

Result<> DfuRequests::transact(std::uint16_t block, ByteView data, const std::string& what,
                               std::chrono::milliseconds longest, const OpContext& op)
{
    TRY(op.checkpoint());
    const OpContext bounded = op.within(kBusyLimit);
    if (auto sent = out(Request::Download, block, data, bounded); !sent)
        return refused(std::move(sent).error(), what, bounded);
    return pollUntilDone(what, longest, bounded);
}

Result<> DfuRequests::pollUntilDone(const std::string& what, std::chrono::milliseconds longest,
                                    const OpContext& op)
{
    std::chrono::milliseconds lastPoll{0};
    int zeroPolls = 0;
    int stalls = 0;
    while (true) {
        auto status = getStatus(op);
        if (!status && isStalled(status.error())) {
            // Some ROMs stall while they are busy (dfu-util). On a Particle boot loader it is the
            // only report of a failed erase or write (particle-devices 1.5).
            if (m_stallsWhenPolledEarly && lastPoll > 0ms && ++stalls <= kEarlyPollStalls) {
                ++m_repeats;
                TRY(op.sleepFor(lastPoll));
                continue;
            }
            return fail(Errc::Protected, Blame::Unit,
                        concat(what, ": the unit stalls GETSTATUS: refused or failed"));
        }
        if (!status)
            return framed(std::move(status).error(), what);
        if (status->status != 0 || status->state == DfuState::Error)
            return reported(*status, what);
        if (status->state == DfuState::DownloadIdle)
            return {};
        if (status->state != DfuState::DownloadBusy && status->state != DfuState::DownloadSync)
            return fail(Errc::Protocol, Blame::Unit,
                        concat(what, ": unexpected state ", static_cast<unsigned>(status->state)));
        zeroPolls = status->poll == 0ms ? zeroPolls + 1 : 0;
        if (zeroPolls > kZeroPolls)
            return fail(Errc::Timeout, Blame::Unit,
                        concat(what, ": the unit stays busy without naming a time"));
        lastPoll = pause(*status, longest);
        // These boot loaders say 0 and let the next request wait on the bus instead (sheet 1.7);
        // only one that answers 0 again needs to be left alone for a while.
        if (zeroPolls == 1) {
            TRY(op.checkpoint());
            continue;
        }
        if (auto waited = op.sleepFor(lastPoll); !waited)
            return framed(std::move(waited).error(), concat(what, ", the unit is busy"));
    }
}

Result<> DfuRequests::read(std::uint16_t block, ByteSpan to, const std::string& what,
                           const OpContext& op)
{
    TRY(op.checkpoint());
    const ControlSetup setup{.requestType = kClassIn,
                             .request = static_cast<std::uint8_t>(Request::Upload),
                             .value = block,
                             .index = m_interface};
    auto count = m_usb.controlIn(setup, to, op.within(kRequestLimit));
    if (!count)
        return refused(std::move(count).error(), what, op);
    if (*count != to.size())
        return fail(Errc::Protocol, Blame::Unit,
                    concat(what, ": the unit ends after ", *count, " of ", to.size(), " bytes"));
    return {};
}

Result<> DfuRequests::leave(const OpContext& op)
{
    // The board may drop off anywhere in here (sheet 1.8); proof is its return as firmware.
    const auto isGone = [](const Error& error) {
        return error.code == Errc::Disconnected || error.code == Errc::Protocol ||
               error.code == Errc::Io || error.code == Errc::Timeout;
    };
    const OpContext brief = op.within(kLeaveLimit);
    auto sent = out(Request::Download, kLeaveBlock, {}, brief);
    if (!sent)
        return isGone(sent.error()) ? Result<>() : framed(std::move(sent).error(), "leave DFU");
    std::array<std::byte, kStatusBytes> raw{};
    const ControlSetup setup{.requestType = kClassIn,
                             .request = static_cast<std::uint8_t>(Request::GetStatus),
                             .index = m_interface};
    auto count = m_usb.controlIn(setup, raw, brief);
    if (!count)
        return isGone(count.error()) ? Result<>() : framed(std::move(count).error(), "leave DFU");
    const DfuStatus status{.status = u8(raw[0]), .state = static_cast<DfuState>(u8(raw[4]))};
    if (*count == kStatusBytes && status.state == DfuState::Error)
        return reported(status, "leave DFU");
    return {};
}

Result<> DfuRequests::detach(std::chrono::milliseconds window, const OpContext& op)
{
    auto sent = out(Request::Detach, static_cast<std::uint16_t>(window.count()), {}, op);
    // One that detaches by itself may be gone before its answer arrives.
    if (!sent && sent.error().code != Errc::Disconnected)
        return framed(std::move(sent).error(), "detach the run-time interface");
    return {};
}

Result<> DfuRequests::out(Request request, std::uint16_t value, ByteView data, const OpContext& op)
{
    const ControlSetup setup{.requestType = kClassOut,
                             .request = static_cast<std::uint8_t>(request),
                             .value = value,
                             .index = m_interface};
    return m_usb.controlOut(setup, data, op.within(kRequestLimit));
}

Result<DfuStatus> DfuRequests::getStatus(const OpContext& op)
{
    std::array<std::byte, kStatusBytes> raw{};
    const ControlSetup setup{.requestType = kClassIn,
                             .request = static_cast<std::uint8_t>(Request::GetStatus),
                             .index = m_interface};
    // A status tells nothing of the data, and a trace without it explains nothing.
    auto count = m_usb.controlIn(setup, raw, op.within(kStatusLimit).withoutSecrets());
    if (!count) {
        // Not one answer in the longest erase there is: start the device over for whoever is next.
        if (count.error().code == Errc::Timeout && op.checkpoint())
            static_cast<void>(m_usb.reset());
        return Unexpected(std::move(count).error());
    }
    if (*count != kStatusBytes) {
        static_cast<void>(m_usb.reset());
        return fail(Errc::InvalidData, Blame::Unit,
                    concat("GETSTATUS: ", *count, " bytes instead of ", kStatusBytes));
    }
    return DfuStatus{.status = u8(raw[0]),
                     .poll = std::chrono::milliseconds(readLe32(raw, 1) & 0xFFFFFF),
                     .state = static_cast<DfuState>(u8(raw[4]))};
}

/// A DNLOAD or UPLOAD that did not go through: asks the unit why.
Unexpected DfuRequests::refused(Error error, const std::string& what, const OpContext& op)
{
    if (error.code == Errc::Timeout)
        return silent(std::move(error), what, op);
    if (!isStalled(error))
        return framed(std::move(error), what);
    const auto status = getStatus(op);
    if (status && status->status != 0)
        return reported(*status, what);
    return framed(std::move(error), what);
}

/// The device may be at work still: one patient GETSTATUS tells.
Unexpected DfuRequests::silent(Error error, const std::string& what, const OpContext& op)
{
    if (op.checkpoint()) {
        const auto status = getStatus(op);
        if (status && status->status != 0)
            return reported(*status, what);
    }
    return framed(std::move(error), what);
}

} // namespace provost
