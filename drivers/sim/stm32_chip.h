// A virtual STM32F103 or STM32F205 as a debug port reaches it: memories, flash controller, core.
#pragma once

#include "core/mutex.h"
#include "sim/cortex_debug.h"
#include "sim/flash_controller.h"

#include <map>
#include <optional>
#include <utility>

namespace provost::sim {

struct BoardState;

/// Not thread-safe; whoever uses it holds a ChipAccess.
///
/// A chip by itself executes what is in its flash. The chip of a board shares flash, supply and
/// reset with it: what it runs from flash is the board's firmware, so that its executor runs
/// loaders in SRAM only. While a debugger holds it in reset, behind a reset or in a loader, the
/// board does not run; when the core is let go, the board boots. A halt without a reset leaves the
/// board's firmware running.
class Stm32Chip final : private CoreBus {
public:
    Stm32Chip(const Stm32Profile& profile, Pace pace, const CoreExecutorMaker& makeCore);
    /// The board's. @param board  its state
    Stm32Chip(std::shared_ptr<BoardState> board, const CoreExecutorMaker& makeCore);
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
    friend class ChipAccess;
    static constexpr std::uint32_t kSram = 0x20000000;

    Stm32Chip(const Stm32Profile& profile, Pace pace, const CoreExecutorMaker& makeCore,
              std::unique_ptr<FlashMemory> own, std::shared_ptr<BoardState> board);
    void followBoard();
    void leadBoard();
    bool runsFromFlash() const { return m_debug.readRegister(15) >> 24 != kSram >> 24; }

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
    void leaveReset();

    const Stm32Profile& m_profile;
    const std::shared_ptr<BoardState> m_board; ///< null: a chip by itself
    const std::unique_ptr<FlashMemory> m_own;  ///< its flash then
    ChipTime m_time;
    std::unique_ptr<FlashController> m_flash;
    PageMemory m_sram;
    PageMemory m_system;
    CortexDebug m_debug;
    std::unique_ptr<CoreExecutor> m_core;
    std::chrono::steady_clock::time_point m_wall{}; ///< as far as this catchUp may go
    std::map<std::uint32_t, std::uint32_t> m_peripherals{};
    std::uint32_t m_seenErases = 0;
    unsigned m_seenCuts = 0;
    bool m_taken = false; ///< the firmware's context is gone: reset, or a loader ran
    double m_volts = 3.3;
};

/// Holds a chip, and its board where it has one, for a scope.
class ChipAccess {
public:
    explicit ChipAccess(Stm32Chip& chip) PROVOST_THREAD_ATTRIBUTE(no_thread_safety_analysis);
    ~ChipAccess() PROVOST_THREAD_ATTRIBUTE(no_thread_safety_analysis);
    ChipAccess(const ChipAccess&) = delete;
    ChipAccess& operator=(const ChipAccess&) = delete;

private:
    Stm32Chip& m_chip;
};

} // namespace provost::sim
