// The board in one slot across all its modes.
#pragma once

#include "device/dct_memory.h"
#include "device/platform_spec.h"
#include "protocol/listening_console.h"
#include "transport/serial.h"

#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace provost {

enum class UnitMode : std::uint8_t { Absent, BootRom, Dfu, Listening, Application };
std::string_view name(UnitMode mode); ///< absent, boot-rom, dfu, listening, application

struct UnitIdentification {
    std::string deviceId{}; ///< 24 lower-case hex digits
    std::string route{};    ///< listening, control-request, dfu-serial, cdc-serial
};

/// The network that a unit is to join.
struct WifiAccess {
    std::string_view ssid{};
    const SecretBytes& password;
    WifiSecurity security = WifiSecurity::Wpa2;
    /// The Wi-Fi part of a table that knows it, as read from a golden unit; for units that are told
    /// by SWD. Empty: there is none.
    const SecretBytes& storedPart;
};

/// What only hands can do where the fixture has no actuator.
enum class HandAct : std::uint8_t {
    ToListening,      ///< MODE for 3 s
    ClearCredentials, ///< MODE for 10 s
    ToDfu,            ///< RESET with MODE held
};
/// Asks for it and waits. False: it cannot be done.
using Hands = std::function<Result<bool>(HandAct act, const OpContext& op)>;

/// Knows how to get from any mode to any other. Owned and used by one slot's thread.
///
/// Besides what is named below, every function that touches the unit returns
/// Disconnected (C011)  it was there and is not any more
/// Mismatch (C016)      another unit than the identified one is in the slot
class UnitUnderTest {
public:
    virtual ~UnitUnderTest() = default;
    virtual const PlatformSpec& platform() const = 0;
    /// A virtual bench stands behind it: demo images may be written.
    virtual bool simulated() const = 0;
    /// True where a device is on the port now; learns simulated().
    virtual bool look() = 0;
    /// The chip's id from the wire, never from a constant serial (particle-devices 1.2).
    /// @returns NotFound (C010)  the slot is empty; Unsupported (C013)  another platform
    ///          Unavailable (C012)  no route to the id in the mode it is in
    virtual Result<UnitIdentification> identify(const OpContext& op) = 0;
    virtual Result<UnitMode> mode(const OpContext& op) = 0;
    /// @returns Timeout (C014)  it did not get there
    virtual Result<> bringTo(UnitMode mode, const OpContext& op) = 0;
    /// A fresh boot of the firmware; returns when its USB device is on the bus.
    /// @returns Unavailable (C014)  it boots into DFU mode: there is no firmware to run
    virtual Result<> reboot(const OpContext& op) = 0;
    /// A fresh boot, then the mode that the unit chose by itself: Dfu where it has no firmware.
    virtual Result<UnitMode> restart(const OpContext& op) = 0;
    /// The present DFU session; brings the unit to DFU first. Valid until the mode changes.
    virtual Result<DfuDevice*> dfu(const OpContext& op) = 0;
    /// The application DCT. As dfu(), where the way is DFU.
    virtual Result<DctMemory*> table(const OpContext& op) = 0;
    /// One of its memories, by the number of its DFU alternate. As dfu(), where the way is DFU.
    virtual Result<MemoryTarget*> memory(std::uint8_t alternate, const OpContext& op) = 0;
    /// False: the way is SWD and Serial1. The station writes what elsewhere the unit's firmware
    /// writes on request: bootloader and stored credentials.
    virtual bool hasUsb() const = 0;
    /// Clears stored Wi-Fi credentials by the route that unit and fixture have; proved by the next
    /// boot. @returns the route; Unsupported (C060)  there is none here
    virtual Result<std::string> clearCredentials(const OpContext& op) = 0;
    /// @returns Denied (F230)  the unit did not save them; InvalidArgument (C042)  by SWD, and
    /// there
    ///          is no stored part
    virtual Result<> giveCredentials(const WifiAccess& network, const OpContext& op) = 0;
    /// The console of the running firmware; without USB the line of Serial1.
    virtual Result<std::unique_ptr<ByteStream>> openConsole(const OpContext& op) = 0;
    /// The running firmware's USB device, for control requests.
    virtual Result<std::unique_ptr<UsbDevice>> openControl(const OpContext& op) = 0;
    /// Who helps where a unit is in a mode that no request changes; empty: nobody.
    virtual void setHands(Hands hands) = 0;
    /// Holds the MODE button: the fixture where it can, else hands; false where neither does.
    virtual Result<bool> holdMode(std::chrono::milliseconds span, const OpContext& op) = 0;
    /// The physical DCT sectors, read by exact length.
    virtual Result<DctSnapshot> readDct(const OpContext& op) = 0;
    /// Waits until the unit's firmware is on the bus.
    virtual Result<> waitForFirmware(const OpContext& op) = 0;
    /// The bus position of now; to see a re-enumeration that one asked for.
    virtual std::uint32_t incarnation(const OpContext& op) = 0;
    /// @returns Timeout (C015)  it stayed where it was
    virtual Result<> waitForNewIncarnation(std::uint32_t old, const OpContext& op) = 0;
    /// Of this unit so far: what its DFU driver repeated or cleared (DfuDevice::repeats()), and the
    /// sessions that were opened once more without a restart between them. nullopt: no DFU yet.
    virtual std::optional<int> dfuRetries() const = 0;
    /// Closes everything that is open on the unit.
    virtual void release() = 0;
};

} // namespace provost
