// A virtual STM32F103 or STM32F205 as a debug port reaches it: memories, flash controller, core.
#pragma once

#include "sim/cortex_debug.h"
#include "sim/flash_controller.h"

#include <map>
#include <optional>
#include <utility>

namespace provost::sim {

/// Not thread-safe; the probe in front of it holds the lock.
class Stm32Chip final : private CoreBus {
public:
    Stm32Chip(const Stm32Profile& profile, Pace pace, const CoreExecutorMaker& makeCore);
    ~Stm32Chip() override;
    Stm32Chip(const Stm32Chip&) = delete;
    Stm32Chip& operator=(const Stm32Chip&) = delete;

    const Stm32Profile& profile() const { return m_profile; }
    FlashController& flash() { return *m_flash; }
    CortexDebug& debug() { return m_debug; }

    /// Lets the chip live up to the present: the core runs, flash work ends. Where nothing takes
    /// time, the core runs as far as a generous budget.
    void catchUp();

    // What the debug port's memory access does; nothing or false: the bus answers FAULT.
    std::optional<Bytes> read(std::uint32_t address, std::size_t size, unsigned width);
    bool write(std::uint32_t address, ByteView bytes, unsigned width);

    void systemReset();
    /// The NRST line.
    void holdReset();
    void releaseReset();
    bool inReset() const { return m_debug.state() == CortexDebug::State::InReset; }
    /// The supply goes and comes back.
    void powerCycle();
    void setVoltage(double volts);
    double voltage() const { return m_volts; }
    bool powered() const { return m_volts >= 1.5; }
    /// Level 2 of read protection, or no supply: the port does not answer.
    bool debugPortAnswers() const { return powered() && !m_flash->debugDead(); }
    void setUniqueId(ByteView twelveBytes);
    /// As delivered: bytes of main flash as they are to be.
    void pokeFlash(std::uint32_t offset, ByteView bytes);

private:
    static constexpr std::uint32_t kSram = 0x20000000;

    std::optional<std::uint32_t> coreLoad(std::uint32_t address, unsigned bytes) override;
    bool coreStore(std::uint32_t address, unsigned bytes, std::uint32_t value) override;

    struct Place {
        ByteSpan bytes{};
        bool flash = false;
        bool sram = false;
    };
    std::optional<Place> memoryAt(std::uint32_t address, std::size_t size);
    bool isFlashRegister(std::uint32_t address) const
    {
        return address >= m_profile.flashRegisters &&
               address - m_profile.flashRegisters < FlashController::kWindow;
    }
    static bool isPeripheral(std::uint32_t address) { return address >> 28 == 4; }
    std::optional<std::uint32_t> registerLoad(std::uint32_t address);
    bool registerStore(std::uint32_t address, std::uint32_t value);
    bool programFlash(std::uint32_t address, ByteView bytes, unsigned width);
    void flashChanged();
    void takeOptions();

    const Stm32Profile& m_profile;
    ChipTime m_time;
    std::unique_ptr<FlashController> m_flash;
    PageMemory m_sram;
    PageMemory m_system;
    CortexDebug m_debug;
    std::unique_ptr<CoreExecutor> m_core;
    std::chrono::steady_clock::time_point m_wall{}; ///< as far as this catchUp may go
    std::map<std::uint32_t, std::uint32_t> m_peripherals{};
    std::uint32_t m_seenErases = 0;
    double m_volts = 3.3;
};

} // namespace provost::sim
