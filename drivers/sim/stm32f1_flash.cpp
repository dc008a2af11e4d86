// Flash controller of the STM32F103xB (PM0075; protocol sheet 3.3).
#include "sim/flash_controller.h"
#include "sim/octets.h"

namespace provost::sim {

namespace {

using namespace std::chrono_literals;

class F1Flash final : public FlashController {
public:
    F1Flash(FlashMemory& flash, const ChipTime& time)
        : FlashController(flash, time,
                          {.busy = 1, .clearable = kPgErr | kWrpRtErr | kEop, .lock = kLock},
                          KeyLock(0x45670123, 0xCDEF89AB))
    {
        const std::uint8_t delivered[] = {0xA5, 0x5A, 0xFF, 0x00, 0xFF, 0x00, 0xFF, 0x00,
                                          0xFF, 0x00, 0xFF, 0x00, 0xFF, 0x00, 0xFF, 0x00};
        std::transform(std::begin(delivered), std::end(delivered), m_optionBytes.begin(),
                       [](std::uint8_t each) { return std::byte{each}; });
        systemReset();
        agreeOnProtection();
    }

    bool program(std::uint32_t address, unsigned width, std::uint32_t value) override;
    std::uint32_t optionsBase() const override { return 0x1FFFF800; }
    bool readProtected() const override { return m_protected; }

private:
    static constexpr unsigned kGroup = 4;            ///< pages a protection bit
    static constexpr std::uint32_t kBootGroups = 15; ///< pages 0 to 15
    static constexpr std::uint32_t kPg = 1, kPer = 2, kMer = 4, kOptPg = 16, kOptEr = 32,
                                   kStart = 64, kLock = 128, kOptWre = 512;
    static constexpr std::uint32_t kPgErr = 4, kWrpRtErr = 16, kEop = 32;
    static constexpr auto kHalfWord = std::chrono::microseconds(52);

    bool turnKey(std::uint32_t word) override { return m_lock.turn(word); }
    bool turnOptionKey(std::uint32_t word) override;
    void control(std::uint32_t value) override;
    std::uint32_t loadOther(std::uint32_t offset) const override;
    void storeOther(std::uint32_t offset, std::uint32_t value) override;
    void applyOptions() override;
    bool protectsBootloader() const override { return (m_writable & kBootGroups) == 0; }
    void setBootloaderProtection(bool on) override;
    bool writeProtected(const FlashMemory::Sector& sector) const override
    {
        // PM0075: while read protection is on, pages 0 to 3 are closed.
        if (m_protected && sector.number < kGroup)
            return true;
        return (m_writable >> std::min(sector.number / kGroup, 31U) & 1) == 0;
    }
    void start();
    void startPage();
    bool programOption(std::uint32_t address, std::uint32_t value);
    void putOption(std::size_t at, std::uint8_t value)
    {
        m_optionBytes.at(at) = std::byte{value};
        m_optionBytes.at(at + 1) = ~std::byte{value};
    }
    std::uint8_t optionByte(std::size_t at) const
    {
        const std::uint8_t value = octet(m_optionBytes[at]);
        // A byte whose complement does not fit is read as erased.
        return value == static_cast<std::uint8_t>(~octet(m_optionBytes[at + 1])) ? value : 0xFF;
    }

    std::uint32_t m_address = 0;
    std::uint32_t m_writable = 0xFFFFFFFF;
    std::uint32_t m_optionRegister = 0;
    bool m_protected = false;
};

void F1Flash::applyOptions()
{
    m_address = 0;
    m_protected = octet(m_optionBytes[0]) != 0xA5;
    m_writable = 0;
    for (std::size_t i = 0; i < 4; ++i)
        m_writable |= std::uint32_t{optionByte(8 + 2 * i)} << (8 * i);
    m_optionRegister = (m_protected ? 2U : 0U) | (std::uint32_t{optionByte(2)} & 7) << 2 | 0x3E0U |
                       std::uint32_t{optionByte(4)} << 10 | std::uint32_t{optionByte(6)} << 18;
}

void F1Flash::setBootloaderProtection(bool on)
{
    m_writable = on ? m_writable & ~kBootGroups : m_writable | kBootGroups;
    putOption(8, static_cast<std::uint8_t>(m_writable & 0xFF));
}

std::uint32_t F1Flash::loadOther(std::uint32_t offset) const
{
    switch (offset) {
    case 0x00:
        return 0x30;
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

void F1Flash::storeOther(std::uint32_t offset, std::uint32_t value)
{
    if (offset == 0x14)
        m_address = value;
}

bool F1Flash::turnOptionKey(std::uint32_t word)
{
    if (!m_lock.isOpen() || !m_optionLock.turn(word))
        return false;
    if (m_optionLock.isOpen())
        m_control |= kOptWre;
    return true;
}

void F1Flash::control(std::uint32_t value)
{
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
        m_optionBytes.fill(std::byte{0xFF});
        begin(20ms);
        m_status |= kEop;
    } else if ((m_control & kMer) != 0) {
        if (anyProtected()) {
            refuse(kWrpRtErr);
            return;
        }
        eraseAll(20ms);
        m_status |= kEop;
    } else if ((m_control & kPer) != 0) {
        startPage();
    }
}

void F1Flash::startPage()
{
    const auto page = m_flash.sectorAt(m_address);
    if (!page)
        return;
    if (writeProtected(*page)) {
        refuse(kWrpRtErr);
        return;
    }
    erase(*page, page->eraseTime);
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
    if ((m_control & kPg) == 0)
        return refuse(kPgErr);
    if (writeProtected(*m_flash.sectorAt(address)))
        return refuse(kWrpRtErr);
    // PM0075 2.3.3: the target must be erased, unless 0000 is written.
    const std::uint16_t now = le16At(m_flash.view(address, 2));
    if (now != 0xFFFF && value != 0)
        return refuse(kPgErr);
    Bytes half(2);
    putLe16(half, 0, static_cast<std::uint16_t>(now & value));
    put(address, half);
    m_status |= kEop;
    return true;
}

bool F1Flash::programOption(std::uint32_t address, std::uint32_t value)
{
    if ((m_control & (kOptPg | kOptWre)) != (kOptPg | kOptWre))
        return refuse(kPgErr);
    const std::size_t at = address - optionsBase();
    if (le16At(m_optionBytes, at) != 0xFFFF)
        return refuse(kPgErr);
    const auto low = static_cast<std::uint8_t>(value & 0xFF);
    putOption(at, low);
    begin(kHalfWord);
    // Opening a protected chip erases what it protected.
    if (at == 0 && low == 0xA5 && m_protected)
        eraseAll(20ms);
    m_status |= kEop;
    return true;
}

} // namespace

std::unique_ptr<FlashController> makeF1Flash(FlashMemory& flash, const ChipTime& time)
{
    return std::make_unique<F1Flash>(flash, time);
}

} // namespace provost::sim
