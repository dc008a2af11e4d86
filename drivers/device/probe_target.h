// MemoryTarget over the flash of a chip behind a debug probe.
#pragma once

#include "device/memory_target.h"
#include "protocol/stm32_flash.h"

namespace provost {

/// `flash` must outlive it.
class ProbeTarget final : public MemoryTarget {
public:
    /// @param liftProtection  a write() lifts write protection that is in its way and puts it back
    explicit ProbeTarget(Stm32Flash& flash, bool liftProtection = false)
        : m_flash(flash), m_liftProtection(liftProtection)
    {
    }
    /// Proved by sums that the target computes.
    Result<ProgramOutcome> write(const MemoryBlock& block, const OpContext& op) override
    {
        const auto done = TRY(m_flash.writeVerified(block, m_liftProtection, op));
        return ProgramOutcome{.written = done.written,
                              .skipped = done.skipped,
                              .sectors = static_cast<int>(done.sectors),
                              .sectorsSkipped = static_cast<int>(done.sectorsSkipped)};
    }
    std::span<const MemoryRegion> regions() const override { return m_flash.regions(); }
    Result<> erase(std::uint32_t address, std::uint32_t size, const OpContext& op) override
    {
        return m_flash.erase(address, size, op);
    }
    Result<> program(const MemoryBlock& block, const OpContext& op) override
    {
        return m_flash.program(block, op);
    }
    Result<Bytes> read(std::uint32_t address, std::uint32_t size, const OpContext& op) override
    {
        return m_flash.read(address, size, op);
    }

private:
    Stm32Flash& m_flash;
    const bool m_liftProtection;
};

} // namespace provost
