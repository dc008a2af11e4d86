// Makes the units of a bench's supply.
#pragma once

#include "sim/bench.h"
#include "sim/bench_file.h"

#include <map>
#include <random>
#include <set>

namespace provost::sim {

/// Not thread-safe.
class UnitFactory {
public:
    UnitFactory(std::shared_ptr<const BenchNetwork> network, Pace pace, bool equalSerials)
        : m_network(std::move(network)), m_pace(pace), m_equalSerials(equalSerials)
    {
    }

    struct Made {
        InsertedUnit unit{};
        std::unique_ptr<VirtualBoard> board{};
    };
    Result<Made> make(const UnitSupply& supply, std::shared_ptr<VirtualPort> port);

private:
    Bytes newDeviceId(const BoardProfile& board);
    Result<> equip(BoardMemory& memory, const UnitSupply& supply, ByteView deviceId);
    Result<> putKey(BoardMemory& memory, KeySupply key);

    const std::shared_ptr<const BenchNetwork> m_network;
    const Pace m_pace;
    const bool m_equalSerials;
    std::map<std::string, BoardMemory> m_stock{};
    std::set<Bytes> m_used{};
    std::random_device m_random{};
};

} // namespace provost::sim
