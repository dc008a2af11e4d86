// A virtual board: memories, bootloader and firmware behind one port.
#pragma once

#include "sim/board_state.h"
#include "sim/stm32_chip.h"

#include <thread>

namespace provost::sim {

/// Thread-safe. Lives on a thread of its own; leaves the port when destroyed.
class VirtualBoard {
public:
    struct Setup {
        BoardMemory memory; ///< as delivered
        Bytes deviceId{};   ///< 12 bytes
        std::shared_ptr<const BenchNetwork> network{};
        Pace pace{};
        std::shared_ptr<VirtualPort> port{};
    };
    explicit VirtualBoard(Setup setup);
    ~VirtualBoard();
    VirtualBoard(const VirtualBoard&) = delete;
    VirtualBoard& operator=(const VirtualBoard&) = delete;

    std::string deviceId() const; ///< 24 lower-case hex digits
    BoardMode mode() const;
    Led led() const;
    std::vector<Led> ledHistory() const;
    std::vector<std::string> log() const;
    /// What the host did against DFU 1.1: GETSTATUS before the announced poll time.
    std::vector<std::string> violations() const;
    /// Attempts of the unit to reach anything outside the bench.
    std::vector<std::string> escapes() const;
    int cloudSessions() const;
    int cloudAttempts() const;
    int lastCloudError() const; ///< particle-devices 5.8; 0: none, or the last one came through
    std::string joinedNetwork() const; ///< empty: not on a network
    bool hasCredentials() const;
    std::string systemVersion() const; ///< release of the installed system part 2, "" without one

    const BoardProfile& profile() const;
    bool pinHigh(const std::string& name) const; ///< "D2"; false where nothing drives it
    /// What DFU's erasing and writing so far takes on a real board, by the tables of the sheets.
    std::chrono::microseconds flashTime() const;
    Bytes readFlash(std::uint32_t address, std::size_t size) const;
    Bytes readExternal(std::uint32_t address, std::size_t size) const; ///< empty: none there
    Bytes physicalDct(int copy) const; ///< 16 KB of copy 0 or 1; empty: the board has no table
    int currentDct() const;
    /// Changes bytes of the current configuration table in place.
    void pokeDct(std::uint32_t applicationOffset, ByteView bytes);
    void pokeFlash(std::uint32_t address, ByteView bytes);

    /// As FlashMemory::onChange(). Called from whoever changes the flash, under the board's lock:
    /// the watcher must not ask the board.
    void watchFlash(FlashMemory::Watch watch);
    /// A firmware that counts its cloud messages wrongly (particle-devices 5.3).
    void miscountMessages(bool on);

    /// MODE (SETUP), held for `span` while firmware runs: 3 s listening, 10 s clears credentials.
    void holdMode(std::chrono::milliseconds span);
    void setPower(bool on);
    /// The cloud has sent a module: it lies in the receive area, and the system restarts to apply
    /// it. False: no firmware runs, or the area does not take it.
    bool updateOverTheAir(ByteView module);
    /// The RESET button.
    void reset();
    /// MODE down, RESET tapped, MODE let go `span` of the board's time later: from 1 s safe mode,
    /// 3 s DFU, 6.5 s the factory's application, 10 s that and no credentials (particle-devices 8).
    void resetHoldingMode(std::chrono::milliseconds span);
    /// The firmware crashes, with a code of particle-devices 8; it starts again behind the SOS.
    void crash(std::uint8_t code);
    /// Its chip, for the probe that is wired to it.
    std::unique_ptr<Stm32Chip> makeChip(const CoreExecutorMaker& makeCore) const;

private:
    const std::shared_ptr<BoardState> m_state;
    std::jthread m_thread;
};

} // namespace provost::sim
