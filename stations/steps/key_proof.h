// The three-way proof: the key derived from what was read back ON the unit = the key in our record
// = the key that the cloud holds; and the server key and address beside it. Pure: bytes in,
// findings out.
#pragma once

#include "crypto/key_rules.h"
#include "engine/ports.h"

#include <span>

namespace provost {

/// What was read from one unit, whole slots.
struct UnitKeyCopy {
    ByteView privateSlot{};
    ByteView publicSlot{};
    ByteView serverSlot{}; ///< key, FF, address record
};

struct ExpectedKeys {
    KeyRules rules{};
    std::string deviceId{};
    KeyRecord record{};            ///< of our journal
    std::string privateDigest{};   ///< hex SHA-256 of the whole slot as burnt; empty: not known
    bool hasPublicSlot = true;     ///< false: the platform keeps no public key
    Bytes serverSlot{};            ///< as written; empty: not part of this proof
    std::uint32_t addressRecord{}; ///< inside the server slot
};

/// Two copies that differ, named; with the cause that fits.
struct ProofFinding {
    std::string cause{};
    std::string reason{};
};

/// What does not agree between unit and record, the gravest first; empty: everything agrees.
std::vector<ProofFinding> compareUnitWithRecord(const UnitKeyCopy& unit,
                                                const ExpectedKeys& expected);

/// What does not agree between the cloud's answer and the key that the unit proved.
/// @param unitPublicDer  derived from what is ON the unit
std::vector<ProofFinding> compareCloudWithUnit(const RegisteredKey& cloud,
                                               std::string_view deviceId, ByteView unitPublicDer,
                                               const KeyRules& rules);

} // namespace provost
