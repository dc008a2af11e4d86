// Control requests 110 to 115: antenna, scan and credentials of a board with Wi-Fi
// (particle-devices 1.3).
#pragma once

#include "sim/board_state.h"
#include "sim/control_outcome.h"

namespace provost::sim {

/// Every function expects the caller to hold `board.mutex`.
class WifiRequests {
public:
    explicit WifiRequests(BoardState& board) : m_board(board) {}
    ControlOutcome run(std::uint16_t type, ByteView payload);

private:
    ControlOutcome setAntenna(ByteView payload);
    ControlOutcome antenna() const;
    ControlOutcome scan() const;
    ControlOutcome setCredentials(ByteView payload);

    BoardState& m_board;
};

} // namespace provost::sim
