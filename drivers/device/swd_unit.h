// UnitUnderTest for boards without USB: a debug probe on the chip, and the fixture's adapter on
// Serial1 (particle-devices 7.6, 11).
#pragma once

#include "device/particle_unit.h"
#include "device/probe_target.h"
#include "protocol/serial1_tester.h"

namespace provost {

/// Both buses must outlive the unit.
struct SwdConnection {
    UsbBus& usb;
    SerialPorts& serial;
    UsbPortPath probe{};   ///< where the ST-Link is plugged in
    UsbPortPath serial1{}; ///< where the adapter on Serial1 is
    std::function<Result<bool>(std::chrono::milliseconds, const OpContext&)> holdMode{};
    UnitTiming timing{};
    bool simulated = false; ///< what to believe until the probe was seen
    unsigned kilohertz = 4000;
};

/// The unit is halted from the first access to its memory until something needs its firmware, or
/// release(). Such a unit has neither DFU nor control requests: those return Unsupported.
class SwdUnit final : public UnitUnderTest {
public:
    SwdUnit(SwdConnection connection, PlatformSpec platform);
    ~SwdUnit() override;

    const PlatformSpec& platform() const override { return m_platform; }
    bool simulated() const override { return m_simulated; }
    bool look() override;
    Result<UnitIdentification> identify(const OpContext& op) override;
    /// Listening where the tester greets; whatever else runs is Application.
    Result<UnitMode> mode(const OpContext& op) override;
    Result<> bringTo(UnitMode mode, const OpContext& op) override;
    Result<> reboot(const OpContext& op) override;
    Result<UnitMode> restart(const OpContext& op) override;
    Result<DfuDevice*> dfu(const OpContext& op) override;
    Result<DctMemory*> table(const OpContext& op) override;
    Result<MemoryTarget*> memory(std::uint8_t alternate, const OpContext& op) override;
    bool hasUsb() const override { return false; }
    Result<std::string> clearCredentials(const OpContext& op) override;
    Result<> giveCredentials(const WifiAccess& network, const OpContext& op) override;
    Result<std::unique_ptr<ByteStream>> openConsole(const OpContext& op) override;
    Result<std::unique_ptr<UsbDevice>> openControl(const OpContext& op) override;
    void setHands(Hands hands) override { m_hands = std::move(hands); }
    Result<bool> holdMode(std::chrono::milliseconds span, const OpContext& op) override;
    Result<DctSnapshot> readDct(const OpContext& op) override;
    Result<> waitForFirmware(const OpContext& op) override;
    std::uint32_t incarnation(const OpContext&) override { return m_boots; }
    Result<> waitForNewIncarnation(std::uint32_t old, const OpContext& op) override;
    std::optional<int> dfuRetries() const override { return std::nullopt; }
    void release() override;

private:
    /// What is open while the unit is halted.
    struct Session {
        explicit Session(StLinkProbe opened) : probe(std::move(opened)) {}
        StLinkProbe probe;
        std::optional<Stm32Flash> flash{};
        std::unique_ptr<ProbeTarget> memory{};
        std::unique_ptr<ProbeDct> table{};
    };
    Result<StLinkProbe> connect(const OpContext& op);
    Result<std::string> idOf(StLinkProbe& probe, const OpContext& op) const;
    Result<Session*> session(const OpContext& op);
    Result<> letGo(const OpContext& op);
    Result<bool> greets(std::chrono::milliseconds patience, const OpContext& op);
    Result<std::unique_ptr<SerialPort>> openSerial1(const OpContext& op);

    SwdConnection m_connection;
    PlatformSpec m_platform;
    Hands m_hands{};
    std::string m_deviceId{}; ///< once identified
    std::unique_ptr<Session> m_session{};
    std::uint32_t m_boots = 0;
    bool m_simulated = false;
};

} // namespace provost
