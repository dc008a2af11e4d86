// station.toml: slots, network, cloud and custody of one real station.
#pragma once

#include "crypto/key_token.h"
#include "engine/plan.h"
#include "engine/ports.h"

#include <filesystem>

namespace provost {

struct StationSlot {
    SlotId slot;
    /// "1-2.3": bus and physical port, or usbip:HOST:PORT/BUSID; of the unit, or of the adapter on
    /// Serial1 where the unit has no USB.
    std::string usb{};
    std::string probe{}; ///< of the debug probe that is wired to the nest; empty: none
    bool enabled = true;
    std::string why{}; ///< for the tile of a slot that is off; may be empty
};

enum class StationKind : std::uint8_t { Line, KeyInjection };

struct StationConfig {
    StationKind kind = StationKind::Line;
    /// Units are for sale: no guard of the keys can be overridden, no key leaves in the clear.
    bool production = false;
    StationSettings settings{};
    std::filesystem::path escrowFolder{};  ///< where the escrow certificate lies; empty: none
    std::filesystem::path signingKey{};    ///< of manifests and records; empty: beside the database
    std::filesystem::path checkpoints{};   ///< file or folder of copies of them; empty: none
    std::optional<KeyTokenConfig> token{}; ///< where keys of units are made; nullopt: here
    std::vector<StationSlot> slots{};
    std::string accessPointHost{}; ///< that the station can ask whether it is alive; empty: none
    std::uint16_t accessPointPort = 0;
    std::string cloudUrl{};
    SecretBytes cloudToken{};
    std::filesystem::path cloudCaFile{}; ///< PEM, trusted besides the system's; empty: none
    bool cloudIsLocal = false;           ///< no [cloud]: the station serves its own
    std::filesystem::path cloudFolder{}; ///< registry and server key of a local cloud
    /// Its first line is the passphrase of the endpoint's server key; empty: the program's own.
    std::filesystem::path keyPassphraseFile{};
    std::string handshakeHost{"127.0.0.1"};
    std::uint16_t handshakePort = 0;
};

/// Secrets are never in the file: it names files that hold them.
/// @returns InvalidData  file:line:column; NotFound
Result<StationConfig> loadStation(const std::filesystem::path& file);
/// Its mode alone, for guards: no secret that it names is read.
Result<bool> saysProduction(const std::filesystem::path& file);

} // namespace provost
