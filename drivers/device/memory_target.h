// Memory that can be erased, programmed and read, whatever carries the bytes.
#pragma once

#include "core/memory.h"
#include "core/op_context.h"

#include <span>
#include <vector>

namespace provost {

/// What a write did, for the record.
struct ProgramOutcome {
    std::uint32_t written = 0; ///< bytes
    std::uint32_t skipped = 0; ///< bytes that were there already
    int sectors = 0;           ///< erased and written
    int sectorsSkipped = 0;
};

class MemoryTarget {
public:
    virtual ~MemoryTarget() = default;
    virtual std::span<const MemoryRegion> regions() const = 0;
    virtual Result<> erase(std::uint32_t address, std::uint32_t size, const OpContext& op) = 0;
    virtual Result<> program(const MemoryBlock& block, const OpContext& op) = 0;
    virtual Result<Bytes> read(std::uint32_t address, std::uint32_t size, const OpContext& op) = 0;
    /// Erases what differs, programs and proves it, in the way that suits this memory best; by
    /// default as programAndVerify().
    virtual Result<ProgramOutcome> write(const MemoryBlock& block, const OpContext& op);
    /// Starts over behind a write that failed; nothing where there is no session.
    virtual Result<> renew(const OpContext&) { return {}; }
    int repeats() const { return m_repeats; } ///< sectors that were written anew so far

private:
    friend Result<ProgramOutcome> programAndVerify(MemoryTarget& target, const MemoryBlock& block,
                                                   const OpContext& op);
    int m_repeats = 0;
};

/// Refuses a range before anything is sent.
/// @returns Protected  a part of it is no memory that can be erased and written; says which byte
Result<> checkProgrammable(std::span<const MemoryRegion> regions, std::uint32_t address,
                           std::uint64_t size);

/// Blocks that share a sector become one, FF between them: whoever erases for the second would lose
/// the first. Sorted by address; every block has to be programmable.
/// @returns InvalidArgument  two blocks share an address
Result<std::vector<MemoryBlock>> mergedBySector(std::span<const MemoryRegion> regions,
                                                std::vector<MemoryBlock> blocks);

/// Writes a block sector by sector and reads each back. Sectors that already hold the wanted
/// bytes are left alone; of one that does not, no more is read than shows it.
///
/// A sector whose write failed, or does not hold what was written, is written anew (repeatWrite()).
/// Whole sectors are erased: what lies beside the block in its first and last sector is lost.
///
/// @returns Mismatch (cause F110)  a sector does not hold what was written; says where
///          Protected              part of the block lies outside what may be written
Result<ProgramOutcome> programAndVerify(MemoryTarget& target, const MemoryBlock& block,
                                        const OpContext& op);

} // namespace provost
