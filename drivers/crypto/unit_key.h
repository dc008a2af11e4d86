// A unit's key as the unit's own reader sees it (particle-devices 4.1, 4.2): fixed strides, no DER
// parser. What this reader cannot use, the unit cannot use, whatever openssl says of it.
#pragma once

#include "crypto/ec_key.h"
#include "crypto/rsa_key.h"

#include <optional>
#include <string>

namespace provost {

struct KeyReading {
    bool readable = false;
    std::string reason{};                     ///< why not; empty if readable
    std::string encoding{};                   ///< pkcs1, pkcs8, sec1, spki, blank, unknown
    int bits = 0;                             ///< 0: not known
    std::size_t length = 0;                   ///< of the structure by its header, 0: not known
    std::optional<RsaPublicKey> publicKey{};  ///< as the unit would send it, where readable
    std::optional<EcPublicKey> ecPublicKey{}; ///< the same of a P-256 key
    bool curable = false; ///< unreadable, and the same numbers in the burn form are readable

    /// Of whichever public key there is; empty where unreadable.
    std::string fingerprint() const
    {
        return publicKey     ? publicKey->fingerprint()
               : ecPublicKey ? ecPublicKey->fingerprint()
                             : std::string{};
    }
};

/// Reads the bytes at the start of an RSA key slot exactly as the firmware does, then opens a
/// trial cipher text with the numbers so found.
/// @param slot  DER at its start; at least 612 bytes where read from a unit
KeyReading readAsUnit(ByteView slot);

/// Any key file (PKCS#1, PKCS#8, SEC1; PEM or DER) judged for an RSA platform.
KeyReading judgeKeyFile(ByteView file);

/// A new RSA-1024 key in the full-width form, checked with readAsUnit before it is returned.
struct UnitKey {
    SecretBytes privateDer{};
    RsaPublicKey publicKey;
};
Result<UnitKey> generateUnitKey();

/// Opens a message 3 as the unit would: its own reader, CRT numbers, type-2 padding, at most 40
/// bytes of plain text (particle-devices 5.1).
/// @returns InvalidData  DECRYPTION_ERROR on the unit
Result<SecretBytes> decryptAsUnit(ByteView slot, ByteView cipher);

/// The DER length that the header announces; 0 where there is none.
std::size_t announcedDerLength(ByteView slot);

} // namespace provost
