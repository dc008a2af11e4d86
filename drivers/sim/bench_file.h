// The text form of a bench: stations/benches/*.toml.
#pragma once

#include "core/result.h"
#include "sim/board_state.h"
#include "sim/probe_supply.h"

#include <optional>
#include <string>
#include <vector>

namespace provost::sim {

enum class KeySupply : std::uint8_t { None, SelfMade, Burnt };
enum class CredentialSupply : std::uint8_t { None, Bench, Foreign };

/// What goes wrong with each unit of a supply.
struct FaultSpec {
    enum class Kind : std::uint8_t {
        Stall,
        Timeout,
        Short,
        BitFlip,
        Unplug, ///< at a transfer, or at a percentage of a module that DFU writes
        BrownOut,
        StuckBusy,
        LyingPoll,
        LockedCredentials, ///< has no number
        DeafRadio,         ///< it joins no network; has no number
    };
    Kind kind = Kind::Stall;
    FaultPipe pipe = FaultPipe::Control; ///< whose transfers are counted
    std::uint32_t number = 0;            ///< transfer, erase or work, from 1 on; percent; ms
    Eraser eraser = Eraser::Dfu;         ///< brown-out: whose erases are counted
    const ModuleRegion* region = nullptr;
};

/// One line of a slot's supply.
struct UnitSupply {
    std::string platform = "photon";
    std::string stock = "1.5.2";
    bool usb = true;           ///< false: the fixture is wired to Serial1 instead
    bool serialTester = false; ///< the application starts the tester there
    ApplicationHabits application{};
    KeySupply key = KeySupply::None;
    CredentialSupply credentials = CredentialSupply::None;
    std::string label = "match";     ///< match, mislabelled, or the text on the label
    std::string deviceId = "random"; ///< random, or 24 hex digits
    std::string memory{};            ///< file that keeps the flash; empty: none
    std::optional<int> count = 1;    ///< nullopt: endless
    std::vector<FaultSpec> faults{};
};

struct SlotFile {
    int number = 0;
    std::vector<UnitSupply> units{};
};

struct BenchFile {
    std::string name{};
    Pace pace{.speed = Speed::Demo, .factor = 10};
    bool modeButton = false;
    bool equalSerials = false; ///< USB serial numbers name no unit
    bool shuffledBus = false;  ///< devices are listed in another order after each change
    BenchNetwork network{};
    std::vector<SlotFile> slots{};
    std::vector<ProbeSupply> probes{}; ///< wired to slots
};

/// @param origin  name of the file, for messages
/// @returns InvalidData  message begins with file:line:column
Result<BenchFile> parseBenchFile(std::string_view toml, std::string_view origin);

} // namespace provost::sim
