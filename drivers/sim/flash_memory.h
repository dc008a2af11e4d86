// Flash as its controller has it (particle-devices 2.1, protocol sheet 3.3 to 3.5): bits go to 0
// one by one and back to 1 only a sector at a time.
#pragma once

#include "core/bytes.h"
#include "core/result.h"
#include "sim/page_memory.h"

#include <array>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <optional>

namespace provost::sim {

/// One kind of flash. Groups of equal sectors follow each other from `base` on.
struct FlashGeometry {
    struct Group {
        std::uint32_t count = 0;
        std::uint32_t sectorSize = 0;
        std::chrono::milliseconds eraseTime{}; ///< of one sector
    };
    std::uint32_t base = 0;
    std::array<Group, 3> groups{};
    std::uint32_t programUnit = 1; ///< bytes programmed at once
    std::chrono::nanoseconds programTime{};
    std::uint32_t protectable = 0; ///< bytes at the start that option bytes protect
    bool needsErasedUnit = false;  ///< F103: a half-word that is not FFFF takes 0000 only (PGERR)

    constexpr std::uint32_t size() const
    {
        std::uint32_t all = 0;
        for (const Group& group : groups)
            all += group.count * group.sectorSize;
        return all;
    }
};

/// Not thread-safe. A copy of one that is kept in a file writes to the same file.
class FlashMemory {
public:
    struct Sector {
        std::uint32_t address = 0;
        std::uint32_t size = 0;
        std::chrono::milliseconds eraseTime{}; ///< typical
        unsigned number = 0;                   ///< from 0 on
    };

    /// `geometry` must outlive it. Erased; protected where that is possible.
    explicit FlashMemory(const FlashGeometry& geometry)
        : m_geometry(&geometry), m_bytes(geometry.size(), std::byte{0xFF})
    {
    }
    const FlashGeometry& geometry() const { return *m_geometry; }
    bool contains(std::uint32_t address, std::size_t size) const;
    std::optional<Sector> sectorAt(std::uint32_t address) const;
    /// What programming `size` bytes takes.
    std::chrono::microseconds programTime(std::size_t size) const;

    /// Precondition: contains(address, size).
    ByteView view(std::uint32_t address, std::size_t size) const;
    /// False: outside, or the sector is write protected.
    bool erase(std::uint32_t address);
    /// Supply lost half-way: the first half is FF, of the rest some bits have come up.
    bool eraseHalf(std::uint32_t address);
    bool eraseRange(std::uint32_t address, std::size_t size);
    /// Clears bits. False: outside, protected, or refused by the controller. The caller looks
    /// whether the bytes came out right.
    bool program(std::uint32_t address, ByteView bytes);
    /// What no unit can do: sets bytes as they are to be, as a debug probe with patience would.
    void poke(std::uint32_t address, ByteView bytes);
    /// What the chip's controller did by its own rules; kept and watched as one change.
    void store(std::uint32_t address, ByteView bytes);
    /// For a core that executes from it: whole aligned pages, changed by the functions above only.
    ByteSpan cells() { return m_bytes; }
    ByteView cells() const { return m_bytes; }
    /// From now on every change is in the file before it counts, so that the flash outlives the
    /// program, however that ends. A file that is there already becomes the content.
    /// @returns InvalidData  of another size; Io
    Result<> keepIn(const std::filesystem::path& file);
    /// Called behind each half of an erase and of a program (one byte has no halves): power may
    /// fail between any two of them.
    using Watch = std::function<void(std::uint32_t address, std::size_t size)>;
    void onChange(Watch watch) { m_watch = std::move(watch); }
    /// From here on nothing can be erased or programmed, until the supply is back.
    void loseSupply() { m_supplied = false; }
    void regainSupply() { m_supplied = true; }
    bool supplied() const { return m_supplied; }
    /// Option bytes: the sectors of the bootloader.
    void protectBootloader(bool on) { m_protected = on; }
    bool bootloaderProtected() const { return m_protected; }

private:
    bool writable(std::uint32_t address, std::size_t size) const;
    bool programErased(std::size_t at, ByteView bytes);
    void change(std::uint32_t address, ByteView bytes);

    const FlashGeometry* m_geometry;
    PageBytes m_bytes;
    std::shared_ptr<std::fstream> m_file{};
    Watch m_watch{};
    bool m_protected = true;
    bool m_supplied = true;
};

} // namespace provost::sim
