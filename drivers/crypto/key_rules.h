// What a platform's firmware does with its key slots, by range of versions: the units' own readers
// as data and as bit-exact models (particle-devices 2.3, 3.6, 4.1 to 4.4, 5.8).
#pragma once

#include "crypto/unit_key.h"

#include <compare>
#include <span>
#include <string_view>

namespace provost {

/// Decides which slot counts, and with it which reader.
enum class KeyTransport : std::uint8_t { Tcp, Udp };

struct FirmwareVersion {
    int major = 0;
    int minor = 0;
    int patch = 0;
    auto operator<=>(const FirmwareVersion&) const = default;
};
/// "0.6.3", "v0.7.0-rc.1": what follows the third number is ignored, release candidates count as
/// their release.
/// @returns InvalidArgument
Result<FirmwareVersion> parseFirmwareVersion(std::string_view text);

enum class KeyKind : std::uint8_t { Rsa1024, P256 };

struct KeyRules {
    std::uint16_t platform = 0;
    KeyTransport transport = KeyTransport::Tcp;
    KeyKind kind = KeyKind::Rsa1024;
    FirmwareVersion from{};
    FirmwareVersion before{};    ///< all zeros: no end
    std::size_t readBytes = 0;   ///< of the private slot; what lies behind is never looked at
    std::size_t addressAt = 0;   ///< of the address record inside the server slot
    bool makesOwnKey = false;    ///< where byte 0 of the private slot is FF
    bool makesBadKeys = false;   ///< and then without the leading zeros of short numbers
    bool restoresServer = false; ///< a blank server key or address means the public cloud's
    int decryptionError = 6;     ///< what the log says where the key does not fit
};

/// Every range that differs, in order of platform, transport and version.
std::span<const KeyRules> allKeyRules();
/// @param transport  nullopt: the platform's default
/// @param firmware   nullopt: the newest
/// @returns Unsupported  the platform has no such transport, is of the third generation, or the
///                       firmware is older than any that is known
Result<KeyRules> keyRulesOf(std::uint16_t platform, std::optional<KeyTransport> transport = {},
                            std::optional<FirmwareVersion> firmware = {});

/// Reads a private key slot, or the bytes that are to be burnt there, exactly as that firmware
/// does, then tries the key: a trial cipher text (RSA) or signature (EC) is opened with what the
/// reader found.
/// @param slot  DER at its start; behind its end lies erased flash
KeyReading readAsUnit(ByteView slot, const KeyRules& rules);

/// A new key in the platform's burn form, tried with readAsUnit before it is returned.
struct BurnKey {
    SecretBytes privateDer{}; ///< 611 bytes of PKCS#1, or 121 of SEC1
    Bytes publicDer{};        ///< SubjectPublicKeyInfo
    std::string fingerprint{};
    std::string maker{}; ///< "token LABEL"; empty: this program
};
Result<BurnKey> generateKeyFor(const KeyRules& rules);

/// The server key slot as the unit uses it: fixed offsets, e taken for granted.
struct ServerReading {
    bool usable = false;
    std::string reason{};      ///< why not
    std::string encoding{};    ///< spki, blank, unknown
    int bits = 0;              ///< of the key; 0: not known
    std::string fingerprint{}; ///< of the key, where usable
    std::string addressType{}; ///< ip, domain, none
    std::string host{};        ///< empty: none
    std::uint16_t port = 0;    ///< 0: the default one
};
/// @param slot  the slot, or one of the server files of 294, 402, 512, 91 or 320 bytes
ServerReading readServerAsUnit(ByteView slot, const KeyRules& rules);

} // namespace provost
