// station.toml: slots, network, cloud and custody of one real station.
#pragma once

#include "engine/plan.h"
#include "engine/ports.h"

#include <filesystem>

namespace provost {

struct StationSlot {
    SlotId slot;
    std::string usb{}; ///< "1-2.3": bus and physical port, as in usb:1-2.3; of the unit, or of the
                       ///< adapter on Serial1 where the unit has no USB
    std::string probe{}; ///< of the debug probe that is wired to the nest; empty: none
    bool enabled = true;
    std::string why{}; ///< what the tile of a slot that is off says
};

struct StationConfig {
    StationSettings settings{};
    std::filesystem::path escrowFolder{}; ///< where the escrow certificate lies; empty: none
    std::vector<StationSlot> slots{};
    std::string accessPointHost{}; ///< that the station can ask whether it is alive; empty: none
    std::uint16_t accessPointPort = 0;
    std::string cloudUrl{};
    SecretBytes cloudToken{};
    std::filesystem::path cloudCaFile{}; ///< PEM, trusted besides the system's; empty: none
    bool cloudIsLocal = false;           ///< no [cloud]: the station serves its own
    std::filesystem::path cloudFolder{}; ///< registry and server key of a local cloud
    std::string handshakeHost{"127.0.0.1"};
    std::uint16_t handshakePort = 0;
};

/// Secrets are never in the file: it names files that hold them.
/// @returns InvalidData  file:line:column; NotFound
Result<StationConfig> loadStation(const std::filesystem::path& file);

} // namespace provost
