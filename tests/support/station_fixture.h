// A whole station in one process: bench, cloud on loopback, journal, engine, and what it said.
#pragma once

#include "config/load_plan.h"
#include "device/swd_unit.h"
#include "engine/station_engine.h"
#include "sim/bench.h"
#include "sim/virtual_cloud.h"
#include "support/meddling_bus.h"
#include "support/recording_sink.h"

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace provost::test {

using namespace std::chrono_literals;

constexpr auto kRunPatience = 120s;

/// One line of a slot's supply; the words of a bench file.
struct UnitWish {
    std::string platform{"photon"};
    std::string stock{"1.5.2"};
    std::string key{"none"};
    std::string credentials{"none"};
    std::string label{"match"};
    std::string deviceId{"random"};
    bool usb = true;      ///< false: on a carrier without it, a debug probe on its chip
    std::string memory{}; ///< file that keeps the flash; empty: none
    int count = 1;
    std::string more{};   ///< further keys of the unit, as they stand in the file
    std::string faults{}; ///< [[slot.unit.fault]] tables as they stand in the file
};

struct BenchWish {
    std::vector<std::vector<UnitWish>> supplies{{UnitWish{}}}; ///< by slot, from slot 1
    bool modeButton = false;
    bool publicCloudAtHome = false; ///< device.spark.io resolves to loopback: dialling it is seen
    bool accessPointOn = true;
    std::string ssid{"bench"};
    std::string password{"bench-secret-4711"};
    std::vector<std::string> hosts{}; ///< further names that resolve to loopback
};
/// PEM file; made once, at the first call. `which`: of different clouds.
std::filesystem::path sharedServerKey(int which = 0);
std::string benchToml(const BenchWish& wish);

struct StationSetup {
    BenchWish bench{};
    std::filesystem::path database{};              ///< empty: in a folder of its own
    std::chrono::milliseconds handshakeWithin{6s}; ///< of the plan's step
    std::chrono::milliseconds answerWithin{5s};    ///< of the cloud
    Bytes escrowCertificate{};
    std::string plan{"photon-full"};
    std::uint16_t servedAt = 0;        ///< units stand on a bench of another process: USB/IP port
    std::filesystem::path serverKey{}; ///< of the cloud; empty: one for the whole program
    SecretBytes stationPassword{};     ///< empty: the bench's
    /// The product has a cloud of its own, with another server key, where units stay connected; the
    /// station is its client, and the plan's shipping state names it.
    bool productCloud = false;
    std::chrono::milliseconds contactWithin{60s}; ///< of the plan's step
    int contactDwellSeconds = 0;
    bool networkProven = true; ///< another unit has joined before; a silent one is at fault then
    bool networkProbed = true; ///< the station can ask the access point
};

/// The state of a unit as a run left it.
struct UnitAfter {
    std::vector<std::string> escapes{};
    std::vector<std::string> violations{};
};

class Station {
public:
    /// Ends the test program where a station cannot be set up.
    static std::unique_ptr<Station> open(StationSetup setup = {});
    ~Station();

    sim::Bench& bench();
    VirtualCloud& cloud();
    VirtualCloud& productCloud();
    CloudView& view();
    ProvisioningClient& client();
    Journal& journal();
    StationEngine& engine();
    RecordingSink& sink();
    Meddling& meddling();
    StepRegistry& steps();
    ImageCatalog& images();
    const std::filesystem::path& folder() const;
    const std::filesystem::path& database() const;
    StationSettings& settings();
    NetworkWitness& network();
    /// The plan of the next run; a test may change it between runs.
    TestPlan& plan();

    sim::InsertedUnit insert(int slot = 1);
    sim::VirtualBoard& board(int slot = 1);
    /// Runs what is in the slot and waits for its verdict.
    RunFinished run(int slot = 1);
    RunFinished run(int slot, const std::string& label);
    /// insert(), then run().
    RunFinished runNext(int slot = 1);
    /// Runs what is in each of the slots 1 to `slots`, all at once; verdicts in that order.
    std::vector<RunFinished> runAll(int slots);
    /// Waits until every unit is on the bus.
    void settle(int slots = 1);
    Result<> start(int slot, const std::string& label);
    /// The verdict of the slot among the events from number `from` on.
    std::optional<RunFinished> verdict(int slot, std::size_t from = 0,
                                       std::chrono::milliseconds patience = kRunPatience);
    /// Acts on the slot's thread when an attempt of the step is on record, before the next begins.
    using Act = std::function<void(int slot)>;
    void afterStep(const std::string& step, Act act);
    UnitAfter after(int slot = 1);
    RunRecord record(RunId run);
    /// The last attempt of a step in the run's record.
    AttemptRecord attempt(RunId run, std::string_view step);
    /// The first column of every row.
    std::vector<std::string> query(const std::string& sql);

private:
    struct Impl;
    explicit Station(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> m_impl;
};

DataFolders testFolders();
/// A folder that is removed at the end of the program.
std::filesystem::path newFolder();
/// "pass", or verdict, cause and technical text, for messages of tests.
std::string told(const RunFinished& finished);
std::string causesOf(const RunRecord& record);

/// A station with one virtual unit.
std::unique_ptr<Station> quick(UnitWish unit = {}, std::chrono::milliseconds handshake = 1500ms);

} // namespace provost::test

#define VERIFY_RUN(finished, wantedVerdict, wantedCause)                                           \
    do {                                                                                           \
        const RunFinished seen = (finished);                                                       \
        QVERIFY2(seen.verdict == (wantedVerdict) && seen.cause == (wantedCause),                   \
                 told(seen).c_str());                                                              \
    } while (false)
