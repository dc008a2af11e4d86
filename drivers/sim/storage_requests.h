// Control requests 250 to 264: firmware update and storage sections of the running firmware
// (particle-devices 1.3).
#pragma once

#include "sim/board_state.h"
#include "sim/control_outcome.h"

namespace provost::sim {

/// Every function expects the caller to hold `board.mutex`.
class StorageRequests {
public:
    explicit StorageRequests(BoardState& board) : m_board(board) {}
    ControlOutcome run(std::uint16_t type, ByteView payload);

private:
    struct Update {
        std::uint32_t size = 0;
        std::uint32_t stored = 0;
    };
    struct Section {
        enum class Kind : std::uint8_t { Firmware = 1, Received = 2, Factory = 3, Config = 4 };
        Kind kind{};
        ModuleRegion region{};
    };

    ControlOutcome startUpdate(ByteView payload);
    ControlOutcome storeUpdate(ByteView payload);
    ControlOutcome finishUpdate(ByteView payload);
    std::vector<Section> sections() const;
    ControlOutcome describe() const;
    ControlOutcome read(const Section& section, std::uint64_t offset, std::uint64_t size) const;
    ControlOutcome write(const Section& section, std::uint64_t offset, ByteView data);
    ControlOutcome clear(const Section& section);
    ControlOutcome contentSize(const Section& section) const;

    BoardState& m_board;
    std::optional<Update> m_update{};
};

} // namespace provost::sim
