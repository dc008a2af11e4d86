// How private keys leave the program: under a passphrase, sealed to a certificate, or in the clear
// where that is said and allowed.
#pragma once

#include "cli/command_line.h"
#include "crypto/key_rules.h"

namespace provost::cli {

/// --platform, --protocol, --firmware.
Result<KeyRules> keyRulesOf(const Arguments& arguments);

enum class StorageKind : std::uint8_t { Clear, Encrypted, Escrow };
struct KeyStorage {
    StorageKind kind = StorageKind::Encrypted;
    SecretBytes passphrase{};
    Bytes certificate{};             ///< PEM
    std::string_view suffix() const; ///< .der, .pem, .cms
};
/// --clear-key, --encrypt, --passphrase-file, --escrow.
std::vector<Option> keyStorageOptions();
/// Decides, and asks for what it takes. A private key is never written in the clear because
/// somebody forgot an option, and never at all on a computer that is in production.
/// @returns Denied  none was named; or --clear-key in production, which is on record then
Result<KeyStorage> keyStorageOf(const Arguments& arguments);

/// @returns Denied  it exists
Result<> refuseExisting(const std::string& file);

struct WrittenKey {
    std::string encoding{}; ///< pkcs1, sec1, encrypted-pkcs8, cms
    std::size_t length = 0; ///< bytes of the private file
};
/// FILE (0600) and FILE.pub.pem; where one of the two exists already, nothing is left behind.
Result<WrittenKey> writeKeyPair(const std::string& file, const KeyRules& rules,
                                const KeyStorage& storage, const BurnKey& key);

/// The guard of whatever would put private bytes into a clear file.
/// @param what  for record and message: "keys new --clear-key"
/// @returns Denied  a station file of this computer (--station, PROVOST_CONFIG, /etc/provost) says
///                  mode = "production"; the refusal is on record
Result<> refuseClearInProduction(const Arguments& arguments, std::string_view what,
                                 const std::string& file);

/// A range of a unit's memory, as DFU's alternates number them; SWD sees alternate 0.
struct MemoryRange {
    unsigned alternate = 0;
    std::uint32_t address = 0;
    std::uint32_t length = 0;
};
/// The same guard for reading memory of a real unit into a file, where the range touches a place
/// that holds private keys on any platform (particle-devices 2.1, 2.3, 3.3).
Result<> refuseKeyMemoryInProduction(const Arguments& arguments, const MemoryRange& range,
                                     const std::string& file);

} // namespace provost::cli
