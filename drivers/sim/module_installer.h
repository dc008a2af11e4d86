// How modules get from the receive area to where they run (particle-devices 2.4, 3.5, 7.5).
#pragma once

#include "sim/board_state.h"
#include "sim/ymodem_receiver.h"

namespace provost::sim {

/// The receive area of the flash as the running system uses it. The caller of every function here
/// holds `board.mutex`.
class FlashReceiveArea final : public ReceiveArea {
public:
    explicit FlashReceiveArea(BoardState& board) : m_board(board) {}
    bool prepare(std::uint32_t size) override;
    bool store(std::uint32_t offset, ByteView bytes) override;
    unsigned invalid() override;
    /// Time that the flash has taken since the last call, at the bench's speed.
    std::chrono::microseconds takeOwed() { return std::exchange(m_owed, {}); }

private:
    BoardState& m_board;
    std::chrono::microseconds m_owed{0};
};

/// What the system does with a module that has arrived: a bootloader is written at once, anything
/// else waits in a pending slot for the restart.
void installReceived(BoardState& board);
/// The bootloader's part: copies what is pending, where it is intact. Returns what that takes.
std::chrono::microseconds applyPendingModules(BoardState& board);
/// An application, and where it is copied to.
struct FactoryImage {
    bool external = false; ///< in the Core's external flash
    std::uint32_t from = 0;
    ModuleInfo module{};
};
/// What slot 0 of the pending modules names (3.5), else what lies at the factory address (2.2,
/// 2.3). nullopt: nothing that may run.
std::optional<FactoryImage> factoryImage(const BoardState& board);
/// Returns what that takes. nullopt: there is none, or the flash does not take it.
std::optional<std::chrono::microseconds> copyFactoryImage(BoardState& board);
/// Byte 1753 of the DCT (1.1 and later). True: something was installed, the system restarts.
bool applyOtaFlag(BoardState& board);
/// Systems 0.6.3 and 0.6.4 put their own bootloader back (6.5).
void restoreEmbeddedBootloader(BoardState& board);
bool writeBootloader(BoardState& board, ByteView module);

} // namespace provost::sim
