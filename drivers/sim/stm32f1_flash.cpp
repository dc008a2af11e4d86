// Flash controller of the STM32F103xB (PM0075; protocol sheet 3.3).
#include "core/byte_io.h"
#include "sim/flash_controller.h"

namespace provost::sim {

namespace {

using namespace std::chrono_literals;

class F1Flash final : public FlashController {
public:
    F1Flash(std::uint32_t size, const ChipTime& time) : FlashController(size, time)
    {
        const std::uint8_t delivered[] = {0xA5, 0x5A, 0xFF, 0x00, 0xFF, 0x00, 0xFF, 0x00,
                                          0xFF, 0x00, 0xFF, 0x00, 0xFF, 0x00, 0xFF, 0x00};
        std::transform(std::begin(delivered), std::end(delivered), m_options.begin(),
                       [](std::uint8_t each) { return std::byte{each}; });
        systemReset();
    }

    std::uint32_t load(std::uint32_t offset) const override;
    bool store(std::uint32_t offset, std::uint32_t value) override;
    bool program(std::uint32_t address, unsigned width, std::uint32_t value) override;
    bool holdsOptions(std::uint32_t address) const override
    {
        return address >= kOptions && address < kOptions + 16;
    }
    ByteView options() const override { return m_options; }
    std::uint32_t optionsBase() const override { return kOptions; }
    void systemReset() override;
    bool readProtected() const override { return m_protected; }

private:
    static constexpr std::uint32_t kOptions = 0x1FFFF800;
    static constexpr std::uint32_t kPage = 1024;
    static constexpr std::uint32_t kPg = 1, kPer = 2, kMer = 4, kOptPg = 16, kOptEr = 32,
                                   kStart = 64, kLock = 128, kOptWre = 512;
    static constexpr std::uint32_t kPgErr = 4, kWrpRtErr = 16, kEop = 32;

    void control(std::uint32_t value);
    void start();
    bool programOption(std::uint32_t address, std::uint32_t value);
    bool refuse(std::uint32_t flag)
    {
        m_status |= flag;
        ++m_counters.refusals;
        return true;
    }
    bool writeProtected(std::uint32_t offset) const
    {
        const std::uint32_t page = offset / kPage;
        // PM0075: while read protection is on, pages 0 to 3 are closed.
        if (m_protected && page < 4)
            return true;
        return (m_writable >> std::min(page / 4, 31U) & 1) == 0;
    }
    std::uint8_t optionByte(std::size_t at) const
    {
        const std::uint8_t value = u8(m_options[at]);
        // A byte whose complement does not fit is read as erased.
        return value == static_cast<std::uint8_t>(~u8(m_options[at + 1])) ? value : 0xFF;
    }

    std::array<std::byte, 16> m_options{};
    KeyLock m_lock{0x45670123, 0xCDEF89AB};
    KeyLock m_optionLock{0x45670123, 0xCDEF89AB};
    std::uint32_t m_status = 0;
    std::uint32_t m_control = 0;
    std::uint32_t m_address = 0;
    std::uint32_t m_writable = 0xFFFFFFFF;
    std::uint32_t m_optionRegister = 0;
    bool m_protected = false;
};

void F1Flash::systemReset()
{
    m_lock.reset();
    m_optionLock.reset();
    m_status = m_control = m_address = 0;
    m_protected = u8(m_options[0]) != 0xA5;
    m_writable = 0;
    for (std::size_t i = 0; i < 4; ++i)
        m_writable |= std::uint32_t{optionByte(8 + 2 * i)} << (8 * i);
    m_optionRegister = (m_protected ? 2U : 0U) | (std::uint32_t{optionByte(2)} & 7) << 2 | 0x3E0U |
                       std::uint32_t{optionByte(4)} << 10 | std::uint32_t{optionByte(6)} << 18;
}

std::uint32_t F1Flash::load(std::uint32_t offset) const
{
    switch (offset & ~3U) {
    case 0x00:
        return 0x30;
    case 0x0C:
        return m_status | (busy() ? 1U : 0U);
    case 0x10:
        return m_control | (m_lock.isOpen() ? 0U : kLock) | (busy() ? m_control & kStart : 0U);
    case 0x14:
        return m_address;
    case 0x1C:
        return m_optionRegister;
    case 0x20:
        return m_writable;
    default:
        return 0;
    }
}

bool F1Flash::store(std::uint32_t offset, std::uint32_t value)
{
    switch (offset & ~3U) {
    case 0x04:
        return m_lock.turn(value);
    case 0x08:
        if (!m_lock.isOpen() || !m_optionLock.turn(value))
            return false;
        if (m_optionLock.isOpen())
            m_control |= kOptWre;
        return true;
    case 0x0C:
        m_status &= ~(value & (kPgErr | kWrpRtErr | kEop));
        return true;
    case 0x10:
        control(value);
        return true;
    case 0x14:
        m_address = value;
        return true;
    default:
        return true;
    }
}

void F1Flash::control(std::uint32_t value)
{
    if (!m_lock.isOpen())
        return;
    // OPTWRE is set by the keys alone; software may only clear it.
    const std::uint32_t optionsOpen = m_control & value & kOptWre;
    m_control = (value & 0x1437U) | optionsOpen;
    if (optionsOpen == 0)
        m_optionLock.close();
    if ((value & kLock) != 0) {
        m_lock.close();
        m_optionLock.close();
        m_control = 0;
    } else if ((value & kStart) != 0) {
        start();
    }
}

void F1Flash::start()
{
    if ((m_control & kOptEr) != 0) {
        if ((m_control & kOptWre) == 0)
            return;
        m_options.fill(std::byte{0xFF});
        begin(20ms);
    } else if ((m_control & kMer) != 0) {
        for (std::uint32_t at = 0; at < array().size(); at += kPage)
            if (writeProtected(at)) {
                refuse(kWrpRtErr);
                return;
            }
        fill(0, static_cast<std::uint32_t>(array().size()));
        ++m_counters.massErases;
        begin(20ms);
    } else if ((m_control & kPer) != 0) {
        if (!holds(m_address))
            return;
        const std::uint32_t page = (m_address - kBase) / kPage * kPage;
        if (writeProtected(page)) {
            refuse(kWrpRtErr);
            return;
        }
        fill(page, kPage);
        ++m_counters.erases;
        begin(20ms);
    }
    m_status |= kEop;
}

bool F1Flash::program(std::uint32_t address, unsigned width, std::uint32_t value)
{
    if (width != 2 || address % 2 != 0)
        return false;
    if (!m_lock.isOpen())
        return refuse(kPgErr);
    if (holdsOptions(address))
        return programOption(address, value);
    const std::uint32_t offset = address - kBase;
    if ((m_control & kPg) == 0)
        return refuse(kPgErr);
    if (writeProtected(offset))
        return refuse(kWrpRtErr);
    // PM0075 2.3.3: the target must be erased, unless 0000 is written.
    if (readLe16(array(), offset) != 0xFFFF && value != 0)
        return refuse(kPgErr);
    const auto now = static_cast<std::uint16_t>(readLe16(array(), offset) & value);
    writeLe16(array(), offset, now);
    ++m_counters.programs;
    begin(std::chrono::microseconds(52));
    m_status |= kEop;
    return true;
}

bool F1Flash::programOption(std::uint32_t address, std::uint32_t value)
{
    if ((m_control & (kOptPg | kOptWre)) != (kOptPg | kOptWre))
        return refuse(kPgErr);
    const std::size_t at = address - kOptions;
    if (readLe16(m_options, at) != 0xFFFF)
        return refuse(kPgErr);
    const auto low = static_cast<std::uint8_t>(value & 0xFF);
    m_options[at] = std::byte{low};
    m_options[at + 1] = std::byte{static_cast<std::uint8_t>(~low)};
    begin(std::chrono::microseconds(52));
    // Opening a protected chip erases what it protected.
    if (at == 0 && low == 0xA5 && m_protected) {
        fill(0, static_cast<std::uint32_t>(array().size()));
        ++m_counters.massErases;
        begin(20ms);
    }
    m_status |= kEop;
    return true;
}

} // namespace

std::unique_ptr<FlashController> makeF1Flash(std::uint32_t size, const ChipTime& time)
{
    return std::make_unique<F1Flash>(size, time);
}

} // namespace provost::sim
