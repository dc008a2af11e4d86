#include "device/dfu_target.h"

#include "core/byte_io.h"
#include "core/text.h"
#include "device/write_repeats.h"

#include <algorithm>
#include <optional>

namespace provost {

namespace {

// One transfer block of the largest kind: enough to see that a sector holds something else.
constexpr std::size_t kFirstLook = 4096;

struct Piece {
    std::uint32_t sector = 0;
    std::uint32_t sectorSize = 0;
    MemoryBlock block{}; ///< the part of the whole that lies in this sector
};

const MemoryRegion* regionAt(std::span<const MemoryRegion> regions, std::uint32_t address)
{
    const auto holds = [address](const MemoryRegion& r) {
        return address >= r.base && address - r.base < r.size;
    };
    const auto found = std::ranges::find_if(regions, holds);
    return found == regions.end() ? nullptr : &*found;
}

std::uint32_t sectorOf(const MemoryRegion& region, std::uint32_t address)
{
    return region.base + (address - region.base) / region.sectorSize * region.sectorSize;
}

Result<std::vector<Piece>> cutBySectors(std::span<const MemoryRegion> regions,
                                        const MemoryBlock& block)
{
    TRY(checkProgrammable(regions, block.address, block.bytes.size()));
    std::vector<Piece> pieces;
    std::size_t at = 0;
    while (at < block.bytes.size()) {
        const auto address = static_cast<std::uint32_t>(block.address + at);
        const MemoryRegion& region = *regionAt(regions, address);
        const std::uint32_t sector = sectorOf(region, address);
        const std::size_t room = sector + region.sectorSize - address;
        const std::size_t count = std::min(room, block.bytes.size() - at);
        const auto first = block.bytes.begin() + static_cast<std::ptrdiff_t>(at);
        pieces.push_back(
            {.sector = sector,
             .sectorSize = region.sectorSize,
             .block = {.address = address,
                       .bytes = Bytes(first, first + static_cast<std::ptrdiff_t>(count))}});
        at += count;
    }
    return pieces;
}

/// True: nothing has to be done. Reads on only as long as that may be so.
Result<bool> holdsAlready(MemoryTarget& target, const MemoryBlock& block, const OpContext& op)
{
    std::size_t step = kFirstLook;
    for (std::size_t at = 0; at < block.bytes.size();) {
        const std::size_t count = std::min(step, block.bytes.size() - at);
        const Bytes present = TRY(target.read(static_cast<std::uint32_t>(block.address + at),
                                              static_cast<std::uint32_t>(count), op));
        if (!equalBytes(present, ByteView(block.bytes).subspan(at, count)))
            return false;
        at += count;
        step = block.bytes.size();
    }
    return true;
}

Error differsAt(const MemoryBlock& wanted, const Bytes& found)
{
    const auto [want, have] = std::ranges::mismatch(wanted.bytes, found);
    const auto offset = static_cast<std::uint32_t>(want - wanted.bytes.begin());
    std::string detail = "nothing";
    if (have != found.end())
        detail = toHex({&*have, 1});
    const std::string wantedByte = want != wanted.bytes.end() ? toHex({&*want, 1}) : "the end";
    return Error{.code = Errc::Mismatch,
                 .blame = Blame::Unit,
                 .message = concat("verify ", wanted.bytes.size(), " bytes at ",
                                   hex32(wanted.address), ": ", hex32(wanted.address + offset),
                                   " holds ", detail, ", wrote ", wantedByte),
                 .frames = {},
                 .native = {},
                 .cause = "F110"};
}

Result<> writeSector(MemoryTarget& target, const Piece& piece, const OpContext& op)
{
    const auto size = static_cast<std::uint32_t>(piece.block.bytes.size());
    TRY(target.erase(piece.sector, piece.sectorSize, op.phase({}, 0.1, 0.4)));
    TRY(target.program(piece.block, op.phase({}, 0.4, 0.9)));
    const Bytes readBack = TRY(target.read(piece.block.address, size, op.phase({}, 0.9, 1)));
    if (readBack != piece.block.bytes)
        return Unexpected(differsAt(piece.block, readBack));
    return {};
}

} // namespace

Result<> checkProgrammable(std::span<const MemoryRegion> regions, std::uint32_t address,
                           std::uint64_t size)
{
    const std::uint64_t end = address + size;
    for (std::uint64_t at = address; at < end;) {
        const MemoryRegion* region =
            at > 0xFFFFFFFF ? nullptr : regionAt(regions, static_cast<std::uint32_t>(at));
        if (region == nullptr || !region->writable || !region->erasable || region->sectorSize == 0)
            return fail(Errc::Protected, Blame::Software,
                        concat("write ", size, " bytes at ", hex32(address), ": ",
                               hex32(static_cast<std::uint32_t>(at)),
                               " is not writable memory of this device"));
        at = std::uint64_t{region->base} + region->size;
    }
    return {};
}

Result<std::vector<MemoryBlock>> mergedBySector(std::span<const MemoryRegion> regions,
                                                std::vector<MemoryBlock> blocks)
{
    std::ranges::sort(blocks, {}, &MemoryBlock::address);
    std::vector<MemoryBlock> merged;
    for (auto& block : blocks) {
        const MemoryRegion* region = regionAt(regions, block.address);
        if (!merged.empty() && region != nullptr && !merged.back().bytes.empty()) {
            auto& before = merged.back();
            const std::uint64_t end = before.address + std::uint64_t{before.bytes.size()};
            if (end > block.address)
                return fail(Errc::InvalidArgument, Blame::Operator,
                            concat("write ", block.bytes.size(), " bytes at ", hex32(block.address),
                                   ": other bytes are to be written from ", hex32(before.address),
                                   " to ", hex32(static_cast<std::uint32_t>(end - 1)),
                                   "; make them one"));
            // Its last byte lies in the sector where this block begins.
            if (end > sectorOf(*region, block.address)) {
                before.bytes.resize(block.address - before.address, std::byte{0xFF});
                before.bytes.insert(before.bytes.end(), block.bytes.begin(), block.bytes.end());
                continue;
            }
        }
        merged.push_back(std::move(block));
    }
    return merged;
}

Result<ProgramOutcome> programAndVerify(MemoryTarget& target, const MemoryBlock& block,
                                        const OpContext& op)
{
    const auto pieces = TRY(cutBySectors(target.regions(), block));
    ProgramOutcome outcome;
    for (std::size_t i = 0; i < pieces.size(); ++i) {
        const auto& piece = pieces[i];
        const auto share = op.part(i, pieces.size());
        const auto size = static_cast<std::uint32_t>(piece.block.bytes.size());
        if (TRY(holdsAlready(target, piece.block, share.phase({}, 0, 0.1)))) {
            outcome.skipped += size;
            ++outcome.sectorsSkipped;
            share.progress.advance(1, 1);
            continue;
        }
        TRY(repeatWrite(
            target.m_repeats, share, [&] { return target.renew(share); },
            [&] { return writeSector(target, piece, share); }));
        outcome.written += size;
        ++outcome.sectors;
    }
    return outcome;
}

Result<ProgramOutcome> MemoryTarget::write(const MemoryBlock& block, const OpContext& op)
{
    return programAndVerify(*this, block, op);
}

} // namespace provost
