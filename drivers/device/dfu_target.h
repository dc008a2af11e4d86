// MemoryTarget over one memory of a DfuDevice.
#pragma once

#include "device/memory_target.h"
#include "protocol/dfu_device.h"

namespace provost {

/// `device` must outlive it; the memory was selected before.
class DfuTarget final : public MemoryTarget {
public:
    explicit DfuTarget(DfuDevice& device) : m_device(device) {}
    std::span<const MemoryRegion> regions() const override { return m_device.layout(); }
    Result<> erase(std::uint32_t address, std::uint32_t size, const OpContext& op) override
    {
        return m_device.erase(address, size, op);
    }
    Result<> program(const MemoryBlock& block, const OpContext& op) override
    {
        return m_device.download(block, op);
    }
    Result<Bytes> read(std::uint32_t address, std::uint32_t size, const OpContext& op) override
    {
        return m_device.upload(address, size, op);
    }
    Result<> renew(const OpContext& op) override { return m_device.renew(op); }

private:
    DfuDevice& m_device;
};

} // namespace provost
