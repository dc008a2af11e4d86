#include "device/dct_memory.h"

#include "core/byte_io.h"
#include "core/crc.h"
#include "core/text.h"
#include "crypto/secret_file.h"

#include <algorithm>
#include <array>

namespace provost {

namespace {

// particle-devices 3.1
constexpr std::uint32_t kWicedIncompleteAt = 8;
constexpr std::uint32_t kWicedCurrentAt = 9;
// particle-devices 3.2: from the end of the sector
constexpr std::uint32_t kDcdFooterSize = 32;
constexpr std::uint32_t kDcdFlagsFromEnd = 16;
constexpr std::uint32_t kDcdWatermarkFromEnd = 8;
constexpr std::uint32_t kDcdCrcFromEnd = 4;
constexpr std::uint32_t kDcdSealAt = 4;
constexpr std::uint32_t kDcdWatermark = 0x1E1C279A;
constexpr std::uint32_t kDcdGenerations = 3; ///< a counter of two bits
constexpr std::array kSealedValid{std::byte{0x00}, std::byte{0x5E}, std::byte{0xA1},
                                  std::byte{0xED}};
constexpr std::array kSealedStale{std::byte{0x00}, std::byte{0x0C}, std::byte{0xA0},
                                  std::byte{0x69}};
constexpr std::array<std::byte, 4> kSealedStaleByOld{};
constexpr std::array kCleared{std::byte{0}};

bool hasFooter(ByteView sector)
{
    return readLe32(sector, sector.size() - kDcdWatermarkFromEnd) == kDcdWatermark;
}

struct Error noCopyCounts(std::string message)
{
    return {.code = Errc::InvalidData,
            .blame = Blame::Unit,
            .message = std::move(message),
            .frames = {},
            .native = {},
            .cause = "F122"};
}

/// The copy as it is to be, not yet valid: its seal is left blank.
void sealForWriting(ByteSpan sector, std::uint32_t covered)
{
    std::fill_n(sector.begin() + kDcdSealAt, kSealedValid.size(), std::byte{0xFF});
    if (!hasFooter(sector))
        return;
    const std::size_t flagsAt = sector.size() - kDcdFlagsFromEnd;
    const std::uint32_t flags = readLe32(sector, flagsAt);
    writeLe32(sector, flagsAt, (flags & ~kDcdGenerations) | ((flags + 1) & kDcdGenerations));
    const ByteView body = ByteView(sector).first(sector.size() - kDcdCrcFromEnd);
    writeLe32(sector, body.size(), crc32(body.subspan(covered)));
}

} // namespace

Result<Bytes> DctMemory::read(std::uint32_t offset, std::uint32_t size, const OpContext& op)
{
    const SecretBytes bytes = TRY(readSecret(offset, size, op));
    return toBytes(bytes.reveal());
}

Result<std::unique_ptr<DfuDct>> DfuDct::open(DfuDevice& device, const DctLayout& layout,
                                             const OpContext& op)
{
    TRY(device.select(layout.alternate, op));
    auto table = std::unique_ptr<DfuDct>(new DfuDct(device, layout.format));
    if (layout.format == DctFormat::Plain)
        return table;
    const auto head = TRY(device.uploadSecret(0, layout.privateKey.offset, op));
    if (std::ranges::all_of(head.reveal(), [](std::byte b) { return b == std::byte{0}; }))
        return Unexpected(noCopyCounts("read the application DCT: all zeros, so the bootloader "
                                       "found no DCT code in the system parts"));
    return table;
}

Result<SecretBytes> DfuDct::readSecret(std::uint32_t offset, std::uint32_t size,
                                       const OpContext& op)
{
    return m_device.uploadSecret(offset, size, op);
}

Result<> DfuDct::writeSecret(std::uint32_t offset, const SecretBytes& bytes, const OpContext& op)
{
    // A table memory reads, modifies and writes by itself (1.5); plain flash has to be erased.
    if (m_format == DctFormat::Plain)
        TRY(m_device.erase(offset, static_cast<std::uint32_t>(bytes.size()), op));
    return m_device.downloadSecret(offset, bytes, op);
}

Result<> ProbeDct::check(std::uint32_t sectorOffset, std::size_t size) const
{
    if (m_layout.format == DctFormat::Plain)
        return fail(
            Errc::Unsupported, Blame::Operator,
            "reach the keys by SWD: those of this platform lie in a flash of its own beside "
            "the chip; use DFU");
    // The Electron's footer belongs to the sector, not to what may be patched.
    const std::uint32_t end =
        m_layout.sectorSize - (m_layout.format == DctFormat::Dcd ? kDcdFooterSize : 0);
    if (sectorOffset <= end && size <= end - sectorOffset)
        return {};
    return fail(Errc::InvalidArgument, Blame::Operator,
                concat("reach ", size, " bytes at offset ", sectorOffset,
                       " of a DCT sector: it ends at ", end));
}

Result<DctSnapshot> ProbeDct::snapshot(const OpContext& op)
{
    TRY(check(0, 0));
    SecretBytes sectors(std::size_t{2} * m_layout.sectorSize);
    for (std::size_t copy = 0; copy < 2; ++copy) {
        Bytes bytes =
            TRY(m_flash.read(m_layout.copies.at(copy), m_layout.sectorSize, op.withSecrets()));
        std::ranges::copy(bytes, sectors.writable().begin() +
                                     static_cast<std::ptrdiff_t>(copy * m_layout.sectorSize));
        wipe(bytes);
    }
    return DctSnapshot::create(m_layout, std::move(sectors));
}

Result<int> ProbeDct::current(const DctSnapshot& dct) const
{
    if (const auto copy = dct.current())
        return *copy;
    return Unexpected(noCopyCounts(dct.isCurrent(0)
                                       ? "find the DCT copy that counts: both are marked; let the "
                                         "unit's firmware write once, or restore both"
                                       : "find the DCT copy that counts: none is marked; restore "
                                         "both from a backup"));
}

Result<SecretBytes> ProbeDct::readSecret(std::uint32_t offset, std::uint32_t size,
                                         const OpContext& op)
{
    TRY(check(m_layout.applicationOffset + offset, size));
    const auto dct = TRY(snapshot(op));
    const int copy = TRY(current(dct));
    return SecretBytes(dct.application(copy).subspan(offset, size));
}

Result<> ProbeDct::writeSecret(std::uint32_t offset, const SecretBytes& bytes, const OpContext& op)
{
    return patch(m_layout.applicationOffset + offset, bytes, op);
}

SecretBytes ProbeDct::patched(ByteView sector, std::uint32_t at, ByteView bytes) const
{
    SecretBytes image(sector);
    const ByteSpan to = image.writable();
    std::ranges::copy(bytes, to.begin() + at);
    if (m_layout.format == DctFormat::Dcd)
        sealForWriting(to, m_layout.applicationOffset);
    else
        to[kWicedIncompleteAt] = std::byte{0xFF};
    return image;
}

Result<> ProbeDct::patch(std::uint32_t sectorOffset, const SecretBytes& bytes, const OpContext& op)
{
    TRY(check(sectorOffset, bytes.size()));
    const auto dct = TRY(snapshot(op));
    const int from = TRY(current(dct));
    const int to = 1 - from;
    if (dct.hasTrailer(from))
        return Unexpected(
            Error{.code = Errc::Denied,
                  .blame = Blame::Operator,
                  .message = concat("patch ", bytes.size(), " bytes of DCT copy ", from + 1,
                                    " by SWD: it ends with the checksum of firmware 0.7.0 and "
                                    "later, whose range is not published; a unit may refuse the "
                                    "table. Use DFU alternate 1, or restore both sectors together"),
                  .frames = {},
                  .native = {},
                  .cause = "C063"});
    const SecretBytes image = patched(dct.sector(from), sectorOffset, bytes.reveal());
    TRY(writeOther(to, image, op));
    if (m_layout.format == DctFormat::Wiced) {
        TRY(mark(to, kWicedIncompleteAt, kCleared, op));
        return mark(from, kWicedCurrentAt, kCleared, op);
    }
    // A copy without a footer has no checksum to compare: its stale twin must be one that nobody
    // compares it with, as old code leaves it (3.2).
    TRY(mark(to, kDcdSealAt, kSealedValid, op));
    return mark(from, kDcdSealAt,
                hasFooter(image.reveal()) ? ByteView(kSealedStale) : ByteView(kSealedStaleByOld),
                op);
}

Result<> ProbeDct::writeOther(int copy, const SecretBytes& image, const OpContext& outer)
{
    const OpContext op = outer.withSecrets(); // whatever is patched, the private key lies beside it
    const std::uint32_t at = m_layout.copies.at(static_cast<std::size_t>(copy));
    TRY(m_flash.erase(at, m_layout.sectorSize, op));
    MemoryBlock block{.address = at, .bytes = toBytes(image.reveal())};
    const auto written = m_flash.program(block, op);
    wipe(block.bytes);
    TRY(Result<>(written));
    Bytes found = TRY(m_flash.read(at, m_layout.sectorSize, op));
    const bool same = equalBytes(found, image.reveal());
    wipe(found);
    if (same)
        return {};
    return Unexpected(Error{.code = Errc::Mismatch,
                            .blame = Blame::Unit,
                            .message = concat("write DCT copy ", copy + 1,
                                              " by SWD: the unit reads back something else"),
                            .frames = {},
                            .native = {},
                            .cause = "F214"});
}

/// Clears bits only: no erase.
Result<> ProbeDct::mark(int copy, std::uint32_t at, ByteView bytes, const OpContext& op)
{
    const std::uint32_t address = m_layout.copies.at(static_cast<std::size_t>(copy)) + at;
    TRY(m_flash.program({.address = address, .bytes = toBytes(bytes)}, op));
    const Bytes found = TRY(m_flash.read(address, static_cast<std::uint32_t>(bytes.size()), op));
    if (equalBytes(found, bytes))
        return {};
    return Unexpected(
        Error{.code = Errc::Mismatch,
              .blame = Blame::Unit,
              .message = concat("mark DCT copy ", copy + 1, " at ", hex32(address), ": it holds ",
                                toHex(found), " instead of ", toHex(bytes)),
              .frames = {},
              .native = {},
              .cause = "F214"});
}

Result<> ProbeDct::restore(const SecretBytes& sectors, const OpContext& op)
{
    TRY(check(0, 0));
    const auto wanted = TRY(DctSnapshot::create(m_layout, SecretBytes(sectors.reveal())));
    if (!wanted.current())
        return fail(Errc::InvalidData, Blame::Operator,
                    "restore both DCT sectors: in the file none of them counts, or both; name a "
                    "backup of 32768 bytes from the first sector's address");
    const int target = *wanted.current();
    const int other = 1 - target;
    const auto now = TRY(snapshot(op));
    const bool otherCounts = now.current() ? *now.current() == other : now.isCurrent(other);
    bool otherMarked = now.isCurrent(other);
    if (!equalBytes(now.sector(target), wanted.sector(target)) || otherCounts) {
        if (!otherCounts && now.isCurrent(target)) {
            // The sector to be written is the one that counts: its successor lies beside it first.
            TRY(writeAndMark(other, wanted.sector(target), true, op.part(0, 3)));
            otherMarked = true;
        }
        if (now.isCurrent(target))
            TRY(discard(target, op));
        TRY(writeAndMark(target, wanted.sector(target), true, op.part(1, 3)));
    }
    if (otherMarked)
        TRY(discard(other, op));
    else if (equalBytes(now.sector(other), wanted.sector(other)))
        return {};
    return writeAndMark(other, wanted.sector(other), wanted.isCurrent(other), op.part(2, 3));
}

/// A copy that counts gets its mark when all the rest was read back.
Result<> ProbeDct::writeAndMark(int copy, ByteView sector, bool counts, const OpContext& op)
{
    SecretBytes image(sector);
    const bool sealed = m_layout.format == DctFormat::Dcd;
    const std::uint32_t at = sealed ? kDcdSealAt : kWicedIncompleteAt;
    const std::size_t size = sealed ? kSealedValid.size() : kCleared.size();
    if (counts)
        std::ranges::fill(image.writable().subspan(at, size), std::byte{0xFF});
    TRY(writeOther(copy, image, op));
    return counts ? mark(copy, at, sector.subspan(at, size), op) : Result<>{};
}

/// As old code does it, so that the other copy counts whatever its checksum says (3.2).
Result<> ProbeDct::discard(int copy, const OpContext& op)
{
    if (m_layout.format == DctFormat::Dcd)
        return mark(copy, kDcdSealAt, kSealedStaleByOld, op);
    return mark(copy, kWicedCurrentAt, kCleared, op);
}

} // namespace provost
