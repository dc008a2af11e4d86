// The debug registers of a Cortex-M3 (ARMv7-M chapter C1; protocol sheet 3.1).
#pragma once

#include "sim/core_executor.h"

#include <map>
#include <memory>
#include <utility>

namespace provost::sim {

/// Halting, stepping, resetting one core. Not thread-safe.
class CortexDebug {
public:
    enum class State : std::uint8_t { Running, Halted, Lockup, InReset };

    CortexDebug(std::uint32_t cpuid, std::uint32_t idcode) : m_cpuid(cpuid), m_idcode(idcode) {}
    /// Before anything else; outlives this object.
    void setCore(CoreExecutor& core) { m_core = &core; }

    static bool holds(std::uint32_t address) { return address >> 20 == 0xE00; }
    std::uint32_t load(std::uint32_t address);
    void store(std::uint32_t address, std::uint32_t value);

    State state() const { return m_state; }
    /// AIRCR asked for a system reset; asking clears the wish.
    bool takeResetRequest() { return std::exchange(m_resetRequested, false); }
    void holdReset() { m_state = State::InReset; }
    /// Leaves reset with the vectors that lie at the start of flash.
    void leaveReset(std::uint32_t stack, std::uint32_t entry);
    void powerOn();
    /// Lets the core run; a running core only. Returns the instructions executed, about.
    std::uint64_t run(std::uint64_t most);

    std::uint32_t readRegister(unsigned number) const { return m_core->readRegister(number); }
    void writeRegister(unsigned number, std::uint32_t value)
    {
        m_core->writeRegister(number, value);
    }

private:
    static constexpr std::uint32_t kDebugEnable = 1, kHalt = 2, kStep = 4, kMaskInterrupts = 8;

    std::uint32_t haltingStatus();
    void haltingControl(std::uint32_t value);
    void selectRegister(std::uint32_t value);
    void halted(std::uint32_t reason)
    {
        m_state = State::Halted;
        m_control |= kHalt; // set by hardware, too
        m_faultStatus |= reason;
    }

    const std::uint32_t m_cpuid;
    const std::uint32_t m_idcode;
    CoreExecutor* m_core = nullptr;
    State m_state = State::Running;
    bool m_resetRequested = false;
    bool m_resetSeen = true;
    bool m_retired = false;
    std::uint32_t m_control = 0; ///< low half of DHCSR
    std::uint32_t m_data = 0;    ///< DCRDR
    std::uint32_t m_monitor = 0; ///< DEMCR
    std::uint32_t m_faultStatus = 0;
    std::map<std::uint32_t, std::uint32_t> m_plain{}; ///< registers that only keep what they get
};

} // namespace provost::sim
