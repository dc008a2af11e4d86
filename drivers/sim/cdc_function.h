// A board's running firmware on USB: CDC-ACM and vendor control requests (particle-devices 1.2,
// 1.3, 7.2).
#pragma once

#include "sim/acm_function.h"
#include "sim/board_state.h"
#include "sim/control_channel.h"

namespace provost::sim {

class CdcFunction final : public AcmFunction {
public:
    /// Precondition: the caller holds board->mutex, and board->systemVersion is set.
    explicit CdcFunction(std::shared_ptr<BoardState> board);
    Bytes deviceDescriptor() const override;
    UsbReply bulkOut(std::uint8_t endpoint, ByteView data) override;
    UsbReply bulkIn(std::uint8_t endpoint, std::size_t most) override;

protected:
    UsbReply classRequest(const UsbSetup& setup, ByteView data) override;
    UsbReply vendorRequest(const UsbSetup& setup, ByteView data) override;
    Strings strings() const override;

private:
    void lineCoding(std::uint32_t baud);

    const std::shared_ptr<BoardState> m_board;
    const unsigned m_version;
    const std::string m_serial;
    acm::LineCoding m_coding{}; ///< guarded by m_board->mutex, as the channel
    ControlChannel m_channel;
};

} // namespace provost::sim
