// What the screens may ask of the station. Commands flow inward, events outward.
#pragma once

#include "engine/events.h"
#include "store/record.h"

#include <optional>
#include <string>
#include <vector>

namespace provost {

/// What does not change while the program runs; shown in the header.
struct StationIdentity {
    std::string planTitle{};  ///< "Photon 2.3.1 — full provision"
    std::string planLine{};   ///< "Plan photon-full · rev 1"
    std::string planDigest{}; ///< hex SHA-256 of plan, platform and shipping state
    bool planApproved = false;
    std::string stationName{};     ///< "Station A"
    std::string operatorName{};    ///< empty: not known
    bool operatorSignedIn = false; ///< has shown who he is; else only the account is known
    bool simulated = false;
    bool training = false; ///< not in production: what is made here is marked
    std::string databasePath{};
    std::vector<SlotId> slots{};
};

/// Called from the GUI thread; every call returns at once, what happens arrives as events.
class StationCommands {
public:
    virtual ~StationCommands() = default;
    virtual StationIdentity identity() const = 0;
    /// Starts the slot with the printed label as scanned; empty label: without one.
    virtual void start(SlotId slot, const std::string& label) = 0;
    virtual void startAll() = 0;
    virtual void stop(SlotId slot) = 0;
    virtual void stopAll() = 0;
    /// Off, or on again; refused while a unit is in work.
    virtual void switchSlot(SlotId slot, bool on) = 0;
    virtual void answer(RunId run, const std::string& reply) = 0;
    /// From the database, read-only and quick.
    virtual std::optional<RunRecord> run(RunId run) = 0;
    virtual std::vector<UnitRow> units() = 0;
    virtual std::vector<RunRecord> runsOf(const std::string& deviceId) = 0;
    virtual ShiftCounts counts() = 0;
};

} // namespace provost
