// USB vendor control requests of the running firmware: raw from 0.6.0, queued from 0.8.0
// (particle-devices 1.3).
#pragma once

#include "sim/board_state.h"
#include "sim/control_outcome.h"
#include "sim/storage_requests.h"
#include "sim/wifi_requests.h"

#include <map>

namespace provost::sim {

/// Every function expects the caller to hold `board.mutex`.
class ControlChannel {
public:
    explicit ControlChannel(BoardState& board) : m_board(board), m_storage(board), m_wifi(board) {}
    UsbReply request(const UsbSetup& setup, ByteView data);

private:
    struct Queued {
        std::uint16_t type = 0;
        std::uint16_t expected = 0; ///< payload bytes still to be sent
        bool done = false;
        bool asked = false; ///< CHECK has seen it pending
        std::int32_t result = 0;
        Bytes reply{};
    };
    using Outcome = ControlOutcome;

    UsbReply raw(const UsbSetup& setup, ByteView data);
    UsbReply init(const UsbSetup& setup);
    UsbReply check(const UsbSetup& setup);
    UsbReply send(const UsbSetup& setup, ByteView data);
    UsbReply receive(const UsbSetup& setup);
    UsbReply reset(const UsbSetup& setup);
    void run(Queued& entry, ByteView payload);
    Outcome execute(std::uint16_t type, ByteView payload);
    Outcome mode(std::uint16_t type);
    Outcome claim(std::uint16_t type, ByteView payload);
    Outcome securityKey(std::uint16_t type, ByteView payload);
    Outcome serverAddress(std::uint16_t type, ByteView payload);
    Outcome setAddress(std::uint32_t slot, std::uint32_t size, ByteView payload);
    Outcome getAddress(std::uint32_t slot) const;
    Outcome serverProtocol(std::uint16_t type, ByteView payload);

    BoardState& m_board;
    StorageRequests m_storage;
    WifiRequests m_wifi;
    std::map<std::uint16_t, Queued> m_queue{};
    std::uint16_t m_lastId = 0;
};

} // namespace provost::sim
