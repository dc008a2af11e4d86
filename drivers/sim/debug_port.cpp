#include "sim/debug_port.h"

#include "sim/octets.h"

namespace provost::sim {

namespace {

// ADIv5.2, B2.2
constexpr std::uint32_t kIdOrAbort = 0x0, kControlStatus = 0x4, kSelect = 0x8, kReadBuffer = 0xC;
constexpr std::uint32_t kRequests = 0x50000000; ///< CSYSPWRUPREQ, CDBGPWRUPREQ
constexpr std::uint32_t kStickyError = 0x20;    ///< in CTRL/STAT
constexpr std::uint32_t kClearSticky = 0x4;     ///< STKERRCLR in ABORT
// C2.2
constexpr std::uint32_t kCsw = 0x00, kTar = 0x04, kDrw = 0x0C, kBanked = 0x10, kBase = 0xF8,
                        kId = 0xFC;
constexpr std::uint32_t kIncrement = 0x30;
constexpr std::uint32_t kDeviceEnabled = 0x40;
constexpr std::uint32_t kRomTable = 0xE00FF003;
constexpr std::uint32_t kApOfF1 = 0x14770011, kApOfF2 = 0x24770011;

} // namespace

std::optional<std::uint32_t> DebugPort::read(Stm32Chip& chip, std::uint16_t port, std::uint16_t reg)
{
    if (port == 0)
        return readAp(chip, reg);
    if (port != kDp)
        return std::nullopt;
    switch (reg & 0xF) {
    case kIdOrAbort:
        return chip.profile().dpidr;
    case kControlStatus:
        // Each power-up request is acknowledged at once.
        return m_control | (m_control & kRequests) << 1 | (m_sticky ? kStickyError : 0);
    case kReadBuffer:
        return m_readBuffer;
    default:
        return std::nullopt; // SELECT is write only
    }
}

bool DebugPort::write(Stm32Chip& chip, std::uint16_t port, std::uint16_t reg, std::uint32_t value)
{
    if (port == 0)
        return writeAp(chip, reg, value);
    if (port != kDp)
        return false;
    switch (reg & 0xF) {
    case kIdOrAbort:
        if ((value & kClearSticky) != 0)
            m_sticky = false;
        return true;
    case kControlStatus:
        m_control = value & 0x50FFFF0F;
        return true;
    case kSelect:
        m_select = value;
        return true;
    default:
        return false;
    }
}

DebugPort::Place DebugPort::place() const
{
    return {.address = m_tar, .width = 1U << std::min(m_csw & 7, 2U)};
}

/// The counter is ten bits wide, as ADIv5 guarantees it.
void DebugPort::advance(unsigned width)
{
    if ((m_csw & kIncrement) != 0)
        m_tar = (m_tar & ~0x3FFU) | ((m_tar + width) & 0x3FF);
}

std::optional<std::uint32_t> DebugPort::load(Stm32Chip& chip, const Place& at)
{
    const auto bytes = chip.read(at.address, at.width, at.width);
    if (!bytes) {
        m_sticky = true;
        return std::nullopt;
    }
    std::uint32_t word = 0; // on the lanes of its address
    for (unsigned i = 0; i < at.width; ++i)
        word |= std::uint32_t{octet((*bytes)[i])} << (8 * ((at.address + i) & 3));
    return m_readBuffer = word;
}

bool DebugPort::store(Stm32Chip& chip, const Place& at, std::uint32_t value)
{
    Bytes bytes;
    for (unsigned i = 0; i < at.width; ++i)
        bytes.push_back(static_cast<std::byte>(value >> (8 * ((at.address + i) & 3)) & 0xFF));
    const bool fine = at.address % at.width == 0 && chip.write(at.address, bytes, at.width);
    m_sticky = m_sticky || !fine;
    return fine;
}

std::optional<std::uint32_t> DebugPort::readAp(Stm32Chip& chip, std::uint16_t reg)
{
    if (m_sticky)
        return std::nullopt;
    switch (reg) {
    case kCsw:
        return m_csw | kDeviceEnabled;
    case kTar:
        return m_tar;
    case kDrw: {
        const Place at = place();
        const auto word = load(chip, at);
        advance(at.width);
        return word;
    }
    case kBase:
        return kRomTable;
    case kId:
        return chip.profile().family == Stm32Profile::Family::F1 ? kApOfF1 : kApOfF2;
    default:
        break;
    }
    if ((reg & ~0xCU) == kBanked)
        return load(chip, {.address = (m_tar & ~0xFU) + (reg & 0xCU)});
    return 0;
}

bool DebugPort::writeAp(Stm32Chip& chip, std::uint16_t reg, std::uint32_t value)
{
    if (m_sticky)
        return false;
    switch (reg) {
    case kCsw:
        m_csw = value;
        return true;
    case kTar:
        m_tar = value;
        return true;
    case kDrw: {
        const Place at = place();
        const bool fine = store(chip, at, value);
        advance(at.width);
        return fine;
    }
    default:
        break;
    }
    if ((reg & ~0xCU) == kBanked)
        return store(chip, {.address = (m_tar & ~0xFU) + (reg & 0xCU)}, value);
    return true;
}

} // namespace provost::sim
