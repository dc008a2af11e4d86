// What a board is made of and what its firmware keeps in RAM; shared by the board's own thread and
// by the host's transfers.
#pragma once

#include "crypto/secret_bytes.h"
#include "sim/board_profile.h"
#include "sim/pace.h"
#include "sim/virtual_usb.h"
#include "sim/wifi_store.h"

#include <map>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

namespace provost::sim {

/// The Wi-Fi that reaches around a bench.
struct BenchNetwork {
    std::string ssid{};
    SecretBytes password{};
    int security = 3;                           ///< as in the console: 0 open, 1 WEP, 2 WPA, 3 WPA2
    std::map<std::string, std::string> hosts{}; ///< names that resolve here, to loopback addresses
};

enum class LedColour : std::uint8_t { Off, White, Blue, Green, Cyan, Magenta, Yellow, Orange, Red };
enum class LedPattern : std::uint8_t { Off, Solid, Blink, Breathe };
/// particle-devices 8.
struct Led {
    LedColour colour = LedColour::Off;
    LedPattern pattern = LedPattern::Off;
    int periodMs = 0; ///< full cycle of blinking and breathing
    auto operator<=>(const Led&) const = default;
};

/// What the unit is running.
enum class BoardMode : std::uint8_t { Off, Booting, Dfu, Listening, Application, SafeMode };

/// For whom a sector is erased: a host in DFU, the receiver of YModem, a change of the table.
enum class Eraser : std::uint8_t { Dfu, Receiver, Table };

/// What goes wrong inside a board; counts go down to 0, which is never.
struct BoardFaults {
    std::uint32_t brownOutErase = 0;        ///< the n-th sector that is erased
    Eraser brownOutOf = Eraser::Dfu;        ///< for this one
    std::uint32_t stuckWork = 0;            ///< behind the n-th erase or write by DFU
    std::optional<std::uint32_t> pollMs{};  ///< announced instead of the true time
    const ModuleRegion* unplugIn = nullptr; ///< the cable comes out while DFU writes this module,
    std::uint32_t unplugPercent = 0;        ///< at this share of it
    bool constantSerial = false;            ///< as old firmware, the same on all units (1.2)
};

/// All memories of a board, as delivered.
struct BoardMemory {
    const BoardProfile* profile = nullptr;
    FlashMemory flash;
    std::optional<FlashMemory> external{};
    SecretBytes radioMemory{};
    bool usb = true;           ///< false: the carrier has none; Serial1 is wired to the fixture
    bool serialTester = false; ///< the application starts the tester (7.6)
    BoardFaults faults{};

    explicit BoardMemory(const BoardProfile& board)
        : profile(&board), flash(*board.flash),
          external(board.external ? std::optional<FlashMemory>(*board.external) : std::nullopt)
    {
    }
    BoardMemory clone() const; ///< without faults
    DctStore table() { return {flash, profile->dct}; }
    /// Puts a field where keys of the RSA handshake lie, FF behind it.
    void putKey(StoredField field, ByteView bytes);
    bool storeCredentials(const WifiCredentials& wanted);
};

enum class BootTarget : std::uint8_t { Normal, Dfu, SafeMode, SafeListening };

/// Everything but `mutex` and the members above it is guarded by `mutex`.
struct BoardState {
    BoardState(BoardMemory stock, Bytes id, std::shared_ptr<const BenchNetwork> around, Pace speed,
               std::shared_ptr<VirtualPort> socket)
        : profile(*stock.profile), deviceId(std::move(id)), network(std::move(around)), pace(speed),
          port(std::move(socket)), usb(stock.usb), serialTester(stock.serialTester),
          faults(stock.faults), flash(std::move(stock.flash)), external(std::move(stock.external)),
          radioMemory(std::move(stock.radioMemory)), store(flash, profile.dct)
    {
        store.beforeErase([this](std::uint32_t address) { dipsIn(Eraser::Table, flash, address); });
    }
    BoardState(const BoardState&) = delete;
    BoardState& operator=(const BoardState&) = delete;

    /// The caller holds the mutex, and notifies.
    void setPower(bool on)
    {
        powerCuts += powered && !on ? 1 : 0;
        powered = on;
    }

    const BoardProfile& profile;
    const Bytes deviceId; ///< 12 bytes of the MCU's unique id, in memory order
    const std::shared_ptr<const BenchNetwork> network;
    const Pace pace;
    const std::shared_ptr<VirtualPort> port;
    const bool usb;
    const bool serialTester;
    mutable Mutex mutex;
    mutable std::condition_variable_any changed;

    BoardFaults faults;
    std::chrono::microseconds flashTime{0}; ///< that erasing and writing takes on a real board
    FlashMemory flash;
    std::optional<FlashMemory> external;
    SecretBytes radioMemory; ///< credentials of a radio module that keeps them itself
    DctStore store;
    BoardMode mode = BoardMode::Off;
    Led led{};
    std::vector<Led> ledHistory{};
    bool powered = true;
    unsigned powerCuts = 0; ///< so that a cut is seen however soon the power comes back
    std::optional<BootTarget> restart{}; ///< asked for; obeyed by the board's thread
    bool replug = false;                 ///< DFU DETACH: leave the bus and come back as we are
    bool listening = false;
    bool safeMode = false;
    bool startReceiver = false; ///< 28800 baud up to 0.4.9
    bool consoleRuns = false;   ///< somebody looks at what the host sends
    Bytes received{};           ///< from the host, not yet looked at
    Bytes toHost{};
    unsigned systemVersion = 0; ///< of the running system part 2
    int lastCloudError = 0;
    int cloudSessions = 0; ///< handshakes that came through
    int cloudAttempts = 0;
    std::string joinedNetwork{};
    bool miscounts = false; ///< message ids go up by two
    std::vector<std::string> log{};
    std::vector<std::string> violations{}; ///< of the host against DFU 1.1
    std::vector<std::string> escapes{};    ///< attempts to reach anything outside the bench
    std::map<std::string, bool> pins{};    ///< driven by the tester; true: high

    // On and off the bus; a board without USB never is. The caller holds no lock.
    void attach(std::shared_ptr<VirtualUsbFunction> function) const;
    void detach() const;

    // The rest expects the caller to hold `mutex`.
    /// The cable comes out: no power until it is given back.
    void pullCable();
    /// Counts a sector that is about to be erased. True: the supply dips in it. It is left half
    /// erased, nothing changes any more, what runs is lost and the board starts anew.
    bool dipsIn(Eraser eraser, FlashMemory& memory, std::uint32_t address);
    void notify() const { changed.notify_all(); }
    void say(std::string line);
    void show(Led next);
    void askRestart(BootTarget target);
    void print(std::string_view text); ///< to the host's serial port
    std::string idText() const;        ///< 24 lower-case hex digits
    std::string macText() const;
    std::optional<WifiCredentials> credentials() const;
    bool saveCredentials(const WifiCredentials& wanted);
    void clearCredentials();
    std::uint32_t usableDct() const;
    /// Of a key field; precondition: the board has it.
    ByteView keyField(StoredField field) const;
    /// Claim code waiting for the cloud; empty: none, or claimed already.
    std::string claimCode() const;
    bool claimed() const;
    std::string report() const; ///< module report without outer braces
    /// A Wi-Fi board that knows no network: it listens.
    bool lacksNetwork() const;
    std::optional<ModuleInfo> system() const; ///< what decides the behaviour, where it may run
    bool writeDct(std::uint32_t applicationOffset, ByteView bytes);
};

} // namespace provost::sim
