// Looks over every public key that was ever made: equal keys, keys that share a prime, ids that
// stand for two units.
#pragma once

#include "core/bytes.h"
#include "core/result.h"

#include <span>
#include <string>
#include <vector>

namespace provost {

/// One public key somewhere on record.
struct AuditedKey {
    std::string deviceId{};
    std::string source{}; ///< database or registry
    Bytes publicDer{};    ///< SubjectPublicKeyInfo
    bool current = true;  ///< the key that this source thinks is in the unit now
};

enum class AuditKind : std::uint8_t {
    DuplicateKey, ///< one key, several units
    SharedPrime,  ///< two moduli with a common factor: both private keys are public knowledge
    DuplicateId,  ///< one id, and sources that differ about its present key
    Damaged,      ///< no RSA or P-256 key
};
std::string_view name(AuditKind kind); ///< duplicate-key, shared-prime, duplicate-id, damaged-key

struct AuditFinding {
    AuditKind kind{};
    std::vector<std::size_t> keys{}; ///< positions in what was audited, ascending
    std::string reason{};
};

/// Every finding, in order of kind and then of the first key.
///
/// Shared primes are found by batch GCD (D. J. Bernstein, "How to find smooth parts of integers",
/// 2004; N. Heninger et al., "Mining your Ps and Qs", 2012): a product tree and a remainder tree,
/// so that 100 000 keys take minutes, not the weeks of all pairs. Memory: some 5 kB a key.
std::vector<AuditFinding> auditKeys(std::span<const AuditedKey> keys);

/// Groups of positions whose moduli share a factor, equal moduli left out.
/// @param moduli  big-endian, different from each other
std::vector<std::vector<std::size_t>> sharedPrimes(std::span<const Bytes> moduli);

} // namespace provost
