// What a board is made of and what its firmware keeps in RAM; shared by the board's own thread and
// by the host's transfers.
#pragma once

#include "sim/board_profile.h"
#include "sim/pace.h"
#include "sim/unit_secret.h"
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
    UnitSecret password{};
    int security = 3;                           ///< as in the console: 0 open, 1 WEP, 2 WPA, 3 WPA2
    bool on = true;                             ///< the access point has power
    std::map<std::string, std::string> hosts{}; ///< names that resolve here, to loopback addresses
    /// 8.8.8.8:53 answers, by which units tell "no internet" from "server unreachable" (8).
    bool internet = false;
    /// What a station is to allow for the join, from the restart to an address; its own where not.
    std::optional<std::chrono::milliseconds> joinLimit{};
};

enum class LedColour : std::uint8_t { Off, White, Blue, Green, Cyan, Magenta, Yellow, Orange, Red };
enum class LedPattern : std::uint8_t { Off, Solid, Blink, Breathe, Sos };
/// particle-devices 8.
struct Led {
    LedColour colour = LedColour::Off;
    LedPattern pattern = LedPattern::Off;
    int periodMs = 0; ///< full cycle of blinking and breathing
    int times = 0;    ///< so many blinks and no more (behind SOS: the crash code); 0: for ever
    auto operator<=>(const Led&) const = default;
};

/// What the unit is running.
enum class BoardMode : std::uint8_t {
    Off,
    Booting,
    Dfu,
    Listening,
    Application,
    SafeMode,
    Crashed
};

/// How far an application lets the network come.
enum class Connects : std::uint8_t { Never, RadioOnly, Network, Cloud };

/// What the delivered application does, as long as it is the one in the user part.
struct ApplicationHabits {
    bool baudCommands = true; ///< false: it has switched them off (7.2)
    Connects connects = Connects::Cloud;
    std::uint8_t crashCode = 0; ///< it crashes as soon as it starts; 0: it does not
    bool operator==(const ApplicationHabits&) const = default;
};

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
    bool deafRadio = false;                 ///< hears no network
    bool constantSerial = false;            ///< as old firmware, the same on all units (1.2)
    bool lockedCredentials = false;         ///< they can be neither saved nor cleared
};

/// All memories of a board, as delivered.
struct BoardMemory {
    const BoardProfile* profile = nullptr;
    FlashMemory flash;
    std::optional<FlashMemory> external{};
    UnitSecret radioMemory{};
    bool usb = true;           ///< false: the carrier has none; Serial1 is wired to the fixture
    bool serialTester = false; ///< the application starts the tester (7.6)
    ApplicationHabits application{};
    BoardFaults faults{};

    explicit BoardMemory(const BoardProfile& board)
        : profile(&board), flash(*board.chip->flash),
          external(board.external ? std::optional<FlashMemory>(*board.external) : std::nullopt)
    {
    }
    BoardMemory clone() const; ///< without faults
    DctStore table() { return {flash, profile->dct}; }
    /// Puts a field where keys of the RSA handshake lie, FF behind it.
    void putKey(StoredField field, ByteView bytes);
    bool storeCredentials(const WifiCredentials& wanted);
};

enum class BootTarget : std::uint8_t { Normal, Dfu, SafeMode, SafeListening, FactoryReset };

/// Everything but `mutex` and the members above it is guarded by `mutex`.
struct BoardState {
    BoardState(BoardMemory stock, Bytes id, std::shared_ptr<const BenchNetwork> around, Pace speed,
               std::shared_ptr<VirtualPort> socket)
        : profile(*stock.profile), deviceId(std::move(id)), network(std::move(around)), pace(speed),
          port(std::move(socket)), usb(stock.usb), serialTester(stock.serialTester),
          delivered(stock.application), faults(stock.faults), flash(std::move(stock.flash)),
          external(std::move(stock.external)), radioMemory(std::move(stock.radioMemory)),
          store(flash, profile.dct), deliveredUser(userPart())
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
        dead = false;
    }
    /// A debugger keeps the core from the firmware: in reset, halted behind one, or in a loader.
    /// The caller holds the mutex.
    void holdCore(bool on)
    {
        if (on == coreHeld)
            return;
        coreHeld = on;
        coreHolds += on ? 1 : 0;
        dead = false;
        mode = BoardMode::Off; // its thread looks what comes next
        detach();
        notify();
    }
    bool mayRun() const { return powered && !coreHeld && !dead; }
    /// Changes whenever what ran has lost its RAM.
    unsigned interruptions() const { return powerCuts + coreHolds; }

    const BoardProfile& profile;
    const Bytes deviceId; ///< 12 bytes of the MCU's unique id, in memory order
    const std::shared_ptr<const BenchNetwork> network;
    const Pace pace;
    const std::shared_ptr<VirtualPort> port;
    const bool usb;
    const bool serialTester;
    const ApplicationHabits delivered;
    mutable Mutex mutex;
    mutable std::condition_variable_any changed;

    BoardFaults faults;
    std::chrono::microseconds flashTime{0}; ///< that erasing and writing takes on a real board
    FlashMemory flash;
    std::optional<FlashMemory> external;
    UnitSecret radioMemory; ///< credentials of a radio module that keeps them itself
    DctStore store;
    const std::array<std::byte, 32> deliveredUser; ///< SHA-256 in the delivered user part's suffix
    BoardMode mode = BoardMode::Off;
    Led led{};
    std::vector<Led> ledHistory{};
    bool powered = true;
    unsigned powerCuts = 0; ///< so that a cut is seen however soon the power comes back
    bool coreHeld = false;
    unsigned coreHolds = 0;
    bool dead = false; ///< nothing there to boot, until the supply or a debugger begins anew
    std::optional<BootTarget> restart{};   ///< asked for; obeyed by the board's thread
    bool owesAnswer = false;               ///< to the queued request that asked for it
    std::chrono::milliseconds modeHeld{0}; ///< MODE, from the next reset on
    bool clearAtStart = false;     ///< full reset: the system clears credentials when it starts
    std::optional<bool> cleared{}; ///< by MODE, not shown yet; false: that failed
    std::uint8_t crashCode = 0;    ///< the firmware has just crashed
    bool replug = false;           ///< DFU DETACH: leave the bus and come back as we are
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
    bool lostNetwork = false; ///< its credentials were cleared: what runs leaves it at once
    bool miscounts = false;   ///< message ids go up by two
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
    /// The host has heard how its queued request ended.
    void answered();
    void print(std::string_view text); ///< to the host's serial port
    std::string idText() const;        ///< 24 lower-case hex digits
    std::string macText() const;
    bool hears(const std::string& ssid) const; ///< a network of that name
    std::optional<WifiCredentials> credentials() const;
    bool saveCredentials(const WifiCredentials& wanted);
    bool clearCredentials();
    bool firmwareRuns() const;
    /// Of the application that runs: none in safe mode.
    ApplicationHabits application() const;
    std::uint32_t usableDct() const;
    /// Of a key field; precondition: the board has it.
    ByteView keyField(StoredField field) const;
    /// Claim code waiting for the cloud; empty: none, or claimed already.
    std::string claimCode() const;
    bool claimed() const;
    /// The code, where there is one, was shown to the cloud: it goes, and the mark is set. The
    /// sheets leave open when firmware does so.
    void claimShown();
    std::string report() const;      ///< module report without outer braces
    std::string diagnostics() const; ///< values as JSON; their layout is this bench's own
    /// A Wi-Fi board that knows no network: it listens.
    bool lacksNetwork() const;
    std::optional<ModuleInfo> system() const; ///< what decides the behaviour, where it may run
    bool writeDct(std::uint32_t applicationOffset, ByteView bytes);

private:
    std::array<std::byte, 32> userPart() const; ///< SHA-256 of its suffix; zeros: none
};

} // namespace provost::sim
