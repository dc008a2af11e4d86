// The production tester on Serial1 of a board without USB (particle-devices 7.6).
#pragma once

#include "sim/board_state.h"

namespace provost::sim {

/// Every function expects the caller to hold `board.mutex`. Silent until its wake-up comes by.
class SerialTester {
public:
    explicit SerialTester(BoardState& board) : m_board(board) {}
    void feed(ByteView bytes);
    Bytes takeOutput() { return std::exchange(m_output, {}); }

private:
    void wake();
    void command(const std::string& text);
    void connect(const std::string& text);
    void info();
    void scan();
    void antenna(const std::string& text);
    void setPin(const std::string& text);
    void setProduct(const std::string& text);
    void lock(bool on);
    void line(std::string_view text);

    BoardState& m_board;
    Bytes m_heard{}; ///< as many bytes as the wake-up has
    bool m_awake = false;
    std::string m_text{};
    std::string m_joined{}; ///< by CONNECT; not kept
    Bytes m_output{};
};

} // namespace provost::sim
