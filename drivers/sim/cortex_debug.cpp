#include "sim/cortex_debug.h"

namespace provost::sim {

namespace {

// DFSR
constexpr std::uint32_t kDfsrHalted = 1;
constexpr std::uint32_t kDfsrBreakpoint = 2;
constexpr std::uint32_t kDfsrVectorCatch = 8;
constexpr std::uint32_t kCatchCoreReset = 1; // DEMCR

} // namespace

std::uint32_t CortexDebug::load(std::uint32_t address)
{
    switch (address & ~3U) {
    case 0xE000ED00:
        return m_cpuid;
    case 0xE0042000:
        return m_idcode;
    case 0xE000ED0C:
        return 0xFA050000;
    case 0xE000ED30:
        return m_faultStatus;
    case 0xE000EDF0:
        return haltingStatus();
    case 0xE000EDF8:
        return m_data;
    case 0xE000EDFC:
        return m_monitor;
    case 0xE0002000: // six code and two literal comparators
        return 0x260 | (m_plain[0xE0002000] & 1);
    case 0xE0001000: // four watchpoints
        return 0x40000000 | (m_plain[0xE0001000] & 0x0FFFFFFF);
    default: {
        const auto found = m_plain.find(address & ~3U);
        return found == m_plain.end() ? 0 : found->second;
    }
    }
}

std::uint32_t CortexDebug::haltingStatus()
{
    std::uint32_t value = m_control | 0x10000; // S_REGRDY: transfers take no time here
    if (m_state == State::Halted)
        value |= 0x20000;
    if (m_state == State::Lockup)
        value |= 0x80000;
    if (std::exchange(m_retired, false))
        value |= 0x1000000;
    if (std::exchange(m_resetSeen, m_state == State::InReset))
        value |= 0x2000000;
    return value;
}

void CortexDebug::store(std::uint32_t address, std::uint32_t value)
{
    switch (address & ~3U) {
    case 0xE000ED00:
    case 0xE0042000:
        return;
    case 0xE000ED0C:
        if (value >> 16 == 0x05FA && (value & 5) != 0)
            m_resetRequested = true;
        return;
    case 0xE000ED28:
    case 0xE000ED2C:
        m_plain[address & ~3U] &= ~value;
        return;
    case 0xE000ED30:
        m_faultStatus &= ~value;
        return;
    case 0xE000EDF0:
        haltingControl(value);
        return;
    case 0xE000EDF4:
        selectRegister(value);
        return;
    case 0xE000EDF8:
        m_data = value;
        return;
    case 0xE000EDFC:
        m_monitor = value;
        return;
    default:
        m_plain[address & ~3U] = value;
    }
}

void CortexDebug::haltingControl(std::uint32_t value)
{
    if (value >> 16 != 0xA05F)
        return;
    // C_MASKINTS changes while halted only; nothing but C_DEBUGEN counts without it.
    const bool mayMask = m_state == State::Halted;
    std::uint32_t control = value & 0x27;
    control |= (mayMask ? value : m_control) & kMaskInterrupts;
    if ((value & kDebugEnable) == 0)
        control = 0;
    m_control = control;
    if (m_state == State::InReset)
        return;
    if ((control & kHalt) != 0) {
        if (m_state != State::Halted)
            halted(kDfsrHalted);
    } else if ((control & kStep) != 0 && m_state == State::Halted) {
        m_state = State::Running;
        run(1);
        if (m_state == State::Running)
            halted(kDfsrHalted);
    } else if (m_state == State::Halted) {
        m_state = State::Running;
    }
}

void CortexDebug::selectRegister(std::uint32_t value)
{
    if (m_state != State::Halted)
        return;
    if ((value & 0x10000) != 0)
        m_core->writeRegister(value & 0x7F, m_data);
    else
        m_data = m_core->readRegister(value & 0x7F);
}

void CortexDebug::leaveReset(std::uint32_t stack, std::uint32_t entry)
{
    for (unsigned number = 0; number <= 12; ++number)
        m_core->writeRegister(number, 0);
    m_core->writeRegister(20, 0);
    m_core->writeRegister(13, stack & ~3U);
    m_core->writeRegister(14, 0xFFFFFFFF);
    m_core->writeRegister(15, entry & ~1U);
    m_core->writeRegister(16, 0x01000000);
    m_resetSeen = true;
    m_faultStatus = 0;
    m_state = State::Running;
    if ((m_control & kDebugEnable) != 0 && (m_monitor & kCatchCoreReset) != 0)
        halted(kDfsrVectorCatch);
    else if ((m_control & kHalt) != 0)
        halted(kDfsrHalted);
    else if ((entry & 1) == 0 || entry >> 24 == 0xFF)
        m_state = State::Lockup; // an empty flash has no entry point
}

void CortexDebug::powerOn()
{
    m_control = m_data = m_monitor = m_faultStatus = 0;
    m_resetRequested = m_retired = false;
    m_plain.clear();
}

std::uint64_t CortexDebug::run(std::uint64_t most)
{
    if (m_state != State::Running)
        return 0;
    const CoreRun ran = m_core->run(most);
    m_retired = m_retired || ran.instructions > 0;
    if (ran.why == CoreStop::Breakpoint && (m_control & kDebugEnable) != 0)
        halted(kDfsrBreakpoint);
    else if (ran.why != CoreStop::Budget)
        m_state = State::Lockup; // a fault, or a BKPT that nobody debugs
    return ran.instructions;
}

} // namespace provost::sim
