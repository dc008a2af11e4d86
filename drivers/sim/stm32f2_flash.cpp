// Flash controller of the STM32F205 (PM0059; protocol sheet 3.4).
#include "sim/flash_controller.h"
#include "sim/octets.h"

namespace provost::sim {

namespace {

using namespace std::chrono_literals;

class F2Flash final : public FlashController {
public:
    F2Flash(FlashMemory& flash, const ChipTime& time)
        : FlashController(flash, time, {.busy = 0x10000, .clearable = 0xF3, .lock = kLock},
                          KeyLock(0x08192A3B, 0x4C5D6E7F))
    {
        systemReset();
        agreeOnProtection();
    }

    bool program(std::uint32_t address, unsigned width, std::uint32_t value) override;
    std::uint32_t optionsBase() const override { return 0x1FFFC000; }
    bool readProtected() const override { return protection() != 0xAA; }
    bool debugDead() const override { return protection() == 0xCC; }
    void setVoltage(double volts) override { m_volts = volts; }

private:
    static constexpr std::uint32_t kPg = 1, kSer = 2, kMer = 4, kStart = 0x10000,
                                   kLock = 0x80000000;
    static constexpr std::uint32_t kEop = 1, kWrpErr = 16, kPgaErr = 32, kPgpErr = 64,
                                   kPgsErr = 128;
    static constexpr std::uint32_t kOptLock = 1, kOptStart = 2;
    static constexpr unsigned kFirstWritable = 16; ///< place of nWRP of sector 0 in OPTCR

    bool turnKey(std::uint32_t word) override
    {
        // Keys behind an open lock jam it as wrong ones do.
        return m_lock.turn(m_lock.isOpen() ? 0 : word);
    }
    bool turnOptionKey(std::uint32_t word) override
    {
        return m_optionLock.turn(m_optionLock.isOpen() ? 0 : word);
    }
    void control(std::uint32_t value) override;
    std::uint32_t loadOther(std::uint32_t offset) const override;
    void storeOther(std::uint32_t offset, std::uint32_t value) override;
    void applyOptions() override;
    bool writeProtected(const FlashMemory::Sector& sector) const override
    {
        return (m_stored >> (kFirstWritable + sector.number) & 1) == 0;
    }
    bool protectsBootloader() const override { return (m_stored >> kFirstWritable & 1) == 0; }
    void setBootloaderProtection(bool on) override;

    std::uint8_t protection() const { return static_cast<std::uint8_t>(m_stored >> 8 & 0xFF); }
    unsigned width() const { return 1U << (m_control >> 8 & 3); }
    /// PM0059 table: what the supply can carry; x64 needs a voltage of its own.
    unsigned widest() const { return m_volts >= 2.7 ? 4 : m_volts >= 2.1 ? 2 : 1; }
    std::optional<FlashMemory::Sector> chosenSector() const;
    void start();
    void startOptions();
    void storeOptionBytes();

    std::uint32_t m_access = 0;
    std::uint32_t m_stored = 0x0FFFAAEC; ///< the option bytes, in the places of OPTCR
    std::uint32_t m_options = 0;
    double m_volts = 3.3;
};

void F2Flash::applyOptions()
{
    m_access = 0;
    m_options = m_stored;
    storeOptionBytes();
}

void F2Flash::setBootloaderProtection(bool on)
{
    const std::uint32_t bit = 1U << kFirstWritable;
    m_stored = on ? m_stored & ~bit : m_stored | bit;
    m_options = on ? m_options & ~bit : m_options | bit;
    storeOptionBytes();
}

void F2Flash::storeOptionBytes()
{
    m_optionBytes.fill(std::byte{0xFF});
    const auto user = static_cast<std::uint16_t>((m_stored & 0xEC) | 0x0F);
    putLe16(m_optionBytes, 0, static_cast<std::uint16_t>(user | (m_stored & 0xFF00)));
    putLe16(m_optionBytes, 8, static_cast<std::uint16_t>(m_stored >> kFirstWritable & 0xFFF));
}

std::uint32_t F2Flash::loadOther(std::uint32_t offset) const
{
    if (offset == 0x00)
        return m_access;
    if (offset == 0x14)
        return m_options | (m_optionLock.isOpen() ? 0U : kOptLock);
    return 0;
}

void F2Flash::storeOther(std::uint32_t offset, std::uint32_t value)
{
    if (offset == 0x00)
        m_access = value & 0x1F07;
    if (offset != 0x14 || !m_optionLock.isOpen())
        return;
    m_options = value & 0x0FFFFFEC;
    if ((value & kOptLock) != 0)
        m_optionLock.close();
    else if ((value & kOptStart) != 0)
        startOptions();
}

void F2Flash::control(std::uint32_t value)
{
    m_control = value & 0x03000FFF;
    if ((value & kLock) != 0)
        m_lock.close();
    else if ((value & kStart) != 0)
        start();
}

std::optional<FlashMemory::Sector> F2Flash::chosenSector() const
{
    const unsigned number = m_control >> 3 & 15;
    std::uint32_t at = kBase;
    while (const auto sector = m_flash.sectorAt(at)) {
        if (sector->number == number)
            return sector;
        at += sector->size;
    }
    return std::nullopt;
}

void F2Flash::start()
{
    const bool mass = (m_control & kMer) != 0;
    // MER wins over a SER left over from the erase before (st-flash).
    const bool one = !mass && (m_control & kSer) != 0;
    const auto sector = chosenSector();
    if ((m_control & kPg) != 0 || (!mass && !one) || (one && !sector)) {
        refuse(kPgsErr);
        return;
    }
    if (mass ? anyProtected() : writeProtected(*sector)) {
        refuse(kWrpErr);
        return;
    }
    // DS6329: typical times by PSIZE (protocol sheet 3.5).
    static constexpr std::chrono::milliseconds kErase[3][4] = {{400ms, 300ms, 250ms, 250ms},
                                                               {1200ms, 700ms, 550ms, 550ms},
                                                               {2000ms, 1300ms, 1000ms, 875ms}};
    static constexpr std::chrono::milliseconds kMass[4] = {16s, 11s, 8s, 6900ms};
    const unsigned size = m_control >> 8 & 3;
    if (mass)
        eraseAll(kMass[size]);
    else
        erase(*sector, kErase[sector->number < 4 ? 0 : sector->number == 4 ? 1 : 2][size]);
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
    if (opens)
        eraseAll(8s);
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
    if (writeProtected(*m_flash.sectorAt(address)))
        return refuse(kWrpErr);
    // More bits at once than the supply carries: the upper ones do not take, and nobody says so.
    Bytes next = copyOf(m_flash.view(address, bytes));
    for (unsigned i = 0; i < std::min(bytes, widest()); ++i)
        next[i] &= static_cast<std::byte>(value >> (8 * i) & 0xFF);
    put(address, next);
    m_status |= kEop;
    return true;
}

} // namespace

std::unique_ptr<FlashController> makeF2Flash(FlashMemory& flash, const ChipTime& time)
{
    return std::make_unique<F2Flash>(flash, time);
}

} // namespace provost::sim
