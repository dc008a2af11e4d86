// Flash of an STM32F103 or STM32F205 through a debug probe, programmed by loaders of our own in the
// target's SRAM (protocol sheet 3.2 to 3.5).
#pragma once

#include "core/memory.h"
#include "protocol/stlink_probe.h"

#include <array>
#include <vector>

namespace provost {

struct Stm32Part {
    enum class Family : std::uint8_t { F1, F2 };
    Family family = Family::F1;
    std::uint32_t idcode = 0; ///< DBGMCU_IDCODE
    std::uint32_t flashBytes = 0;
    std::array<std::byte, 12> uniqueId{}; ///< in the order of its addresses
};
/// `STM32F103`.
std::string_view name(Stm32Part::Family family);

struct Stm32Protection {
    bool readProtected = false;
    /// Write-protected units, bit 0 the first one. F103: four pages a bit, bit 31 all the rest;
    /// F205: a sector a bit.
    std::uint32_t writeProtected = 0;
};

/// What a write did, for the record.
struct Stm32WriteOutcome {
    std::uint32_t written = 0; ///< bytes
    std::uint32_t skipped = 0; ///< bytes that were there already
    std::size_t sectors = 0;   ///< erased and written
    std::size_t sectorsSkipped = 0;
    bool protectionLifted = false;
};

/// `probe` must outlive it, stays connected, and belongs to it meanwhile. Used by one thread.
///
/// Programs and sums by loaders in the target's SRAM; where the core locks up instead of executing
/// them, by the debug port alone.
///
/// Errors besides those of the probe: Protected (write protection, read protection), Mismatch
/// (cause F110: the unit does not hold what was written), InvalidArgument (no such memory).
class Stm32Flash {
public:
    /// Bytes that are programmed in one go.
    struct Run {
        std::uint32_t address = 0;
        ByteView bytes{};
    };
    /// Resets and halts the core, freezes its watchdogs, and looks at what it is.
    /// @returns Unsupported  another chip than an F103 of up to 128 KiB or an F205
    static Result<Stm32Flash> attach(StLinkProbe& probe, const OpContext& op);

    /// What the chip is, without touching its core.
    /// @returns as attach()
    static Result<Stm32Part> identify(StLinkProbe& probe, const OpContext& op);

    const Stm32Part& part() const { return m_part; }
    std::span<const MemoryRegion> regions() const { return m_regions; }

    Result<Bytes> read(std::uint32_t address, std::uint32_t size, const OpContext& op);
    /// Every sector that intersects [address, address + size): whole sectors go.
    Result<> erase(std::uint32_t address, std::uint32_t size, const OpContext& op);
    Result<> massErase(const OpContext& op);
    /// Into erased flash. Runs of FF are left out.
    Result<> program(const MemoryBlock& block, const OpContext& op);
    /// Of `count` pieces of `size` bytes one behind the other, computed on the target.
    Result<std::vector<std::uint32_t>> crcs(std::uint32_t address, std::uint32_t size,
                                            std::uint32_t count, const OpContext& op);
    /// Erases and programs the sectors that do not hold their part of `block` yet, and proves the
    /// whole by a CRC computed on the target. The bytes of those sectors beyond `block` are lost.
    /// @param liftProtection  write protection in the way is lifted and put back, whatever happens
    Result<Stm32WriteOutcome> writeVerified(const MemoryBlock& block, bool liftProtection,
                                            const OpContext& op);

    Result<Stm32Protection> protection(const OpContext& op);
    /// As they are read, 16 bytes.
    Result<Bytes> optionBytes(const OpContext& op);
    /// Takes effect by a system reset, which this makes; the core is halted again behind it.
    /// Read protection stays as it is: nothing here can write its level 2.
    Result<> setWriteProtection(std::uint32_t units, const OpContext& op);

    /// Locks the controller, resets, and lets the firmware run without a debugger.
    Result<> leave(const OpContext& op);

private:
    struct Sector {
        std::uint32_t address = 0;
        std::uint32_t size = 0;
        unsigned number = 0;
    };
    struct Piece {
        Sector sector{};
        std::uint32_t address = 0;
        ByteView bytes{};
    };
    explicit Stm32Flash(StLinkProbe& probe) : m_probe(&probe) {}

    bool isF1() const { return m_part.family == Stm32Part::Family::F1; }
    Result<> learnPart(const OpContext& op);
    Result<> freezeWatchdogs(const OpContext& op);
    Result<Sector> sectorAt(std::uint32_t address) const;
    Result<std::vector<Piece>> cut(std::uint32_t address, ByteView bytes) const;
    std::uint32_t unitsOf(std::uint32_t address, std::uint32_t size) const;

    Result<> unlock(const OpContext& op);
    Result<> lock(const OpContext& op);
    Result<> waitWhileBusy(const std::string& what, const OpContext& op);
    Result<> eraseSector(const Sector& sector, const OpContext& op);
    Result<bool> beginsOtherwise(const Piece& piece, const OpContext& op);
    Result<std::vector<Piece>> different(const std::vector<Piece>& pieces, const OpContext& op);
    Result<std::vector<Piece>> unlike(const std::vector<Piece>& pieces, const OpContext& op);
    Result<> rewrite(const MemoryBlock& block, const std::vector<Piece>& pieces,
                     const OpContext& op);
    Unexpected refusedWork(std::uint32_t status, const std::string& what) const;

    Result<> programRuns(std::span<const Run> runs, const OpContext& op);
    Result<> programRun(std::uint32_t address, ByteView bytes, const OpContext& op);
    Result<> programByPort(std::uint32_t address, ByteView bytes, const OpContext& op);
    Result<std::vector<std::uint32_t>> crcsByPort(std::uint32_t address, std::uint32_t size,
                                                  std::uint32_t count, const OpContext& op);
    Result<bool> coreRefuses(const OpContext& op);
    Result<> feed(ByteView bytes, const OpContext& op);
    Result<> startLoader(std::span<const std::uint16_t> code, std::span<const std::uint32_t> block,
                         const OpContext& op);
    Result<> writeF1Options(std::uint32_t units, const OpContext& op);
    Result<> writeF2Options(std::uint32_t value, const OpContext& op);

    StLinkProbe* m_probe;
    Stm32Part m_part{};
    std::vector<MemoryRegion> m_regions{};
    std::uint32_t m_controller = 0; ///< address of the flash registers
    std::uint32_t m_size = 0;       ///< PSIZE, in place in CR
    std::uint32_t m_width = 2;      ///< bytes a store, by the supply
    bool m_coreRuns = true;         ///< executes loaders, as far as was seen
};

} // namespace provost
