// UnitUnderTest for boards with USB: Photon and its kin.
#pragma once

#include "device/unit_under_test.h"

#include <functional>
#include <optional>

namespace provost {

/// Both buses must outlive the unit.
struct UnitConnection {
    UsbBus& usb;
    SerialPorts& serial;
    UsbPortPath port{};
    std::function<Result<bool>(std::chrono::milliseconds, const OpContext&)> holdMode{};
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
    Result<std::unique_ptr<ByteStream>> openConsole(const OpContext& op) override;
    Result<std::unique_ptr<UsbDevice>> openControl(const OpContext& op) override;
    Result<bool> holdMode(std::chrono::milliseconds span, const OpContext& op) override;
    Result<DctSnapshot> readDct(const OpContext& op) override;
    Result<> waitForFirmware(const OpContext& op) override;
    std::uint32_t incarnation(const OpContext& op) override;
    Result<> waitForNewIncarnation(std::uint32_t old, const OpContext& op) override;
    void release() override { m_dfu.reset(); }

private:
    Result<std::optional<UsbDeviceInfo>> present();
    Result<UnitMode> modeWithin(std::chrono::milliseconds patience, const OpContext& op);
    /// Waits for the board's DFU or firmware device; refuses anything else on the port.
    Result<UsbDeviceInfo> arrival(const OpContext& op);
    Result<std::string> askListening(std::chrono::milliseconds patience, const OpContext& op);
    Result<std::unique_ptr<SerialPort>> openPort(const OpContext& op);
    Result<> sendBaudCommand(int bitsPerSecond, const OpContext& op);
    Result<> leaveDfu(const OpContext& op);
    Result<> toDfu(const OpContext& op);
    Result<> toListening(const OpContext& op);
    Result<std::string> identifyRunning(const UsbDeviceInfo& info, std::string& route,
                                        const OpContext& op);

    UnitConnection m_connection;
    PlatformSpec m_platform;
    std::optional<DfuDevice> m_dfu;
    std::uint32_t m_dfuIncarnation = 0;
    bool m_simulated = false;
};

} // namespace provost
