#include "protocol/dfu_device.h"

#include "core/text.h"
#include "protocol/dfu_descriptors_p.h"
#include "protocol/dfu_requests_p.h"

#include <algorithm>

namespace provost {

namespace {

constexpr std::uint32_t kFirstBlock = 2; // 0 is for commands, 1 reserved (AN3156)
constexpr std::uint32_t kLastBlock = 0xFFFF;

enum class Access : std::uint8_t { Erase, Write, Read };

std::string_view name(Access access)
{
    switch (access) {
    case Access::Erase:
        return "erase";
    case Access::Write:
        return "write";
    case Access::Read:
        return "read";
    }
    return "use";
}

bool permits(const MemoryRegion& region, Access access)
{
    switch (access) {
    case Access::Erase:
        return region.erasable;
    case Access::Write:
        return region.writable;
    case Access::Read:
        return region.readable;
    }
    return false;
}

const MemoryRegion* regionAt(std::span<const MemoryRegion> layout, std::uint64_t address)
{
    const auto at = std::find_if(layout.begin(), layout.end(), [&](const MemoryRegion& region) {
        return address >= region.base && address < std::uint64_t{region.base} + region.size;
    });
    return at == layout.end() ? nullptr : &*at;
}

std::uint64_t endOf(const MemoryRegion& region)
{
    return std::uint64_t{region.base} + region.size;
}

std::uint64_t sectorBase(const MemoryRegion& region, std::uint64_t address)
{
    return address - (address - region.base) % region.sectorSize;
}

/// Refuses what the layout does not offer before anything reaches the unit.
Result<> checkRange(std::span<const MemoryRegion> layout, std::uint32_t address, std::uint64_t size,
                    Access access)
{
    const std::uint64_t end = address + size;
    for (std::uint64_t at = address; at < end;) {
        const MemoryRegion* region = regionAt(layout, at);
        const std::string what = concat(name(access), " ", size, " bytes at ", hex32(address), ": ",
                                        hex32(static_cast<std::uint32_t>(at)));
        if (region == nullptr)
            return fail(Errc::InvalidArgument, Blame::Software,
                        concat(what, " is outside of the memory that the unit announces"));
        if (!permits(*region, access))
            return fail(Errc::Protected, Blame::Unit,
                        concat(what, " is protected by the unit's memory layout"));
        at = endOf(*region);
    }
    return {};
}

} // namespace

struct DfuDevice::Impl {
    Impl(std::unique_ptr<UsbDevice> device, DfuInterface description)
        : usb(std::move(device)), info(usb->info()), interface(std::move(description)),
          requests(*usb, interface.number)
    {
    }

    std::span<const MemoryRegion> layout() const { return interface.alternates[selected].layout; }
    std::uint32_t blockBytes() const { return interface.attributes.transferSize; }
    /// Every operation starts here: after a failed or stopped one the state is unknown.
    Result<> begin(const OpContext& op);
    /// Block numbers count in the unit's own transfer size; a short block is unambiguous only
    /// directly behind a set address (sheet 1.4).
    bool needsAddress(std::uint32_t block, std::size_t bytes) const
    {
        return block < kFirstBlock || block > kLastBlock || bytes < blockBytes() ||
               interface.announcedTransferSize != interface.attributes.transferSize;
    }
    Result<> download(std::uint32_t address, ByteView bytes, const OpContext& op);
    Result<> uploadInto(std::uint32_t address, ByteSpan to, const OpContext& op);

    std::unique_ptr<UsbDevice> usb;
    UsbDeviceInfo info;
    DfuInterface interface;
    DfuRequests requests;
    std::size_t selected = 0;
    bool stateIsKnown = false;
    int renewals = 0;
};

Result<> DfuDevice::Impl::begin(const OpContext& op)
{
    if (!usb)
        return fail(Errc::Disconnected, Blame::Software, "use DFU: the unit was told to leave it");
    TRY(op.checkpoint());
    if (!stateIsKnown)
        TRY(requests.makeIdle(op));
    stateIsKnown = false;
    return {};
}

Result<> DfuDevice::Impl::download(std::uint32_t address, ByteView bytes, const OpContext& op)
{
    TRY(checkRange(layout(), address, bytes.size(), Access::Write));
    TRY(begin(op));
    std::uint32_t block = 0;
    for (std::size_t done = 0; done < bytes.size(); ++block) {
        const std::size_t count = std::min<std::size_t>(blockBytes(), bytes.size() - done);
        const std::uint32_t at = address + static_cast<std::uint32_t>(done);
        if (needsAddress(block, count)) {
            TRY(requests.setAddress(at, op));
            block = kFirstBlock;
        }
        TRY(requests.write(static_cast<std::uint16_t>(block), bytes.subspan(done, count),
                           concat("write ", count, " bytes at ", hex32(at)), op));
        done += count;
        op.progress.advance(done, bytes.size());
    }
    stateIsKnown = true;
    return {};
}

Result<> DfuDevice::Impl::uploadInto(std::uint32_t address, ByteSpan to, const OpContext& op)
{
    TRY(checkRange(layout(), address, to.size(), Access::Read));
    TRY(begin(op));
    std::uint32_t block = 0;
    for (std::size_t done = 0; done < to.size(); ++block) {
        const std::size_t count = std::min<std::size_t>(blockBytes(), to.size() - done);
        const std::uint32_t at = address + static_cast<std::uint32_t>(done);
        if (needsAddress(block, count)) {
            // Out of dfuUPLOAD-IDLE first, and out of dfuDNLOAD-IDLE behind the command.
            if (done > 0)
                TRY(requests.abort(op));
            TRY(requests.setAddress(at, op));
            TRY(requests.abort(op));
            block = kFirstBlock;
        }
        TRY(requests.read(static_cast<std::uint16_t>(block), to.subspan(done, count),
                          concat("read ", count, " bytes at ", hex32(at)), op));
        done += count;
        op.progress.advance(done, to.size());
    }
    TRY(requests.abort(op));
    stateIsKnown = true;
    return {};
}

Result<DfuDevice> DfuDevice::open(std::unique_ptr<UsbDevice> usb, const OpContext& op)
{
    ENSURE(usb != nullptr);
    auto interface = TRY(readDfuInterface(*usb, op));
    TRY(usb->claim(interface.number));
    DfuDevice device(std::make_unique<Impl>(std::move(usb), std::move(interface)));
    TRY(device.select(0, op));
    return device;
}

Result<std::vector<DfuAlternate>> DfuDevice::describe(UsbDevice& usb, const OpContext& op)
{
    auto interface = TRY(readDfuInterface(usb, op));
    return std::move(interface.alternates);
}

Result<> DfuDevice::detach(std::unique_ptr<UsbDevice> usb, const OpContext& op)
{
    constexpr std::chrono::milliseconds kDetachWindow{1000}; // sheet 1.8
    ENSURE(usb != nullptr);
    const auto runTime = TRY(readDfuRunTime(*usb));
    TRY(usb->claim(runTime.number));
    TRY(DfuRequests(*usb, runTime.number).detach(kDetachWindow, op));
    if (runTime.attributes.willDetach)
        return {};
    const auto reset = usb->reset();
    // Behind the reset it is another device: that this one is gone is the wanted outcome.
    if (!reset && reset.error().code != Errc::Disconnected && reset.error().code != Errc::NotFound)
        return reset;
    return {};
}

DfuDevice::DfuDevice(std::unique_ptr<Impl> impl) : m_impl(std::move(impl)) {}
DfuDevice::DfuDevice(DfuDevice&&) noexcept = default;
DfuDevice& DfuDevice::operator=(DfuDevice&&) noexcept = default;
DfuDevice::~DfuDevice() = default;

const UsbDeviceInfo& DfuDevice::usb() const
{
    return m_impl->info;
}
const DfuAttributes& DfuDevice::attributes() const
{
    return m_impl->interface.attributes;
}
std::span<const DfuAlternate> DfuDevice::alternates() const
{
    return m_impl->interface.alternates;
}
std::span<const MemoryRegion> DfuDevice::layout() const
{
    return m_impl->layout();
}

int DfuDevice::repeats() const
{
    return m_impl->requests.repeats() + m_impl->renewals;
}

Result<> DfuDevice::select(std::uint8_t alternate, const OpContext& op)
{
    const auto& all = m_impl->interface.alternates;
    const auto at = std::find_if(
        all.begin(), all.end(), [&](const DfuAlternate& item) { return item.number == alternate; });
    if (at == all.end())
        return fail(Errc::NotFound, Blame::Unit,
                    concat("select DFU memory ", alternate + 0, ": the unit has no such one"));
    if (!m_impl->usb)
        return m_impl->begin(op);
    m_impl->stateIsKnown = false;
    TRY(op.checkpoint());
    TRY(m_impl->usb->selectAlternate(m_impl->interface.number, alternate));
    m_impl->selected = static_cast<std::size_t>(at - all.begin());
    TRY(m_impl->requests.makeIdle(op));
    m_impl->stateIsKnown = true;
    return {};
}

Result<> DfuDevice::renew(const OpContext& op)
{
    ++m_impl->renewals;
    return select(m_impl->interface.alternates[m_impl->selected].number, op);
}

Result<> DfuDevice::erase(std::uint32_t address, std::uint32_t size, const OpContext& op)
{
    if (size == 0)
        return {};
    const auto layout = m_impl->layout();
    TRY(checkRange(layout, address, size, Access::Erase));
    TRY(m_impl->begin(op));
    const std::uint64_t first = sectorBase(*regionAt(layout, address), address);
    const std::uint64_t end = std::uint64_t{address} + size;
    for (std::uint64_t at = first; at < end;) {
        TRY(m_impl->requests.erase(static_cast<std::uint32_t>(at), op));
        at += regionAt(layout, at)->sectorSize;
        op.progress.advance(std::min(at, end) - first, end - first);
    }
    m_impl->stateIsKnown = true;
    return {};
}

Result<> DfuDevice::download(const MemoryBlock& block, const OpContext& op)
{
    if (block.bytes.empty())
        return {};
    return m_impl->download(block.address, block.bytes, op);
}

Result<Bytes> DfuDevice::upload(std::uint32_t address, std::uint32_t size, const OpContext& op)
{
    // The layout bounds what is allocated, however large the request.
    TRY(checkRange(m_impl->layout(), address, size, Access::Read));
    Bytes bytes(size);
    if (size > 0)
        TRY(m_impl->uploadInto(address, bytes, op));
    return bytes;
}

Result<SecretBytes> DfuDevice::uploadSecret(std::uint32_t address, std::uint32_t size,
                                            const OpContext& op)
{
    TRY(checkRange(m_impl->layout(), address, size, Access::Read));
    SecretBytes bytes(size);
    if (size > 0)
        TRY(m_impl->uploadInto(address, bytes.writable(), op.withSecrets()));
    return bytes;
}

Result<> DfuDevice::downloadSecret(std::uint32_t address, const SecretBytes& bytes,
                                   const OpContext& op)
{
    if (bytes.empty())
        return {};
    return m_impl->download(address, bytes.reveal(), op.withSecrets());
}

Result<> DfuDevice::leave(std::uint32_t entry, const OpContext& op)
{
    TRY(m_impl->begin(op));
    TRY(m_impl->requests.setAddress(entry, op));
    TRY(m_impl->requests.leave(op));
    // A handle kept open across the change would hold the old device number (sheet 6.1).
    m_impl->usb.reset();
    return {};
}

} // namespace provost
