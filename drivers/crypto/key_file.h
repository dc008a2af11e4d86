// Private key files that people hand in: any common wrapping, judged by the unit's own rules and
// brought into the burn form where that cures them.
#pragma once

#include "crypto/key_rules.h"

#include <filesystem>

namespace provost {

/// The DER inside a key file: PEM or DER, PKCS#1, PKCS#8, SEC1, encrypted or not (PBES1, PBES2 and
/// the headers of RFC 1421).
/// @param passphrase  empty: none is known
/// @returns Denied       encrypted, and no passphrase or a wrong one
///          InvalidData  a damaged PEM block
Result<SecretBytes> unwrapKeyFile(ByteView file, const SecretBytes& passphrase = {});

/// Puts a key of the station's own into a file (mode 0600), durably: under the passphrase, or in
/// the clear where there is none.
/// @param clearPem  PKCS#8 in PEM
/// @returns InvalidData  no such PEM; Io
Result<> keepPrivateKey(const std::filesystem::path& file, const SecretBytes& clearPem,
                        const SecretBytes& passphrase);

/// Says whether the unit could use the file's bytes as they are, why not, and whether re-encoding
/// helps. A passphrase opens what is encrypted, so that more can be said; the verdict stays: no
/// unit reads encrypted keys.
KeyReading judgeKeyFile(ByteView file, const KeyRules& rules, const SecretBytes& passphrase = {});

/// The same key in the burn form: PKCS#1 of 611 bytes, or SEC1 of 121; tried with readAsUnit.
/// @returns InvalidData  not such a key, damaged, or no encoding makes the unit read it
///          Denied       encrypted, and the passphrase does not open it
Result<BurnKey> reencodeForUnit(ByteView file, const KeyRules& rules,
                                const SecretBytes& passphrase = {});

} // namespace provost
