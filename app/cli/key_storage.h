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
/// How memory of a unit goes into a file: a CMS envelope, or as it is.
struct MemoryStorage {
    Bytes certificate{}; ///< PEM; empty: as it is
};
/// --escrow, --clear-key, --station, --db behind a command's own.
std::vector<Option> withMemoryOptions(std::vector<Option> options);
/// True for an address on this computer's own bus: no bench, whatever answers there.
bool namesRealDevice(const Arguments& arguments);
/// A range that touches a place where any platform keeps private keys (particle-devices 2.1, 2.3,
/// 3.3) is sealed to --escrow, or written in the clear on --clear-key, which is on record then.
/// Of a virtual unit there is no secret.
/// @returns Denied  neither was named; or production, where the clear is refused, on record
Result<MemoryStorage> memoryStorageOf(const Arguments& arguments, const MemoryRange& range,
                                      bool simulated, const std::string& file);
/// A new file, mode 0600.
Result<> writeMemoryFile(const std::string& file, const SecretBytes& memory,
                         const MemoryStorage& storage);

} // namespace provost::cli
