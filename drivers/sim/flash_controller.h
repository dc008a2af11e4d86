// What the flash controllers of the virtual STM32s have in common: an array of bytes, a lock, time.
#pragma once

#include "sim/pace.h"
#include "sim/page_memory.h"
#include "sim/stm32_profile.h"

#include <chrono>
#include <memory>

namespace provost::sim {

/// Time as the chip lives it: never ahead of the wall, and behind it while nobody looks.
struct ChipTime {
    std::chrono::steady_clock::time_point now{};
    Pace pace{};
};

/// Registers, main flash and option bytes of one chip. Not thread-safe. Work is done at once; BSY
/// stays set until its time has gone by.
class FlashController {
public:
    static constexpr std::uint32_t kBase = 0x08000000;
    static constexpr std::uint32_t kWindow = 0x40; ///< bytes of registers

    FlashController(std::uint32_t size, const ChipTime& time)
        : m_time(time), m_array(size, std::byte{0xFF})
    {
    }
    virtual ~FlashController() = default;
    FlashController(const FlashController&) = delete;
    FlashController& operator=(const FlashController&) = delete;

    virtual std::uint32_t load(std::uint32_t offset) const = 0;
    /// False: a bus fault.
    virtual bool store(std::uint32_t offset, std::uint32_t value) = 0;
    /// A store of `width` bytes into flash or option bytes. False: a bus fault.
    virtual bool program(std::uint32_t address, unsigned width, std::uint32_t value) = 0;
    virtual bool holdsOptions(std::uint32_t address) const = 0;
    /// The option bytes as they are read.
    virtual ByteView options() const = 0;
    virtual std::uint32_t optionsBase() const = 0;
    virtual void systemReset() = 0;
    /// A debugger may not read main flash.
    virtual bool readProtected() const = 0;
    /// Level 2: no debugger ever again.
    virtual bool debugDead() const { return false; }
    virtual void setVoltage(double) {}

    bool busy() const { return m_time.now < m_busyUntil; }
    std::chrono::steady_clock::time_point busyUntil() const { return m_busyUntil; }
    bool holds(std::uint32_t address) const
    {
        return address >= kBase && address - kBase < m_array.view().size();
    }
    ByteSpan array() { return m_array.span(); }
    ByteView array() const { return m_array.view(); }

    struct Counters {
        unsigned erases = 0;
        unsigned massErases = 0;
        unsigned programs = 0;
        unsigned refusals = 0;
    };
    const Counters& counters() const { return m_counters; }

protected:
    void begin(std::chrono::microseconds typical)
    {
        m_busyUntil = std::max(m_busyUntil, m_time.now) + m_time.pace.work(typical);
    }
    void fill(std::uint32_t offset, std::uint32_t size)
    {
        std::fill_n(m_array.span().begin() + offset, size, std::byte{0xFF});
    }

    Counters m_counters{};

private:
    const ChipTime& m_time;
    std::chrono::steady_clock::time_point m_busyUntil{};
    PageMemory m_array;
};

std::unique_ptr<FlashController> makeFlashController(const Stm32Profile& chip,
                                                     const ChipTime& time);
std::unique_ptr<FlashController> makeF1Flash(std::uint32_t size, const ChipTime& time);

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

} // namespace provost::sim
