#include "sim/flash_memory.h"

#include <algorithm>

namespace provost::sim {

bool FlashMemory::contains(std::uint32_t address, std::size_t size) const
{
    return address >= m_geometry->base && size <= m_bytes.size() &&
           address - m_geometry->base <= m_bytes.size() - size;
}

std::optional<FlashMemory::Sector> FlashMemory::sectorAt(std::uint32_t address) const
{
    if (!contains(address, 1))
        return std::nullopt;
    std::uint32_t start = m_geometry->base;
    for (const FlashGeometry::Group& group : m_geometry->groups) {
        const std::uint32_t end = start + group.count * group.sectorSize;
        if (address < end)
            return Sector{.address = address - (address - start) % group.sectorSize,
                          .size = group.sectorSize,
                          .eraseTime = group.eraseTime};
        start = end;
    }
    return std::nullopt;
}

std::chrono::microseconds FlashMemory::programTime(std::size_t size) const
{
    const auto units = (size + m_geometry->programUnit - 1) / m_geometry->programUnit;
    return std::chrono::duration_cast<std::chrono::microseconds>(m_geometry->programTime *
                                                                 static_cast<std::int64_t>(units));
}

ByteView FlashMemory::view(std::uint32_t address, std::size_t size) const
{
    return ByteView(m_bytes).subspan(address - m_geometry->base, size);
}

bool FlashMemory::writable(std::uint32_t address, std::size_t size) const
{
    return contains(address, size) &&
           (!m_protected || address - m_geometry->base >= m_geometry->protectable);
}

bool FlashMemory::erase(std::uint32_t address)
{
    const auto sector = sectorAt(address);
    if (!sector || !writable(sector->address, sector->size))
        return false;
    std::fill_n(m_bytes.begin() + (sector->address - m_geometry->base), sector->size,
                std::byte{0xFF});
    return true;
}

bool FlashMemory::eraseHalf(std::uint32_t address)
{
    const auto sector = sectorAt(address);
    if (!sector || !writable(sector->address, sector->size))
        return false;
    const auto first = m_bytes.begin() + (sector->address - m_geometry->base);
    const auto middle = first + sector->size / 2;
    std::fill(first, middle, std::byte{0xFF});
    std::transform(middle, first + sector->size, middle,
                   [](std::byte now) { return now | std::byte{0xA5}; });
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
    const std::size_t first = address - m_geometry->base;
    if (m_geometry->needsErasedUnit)
        return programErased(first, bytes);
    const auto at = m_bytes.begin() + static_cast<std::ptrdiff_t>(first);
    std::transform(bytes.begin(), bytes.end(), at, at,
                   [](std::byte wanted, std::byte now) { return wanted & now; });
    return true;
}

bool FlashMemory::programErased(std::size_t at, ByteView bytes)
{
    bool taken = true;
    for (std::size_t i = 0; i < bytes.size(); i += m_geometry->programUnit) {
        const std::size_t unit = std::min<std::size_t>(m_geometry->programUnit, bytes.size() - i);
        const ByteView wanted = bytes.subspan(i, unit);
        const ByteSpan now = ByteSpan(m_bytes).subspan(at + i, unit);
        const auto all = [](ByteView each, std::byte value) {
            return std::all_of(each.begin(), each.end(),
                               [value](std::byte byte) { return byte == value; });
        };
        if (all(now, std::byte{0xFF}) || all(wanted, std::byte{0}))
            std::copy(wanted.begin(), wanted.end(), now.begin());
        else
            taken = false;
    }
    return taken;
}

void FlashMemory::poke(std::uint32_t address, ByteView bytes)
{
    if (contains(address, bytes.size()))
        std::copy(bytes.begin(), bytes.end(), m_bytes.begin() + (address - m_geometry->base));
}

} // namespace provost::sim
