// Where units stand: the slots of a virtual bench, or the ports and probes of a real station.
#pragma once

#include "device/unit_under_test.h"
#include "engine/plan.h"
#include "host/slot_hardware.h"
#include "sim/bench.h"
#include "store/record.h"

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace provost {

/// The bench of that id or path. @returns InvalidData, NotFound
Result<std::unique_ptr<sim::Bench>> loadBench(const std::string& idOrPath,
                                              const std::filesystem::path& folder,
                                              std::optional<sim::Speed> speed);

/// Reaches the unit in each slot and keeps its last transfers. A slot belongs to one thread at a
/// time; the lists do not change. `clock` outlives it.
class Nests {
public:
    Nests(std::unique_ptr<sim::Bench> bench, const Clock& clock);
    Nests(std::unique_ptr<SlotHardware> hardware, const Clock& clock);
    ~Nests();

    sim::Bench* bench() const { return m_bench.get(); } ///< null on real hardware
    const std::map<SlotId, SlotAccess>& ports() const { return m_ports; }
    const std::map<SlotId, UsbPortPath>& probes() const { return m_probes; }
    std::vector<SlotId> slots() const;

    /// The unit in the slot as the plan reaches it; forgets the transfers of the one before.
    std::unique_ptr<UnitUnderTest> unitIn(SlotId slot, const TestPlan& plan);
    /// The last transfers of that slot; nullopt: no such slot.
    std::optional<TraceRecord> traceOf(SlotId slot) const;
    /// A unit of the platform is in the slot's nest now.
    bool occupied(SlotId slot, const PlatformSpec& platform) const;

private:
    struct SlotTrace;
    void openTraces(const Clock& clock);

    std::unique_ptr<sim::Bench> m_bench{};
    std::unique_ptr<SlotHardware> m_hardware{};
    std::map<SlotId, SlotAccess> m_ports{};
    std::map<SlotId, UsbPortPath> m_probes{};              ///< wired to the slot's nest
    std::map<SlotId, std::unique_ptr<SlotTrace>> m_traces; ///< one per port, made once
};

} // namespace provost
