// What a board is made of and what its firmware keeps in RAM; shared by the board's own thread and
// by the host's transfers.
#pragma once

#include "crypto/secret_bytes.h"
#include "sim/dct_store.h"
#include "sim/modules.h"
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
enum class PhotonMode : std::uint8_t { Off, Booting, Dfu, Listening, Application, SafeMode };

enum class BootTarget : std::uint8_t { Normal, Dfu, SafeMode, SafeListening };

/// Everything but `mutex` and the members above it is guarded by `mutex`.
struct BoardState {
    BoardState(FlashMemory stock, Bytes id, std::shared_ptr<const BenchNetwork> around, Pace speed,
               std::shared_ptr<VirtualPort> socket)
        : deviceId(std::move(id)), network(std::move(around)), pace(speed), port(std::move(socket)),
          flash(std::move(stock)), store(flash)
    {
    }
    BoardState(const BoardState&) = delete;
    BoardState& operator=(const BoardState&) = delete;

    /// The caller holds the mutex, and notifies.
    void setPower(bool on)
    {
        powerCuts += powered && !on ? 1 : 0;
        powered = on;
    }

    const Bytes deviceId; ///< 12 bytes of the MCU's unique id, in memory order
    const std::shared_ptr<const BenchNetwork> network;
    const Pace pace;
    const std::shared_ptr<VirtualPort> port;
    mutable Mutex mutex;
    mutable std::condition_variable_any changed;

    FlashMemory flash;
    DctStore store;
    PhotonMode mode = PhotonMode::Off;
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

    // The rest expects the caller to hold `mutex`.
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
    bool writeDct(std::uint32_t applicationOffset, ByteView bytes);
};

} // namespace provost::sim
