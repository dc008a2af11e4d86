#include "sim/flash_memory.h"

#include "core/text.h"
#include "sim/octets.h"

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
    unsigned number = 0;
    for (const FlashGeometry::Group& group : m_geometry->groups) {
        const std::uint32_t end = start + group.count * group.sectorSize;
        if (address < end) {
            const std::uint32_t within = (address - start) / group.sectorSize;
            return Sector{.address = start + within * group.sectorSize,
                          .size = group.sectorSize,
                          .eraseTime = group.eraseTime,
                          .number = number + within};
        }
        start = end;
        number += group.count;
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
    return m_supplied && contains(address, size) &&
           (!m_protected || address - m_geometry->base >= m_geometry->protectable);
}

bool FlashMemory::erase(std::uint32_t address)
{
    const auto sector = sectorAt(address);
    if (!sector || !writable(sector->address, sector->size))
        return false;
    change(sector->address, Bytes(sector->size, std::byte{0xFF}));
    return true;
}

bool FlashMemory::eraseHalf(std::uint32_t address)
{
    const auto sector = sectorAt(address);
    if (!sector || !writable(sector->address, sector->size))
        return false;
    const std::uint32_t half = sector->size / 2;
    Bytes next(sector->size, std::byte{0xFF});
    const ByteView rest = view(sector->address + half, sector->size - half);
    std::ranges::transform(rest, next.begin() + half,
                           [](std::byte now) { return now | std::byte{0xA5}; });
    change(sector->address, next);
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
    Bytes next = copyOf(view(address, bytes.size()));
    std::ranges::transform(bytes, next, next.begin(),
                           [](std::byte wanted, std::byte now) { return wanted & now; });
    change(address, next);
    return true;
}

bool FlashMemory::programErased(std::size_t at, ByteView bytes)
{
    bool taken = true;
    Bytes next = copyOf(ByteView(m_bytes).subspan(at, bytes.size()));
    for (std::size_t i = 0; i < bytes.size(); i += m_geometry->programUnit) {
        const std::size_t unit = std::min<std::size_t>(m_geometry->programUnit, bytes.size() - i);
        const ByteView wanted = bytes.subspan(i, unit);
        const ByteSpan now = ByteSpan(next).subspan(i, unit);
        const auto all = [](ByteView each, std::byte value) {
            return std::all_of(each.begin(), each.end(),
                               [value](std::byte byte) { return byte == value; });
        };
        if (all(now, std::byte{0xFF}) || all(wanted, std::byte{0}))
            std::copy(wanted.begin(), wanted.end(), now.begin());
        else
            taken = false;
    }
    change(m_geometry->base + static_cast<std::uint32_t>(at), next);
    return taken;
}

void FlashMemory::poke(std::uint32_t address, ByteView bytes)
{
    if (contains(address, bytes.size()))
        change(address, bytes);
}

Result<> FlashMemory::keepIn(const std::filesystem::path& file)
{
    std::error_code none;
    const auto size = std::filesystem::file_size(file, none);
    const bool there = !none;
    if (there && size != m_bytes.size())
        return fail(Errc::InvalidData, Blame::Operator,
                    concat("keep a unit's flash in ", file.string(), ": it has ", size,
                           " bytes, wanted are ", m_bytes.size()));
    const auto mode = std::ios::binary | std::ios::in | std::ios::out;
    auto kept = std::make_shared<std::fstream>(file, there ? mode : mode | std::ios::trunc);
    char* const bytes = reinterpret_cast<char*>(m_bytes.data());
    const auto wanted = static_cast<std::streamsize>(m_bytes.size());
    const bool good = there ? !!kept->read(bytes, wanted) : !!kept->write(bytes, wanted).flush();
    if (!good)
        return fail(Errc::Io, Blame::Station,
                    concat("keep a unit's flash in ", file.string(),
                           ": it cannot be read or written; check folder and space"));
    m_file = std::move(kept);
    return {};
}

void FlashMemory::change(std::uint32_t address, ByteView bytes)
{
    const std::size_t half = bytes.size() / 2;
    if (half > 0)
        store(address, bytes.first(half));
    store(address + static_cast<std::uint32_t>(half), bytes.subspan(half));
}

void FlashMemory::store(std::uint32_t address, ByteView bytes)
{
    if (bytes.empty())
        return;
    const auto at = address - m_geometry->base;
    std::ranges::copy(bytes, m_bytes.begin() + at);
    if (m_file) {
        m_file->seekp(at);
        m_file->write(reinterpret_cast<const char*>(bytes.data()),
                      static_cast<std::streamsize>(bytes.size()));
        m_file->flush(); // from here on it outlives the process
    }
    if (m_watch)
        m_watch(address, bytes.size());
}

} // namespace provost::sim
