#include "device/dfu_target.h"

#include "core/byte_io.h"
#include "core/text.h"

#include <algorithm>
#include <optional>

namespace provost {

namespace {

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

Result<std::vector<Piece>> cutBySectors(std::span<const MemoryRegion> regions,
                                        const MemoryBlock& block)
{
    std::vector<Piece> pieces;
    std::size_t at = 0;
    while (at < block.bytes.size()) {
        const auto address = static_cast<std::uint32_t>(block.address + at);
        const MemoryRegion* region = regionAt(regions, address);
        if (region == nullptr || !region->writable || !region->erasable || region->sectorSize == 0)
            return fail(Errc::Protected, Blame::Software,
                        concat("write ", block.bytes.size(), " bytes at ", hex32(block.address),
                               ": ", hex32(address), " is not writable memory of this device"));
        const std::uint32_t sector =
            region->base + (address - region->base) / region->sectorSize * region->sectorSize;
        const std::size_t room = sector + region->sectorSize - address;
        const std::size_t count = std::min(room, block.bytes.size() - at);
        const auto first = block.bytes.begin() + static_cast<std::ptrdiff_t>(at);
        pieces.push_back(
            {.sector = sector,
             .sectorSize = region->sectorSize,
             .block = {.address = address,
                       .bytes = Bytes(first, first + static_cast<std::ptrdiff_t>(count))}});
        at += count;
    }
    return pieces;
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

} // namespace

Result<ProgramOutcome> programAndVerify(MemoryTarget& target, const MemoryBlock& block,
                                        const OpContext& op)
{
    const auto pieces = TRY(cutBySectors(target.regions(), block));
    ProgramOutcome outcome;
    for (std::size_t i = 0; i < pieces.size(); ++i) {
        const auto& piece = pieces[i];
        const auto share = op.part(i, pieces.size());
        const auto size = static_cast<std::uint32_t>(piece.block.bytes.size());
        const Bytes present = TRY(target.read(piece.block.address, size, share.phase({}, 0, 0.1)));
        if (present == piece.block.bytes) {
            outcome.skipped += size;
            ++outcome.sectorsSkipped;
            share.progress.advance(1, 1);
            continue;
        }
        TRY(target.erase(piece.sector, piece.sectorSize, share.phase({}, 0.1, 0.4)));
        TRY(target.program(piece.block, share.phase({}, 0.4, 0.9)));
        const Bytes readBack = TRY(target.read(piece.block.address, size, share.phase({}, 0.9, 1)));
        if (readBack != piece.block.bytes)
            return Unexpected(differsAt(piece.block, readBack));
        outcome.written += size;
        ++outcome.sectors;
    }
    return outcome;
}

} // namespace provost
