// MemoryTarget over the flash of a chip behind a debug probe.
#pragma once

#include "device/memory_target.h"
#include "protocol/stm32_flash.h"

namespace provost {

/// `flash` must outlive it.
class ProbeTarget final : public MemoryTarget {
public:
    explicit ProbeTarget(Stm32Flash& flash) : m_flash(flash) {}
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
};

} // namespace provost
