#include "sim/dct_store.h"

#include "sim/checksums.h"
#include "sim/octets.h"

#include <algorithm>
#include <array>

namespace provost::sim {

namespace {

constexpr std::uint32_t kFirstSector = 0x08004000;
constexpr std::uint32_t kSectorSize = 0x4000;
constexpr std::uint32_t kApplication = 0x1D7C;
constexpr std::uint32_t kWifi = 0x1A30;
constexpr std::uint32_t kWifiSize = 0x34C;
constexpr std::uint32_t kTrailer = 0x3E68;
constexpr std::uint32_t kTrailerMagic = 0xDC0200CD;
constexpr std::size_t kIncomplete = 8;
constexpr std::size_t kCurrent = 9;

// 3.2
constexpr std::uint32_t kDcdApplication = 8;
constexpr std::uint32_t kDcdFooter = 0x3FE0;
constexpr std::uint32_t kDcdCrc = 0x3FFC;
constexpr std::uint32_t kDcdSeal = 4;
constexpr std::array kWatermark{std::byte{0x9A}, std::byte{0x27}, std::byte{0x1C}, std::byte{0x1E}};
constexpr std::array kValid{std::byte{0x00}, std::byte{0x5E}, std::byte{0xA1}, std::byte{0xED}};
constexpr std::array kDiscardedByOld{std::byte{0}, std::byte{0}, std::byte{0}, std::byte{0}};
constexpr std::array kDiscardedByNew{std::byte{0x00}, std::byte{0x0C}, std::byte{0xA0},
                                     std::byte{0x69}};

bool sealedAs(ByteView sector, ByteView seal)
{
    return sameOctets(sector.subspan(kDcdSeal, 4), seal);
}

unsigned generation(ByteView sector)
{
    return le32At(sector, kDcdFooter + 16) & 3;
}

std::uint32_t addressOf(int copy)
{
    return kFirstSector + static_cast<std::uint32_t>(copy) * kSectorSize;
}

} // namespace

void DctStore::format(bool withVersionTrailer)
{
    m_flash.erase(addressOf(0));
    m_flash.erase(addressOf(1));
    if (m_format == DctFormat::Dcd)
        formatDcd();
    else
        formatWiced(withVersionTrailer);
}

/// The factory image: sector 1 is marked so that the footer of sector 0 is never looked at (3.2).
void DctStore::formatDcd()
{
    Bytes sector(kSectorSize, std::byte{0xFF});
    std::copy(kWatermark.begin(), kWatermark.end(), sector.begin());
    std::copy(kValid.begin(), kValid.end(), sector.begin() + kDcdSeal);
    m_flash.program(addressOf(0), sector);
    Bytes head = copyOf(kWatermark);
    head.insert(head.end(), kDiscardedByOld.begin(), kDiscardedByOld.end());
    m_flash.program(addressOf(1), head);
}

void DctStore::formatWiced(bool withVersionTrailer)
{
    Bytes sector(kSectorSize, std::byte{0xFF});
    putLe32(sector, 0, 0x4000);
    putLe32(sector, 4, kApplication + dct::kUsableOld);
    sector[kIncomplete] = std::byte{0};
    sector[kCurrent] = std::byte{1};
    sector[10] = std::byte{1};
    sector[11] = std::byte{1};
    const Bytes magic = copyOf("BRCM");
    std::copy(magic.begin(), magic.end(), sector.begin() + 12);
    std::fill(sector.begin() + 16, sector.begin() + 388, std::byte{0});
    std::fill_n(sector.begin() + kWifi, kWifiSize, std::byte{0});
    sector[kApplication] = std::byte{0xC0};
    if (withVersionTrailer) {
        putLe32(sector, kTrailer, kTrailerMagic);
        putLe16(sector, kTrailer + 4, 0);
        putLe16(sector, kTrailer + 6, 0x0370);
        sector[kTrailer + 13] = std::byte{0};
    }
    m_flash.program(addressOf(0), sector);
}

std::uint32_t DctStore::application() const
{
    return m_format == DctFormat::Dcd ? kDcdApplication : kApplication;
}

bool DctStore::crcGood(int copy) const
{
    const ByteView bytes = sector(copy);
    return unitCrc32(bytes.first(kDcdCrc).subspan(kDcdApplication)) == le32At(bytes, kDcdCrc);
}

/// 3.2, new code.
int DctStore::currentDcd() const
{
    const int primary = sealedAs(sector(0), kValid) ? 0 : 1;
    const int other = 1 - primary;
    if (sealedAs(sector(other), kValid)) { // both
        if (crcGood(0) != crcGood(1))
            return crcGood(0) ? 0 : 1;
        if (!crcGood(0))
            return 1;
        return generation(sector(1)) == ((generation(sector(0)) + 1) & 3) ? 1 : 0;
    }
    if (sealedAs(sector(other), kDiscardedByNew))
        return crcGood(primary) ? primary : other;
    return primary;
}

int DctStore::currentCopy() const
{
    if (m_format == DctFormat::Dcd)
        return currentDcd();
    for (const int copy : {0, 1}) {
        const ByteView bytes = sector(copy);
        if (octet(bytes[kIncomplete]) == 0 && octet(bytes[kCurrent]) == 1)
            return copy;
    }
    return 0;
}

ByteView DctStore::sector(int copy) const
{
    return m_flash.view(addressOf(copy), kSectorSize);
}

ByteView DctStore::read(std::uint32_t applicationOffset, std::size_t size) const
{
    return m_flash.view(addressOf(currentCopy()) + application() + applicationOffset, size);
}

bool DctStore::write(std::uint32_t applicationOffset, ByteView bytes, std::uint32_t limit)
{
    if (applicationOffset > limit || bytes.size() > limit - applicationOffset)
        return false;
    rewrite(application() + applicationOffset, bytes);
    return m_flash.supplied();
}

bool DctStore::writeSlot(std::uint32_t applicationOffset, std::uint32_t slotSize, ByteView bytes)
{
    if (bytes.size() > slotSize)
        return false;
    Bytes slot(slotSize, std::byte{0xFF});
    std::copy(bytes.begin(), bytes.end(), slot.begin());
    return write(applicationOffset, slot, dct::kUsableOld);
}

void DctStore::poke(std::uint32_t applicationOffset, ByteView bytes)
{
    const int copy = currentCopy();
    const bool mend = m_format == DctFormat::Dcd && crcGood(copy);
    m_flash.poke(addressOf(copy) + application() + applicationOffset, bytes);
    if (!mend)
        return;
    Bytes crc(4);
    putLe32(crc, 0, unitCrc32(sector(copy).first(kDcdCrc).subspan(kDcdApplication)));
    m_flash.poke(addressOf(copy) + kDcdCrc, crc);
}

ByteView DctStore::wifi() const
{
    return m_flash.view(addressOf(currentCopy()) + kWifi, kWifiSize);
}

void DctStore::writeWifi(ByteView bytes)
{
    Bytes part(kWifiSize, std::byte{0});
    std::copy_n(bytes.begin(), std::min<std::size_t>(bytes.size(), kWifiSize), part.begin());
    rewrite(kWifi, part);
}

void DctStore::rewrite(std::uint32_t sectorOffset, ByteView bytes)
{
    const int from = currentCopy();
    Bytes image = copyOf(sector(from));
    std::copy(bytes.begin(), bytes.end(), image.begin() + sectorOffset);
    if (m_beforeErase)
        m_beforeErase(addressOf(1 - from));
    m_flash.erase(addressOf(1 - from));
    if (m_format == DctFormat::Dcd)
        rewriteDcd(1 - from, std::move(image));
    else
        rewriteWiced(1 - from, std::move(image));
}

void DctStore::rewriteWiced(int to, Bytes image)
{
    if (le32At(image, kTrailer) == kTrailerMagic) // the CRC's range is not published: left alone
        image[kTrailer + 13] = static_cast<std::byte>(octet(image[kTrailer + 13]) + 1);
    image[kIncomplete] = std::byte{0xFF};
    image[kCurrent] = std::byte{1};
    m_flash.program(addressOf(to), image);
    const Bytes zero(1);
    m_flash.program(addressOf(to) + kIncomplete, zero);
    m_flash.program(addressOf(1 - to) + kCurrent, zero);
}

void DctStore::rewriteDcd(int to, Bytes image)
{
    const unsigned next = (generation(image) + 1) & 3;
    std::fill(image.begin() + kDcdFooter, image.end(), std::byte{0xFF});
    putLe32(image, kDcdFooter + 16, 0xFFFFFFFC | next);
    image[kDcdFooter + 20] = std::byte{0};
    image[kDcdFooter + 21] = std::byte{1};
    putLe16(image, kDcdFooter + 22, 32);
    std::copy(kWatermark.begin(), kWatermark.end(), image.begin() + kDcdFooter + 24);
    putLe32(image, kDcdCrc, unitCrc32(ByteView(image).first(kDcdCrc).subspan(kDcdApplication)));
    std::copy(kWatermark.begin(), kWatermark.end(), image.begin());
    std::fill_n(image.begin() + kDcdSeal, 4, std::byte{0xFF}); // being written
    m_flash.program(addressOf(to), image);
    m_flash.program(addressOf(to) + kDcdSeal, kValid);
    m_flash.program(addressOf(1 - to) + kDcdSeal, kDiscardedByNew);
}

} // namespace provost::sim
