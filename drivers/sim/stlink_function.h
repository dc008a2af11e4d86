// A virtual ST-Link (V2, V2-1, V3) on USB, with a virtual STM32 at its other end (protocol sheet
// 2).
#pragma once

#include "sim/debug_port.h"
#include "sim/virtual_usb.h"

#include <deque>

namespace provost::sim {

enum class StLinkModel : std::uint8_t { V2, V2_1, V3 };

struct StLinkIdentity {
    StLinkModel model = StLinkModel::V2_1;
    std::string serial = "066AFF495087534867164834"; ///< 24 hexadecimal digits
    bool rawSerial = false;     ///< old V2 firmware: twelve raw bytes as UTF-16 code units
    unsigned jtagVersion = 37;  ///< V2J37; V3 has 7 by default, see stlinkIdentity()
    unsigned otherVersion = 27; ///< SWIM (V2) or mass storage (V2-1)
    std::uint8_t firstMode = 1; ///< 0 DFU, 1 mass storage
};
/// The usual firmware of a model.
StLinkIdentity stlinkIdentity(StLinkModel model, std::string serial);

/// What a test or a bench file may do to the wires; all of it may change at any time.
struct TargetWiring {
    bool connected = true;   ///< SWDIO, SWCLK, ground
    bool resetWired = true;  ///< NRST
    bool pinsReused = false; ///< the firmware takes the SWD pins: reachable under reset only
};

/// One memory access through the probe, for tests that look at sizes and boundaries.
struct ProbeAccess {
    bool write = false;
    unsigned width = 0;
    std::uint32_t address = 0;
    std::uint32_t size = 0;
};

/// Thread-safe.
class StLinkFunction final : public Chapter9Function {
public:
    StLinkFunction(StLinkIdentity identity, std::unique_ptr<Stm32Chip> chip, Pace pace);

    Bytes deviceDescriptor() const override;
    Bytes configurationDescriptor() const override;
    Bytes stringDescriptor(std::uint8_t index) const override;
    UsbReply bulkOut(std::uint8_t endpoint, ByteView data) override;
    UsbReply bulkIn(std::uint8_t endpoint, std::size_t most) override;
    void busReset() override;

    // The other side of the probe.
    void setWiring(const TargetWiring& wiring);
    /// `times` commands F2 `code` are not carried out and end with `status`; a memory access shows
    /// it at the next GETLASTRWSTATUS.
    void failCommand(std::uint8_t code, std::uint8_t status, unsigned times = 1);
    /// The chip, while nothing else reaches it.
    template <class Use>
    auto withChip(Use use)
    {
        const MutexLock lock(m_mutex);
        const ChipAccess access(*m_chip);
        return use(*m_chip);
    }
    /// Another board on the cable. @returns the chip that was there
    std::unique_ptr<Stm32Chip> connect(std::unique_ptr<Stm32Chip> chip);
    std::vector<ProbeAccess> accesses() const;
    /// SWD clock in effect, kHz.
    unsigned kilohertz() const;

protected:
    UsbReply classRequest(const UsbSetup&, ByteView) override { return UsbReply::stall(); }
    UsbReply vendorRequest(const UsbSetup&, ByteView) override { return UsbReply::stall(); }
    bool alternateSelected(std::uint8_t interface, std::uint8_t alternate) override
    {
        return interface == 0 && alternate == 0;
    }

private:
    struct PendingWrite {
        std::uint32_t address = 0;
        std::size_t size = 0;
        unsigned width = 0;
        std::uint8_t fault = 0;
        Bytes data{};
    };
    struct Failure {
        std::uint8_t status = 0;
        unsigned times = 0;
    };
    using Command = std::array<std::byte, 16>;

    // Commands; all of them under m_mutex.
    void execute(const Command& command) PROVOST_REQUIRES(m_mutex);
    void topLevel(const Command& command) PROVOST_REQUIRES(m_mutex);
    void debugCommand(const Command& command) PROVOST_REQUIRES(m_mutex);
    bool setUpCommand(const Command& command) PROVOST_REQUIRES(m_mutex);
    bool coreCommand(const Command& command) PROVOST_REQUIRES(m_mutex);
    bool dapCommand(const Command& command) PROVOST_REQUIRES(m_mutex);
    bool memoryCommand(const Command& command) PROVOST_REQUIRES(m_mutex);
    void enter(const Command& command) PROVOST_REQUIRES(m_mutex);
    void driveReset(std::uint8_t how) PROVOST_REQUIRES(m_mutex);
    void divisor(std::uint16_t value) PROVOST_REQUIRES(m_mutex);
    void frequencies() PROVOST_REQUIRES(m_mutex);
    void setFrequency(std::uint32_t kilohertz) PROVOST_REQUIRES(m_mutex);
    void readMemory(std::uint32_t address, std::size_t size, unsigned width)
        PROVOST_REQUIRES(m_mutex);
    void finishWrite() PROVOST_REQUIRES(m_mutex);
    std::uint8_t checkAccess(std::uint32_t address, std::size_t size, unsigned width,
                             bool write) const PROVOST_REQUIRES(m_mutex);
    std::uint8_t link() const PROVOST_REQUIRES(m_mutex);
    std::uint8_t injected(std::uint8_t code) PROVOST_REQUIRES(m_mutex);
    void reply(Bytes bytes) PROVOST_REQUIRES(m_mutex) { m_replies.push_back(std::move(bytes)); }
    void status(std::uint8_t code) PROVOST_REQUIRES(m_mutex);
    void statusAndWord(std::uint8_t code, std::uint32_t word) PROVOST_REQUIRES(m_mutex);
    void note(std::uint8_t fault, std::uint32_t address) PROVOST_REQUIRES(m_mutex);
    void spend(std::size_t bytes) PROVOST_REQUIRES(m_mutex);
    bool isV3() const { return m_identity.model == StLinkModel::V3; }
    std::uint8_t outEndpoint() const { return m_identity.model == StLinkModel::V2 ? 0x02 : 0x01; }
    std::uint16_t product() const;

    const StLinkIdentity m_identity;
    const Pace m_pace;
    mutable Mutex m_mutex;
    std::unique_ptr<Stm32Chip> m_chip PROVOST_GUARDED_BY(m_mutex);
    DebugPort m_port PROVOST_GUARDED_BY(m_mutex){};
    TargetWiring m_wiring PROVOST_GUARDED_BY(m_mutex){};
    std::uint8_t m_mode PROVOST_GUARDED_BY(m_mutex) = 1;
    unsigned m_kilohertz PROVOST_GUARDED_BY(m_mutex) = 1800;
    std::uint8_t m_accessStatus PROVOST_GUARDED_BY(m_mutex) = 0x80;
    std::uint32_t m_faultAddress PROVOST_GUARDED_BY(m_mutex) = 0;
    std::optional<PendingWrite> m_pending PROVOST_GUARDED_BY(m_mutex){};
    std::deque<Bytes> m_replies PROVOST_GUARDED_BY(m_mutex){};
    std::map<std::uint8_t, Failure> m_failures PROVOST_GUARDED_BY(m_mutex){};
    std::vector<ProbeAccess> m_accesses PROVOST_GUARDED_BY(m_mutex){};
    SteadyTime m_readyAt PROVOST_GUARDED_BY(m_mutex){};
};

} // namespace provost::sim
