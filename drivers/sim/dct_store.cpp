#include "sim/dct_store.h"

#include "core/byte_io.h"

#include <algorithm>

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

std::uint32_t addressOf(int copy)
{
    return kFirstSector + static_cast<std::uint32_t>(copy) * kSectorSize;
}

} // namespace

void DctStore::format(bool withVersionTrailer)
{
    Bytes sector(kSectorSize, std::byte{0xFF});
    writeLe32(sector, 0, 0x4000);
    writeLe32(sector, 4, kApplication + dct::kUsableOld);
    sector[kIncomplete] = std::byte{0};
    sector[kCurrent] = std::byte{1};
    sector[10] = std::byte{1};
    sector[11] = std::byte{1};
    const Bytes magic = toBytes("BRCM");
    std::copy(magic.begin(), magic.end(), sector.begin() + 12);
    std::fill(sector.begin() + 16, sector.begin() + 388, std::byte{0});
    std::fill_n(sector.begin() + kWifi, kWifiSize, std::byte{0});
    sector[kApplication] = std::byte{0xC0};
    if (withVersionTrailer) {
        writeLe32(sector, kTrailer, kTrailerMagic);
        writeLe16(sector, kTrailer + 4, 0);
        writeLe16(sector, kTrailer + 6, 0x0370);
        sector[kTrailer + 13] = std::byte{0};
    }
    m_flash.erase(addressOf(0));
    m_flash.erase(addressOf(1));
    m_flash.program(addressOf(0), sector);
}

int DctStore::currentCopy() const
{
    for (const int copy : {0, 1}) {
        const ByteView bytes = sector(copy);
        if (u8(bytes[kIncomplete]) == 0 && u8(bytes[kCurrent]) == 1)
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
    return m_flash.view(addressOf(currentCopy()) + kApplication + applicationOffset, size);
}

bool DctStore::write(std::uint32_t applicationOffset, ByteView bytes, std::uint32_t limit)
{
    if (applicationOffset > limit || bytes.size() > limit - applicationOffset)
        return false;
    rewrite(kApplication + applicationOffset, bytes);
    return true;
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
    m_flash.poke(addressOf(currentCopy()) + kApplication + applicationOffset, bytes);
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
    const int to = 1 - from;
    Bytes image = toBytes(sector(from));
    std::copy(bytes.begin(), bytes.end(), image.begin() + sectorOffset);
    if (readLe32(image, kTrailer) == kTrailerMagic) // the CRC's range is not published: left alone
        image[kTrailer + 13] = static_cast<std::byte>(u8(image[kTrailer + 13]) + 1);
    image[kIncomplete] = std::byte{0xFF};
    image[kCurrent] = std::byte{1};
    m_flash.erase(addressOf(to));
    m_flash.program(addressOf(to), image);
    const Bytes zero(1);
    m_flash.program(addressOf(to) + kIncomplete, zero);
    m_flash.program(addressOf(from) + kCurrent, zero);
}

} // namespace provost::sim
