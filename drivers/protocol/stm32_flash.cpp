#include "protocol/stm32_flash.h"

#include "core/byte_io.h"
#include "core/crc.h"
#include "core/text.h"
#include "protocol/stm32_flash_p.h"

#include <algorithm>

namespace provost {

namespace {

using namespace std::chrono_literals;

constexpr std::uint32_t kIdcode = 0xE0042000;
constexpr std::uint32_t kF1Device = 0x410;
constexpr std::uint32_t kF2Device = 0x411;
constexpr std::uint32_t kF1Controller = 0x40022000;
constexpr std::uint32_t kF2Controller = 0x40023C00;
constexpr std::uint32_t kF1MostBytes = 128 * 1024;
constexpr std::uint32_t kF2MostBytes = 1024 * 1024;
constexpr std::uint32_t kF1Page = 1024;
constexpr std::uint32_t kF1Address = 0x14;
// A 128 KiB sector at x8 takes up to 4 s, the whole device up to 32 s (DS6329).
constexpr auto kWorkLimit = 40s;
constexpr auto kBusyPoll = 2ms;
constexpr std::size_t kWorthALook = 0x4000;
constexpr std::uint32_t kFirstLook = 256;
constexpr auto kPutBackLimit = 10s;

bool isCortexM3(std::uint32_t cpuid)
{
    return (cpuid >> 4 & 0xFFF) == 0xC23;
}

const stm32::Bits& bitsOf(Stm32Part::Family family)
{
    return family == Stm32Part::Family::F1 ? stm32::kF1Bits : stm32::kF2Bits;
}

std::uint32_t end(const MemoryRegion& region)
{
    return region.base + region.size;
}

} // namespace

std::string_view name(Stm32Part::Family family)
{
    return family == Stm32Part::Family::F1 ? "STM32F103" : "STM32F205";
}

Result<Stm32Flash> Stm32Flash::attach(StLinkProbe& probe, const OpContext& op)
{
    Stm32Flash flash(probe);
    TRY(probe.resetAndHalt(op));
    TRY(flash.learnPart(op));
    TRY(flash.freezeWatchdogs(op));
    return flash;
}

Result<Stm32Part> Stm32Flash::identify(StLinkProbe& probe, const OpContext& op)
{
    Stm32Part part;
    part.idcode = TRY(probe.readWord(kIdcode, op));
    const std::uint32_t device = part.idcode & 0xFFF;
    // Early F405 say 411, too, but their core is an M4 (3.4).
    if ((device != kF1Device && device != kF2Device) || !isCortexM3(probe.target().cpuid))
        return fail(Errc::Unsupported, Blame::Unit,
                    concat("identify the target: DBGMCU_IDCODE ", hex32(part.idcode), ", CPUID ",
                           hex32(probe.target().cpuid),
                           " is neither an STM32F103 of medium density nor an STM32F205"));
    const bool f1 = device == kF1Device;
    part.family = f1 ? Stm32Part::Family::F1 : Stm32Part::Family::F2;
    const Bytes size = TRY(probe.read(f1 ? 0x1FFFF7E0 : 0x1FFF7A22, 2, op));
    part.flashBytes = std::uint32_t{readLe16(size)} * 1024;
    const Bytes id = TRY(probe.read(f1 ? 0x1FFFF7E8 : 0x1FFF7A10, 12, op));
    std::copy(id.begin(), id.end(), part.uniqueId.begin());
    const std::uint32_t most = f1 ? kF1MostBytes : kF2MostBytes;
    if (part.flashBytes == 0 || part.flashBytes > most)
        return fail(Errc::Unsupported, Blame::Unit,
                    concat("identify the target: it says ", part.flashBytes / 1024,
                           " KiB of flash, at most ", most / 1024, " KiB are known here"));
    return part;
}

Result<> Stm32Flash::learnPart(const OpContext& op)
{
    m_part = TRY(identify(*m_probe, op));
    m_controller = isF1() ? kF1Controller : kF2Controller;
    if (isF1()) {
        m_regions = {{.base = stm32::kFlashBase, .size = m_part.flashBytes, .sectorSize = kF1Page}};
        return {};
    }
    const std::uint32_t base = stm32::kFlashBase;
    m_regions = {{.base = base, .size = 0x10000, .sectorSize = 0x4000},
                 {.base = base + 0x10000, .size = 0x10000, .sectorSize = 0x10000},
                 {.base = base + 0x20000, .size = 0xE0000, .sectorSize = 0x20000}};
    for (MemoryRegion& region : m_regions)
        region.size = std::min(region.size, base + m_part.flashBytes -
                                                std::min(region.base, base + m_part.flashBytes));
    std::erase_if(m_regions, [](const MemoryRegion& region) { return region.size == 0; });
    // 3.4: what the supply carries. Where it is not known, one byte at a time is always right.
    const double volts = TRY(m_probe->targetVoltage(op)).value_or(0);
    m_width = volts >= 2.7 ? 4 : volts >= 2.1 ? 2 : 1;
    m_size = (m_width == 4 ? 2U : m_width == 2 ? 1U : 0U) << 8;
    return {};
}

/// A watchdog started by an option bit would reset the core under the loader.
Result<> Stm32Flash::freezeWatchdogs(const OpContext& op)
{
    const std::uint32_t at = isF1() ? 0xE0042004 : 0xE0042008;
    const std::uint32_t bits = isF1() ? 0x300 : 0x1800;
    const std::uint32_t now = TRY(m_probe->readWord(at, op));
    return m_probe->writeWord(at, now | bits, op);
}

Result<Stm32Flash::Sector> Stm32Flash::sectorAt(std::uint32_t address) const
{
    unsigned number = 0;
    for (const MemoryRegion& region : m_regions) {
        if (address >= region.base && address < end(region)) {
            const unsigned within = (address - region.base) / region.sectorSize;
            return Sector{.address = region.base + within * region.sectorSize,
                          .size = region.sectorSize,
                          .number = number + within};
        }
        number += region.size / region.sectorSize;
    }
    return fail(Errc::InvalidArgument, Blame::Operator,
                concat("use flash at ", hex32(address), ": the ", name(m_part.family), " has ",
                       m_part.flashBytes / 1024, " KiB from ", hex32(stm32::kFlashBase), " on"));
}

Result<std::vector<Stm32Flash::Piece>> Stm32Flash::cut(std::uint32_t address, ByteView bytes) const
{
    std::vector<Piece> pieces;
    for (std::size_t at = 0; at < bytes.size();) {
        const auto from = static_cast<std::uint32_t>(address + at);
        const Sector sector = TRY(sectorAt(from));
        const std::size_t count =
            std::min<std::size_t>(sector.address + sector.size - from, bytes.size() - at);
        pieces.push_back({.sector = sector, .address = from, .bytes = bytes.subspan(at, count)});
        at += count;
    }
    return pieces;
}

Result<Bytes> Stm32Flash::read(std::uint32_t address, std::uint32_t size, const OpContext& op)
{
    auto bytes = m_probe->read(address, size, op);
    if (!bytes && bytes.error().code == Errc::Protected) {
        const auto state = protection(op);
        if (state && state->readProtected)
            bytes.error().message += "; its read protection is on, and lifting it erases the unit";
    }
    return bytes;
}

Result<> Stm32Flash::unlock(const OpContext& op)
{
    const auto& bits = bitsOf(m_part.family);
    // A key behind an open lock would jam it until the next reset.
    const std::uint32_t control = TRY(m_probe->readWord(m_controller + stm32::kControl, op));
    if ((control & bits.lock) != 0) {
        TRY(m_probe->writeWord(m_controller + stm32::kKeys, stm32::kFirstKey, op));
        TRY(m_probe->writeWord(m_controller + stm32::kKeys, stm32::kSecondKey, op));
        const std::uint32_t now = TRY(m_probe->readWord(m_controller + stm32::kControl, op));
        if ((now & bits.lock) != 0)
            return fail(Errc::Io, Blame::Unit,
                        "unlock the flash controller: it stays locked; reset the unit");
    }
    // Errors of earlier work are history.
    return m_probe->writeWord(m_controller + stm32::kStatus, bits.errors | 0x21, op);
}

Result<> Stm32Flash::lock(const OpContext& op)
{
    return m_probe->writeWord(m_controller + stm32::kControl, bitsOf(m_part.family).lock, op);
}

Unexpected Stm32Flash::refusedWork(std::uint32_t status, const std::string& what) const
{
    const bool isProtected = (status & bitsOf(m_part.family).writeProtected) != 0;
    return fail(
        isProtected ? Errc::Protected : Errc::Io, Blame::Unit,
        concat(what, ": the flash controller reports ", hex32(status),
               isProtected ? ", write protected; lift the protection first" : ", not programmed"),
        static_cast<int>(status));
}

Result<> Stm32Flash::waitWhileBusy(const std::string& what, const OpContext& op)
{
    const auto& bits = bitsOf(m_part.family);
    const OpContext limited = op.within(kWorkLimit);
    while (true) {
        const std::uint32_t status = TRY(m_probe->readWord(m_controller + stm32::kStatus, limited));
        if ((status & bits.busy) == 0)
            return (status & bits.errors) == 0 ? Result<>() : refusedWork(status, what);
        if (auto waited = limited.sleepFor(kBusyPoll); !waited)
            return Unexpected(inFrame(std::move(waited).error(), concat(what, ", still busy")));
    }
}

Result<> Stm32Flash::eraseSector(const Sector& sector, const OpContext& op)
{
    TRY(op.checkpoint());
    const auto& bits = bitsOf(m_part.family);
    const std::uint32_t control = m_controller + stm32::kControl;
    const std::uint32_t command =
        isF1() ? stm32::kErase : stm32::kErase | sector.number << 3 | m_size;
    TRY(m_probe->writeWord(control, command, op));
    if (isF1())
        TRY(m_probe->writeWord(m_controller + kF1Address, sector.address, op));
    TRY(m_probe->writeWord(control, command | bits.start, op));
    TRY(waitWhileBusy(concat("erase the sector at ", hex32(sector.address)), op));
    return m_probe->writeWord(control, 0, op);
}

Result<> Stm32Flash::erase(std::uint32_t address, std::uint32_t size, const OpContext& op)
{
    ENSURE(size > 0);
    // All of it is known before anything goes.
    const Sector first = TRY(sectorAt(address));
    TRY(sectorAt(address + size - 1));
    TRY(unlock(op));
    for (std::uint32_t at = first.address; at < address + size;) {
        const Sector sector = TRY(sectorAt(at));
        TRY(eraseSector(sector, op));
        at += sector.size;
        op.progress.advance(at - first.address, address + size - first.address);
    }
    return lock(op);
}

Result<> Stm32Flash::massErase(const OpContext& op)
{
    TRY(unlock(op));
    const std::uint32_t control = m_controller + stm32::kControl;
    const std::uint32_t command = stm32::kMassErase | m_size;
    TRY(m_probe->writeWord(control, command, op));
    TRY(m_probe->writeWord(control, command | bitsOf(m_part.family).start, op));
    TRY(waitWhileBusy("erase all of flash", op));
    TRY(m_probe->writeWord(control, 0, op));
    return lock(op);
}

/// The pieces that the target does not hold yet.
Result<std::vector<Stm32Flash::Piece>> Stm32Flash::different(const std::vector<Piece>& pieces,
                                                             const OpContext& op)
{
    std::vector<Piece> wanting;
    for (std::size_t first = 0; first < pieces.size();) {
        // Neighbours of one length are summed by one start of the loader.
        std::size_t last = first + 1;
        const std::size_t size = pieces[first].bytes.size();
        while (last < pieces.size() && pieces[last].bytes.size() == size &&
               pieces[last].address == pieces[last - 1].address + size)
            ++last;
        const auto sums = TRY(crcs(pieces[first].address, static_cast<std::uint32_t>(size),
                                   static_cast<std::uint32_t>(last - first), op));
        for (std::size_t i = first; i < last; ++i)
            if (sums[i - first] != crc32(pieces[i].bytes))
                wanting.push_back(pieces[i]);
        first = last;
    }
    return wanting;
}

/// A few bytes often tell what a sum over the whole sector would.
Result<bool> Stm32Flash::beginsOtherwise(const Piece& piece, const OpContext& op)
{
    if (piece.bytes.size() < kWorthALook)
        return false;
    const Bytes found = TRY(m_probe->read(piece.address, kFirstLook, op));
    return !equalBytes(found, piece.bytes.first(kFirstLook));
}

/// As different(), for a target that is expected to hold something else.
Result<std::vector<Stm32Flash::Piece>> Stm32Flash::unlike(const std::vector<Piece>& pieces,
                                                          const OpContext& op)
{
    std::vector<Piece> wanting;
    std::vector<Piece> open;
    for (const Piece& piece : pieces)
        (TRY(beginsOtherwise(piece, op)) ? wanting : open).push_back(piece);
    const auto rest = TRY(different(open, op));
    wanting.insert(wanting.end(), rest.begin(), rest.end());
    std::ranges::sort(wanting, {}, &Piece::address);
    return wanting;
}

Result<> Stm32Flash::rewrite(const MemoryBlock& block, const std::vector<Piece>& pieces,
                             const OpContext& op)
{
    std::uint32_t whole = 0;
    for (const Piece& piece : pieces)
        whole += piece.sector.size;
    const OpContext erasing = op.phase("erasing", 0, 0.35);
    if (whole == m_part.flashBytes) {
        TRY(massErase(erasing));
    } else {
        TRY(unlock(op));
        for (std::size_t i = 0; i < pieces.size(); ++i) {
            TRY(eraseSector(pieces[i].sector, erasing));
            erasing.progress.advance(i + 1, pieces.size());
        }
    }
    const OpContext writing = op.phase("writing", 0.35, 0.9);
    for (std::size_t i = 0; i < pieces.size();) {
        // Neighbours are programmed in one go.
        const std::uint32_t address = pieces[i].address;
        std::size_t size = 0;
        const std::size_t first = i;
        while (i < pieces.size() && pieces[i].address == address + size)
            size += pieces[i++].bytes.size();
        const ByteView bytes = ByteView(block.bytes).subspan(address - block.address, size);
        TRY(program({.address = address, .bytes = toBytes(bytes)},
                    writing.part(first, pieces.size())));
    }
    const auto left = TRY(different(pieces, op.phase("verifying", 0.9, 1)));
    if (left.empty())
        return {};
    return Unexpected(Error{.code = Errc::Mismatch,
                            .blame = Blame::Unit,
                            .message = concat("verify ", left[0].bytes.size(), " bytes at ",
                                              hex32(left[0].address),
                                              ": the CRC of what the unit holds is another one"),
                            .frames = {},
                            .native = {},
                            .cause = "F110"});
}

Result<Stm32WriteOutcome> Stm32Flash::writeVerified(const MemoryBlock& block, bool liftProtection,
                                                    const OpContext& op)
{
    ENSURE(!block.bytes.empty());
    const auto size = static_cast<std::uint32_t>(block.bytes.size());
    const auto pieces = TRY(cut(block.address, block.bytes));
    const Stm32Protection before = TRY(protection(op));
    if (before.readProtected)
        return fail(Errc::Protected, Blame::Unit,
                    concat("write ", size, " bytes at ", hex32(block.address),
                           ": the unit's read protection is on, and lifting it erases the unit"));
    const auto wanting = TRY(unlike(pieces, op.phase("comparing", 0, 0.05)));
    Stm32WriteOutcome outcome{.skipped = size,
                              .sectors = wanting.size(),
                              .sectorsSkipped = pieces.size() - wanting.size()};
    if (wanting.empty())
        return outcome;
    for (const Piece& piece : wanting)
        outcome.written += static_cast<std::uint32_t>(piece.bytes.size());
    outcome.skipped -= outcome.written;
    const std::uint32_t units = unitsOf(block.address, size);
    outcome.protectionLifted = (before.writeProtected & units) != 0;
    if (outcome.protectionLifted && !liftProtection)
        return fail(Errc::Protected, Blame::Operator,
                    concat("write ", size, " bytes at ", hex32(block.address),
                           ": write protection is on there; say so if it is to be lifted"));
    if (outcome.protectionLifted)
        TRY(setWriteProtection(before.writeProtected & ~units, op));
    auto written = rewrite(block, wanting, op.phase({}, 0.05, 1));
    if (outcome.protectionLifted) {
        // A cancelled or failed write leaves no unit open.
        auto putBack = setWriteProtection(before.writeProtected, op.shielded(kPutBackLimit));
        if (written && !putBack)
            written = std::move(putBack);
    }
    if (!written)
        return Unexpected(std::move(written).error());
    return outcome;
}

Result<> Stm32Flash::leave(const OpContext& op)
{
    TRY(lock(op));
    TRY(m_probe->resetAndHalt(op)); // registers, caches and debug bits as a cold start finds them
    return m_probe->disconnect(op);
}

} // namespace provost
