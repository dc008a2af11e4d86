// UnitUnderTest for boards with USB: Photon and its kin.
#pragma once

#include "device/unit_under_test.h"

#include <functional>
#include <optional>

namespace provost {

/// How long a unit may take before it counts as gone or deaf.
struct UnitTiming {
    std::chrono::milliseconds arrival{10000};         ///< on the bus again (protocol sheet 6.4)
    std::chrono::milliseconds boot{20000};            ///< from leaving one mode to showing the next
    std::chrono::milliseconds console{1500};          ///< one `i`, asked of firmware that is up
    std::chrono::milliseconds consoleAfterBoot{4000}; ///< one `i`, asked of firmware that starts
};

/// Both buses must outlive the unit.
struct UnitConnection {
    UsbBus& usb;
    SerialPorts& serial;
    UsbPortPath port{};
    std::function<Result<bool>(std::chrono::milliseconds, const OpContext&)> holdMode{};
    UnitTiming timing{};
    bool simulated = false; ///< what to believe until a device was seen on the port
};

class ParticleUnit final : public UnitUnderTest {
public:
    ParticleUnit(UnitConnection connection, PlatformSpec platform);

    const PlatformSpec& platform() const override { return m_platform; }
    bool simulated() const override { return m_simulated; }
    bool look() override;
    Result<UnitIdentification> identify(const OpContext& op) override;
    Result<UnitMode> mode(const OpContext& op) override;
    Result<> bringTo(UnitMode mode, const OpContext& op) override;
    Result<> reboot(const OpContext& op) override;
    Result<UnitMode> restart(const OpContext& op) override;
    Result<DfuDevice*> dfu(const OpContext& op) override;
    Result<DctMemory*> table(const OpContext& op) override;
    Result<MemoryTarget*> memory(std::uint8_t alternate, const OpContext& op) override;
    bool hasUsb() const override { return true; }
    Result<std::string> clearCredentials(const OpContext& op) override;
    Result<> giveCredentials(const WifiAccess& network, const OpContext& op) override;
    Result<std::unique_ptr<ByteStream>> openConsole(const OpContext& op) override;
    Result<std::unique_ptr<UsbDevice>> openControl(const OpContext& op) override;
    void setHands(Hands hands) override { m_hands = std::move(hands); }
    Result<bool> holdMode(std::chrono::milliseconds span, const OpContext& op) override;
    Result<DctSnapshot> readDct(const OpContext& op) override;
    Result<> waitForFirmware(const OpContext& op) override;
    std::uint32_t incarnation(const OpContext& op) override;
    Result<> waitForNewIncarnation(std::uint32_t old, const OpContext& op) override;
    std::optional<int> dfuRetries() const override;
    void release() override { closeDfu(); }

private:
    // Presence: who is on the port.
    Result<std::optional<UsbDeviceInfo>> present();
    /// Waits for the board's DFU or firmware device; refuses anything else on the port.
    Result<UsbDeviceInfo> arrival(const OpContext& op);
    Result<> isOurs(const UsbDeviceInfo& info) const;
    /// The error of a wait that ran out: gone (C011), or `cause` where something is on the port.
    Unexpected ranOut(struct Error error, std::string_view waitedFor, std::string_view cause);

    void closeDfu();

    // Console.
    Result<std::unique_ptr<SerialPort>> openPort(const OpContext& op);
    Result<std::string> askOnce(const OpContext& op);
    Result<std::string> askListening(std::chrono::milliseconds patience, const OpContext& op);

    // Modes.
    Result<UnitMode> modeWithin(std::chrono::milliseconds patience, const OpContext& op);
    Result<std::string> identifyRunning(const UsbDeviceInfo& info, std::string& route,
                                        const OpContext& op);
    Result<std::string> identifyByRequest(const UsbDeviceInfo& info, std::string& route,
                                          const OpContext& op);
    Result<UsbDeviceInfo> freshBoot(const OpContext& op);
    Result<UsbDeviceInfo> leaveDfu(const OpContext& op);
    Result<> sendBaudCommand(int bitsPerSecond, const OpContext& op);
    Result<> toDfu(const OpContext& op);
    Result<UsbDeviceInfo> waitForDfu(const OpContext& op);
    Result<> toListening(const OpContext& op);

    UnitConnection m_connection;
    PlatformSpec m_platform;
    Hands m_hands{};
    std::string m_deviceId{}; ///< once identified
    std::optional<DfuDevice> m_dfu;
    std::unique_ptr<DctMemory> m_table{}; ///< of the session, as is m_memory
    std::unique_ptr<MemoryTarget> m_memory{};
    std::uint32_t m_dfuIncarnation = 0;
    std::optional<int> m_dfuRetries{}; ///< of the sessions before, and of their re-opening
    bool m_seen = false;
    bool m_simulated = false;
};

} // namespace provost
