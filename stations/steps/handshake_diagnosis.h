// Why a handshake failed or never came: what the endpoint saw, beside what was read back from the
// unit (particle-devices 3.6, 4.2, 4.3, 10). Pure: bytes in, findings out.
#pragma once

#include "crypto/key_rules.h"
#include "device/dct.h"
#include "steps/key_proof.h"

#include <optional>
#include <string_view>

namespace provost {

/// What was read from the unit after its failure, whole slots.
struct HandshakeReadBack {
    ByteView privateSlot{};
    ByteView serverSlot{}; ///< key, FF, address record
};

/// Where firmware dials whose address record has neither type.
/// @returns device.spark.io with its port over TCP (particle-devices 4.3)
ServerAddress firmwareDefaultCloud();

/// What must be on the unit for this handshake to pass.
struct HandshakeWanted {
    KeyRules rules{};        ///< TCP
    Bytes serverKeyDer{};    ///< of the endpoint
    ServerAddress address{}; ///< where the endpoint is reached; port 0: the default one
    ServerAddress defaultCloud = firmwareDefaultCloud();
    Bytes provedKeyDer{};        ///< public, as it was proved on the unit; empty: not known
    Bytes registeredKeyDer{};    ///< public, as the cloud holds it; empty: not known
    bool cloudHoldsNone = false; ///< it says so
};

/// Whether a repetition cannot help: the endpoint's word is of keys or counters, not of the line.
bool namesAKeyFault(std::string_view said);

/// What differs, the gravest first. What the endpoint knows by itself (a locked key, an unknown
/// device) comes first, then each difference between the unit and what is wanted; where nothing
/// differs, what is left of the endpoint's word.
/// @param unit  nullopt: it could not be read back; then a refusal is "unknown: read these two"
/// @param said  HandshakeReport::cause; empty: the unit never connected
/// @returns empty only for a unit that never connected and on which nothing differs
std::vector<ProofFinding> diagnoseHandshake(const std::optional<HandshakeReadBack>& unit,
                                            const HandshakeWanted& wanted, std::string_view said);

} // namespace provost
