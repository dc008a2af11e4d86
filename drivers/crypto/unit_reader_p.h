// The reader of the firmware, bit for bit: particle-devices 4.2.
#pragma once

#include "crypto/openssl_p.h"
#include "crypto/secret_bytes.h"

namespace provost {

inline constexpr std::size_t kUnitModulusBytes = 128;

/// The numbers that a unit finds in its slot, right or wrong.
struct UnitNumbers {
    Number n{};
    Number p{};
    Number q{};
    Number dP{};
    Number dQ{};
    Number qInv{};
    Bytes announced{}; ///< the modulus as pasted into its public key: bytes 11 to 138, unchecked
};

/// Bytes behind the end of `slot` count as erased flash.
Result<UnitNumbers> readStrides(ByteView slot);

/// cipher^D by the CRT numbers, as the unit computes it; 128 bytes.
/// @returns InvalidData  a prime is even, or the cipher text is not below the modulus
Result<SecretBytes> unitRawDecrypt(const UnitNumbers& numbers, ByteView cipher);

/// Encrypts a random block to the announced modulus with e = 65537 and opens it again.
Result<bool> opensTrialCipher(const UnitNumbers& numbers);

} // namespace provost
