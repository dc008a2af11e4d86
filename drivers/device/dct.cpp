#include "device/dct.h"

#include "core/byte_io.h"
#include "core/crc.h"
#include "core/text.h"

#include <algorithm>
#include <charconv>

namespace provost {

namespace {

constexpr std::size_t kPortOffset = 66;  // particle-devices 4.3
constexpr std::size_t kLongestHost = 64; // a longer one would collide with the port
constexpr std::byte kFf{0xFF};
constexpr std::size_t kWriteIncomplete = 8; // particle-devices 3.1
constexpr std::size_t kIsCurrent = 9;
constexpr std::size_t kTrailerAt = 0x3E68;
constexpr std::uint32_t kTrailerMagic = 0xDC0200CD;
// particle-devices 3.2
constexpr std::size_t kSealAt = 4;
constexpr std::uint32_t kSealValid = 0xEDA15E00;
constexpr std::uint32_t kSealDiscarded = 0x69A00C00; // by 0.7.0 and later
constexpr std::size_t kCrcSize = 4;
constexpr std::size_t kFooterFlagsFromEnd = 16;
constexpr std::byte kIpType{0};
constexpr std::byte kDomainType{1};

std::optional<std::array<std::byte, 4>> parseIpv4(std::string_view host)
{
    std::array<std::byte, 4> octets{};
    const char* at = host.data();
    const char* const end = at + host.size();
    for (std::size_t i = 0; i < octets.size(); ++i) {
        unsigned value = 0;
        const auto [next, error] = std::from_chars(at, end, value);
        if (error != std::errc{} || value > 255 || next == at)
            return std::nullopt;
        octets.at(i) = static_cast<std::byte>(value);
        at = next;
        if (i < 3 && (at == end || *at++ != '.'))
            return std::nullopt;
    }
    return at == end ? std::optional(octets) : std::nullopt;
}

} // namespace

std::string toText(const ServerAddress& address)
{
    return address.port == 0 ? address.host : concat(address.host, ":", address.port);
}

Result<Bytes> encodeAddress(const ServerAddress& address, std::size_t size)
{
    if (address.host.empty() || address.host.size() > kLongestHost || size < kPortOffset + 2)
        return fail(Errc::InvalidArgument, Blame::Operator,
                    concat("encode server address \"", address.host,
                           "\": the host must have 1 to 64 characters"));
    Bytes record(size, kFf);
    if (const auto octets = parseIpv4(address.host)) {
        record[0] = kIpType;
        record[1] = std::byte{4};
        std::ranges::copy(*octets, record.begin() + 2);
    } else {
        record[0] = kDomainType;
        record[1] = static_cast<std::byte>(address.host.size());
        std::ranges::copy(viewOf(address.host), record.begin() + 2);
        record[2 + address.host.size()] = std::byte{0};
    }
    if (address.port != 0)
        writeBe16(record, kPortOffset, address.port);
    return record;
}

std::optional<ServerAddress> decodeAddress(ByteView record)
{
    if (record.size() < kPortOffset + 2)
        return std::nullopt;
    ServerAddress address;
    const std::size_t length = u8(record[1]);
    if (record[0] == kIpType && length == 4) {
        for (std::size_t i = 0; i < 4; ++i)
            address.host += concat(i == 0 ? "" : ".", static_cast<unsigned>(u8(record[2 + i])));
    } else if (record[0] == kDomainType && length <= kLongestHost) {
        address.host = toText(record.subspan(2, length));
    } else {
        return std::nullopt;
    }
    const std::uint16_t port = readBe16(record, kPortOffset);
    address.port = port == 0xFFFF ? std::uint16_t{0} : port;
    return address;
}

Result<Bytes> buildServerSlot(const DctLayout& layout, ByteView serverKeyDer,
                              const ServerAddress& address)
{
    if (serverKeyDer.size() > layout.addressRecord)
        return fail(Errc::InvalidArgument, Blame::Operator,
                    concat("build the server key slot: the key has ", serverKeyDer.size(),
                           " bytes, its place ", layout.addressRecord));
    const Bytes record = TRY(encodeAddress(address, layout.serverKey.size - layout.addressRecord));
    Bytes slot(layout.serverKey.size, kFf);
    std::ranges::copy(serverKeyDer, slot.begin());
    std::ranges::copy(record, slot.begin() + layout.addressRecord);
    return slot;
}

Result<SecretBytes> buildKeySlots(const DctLayout& layout, const SecretBytes& privateDer,
                                  ByteView publicDer)
{
    const bool noPublicSlot = layout.publicKey.size == 0;
    const bool adjoin = noPublicSlot || layout.privateKey.offset + layout.privateKey.size ==
                                            layout.publicKey.offset;
    if (!adjoin || privateDer.size() > layout.privateKey.size ||
        (!noPublicSlot && publicDer.size() > layout.publicKey.size))
        return fail(Errc::InvalidArgument, Blame::Software,
                    concat("build the key slots: keys of ", privateDer.size(), " and ",
                           publicDer.size(), " bytes do not fit slots of ", layout.privateKey.size,
                           " and ", layout.publicKey.size));
    SecretBytes slots(layout.privateKey.size + layout.publicKey.size);
    const ByteSpan to = slots.writable();
    std::ranges::fill(to, kFf);
    std::ranges::copy(privateDer.reveal(), to.begin());
    if (!noPublicSlot)
        std::ranges::copy(publicDer, to.begin() + layout.privateKey.size);
    return slots;
}

DctSnapshot::DctSnapshot(const DctLayout& layout, SecretBytes sectors)
    : m_layout(layout), m_sectors(std::move(sectors))
{
}

Result<DctSnapshot> DctSnapshot::create(const DctLayout& layout, SecretBytes sectors)
{
    const std::size_t wanted = static_cast<std::size_t>(layout.copyCount()) * layout.sectorSize;
    if (sectors.size() != wanted)
        return fail(
            Errc::InvalidData, Blame::Unit,
            concat("read the DCT sectors: got ", sectors.size(), " bytes, wanted ", wanted));
    return DctSnapshot(layout, std::move(sectors));
}

bool DctSnapshot::isCurrent(int copy) const
{
    if (m_layout.format == DctFormat::Plain)
        return true;
    if (m_layout.format == DctFormat::Dcd)
        return readLe32(sector(copy), kSealAt) == kSealValid;
    return !isHalfWritten(copy) && sector(copy)[kIsCurrent] == std::byte{1};
}

bool DctSnapshot::isHalfWritten(int copy) const
{
    if (m_layout.format == DctFormat::Plain)
        return false;
    if (m_layout.format == DctFormat::Dcd) {
        const std::uint32_t seal = readLe32(sector(copy), kSealAt);
        return seal != kSealValid && seal != kSealDiscarded;
    }
    return sector(copy)[kWriteIncomplete] != std::byte{0};
}

bool DctSnapshot::hasTrailer(int copy) const
{
    return m_layout.format == DctFormat::Wiced &&
           readLe32(sector(copy), kTrailerAt) == kTrailerMagic;
}

/// 3.2, the rules of 0.7.0 and later.
std::optional<int> DctSnapshot::currentBySeals() const
{
    const auto sealed = [this](int copy, std::uint32_t seal) {
        return readLe32(sector(copy), kSealAt) == seal;
    };
    const auto intact = [this](int copy) {
        const ByteView covered = sector(copy).first(m_layout.sectorSize - kCrcSize);
        return crc32(covered.subspan(m_layout.applicationOffset)) ==
               readLe32(sector(copy), covered.size());
    };
    const auto generation = [this](int copy) {
        return readLe32(sector(copy), m_layout.sectorSize - kFooterFlagsFromEnd) & 3U;
    };
    if (!sealed(0, kSealValid) && !sealed(1, kSealValid))
        return std::nullopt;
    const int primary = sealed(0, kSealValid) ? 0 : 1;
    const int secondary = 1 - primary;
    if (sealed(secondary, kSealDiscarded))
        return intact(primary) ? primary : secondary;
    if (!sealed(secondary, kSealValid))
        return primary;
    if (intact(0) != intact(1))
        return intact(0) ? 0 : 1;
    if (!intact(0))
        return 1;
    return generation(1) == ((generation(0) + 1) & 3U) ? 1 : 0;
}

std::optional<int> DctSnapshot::current() const
{
    if (m_layout.format == DctFormat::Plain)
        return 0;
    if (m_layout.format == DctFormat::Dcd)
        return currentBySeals();
    if (isCurrent(0) == isCurrent(1))
        return std::nullopt;
    return isCurrent(0) ? 0 : 1;
}

ByteView DctSnapshot::sector(int copy) const
{
    return m_sectors.reveal().subspan(static_cast<std::size_t>(copy) * m_layout.sectorSize,
                                      m_layout.sectorSize);
}

ByteView DctSnapshot::application(int copy) const
{
    return sector(copy).subspan(m_layout.applicationOffset);
}

ByteView DctSnapshot::field(int copy, DctField field) const
{
    return application(copy).subspan(field.offset, field.size);
}

ByteView DctSnapshot::wifi(int copy) const
{
    return sector(copy).subspan(m_layout.wifi.offset, m_layout.wifi.size);
}

bool allFf(ByteView bytes)
{
    return std::ranges::all_of(bytes, [](std::byte b) { return b == kFf; });
}

bool blank(ByteView bytes)
{
    return allFf(bytes) ||
           std::ranges::all_of(bytes, [](std::byte b) { return b == std::byte{0}; });
}

bool contains(ByteView bytes, ByteView needle)
{
    return !needle.empty() &&
           std::search(bytes.begin(), bytes.end(), needle.begin(), needle.end()) != bytes.end();
}

} // namespace provost
