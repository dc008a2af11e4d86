// The bootloaders on USB: DFU 1.1 with DfuSe, as particle-devices 1.4, 1.5, 3.4 and the
// protocol sheet 1.1 to 1.4 and 1.7 have it.
#pragma once

#include "sim/board_state.h"

namespace provost::sim {

class DfuFunction final : public Chapter9Function {
public:
    /// Precondition: the caller holds board->mutex, and the bootloader region is runnable.
    explicit DfuFunction(std::shared_ptr<BoardState> board);
    Bytes deviceDescriptor() const override;
    Bytes configurationDescriptor() const override;
    Bytes stringDescriptor(std::uint8_t index) const override;
    void busReset() override;

protected:
    UsbReply classRequest(const UsbSetup& setup, ByteView data) override;
    UsbReply vendorRequest(const UsbSetup& setup, ByteView data) override;
    std::optional<SteadyTime> busyUntil() const override;
    Bytes otherDescriptor(std::uint8_t type, std::uint8_t index) const override;
    bool alternateSelected(std::uint8_t interface, std::uint8_t alternate) override;

private:
    struct Pending {
        std::uint16_t block = 0;
        Bytes data{};
    };
    UsbReply download(const UsbSetup& setup, ByteView data);
    UsbReply upload(const UsbSetup& setup);
    UsbReply getStatus();
    UsbReply clearStatus();
    UsbReply abort();
    UsbReply fault(std::uint8_t status);
    UsbReply statusBlock(std::uint8_t shownState) const;
    void announcePoll();
    bool execute(const Pending& work);
    bool eraseFlash(std::uint32_t address);
    bool writeFlash(std::uint32_t address, ByteView data);
    bool writeDct(std::uint32_t offset, ByteView data);
    Bytes readMemory(std::uint32_t address, std::size_t size);
    bool cableComesOut(std::uint32_t address, std::size_t size) const;
    static bool due(std::uint32_t& left);
    void workFor(std::chrono::microseconds real);
    void plugInState();
    bool onF1() const { return m_dfu.code == BootloaderCode::F1; }
    MemorySpace spaceAt(std::uint32_t address) const;
    FlashMemory* memoryAt(std::uint32_t address);
    bool refused(std::uint32_t address) const;
    Bytes functionalDescriptor() const;
    Bytes memoryName(int alternate) const;

    const std::shared_ptr<BoardState> m_board;
    const DfuProfile& m_dfu;
    const unsigned m_version; ///< of the bootloader module
    const std::string m_serial;
    const bool m_borrowsDct; ///< its DCT code lives in system part 2 (3.4)
    const bool m_dctWorks;   ///< as found at the start of this session
    // Guarded by m_board->mutex.
    std::uint8_t m_state = 2;
    std::uint8_t m_status = 0;
    std::uint32_t m_poll = 0; ///< ms; the F2 code never clears it, only sets it (1.7)
    std::uint32_t m_pointer = 0;
    std::optional<Pending> m_pending{};
    bool m_stuck = false;  ///< says dfuDNBUSY for ever
    bool m_failed = false; ///< endpoint 0 is stalled behind the last GETSTATUS
    Bytes m_buffer;        ///< keeps what was last in it
    SteadyTime m_busyUntil{};
    SteadyTime m_pollDue{}; ///< GETSTATUS before is the host's mistake
};

} // namespace provost::sim
