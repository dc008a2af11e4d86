// The integers of an RSA key pair and their PKCS#1 forms.
#pragma once

#include "crypto/openssl_p.h"
#include "crypto/secret_bytes.h"

#include <array>

namespace provost {

struct RsaNumbers {
    Number n{};
    Number e{};
    Number d{};
    Number p{};
    Number q{};
    Number dP{};
    Number dQ{};
    Number qInv{};
};

enum class IntegerForm : std::uint8_t {
    Shortest,  ///< DER
    FullWidth, ///< every integer but e behind a 00 byte at the width of the key
};

/// @returns InvalidData  damaged, multi-prime, or the numbers are not those of one key
Result<RsaNumbers> readPkcs1(ByteView der);
/// The whole key of two primes, with e = 65537 and D modulo lcm(P-1, Q-1).
/// @returns InvalidData  their product is not `modulus`, or there is no such key
Result<RsaNumbers> numbersOfPrimes(ByteView modulus, ByteView p, ByteView q);
/// The numbers inside a key of OpenSSL.
Result<RsaNumbers> numbersOf(const EVP_PKEY& key);
/// Empty where there is no full-width form: a prime is wider than half the modulus.
SecretBytes writePkcs1(const RsaNumbers& numbers, IntegerForm form);

/// A key of OpenSSL with these numbers; public only where `d` is missing.
Result<EvpKey> toEvpKey(const RsaNumbers& numbers);

} // namespace provost
