// A USB serial adapter of the fixture, wired to Serial1 of a board without USB. It stays on the bus
// whatever the board does.
#pragma once

#include "sim/acm_function.h"
#include "sim/board_state.h"

namespace provost::sim {

/// 9600 8N1 on the board's side; at another setting both ends hear noise.
class UartAdapter final : public AcmFunction {
public:
    explicit UartAdapter(std::shared_ptr<BoardState> board);
    Bytes deviceDescriptor() const override;
    UsbReply bulkOut(std::uint8_t endpoint, ByteView data) override;
    UsbReply bulkIn(std::uint8_t endpoint, std::size_t most) override;

protected:
    UsbReply classRequest(const UsbSetup& setup, ByteView data) override;
    UsbReply vendorRequest(const UsbSetup& setup, ByteView data) override;
    Strings strings() const override;

private:
    Bytes overTheLine(ByteView bytes) const;
    void occupy(SteadyTime& freeFrom, std::size_t bytes) const;

    const std::shared_ptr<BoardState> m_board;
    // Guarded by m_board->mutex.
    acm::LineCoding m_coding{};
    SteadyTime m_sendFree{};
    SteadyTime m_receiveFree{};
};

} // namespace provost::sim
