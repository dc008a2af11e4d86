#include "sim/flash_memory.h"

#include "core/text.h"

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
    change(sector->address, Bytes(sector->size, std::byte{0xFF}));
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
    Bytes next = toBytes(view(address, bytes.size()));
    std::ranges::transform(bytes, next, next.begin(),
                           [](std::byte wanted, std::byte now) { return wanted & now; });
    change(address, next);
    return true;
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
    if (there && size != kSize)
        return fail(Errc::InvalidData, Blame::Operator,
                    concat("keep a unit's flash in ", file.string(), ": it has ", size,
                           " bytes, wanted are ", kSize));
    const auto mode = std::ios::binary | std::ios::in | std::ios::out;
    auto kept = std::make_shared<std::fstream>(file, there ? mode : mode | std::ios::trunc);
    char* const bytes = reinterpret_cast<char*>(m_bytes.data());
    const bool good = there ? !!kept->read(bytes, kSize) : !!kept->write(bytes, kSize).flush();
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
    for (const auto part : {bytes.first(half), bytes.subspan(half)}) {
        if (part.empty())
            continue;
        const auto at = address - kBase;
        std::ranges::copy(part, m_bytes.begin() + at);
        if (m_file) {
            m_file->seekp(at);
            m_file->write(reinterpret_cast<const char*>(part.data()),
                          static_cast<std::streamsize>(part.size()));
            m_file->flush(); // from here on it outlives the process
        }
        if (m_watch)
            m_watch(address, part.size());
        address += static_cast<std::uint32_t>(part.size());
    }
}

} // namespace provost::sim
