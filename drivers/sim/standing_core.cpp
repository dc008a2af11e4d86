#include "sim/core_executor.h"

#include <array>

namespace provost::sim {

namespace {

class StandingCore final : public CoreExecutor {
public:
    std::uint32_t readRegister(unsigned number) const override
    {
        return number < m_registers.size() ? m_registers.at(number) : 0;
    }
    void writeRegister(unsigned number, std::uint32_t value) override
    {
        if (number < m_registers.size())
            m_registers.at(number) = value;
    }
    CoreRun run(std::uint64_t) override { return {.why = CoreStop::Fault}; }
    void yield() override {}
    void memoryChanged(std::uint32_t, std::size_t) override {}

private:
    std::array<std::uint32_t, 21> m_registers{};
};

} // namespace

CoreExecutorMaker standingCores()
{
    return [](std::span<const CoreMemory>, CoreBus&) { return std::make_unique<StandingCore>(); };
}

} // namespace provost::sim
