// The STM32F2's internal flash (particle-devices 2.1): bits go to 0 one by one and back to 1 only
// a sector at a time.
#pragma once

#include "core/result.h"

#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <optional>

namespace provost::sim {

/// Not thread-safe. A copy of one that is kept in a file writes to the same file.
class FlashMemory {
public:
    static constexpr std::uint32_t kBase = 0x08000000;
    static constexpr std::uint32_t kSize = 0x100000;

    struct Sector {
        std::uint32_t address = 0;
        std::uint32_t size = 0;
        std::chrono::milliseconds eraseTime{}; ///< typical at x32 (protocol sheet 3.5)
    };

    FlashMemory() : m_bytes(kSize, std::byte{0xFF}) {}
    static bool contains(std::uint32_t address, std::size_t size);
    static std::optional<Sector> sectorAt(std::uint32_t address);
    /// What programming `size` bytes takes: 16 us a word.
    static std::chrono::microseconds programTime(std::size_t size);

    /// Precondition: contains(address, size).
    ByteView view(std::uint32_t address, std::size_t size) const;
    /// False: outside, or the sector is write protected.
    bool erase(std::uint32_t address);
    bool eraseRange(std::uint32_t address, std::size_t size);
    /// Clears bits. False: outside or protected. The caller looks whether the bytes came out right.
    bool program(std::uint32_t address, ByteView bytes);
    /// What no unit can do: sets bytes as they are to be, as a debug probe with patience would.
    void poke(std::uint32_t address, ByteView bytes);
    /// From now on every change is in the file before it counts, so that the flash outlives the
    /// program, however that ends. A file that is there already becomes the content.
    /// @returns InvalidData  not 1 MiB; Io
    Result<> keepIn(const std::filesystem::path& file);
    /// Called behind each half of an erase and of a program (one byte has no halves): power may
    /// fail between any two of them.
    using Watch = std::function<void(std::uint32_t address, std::size_t size)>;
    void onChange(Watch watch) { m_watch = std::move(watch); }
    /// The option bytes of sector 0, the bootloader.
    void protectBootloader(bool on) { m_bootloaderProtected = on; }

private:
    bool writable(std::uint32_t address, std::size_t size) const;
    void change(std::uint32_t address, ByteView bytes);
    Bytes m_bytes;
    std::shared_ptr<std::fstream> m_file{};
    Watch m_watch{};
    bool m_bootloaderProtected = true;
};

} // namespace provost::sim
