#include "sim/flash_memory.h"

#include <algorithm>

namespace provost::sim {

namespace {

constexpr std::uint32_t kBootloaderEnd = FlashMemory::kBase + 0x4000;

} // namespace

bool FlashMemory::contains(std::uint32_t address, std::size_t size)
{
    return address >= kBase && size <= kSize && address - kBase <= kSize - size;
}

std::optional<FlashMemory::Sector> FlashMemory::sectorAt(std::uint32_t address)
{
    using std::chrono::milliseconds;
    if (!contains(address, 1))
        return std::nullopt;
    const std::uint32_t offset = address - kBase;
    if (offset < 0x10000)
        return Sector{kBase + (offset & ~0x3FFFU), 0x4000, milliseconds(250)};
    if (offset < 0x20000)
        return Sector{kBase + 0x10000, 0x10000, milliseconds(550)};
    return Sector{kBase + (offset & ~0x1FFFFU), 0x20000, milliseconds(1000)};
}

std::chrono::microseconds FlashMemory::programTime(std::size_t size)
{
    return std::chrono::microseconds(16 * ((size + 3) / 4));
}

ByteView FlashMemory::view(std::uint32_t address, std::size_t size) const
{
    return ByteView(m_bytes).subspan(address - kBase, size);
}

bool FlashMemory::writable(std::uint32_t address, std::size_t size) const
{
    return contains(address, size) && (!m_bootloaderProtected || address >= kBootloaderEnd);
}

bool FlashMemory::erase(std::uint32_t address)
{
    const auto sector = sectorAt(address);
    if (!sector || !writable(sector->address, sector->size))
        return false;
    std::fill_n(m_bytes.begin() + (sector->address - kBase), sector->size, std::byte{0xFF});
    return true;
}

bool FlashMemory::eraseRange(std::uint32_t address, std::size_t size)
{
    const auto end = static_cast<std::uint32_t>(address + size);
    while (address < end) {
        const auto sector = sectorAt(address);
        if (!sector || !erase(address))
            return false;
        address = sector->address + sector->size;
    }
    return true;
}

bool FlashMemory::program(std::uint32_t address, ByteView bytes)
{
    if (!writable(address, bytes.size()))
        return false;
    const auto at = m_bytes.begin() + (address - kBase);
    std::transform(bytes.begin(), bytes.end(), at, at,
                   [](std::byte wanted, std::byte now) { return wanted & now; });
    return true;
}

void FlashMemory::poke(std::uint32_t address, ByteView bytes)
{
    if (contains(address, bytes.size()))
        std::copy(bytes.begin(), bytes.end(), m_bytes.begin() + (address - kBase));
}

} // namespace provost::sim
