// What the flash controllers of the virtual STM32s have in common: registers at the same places,
// locks, the flash memory that they change, time.
#pragma once

#include "sim/flash_memory.h"
#include "sim/pace.h"
#include "sim/stm32_profile.h"

#include <chrono>
#include <memory>

namespace provost::sim {

/// Time as the chip lives it: never ahead of the wall, and behind it while nobody looks.
struct ChipTime {
    std::chrono::steady_clock::time_point now{};
    Pace pace{};
};

/// Two keys in a row; one wrong word closes it until the next reset (PM0075, PM0059).
class KeyLock {
public:
    KeyLock(std::uint32_t first, std::uint32_t second) : m_keys{first, second} {}
    /// False: jammed, by this word or an earlier one.
    bool turn(std::uint32_t word)
    {
        if (m_jammed || word != m_keys[m_seen]) {
            m_jammed = true;
            m_open = false;
            return false;
        }
        m_open = ++m_seen == 2;
        m_seen %= 2;
        return true;
    }
    bool isOpen() const { return m_open; }
    void close()
    {
        m_open = false;
        m_seen = 0;
    }
    void reset()
    {
        close();
        m_jammed = false;
    }

private:
    std::uint32_t m_keys[2];
    unsigned m_seen = 0;
    bool m_open = false;
    bool m_jammed = false;
};

/// Registers and option bytes of one chip, over its flash. Not thread-safe. Work is done at once;
/// BSY stays set until its time has gone by.
class FlashController {
public:
    static constexpr std::uint32_t kBase = 0x08000000;
    static constexpr std::uint32_t kWindow = 0x40; ///< bytes of registers

    virtual ~FlashController() = default;
    FlashController(const FlashController&) = delete;
    FlashController& operator=(const FlashController&) = delete;

    std::uint32_t load(std::uint32_t offset) const;
    /// False: a bus fault.
    bool store(std::uint32_t offset, std::uint32_t value);
    /// A store of `width` bytes into flash or option bytes. False: a bus fault.
    virtual bool program(std::uint32_t address, unsigned width, std::uint32_t value) = 0;
    bool holdsOptions(std::uint32_t address) const
    {
        return address >= optionsBase() && address - optionsBase() < options().size();
    }
    /// The option bytes as they are read.
    ByteView options() const { return m_optionBytes; }
    virtual std::uint32_t optionsBase() const = 0;
    void systemReset();
    /// A debugger may not read main flash.
    virtual bool readProtected() const = 0;
    /// Level 2: no debugger ever again.
    virtual bool debugDead() const { return false; }
    virtual void setVoltage(double) {}
    /// The bootloader's protection is one thing to the board's firmware and to the option bytes:
    /// whichever was changed last counts.
    void agreeOnProtection();

    bool busy() const { return m_time.now < m_busyUntil; }
    std::chrono::steady_clock::time_point busyUntil() const { return m_busyUntil; }
    bool holds(std::uint32_t address) const { return m_flash.contains(address, 1); }
    ByteSpan array() { return m_flash.cells(); }
    FlashMemory& memory() { return m_flash; }

    struct Counters {
        unsigned erases = 0;
        unsigned massErases = 0;
        unsigned programs = 0;
        unsigned refusals = 0;
    };
    const Counters& counters() const { return m_counters; }

protected:
    /// What is not the same in SR and CR.
    struct Bits {
        std::uint32_t busy;
        std::uint32_t clearable;
        std::uint32_t lock;
    };
    FlashController(FlashMemory& flash, const ChipTime& time, const Bits& bits, KeyLock optionLock)
        : m_optionLock(optionLock), m_flash(flash), m_time(time), m_bits(bits)
    {
    }

    virtual bool turnKey(std::uint32_t word) = 0;
    virtual bool turnOptionKey(std::uint32_t word) = 0;
    /// CR, while the lock is open.
    virtual void control(std::uint32_t value) = 0;
    virtual std::uint32_t loadOther(std::uint32_t offset) const = 0;
    virtual void storeOther(std::uint32_t offset, std::uint32_t value) = 0;
    /// The option bytes take effect.
    virtual void applyOptions() = 0;
    virtual bool writeProtected(const FlashMemory::Sector& sector) const = 0;
    /// By the option bytes; in effect at once.
    virtual bool protectsBootloader() const = 0;
    virtual void setBootloaderProtection(bool on) = 0;

    bool refuse(std::uint32_t flag)
    {
        m_status |= flag;
        ++m_counters.refusals;
        return true;
    }
    void begin(std::chrono::microseconds typical)
    {
        m_busyUntil = std::max(m_busyUntil, m_time.now) + m_time.pace.work(typical);
    }
    bool anyProtected() const;
    void eraseAll(std::chrono::milliseconds typical);
    void erase(const FlashMemory::Sector& sector, std::chrono::milliseconds typical);
    void put(std::uint32_t address, ByteView bytes);

    KeyLock m_lock{0x45670123, 0xCDEF89AB};
    KeyLock m_optionLock;
    std::uint32_t m_status = 0;
    std::uint32_t m_control = 0;
    std::array<std::byte, 16> m_optionBytes{};
    FlashMemory& m_flash;

private:
    const ChipTime& m_time;
    const Bits m_bits;
    Counters m_counters{};
    std::chrono::steady_clock::time_point m_busyUntil{};
    bool m_agreed = false; ///< what both said last
};

/// `flash` must outlive it.
std::unique_ptr<FlashController> makeFlashController(const Stm32Profile& chip, FlashMemory& flash,
                                                     const ChipTime& time);
std::unique_ptr<FlashController> makeF1Flash(FlashMemory& flash, const ChipTime& time);
std::unique_ptr<FlashController> makeF2Flash(FlashMemory& flash, const ChipTime& time);

} // namespace provost::sim
