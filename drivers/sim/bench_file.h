// The text form of a bench: stations/benches/*.toml.
#pragma once

#include "core/result.h"
#include "sim/board_state.h"

#include <optional>
#include <string>
#include <vector>

namespace provost::sim {

enum class KeySupply : std::uint8_t { None, SelfMade, Burnt };
enum class CredentialSupply : std::uint8_t { None, Bench, Foreign };

/// One line of a slot's supply.
struct UnitSupply {
    std::string platform = "photon";
    std::string stock = "1.5.2";
    bool usb = true;           ///< false: the fixture is wired to Serial1 instead
    bool serialTester = false; ///< the application starts the tester there
    KeySupply key = KeySupply::None;
    CredentialSupply credentials = CredentialSupply::None;
    std::string label = "match";     ///< match, mislabelled, or the text on the label
    std::string deviceId = "random"; ///< random, or 24 hex digits
    std::optional<int> count = 1;    ///< nullopt: endless
};

struct SlotFile {
    int number = 0;
    std::vector<UnitSupply> units{};
};

struct BenchFile {
    std::string name{};
    Pace pace{.speed = Speed::Demo, .factor = 10};
    bool modeButton = false;
    BenchNetwork network{};
    std::vector<SlotFile> slots{};
};

/// @param origin  name of the file, for messages
/// @returns InvalidData  message begins with file:line:column
Result<BenchFile> parseBenchFile(std::string_view toml, std::string_view origin);

} // namespace provost::sim
