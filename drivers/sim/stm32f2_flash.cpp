// Flash controller of the STM32F205 (PM0059; protocol sheet 3.4).
#include "core/byte_io.h"
#include "sim/flash_controller.h"

namespace provost::sim {

namespace {

using namespace std::chrono_literals;

class F2Flash final : public FlashController {
public:
    F2Flash(std::uint32_t size, const ChipTime& time) : FlashController(size, time)
    {
        systemReset();
    }

    std::uint32_t load(std::uint32_t offset) const override;
    bool store(std::uint32_t offset, std::uint32_t value) override;
    bool program(std::uint32_t address, unsigned width, std::uint32_t value) override;
    bool holdsOptions(std::uint32_t address) const override
    {
        return address >= kOptions && address < kOptions + 16;
    }
    ByteView options() const override { return m_optionBytes; }
    std::uint32_t optionsBase() const override { return kOptions; }
    void systemReset() override;
    bool readProtected() const override { return protection() != 0xAA; }
    bool debugDead() const override { return protection() == 0xCC; }
    void setVoltage(double volts) override { m_volts = volts; }

private:
    static constexpr std::uint32_t kOptions = 0x1FFFC000;
    static constexpr std::uint32_t kPg = 1, kSer = 2, kMer = 4, kStart = 0x10000,
                                   kLock = 0x80000000;
    static constexpr std::uint32_t kEop = 1, kWrpErr = 16, kPgaErr = 32, kPgpErr = 64,
                                   kPgsErr = 128;
    static constexpr std::uint32_t kOptLock = 1, kOptStart = 2;
    static constexpr unsigned kSectors = 12;

    struct Sector {
        std::uint32_t offset = 0;
        std::uint32_t size = 0;
    };
    static Sector sector(unsigned number);
    static unsigned sectorAt(std::uint32_t offset);

    std::uint8_t protection() const { return static_cast<std::uint8_t>(m_stored >> 8 & 0xFF); }
    bool writeProtected(unsigned number) const { return (m_stored >> (16 + number) & 1) == 0; }
    unsigned width() const { return 1U << (m_control >> 8 & 3); }
    /// PM0059 table: what the supply can carry; x64 needs a voltage of its own.
    unsigned widest() const { return m_volts >= 2.7 ? 4 : m_volts >= 2.1 ? 2 : 1; }
    void start();
    void startOptions();
    void storeOptionBytes();
    bool refuse(std::uint32_t flag)
    {
        m_status |= flag;
        ++m_counters.refusals;
        return true;
    }

    std::array<std::byte, 16> m_optionBytes{};
    KeyLock m_lock{0x45670123, 0xCDEF89AB};
    KeyLock m_optionLock{0x08192A3B, 0x4C5D6E7F};
    std::uint32_t m_access = 0;
    std::uint32_t m_status = 0;
    std::uint32_t m_control = 0;
    std::uint32_t m_stored = 0x0FFFAAEC; ///< the option bytes, in the places of OPTCR
    std::uint32_t m_options = 0;
    double m_volts = 3.3;
};

F2Flash::Sector F2Flash::sector(unsigned number)
{
    if (number < 4)
        return {.offset = number * 0x4000, .size = 0x4000};
    if (number == 4)
        return {.offset = 0x10000, .size = 0x10000};
    return {.offset = (number - 4) * 0x20000, .size = 0x20000};
}

unsigned F2Flash::sectorAt(std::uint32_t offset)
{
    unsigned number = 0;
    while (offset >= sector(number).offset + sector(number).size)
        ++number;
    return number;
}

void F2Flash::systemReset()
{
    m_lock.reset();
    m_optionLock.reset();
    m_access = m_status = m_control = 0;
    m_options = m_stored;
    storeOptionBytes();
}

void F2Flash::storeOptionBytes()
{
    m_optionBytes.fill(std::byte{0xFF});
    const auto user = static_cast<std::uint16_t>((m_stored & 0xEC) | 0x0F);
    writeLe16(m_optionBytes, 0, static_cast<std::uint16_t>(user | (m_stored & 0xFF00)));
    writeLe16(m_optionBytes, 8, static_cast<std::uint16_t>(m_stored >> 16 & 0xFFF));
}

std::uint32_t F2Flash::load(std::uint32_t offset) const
{
    switch (offset & ~3U) {
    case 0x00:
        return m_access;
    case 0x0C:
        return m_status | (busy() ? 0x10000U : 0U);
    case 0x10:
        return m_control | (m_lock.isOpen() ? 0U : kLock);
    case 0x14:
        return m_options | (m_optionLock.isOpen() ? 0U : kOptLock);
    default:
        return 0;
    }
}

bool F2Flash::store(std::uint32_t offset, std::uint32_t value)
{
    switch (offset & ~3U) {
    case 0x00:
        m_access = value & 0x1F07;
        return true;
    case 0x04:
        // Keys behind an open lock jam it as wrong ones do.
        return m_lock.turn(m_lock.isOpen() ? 0 : value);
    case 0x08:
        return m_optionLock.turn(m_optionLock.isOpen() ? 0 : value);
    case 0x0C:
        m_status &= ~(value & 0xF3);
        return true;
    case 0x10:
        if (!m_lock.isOpen())
            return true;
        m_control = value & 0x03000FFF;
        if ((value & kLock) != 0)
            m_lock.close();
        else if ((value & kStart) != 0)
            start();
        return true;
    case 0x14:
        if (!m_optionLock.isOpen())
            return true;
        m_options = value & 0x0FFFFFEC;
        if ((value & kOptLock) != 0)
            m_optionLock.close();
        else if ((value & kOptStart) != 0)
            startOptions();
        return true;
    default:
        return true;
    }
}

void F2Flash::start()
{
    const unsigned number = m_control >> 3 & 15;
    const bool mass = (m_control & kMer) != 0;
    // MER wins over a SER left over from the erase before (st-flash).
    const bool one = !mass && (m_control & kSer) != 0;
    if ((m_control & kPg) != 0 || (!mass && !one) || (one && number >= kSectors)) {
        refuse(kPgsErr);
        return;
    }
    for (unsigned each = 0; each < kSectors; ++each)
        if ((mass || each == number) && writeProtected(each)) {
            refuse(kWrpErr);
            return;
        }
    // DS6329: typical times by PSIZE (protocol sheet 3.5).
    static constexpr std::chrono::milliseconds kErase[3][4] = {{400ms, 300ms, 250ms, 250ms},
                                                               {1200ms, 700ms, 550ms, 550ms},
                                                               {2000ms, 1300ms, 1000ms, 875ms}};
    static constexpr std::chrono::milliseconds kMass[4] = {16s, 11s, 8s, 6900ms};
    const unsigned size = m_control >> 8 & 3;
    if (mass) {
        fill(0, static_cast<std::uint32_t>(array().size()));
        ++m_counters.massErases;
        begin(kMass[size]);
    } else {
        fill(sector(number).offset, sector(number).size);
        ++m_counters.erases;
        begin(kErase[number < 4 ? 0 : number == 4 ? 1 : 2][size]);
    }
    m_status |= kEop;
}

void F2Flash::startOptions()
{
    if (protection() == 0xCC)
        return; // for ever
    const bool opens = protection() != 0xAA && (m_options >> 8 & 0xFF) == 0xAA;
    m_stored = m_options;
    storeOptionBytes();
    begin(50ms);
    if (opens) {
        fill(0, static_cast<std::uint32_t>(array().size()));
        ++m_counters.massErases;
        begin(8s);
    }
}

bool F2Flash::program(std::uint32_t address, unsigned bytes, std::uint32_t value)
{
    if (holdsOptions(address))
        return false; // by OPTCR only
    const std::uint32_t offset = address - kBase;
    // A SER left over from an erase does no harm: st-flash leaves it, and is used on these parts.
    if (!m_lock.isOpen() || (m_control & kPg) == 0)
        return refuse(kPgsErr);
    if (bytes != width())
        return refuse(kPgpErr);
    if (offset / 16 != (offset + bytes - 1) / 16 || offset % bytes != 0)
        return refuse(kPgaErr);
    if (writeProtected(sectorAt(offset)))
        return refuse(kWrpErr);
    // More bits at once than the supply carries: the upper ones do not take, and nobody says so.
    const unsigned taken = std::min(bytes, widest());
    for (unsigned i = 0; i < taken; ++i)
        array()[offset + i] &= static_cast<std::byte>(value >> (8 * i) & 0xFF);
    ++m_counters.programs;
    begin(16us);
    m_status |= kEop;
    return true;
}

} // namespace

std::unique_ptr<FlashController> makeFlashController(const Stm32Profile& chip, const ChipTime& time)
{
    if (chip.family == Stm32Profile::Family::F1)
        return makeF1Flash(chip.flashBytes, time);
    return std::make_unique<F2Flash>(chip.flashBytes, time);
}

} // namespace provost::sim
