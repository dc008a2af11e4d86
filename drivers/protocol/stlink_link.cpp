#include "protocol/stlink_link_p.h"

#include "core/byte_io.h"
#include "core/text.h"

#include <algorithm>

namespace provost {

namespace {

using namespace std::chrono_literals;

// The probe answers when the SWD work is done (2.2).
constexpr auto kTransferLimit = 3s;
constexpr auto kDrainLimit = 20ms;
constexpr int kMostLeftOvers = 8;
constexpr std::size_t kLargestReply = 8192;

struct StatusMeaning {
    std::uint8_t code;
    Errc errc;
    Blame blame;
    std::string_view text;
};

constexpr StatusMeaning kMeanings[] = {
    {0x01, Errc::Io, Blame::Fixture, "unknown error of the probe; plug it in again"},
    {0x02, Errc::Io, Blame::Fixture, "SPI error inside the probe; plug it in again"},
    {0x03, Errc::Io, Blame::Fixture, "DMA error inside the probe; plug it in again"},
    {0x04, Errc::NotFound, Blame::Fixture, "unknown JTAG chain; check the cable"},
    {0x05, Errc::NotFound, Blame::Fixture, "no target answers; check its cable and supply"},
    {0x06, Errc::Io, Blame::Fixture, "internal error of the probe; plug it in again"},
    {0x07, Errc::Busy, Blame::Unit, "the target stays busy"},
    {0x08, Errc::Protocol, Blame::Fixture, "the probe refuses the command"},
    {0x09, Errc::NotFound, Blame::Fixture,
     "the target's id cannot be read: held in reset, or its firmware uses the SWD pins; connect "
     "under reset"},
    {0x0A, Errc::Internal, Blame::Software, "the access is not aligned"},
    {0x0B, Errc::Unavailable, Blame::Fixture,
     "the target's debug port does not power up; check its supply"},
    {0x0C, Errc::Io, Blame::Fixture, "write error; connect again"},
    {0x0E, Errc::Busy, Blame::Fixture, "the probe is open in another mode; connect again"},
    {0x10, Errc::Busy, Blame::Unit, "the target stays busy (AP WAIT)"},
    {0x11, Errc::Protected, Blame::Unit,
     "the bus answers FAULT: no memory there, or it is protected from the debugger"},
    {0x12, Errc::Io, Blame::Fixture, "AP error; connect again"},
    {0x13, Errc::Io, Blame::Fixture, "AP parity error; connect again with a slower clock"},
    {0x14, Errc::Busy, Blame::Unit, "the target stays busy (DP WAIT)"},
    {0x15, Errc::Io, Blame::Unit, "DP FAULT: an error is pending; connect again"},
    {0x16, Errc::Io, Blame::Fixture, "DP error; connect again"},
    {0x17, Errc::Io, Blame::Fixture, "DP parity error; connect again with a slower clock"},
    {0x18, Errc::Io, Blame::Fixture, "error in written data; connect again"},
    {0x19, Errc::Io, Blame::Fixture, "sticky error; connect again"},
    {0x1A, Errc::Io, Blame::Fixture, "sticky overrun; connect again"},
    {0x1D, Errc::Unsupported, Blame::Software, "there is no such access port"},
    {0x20, Errc::Unsupported, Blame::Software, "the probe has no trace"},
    {0x41, Errc::Unsupported, Blame::Software, "the probe does not know this frequency"},
    {0x42, Errc::Unsupported, Blame::Fixture,
     "the probe does not know the command; update its firmware"},
    {0x81, Errc::Io, Blame::Unit, "fault; the core may not be halted"},
};

std::string hexByte(std::uint8_t value)
{
    return toHex(Bytes{std::byte{value}});
}

} // namespace

std::string StLinkCommand::name() const
{
    const std::string first = hexByte(provost::u8(m_bytes[0]));
    return m_size > 1 && first == "f2" ? concat(first, ' ', hexByte(provost::u8(m_bytes[1])))
                                       : first;
}

StLinkVerdict stlinkVerdict(std::uint8_t status)
{
    switch (status) {
    case 0x80:
    case 0x0D: // "write verify error": OpenOCD ignores it; what is written is verified anyway
        return StLinkVerdict::Fine;
    case 0x07:
    case 0x10:
    case 0x14:
        return StLinkVerdict::Wait;
    default:
        return StLinkVerdict::Failed;
    }
}

Unexpected stlinkFailure(std::uint8_t status, const std::string& what)
{
    const auto found =
        std::find_if(std::begin(kMeanings), std::end(kMeanings),
                     [status](const StatusMeaning& each) { return each.code == status; });
    const std::string code = concat(what, ": the probe reports 0x", hexByte(status));
    if (found == std::end(kMeanings))
        return fail(Errc::Protocol, Blame::Fixture, concat(code, ", which no document names"),
                    status);
    return fail(found->errc, found->blame, concat(code, ", ", found->text), status);
}

Result<StLinkLink> StLinkLink::open(std::unique_ptr<UsbDevice> usb)
{
    TRY(usb->claim(0));
    // V2 sends to endpoint 2, its successors to endpoint 1 (2.1).
    const Bytes configuration = TRY(usb->descriptor(2, 0));
    std::uint8_t out = 0;
    std::uint8_t in = 0;
    int interface = -1;
    for (std::size_t at = 0; at + 2 < configuration.size() && u8(configuration[at]) != 0;
         at += u8(configuration[at])) {
        const std::uint8_t type = u8(configuration[at + 1]);
        if (type == 4)
            interface = u8(configuration[at + 2]);
        if (type != 5 || interface != 0)
            continue;
        const std::uint8_t address = u8(configuration[at + 2]);
        if ((address & 0x80) == 0 && out == 0)
            out = address;
        if (address == 0x81)
            in = address;
    }
    if (out == 0 || in == 0)
        return fail(Errc::Unsupported, Blame::Operator,
                    concat("open the probe at ", toText(usb->info().port),
                           ": interface 0 has no bulk endpoints of an ST-Link"));
    return StLinkLink(std::move(usb), out, in);
}

Result<> StLinkLink::begin(const StLinkCommand& command, const OpContext& op)
{
    TRY(op.checkpoint());
    if (m_unsure)
        TRY(drain(op));
    m_unsure = true; // until its answer was taken
    if (auto sent = m_usb->bulkOut(m_out, command.bytes(), op.within(kTransferLimit)); !sent)
        return broken(std::move(sent).error(), command);
    return {};
}

Unexpected StLinkLink::broken(Error error, const StLinkCommand& command)
{
    error.blame = error.code == Errc::Cancelled ? error.blame : Blame::Fixture;
    return Unexpected(inFrame(std::move(error), concat("ST-Link command ", command.name())));
}

Result<> StLinkLink::tell(const StLinkCommand& command, const OpContext& op)
{
    TRY(begin(command, op));
    m_unsure = false;
    return {};
}

Result<Bytes> StLinkLink::ask(const StLinkCommand& command, std::size_t size, const OpContext& op)
{
    TRY(begin(command, op));
    Bytes reply(size);
    auto count = m_usb->bulkIn(m_in, reply, op.within(kTransferLimit));
    if (!count)
        return broken(std::move(count).error(), command);
    if (*count != size)
        return fail(Errc::Protocol, Blame::Fixture,
                    concat("ST-Link command ", command.name(), ": ", *count, " of ", size,
                           " bytes came back; plug the probe in again"));
    m_unsure = false;
    return reply;
}

Result<Bytes> StLinkLink::askStatus(const StLinkCommand& command, std::size_t size,
                                    const std::string& what, const OpContext& op)
{
    StLinkPatience patience;
    while (true) {
        Bytes reply = TRY(ask(command, size, op));
        const std::uint8_t status = u8(reply[0]);
        const StLinkVerdict verdict = stlinkVerdict(status);
        if (verdict == StLinkVerdict::Fine)
            return reply;
        if (verdict == StLinkVerdict::Failed || !patience.left())
            return stlinkFailure(status, what);
        TRY(patience.wait(op));
    }
}

Result<> StLinkLink::send(const StLinkCommand& command, ByteView data, const OpContext& op)
{
    TRY(begin(command, op));
    if (auto sent = m_usb->bulkOut(m_out, data, op.within(kTransferLimit)); !sent)
        return broken(std::move(sent).error(), command);
    m_unsure = false;
    return {};
}

Result<> StLinkLink::drain(const OpContext& op)
{
    Bytes ignored(kLargestReply);
    for (int i = 0; i < kMostLeftOvers; ++i) {
        auto count = m_usb->bulkIn(m_in, ignored, op.within(kDrainLimit));
        if (count)
            continue;
        if (count.error().code != Errc::Timeout)
            return Unexpected(inFrame(std::move(count).error(), "drain the probe"));
        TRY(op.checkpoint());
        m_unsure = false;
        return {};
    }
    return fail(Errc::Protocol, Blame::Fixture,
                concat("drain the probe: it keeps sending; plug it in again"));
}

} // namespace provost
