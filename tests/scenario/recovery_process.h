// One process that runs a unit and dies at a given place, and the one that comes after it over the
// same database, the same registry of the cloud and the same flash of the unit.
#pragma once

#include "support/station_fixture.h"

#include <filesystem>
#include <string>
#include <vector>

namespace provost::test {

constexpr const char* kRecoveryUnit = "2b0014000447373030323331";

enum class CloudMood : std::uint8_t { Well, AwayAtFirst };

/// What outlives the process.
struct Ordeal {
    std::filesystem::path folder{};    ///< database, registry, flash, log
    std::filesystem::path serverKey{}; ///< of the test endpoint
    CloudMood cloud = CloudMood::Well;
    /// USB/IP port of the process on whose bench the unit stands, powered throughout; 0: the unit
    /// stands on a bench of our own, its flash is in the folder.
    std::uint16_t servedAt = 0;
};

StationSetup setupFor(const Ordeal& ordeal);
/// Lets the outbox be sent; true where nothing waits any more.
bool sendOutbox(Station& station);

/// One line of the log that a victim leaves, written before it goes on.
struct LoggedRow {
    int commit = 0;     ///< transactions that wrote something, from 1
    int flash = 0;      ///< changes of the unit's flash when it was about to be committed
    int requests = 0;   ///< to the cloud, then
    std::string name{}; ///< "intend:burn-device-key", several joined by ';'
    /// The same wherever it is run: the name without fingerprints, and which one of that name it
    /// is: "intend:write-shipping-server-key#2".
    std::string place{};
};
struct LoggedFlash {
    int change = 0; ///< from 1
    std::uint32_t address = 0;
    std::size_t size = 0;
    int commit = 0;      ///< transactions before it
    std::string place{}; ///< "intend:burn-device-key#1+3": the third change behind that row
};
struct LoggedProgress {
    std::string phase{};
    int number = 0; ///< in that phase, from 1
};
struct VictimLog {
    std::vector<LoggedRow> rows{};
    std::vector<LoggedFlash> flash{};
    std::vector<LoggedProgress> progress{};
    std::string shown{}; ///< the verdict that was posted, empty: none
};
VictimLog readLog(const std::filesystem::path& folder);

/// Runs the unit and is killed by SIGKILL at `place`: "before ROW", "after ROW", "flash ROW+N"
/// (places as above), "progress PHASE#N" (in the middle of a transfer), "none". With a cloud that
/// is away at first the run ends on HOLD; then it is back and the outbox is sent.
/// @returns 0 where the end was reached
int runVictim(const Ordeal& ordeal, const std::string& place);

/// Fingerprint of the key that both DCT copies hold, by the unit's own reader; or what is wrong.
std::string keyOnUnit(const sim::VirtualBoard& board);

enum class Expected : std::uint8_t {
    Pass,
    Bricked, ///< the bootloader was cut off half-way: the unit never comes back
};
/// Opens the station again, looks whether anything was lost, runs the unit and looks at
/// everything. Prints what was found at the inspection, then "wrong: …" for each thing that is.
/// @returns 0 where nothing is wrong
int runSurvivor(const Ordeal& ordeal, Expected expected);

} // namespace provost::test
