#include "crypto/key_rules.h"

#include "core/byte_io.h"
#include "core/text.h"
#include "crypto/der_p.h"
#include "crypto/digest.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace provost {

namespace {

constexpr std::uint16_t kCore = 0; // particle-devices 1.1
constexpr std::uint16_t kPhoton = 6;
constexpr std::uint16_t kP1 = 8;
constexpr std::uint16_t kElectron = 10;
constexpr std::size_t kRsaReadBytes = 612; // 3.3
constexpr std::size_t kEcReadBytes = 192;  // 3.3
constexpr std::size_t kRsaAddressAt = 384; // 4.3
constexpr std::size_t kEcAddressAt = 192;  // 4.3
constexpr std::size_t kServerRsaBytes = 294;
constexpr std::size_t kServerEcBytes = 91;
constexpr std::size_t kServerSlotBytes = 768;
constexpr int kServerBits = 2048;
constexpr int kUnitBits = 1024;
constexpr int kOldDecryptionError = 1; // 5.8: up to 0.4.8
constexpr std::array<std::byte, 3> kFixedExponent{std::byte{1}, std::byte{0}, std::byte{1}};

constexpr FirmwareVersion kOldest{0, 0, 0};
constexpr FirmwareVersion kFirstF2{0, 4, 0};
constexpr FirmwareVersion kGoodGenerator{0, 4, 8}; // 4.2: commit 14c6a05c5
constexpr FirmwareVersion kNewNumbers{0, 4, 9};    // 5.8
constexpr FirmwareVersion kRestores{0, 7, 0};      // 3.6
constexpr FirmwareVersion kNoEnd{};

constexpr KeyRules tcp(std::uint16_t platform, FirmwareVersion from, FirmwareVersion before)
{
    const bool makes = platform != kCore; // 2.3: an FF slot of a Core stays unusable
    return {.platform = platform,
            .transport = KeyTransport::Tcp,
            .kind = KeyKind::Rsa1024,
            .from = from,
            .before = before,
            .readBytes = kRsaReadBytes,
            .addressAt = kRsaAddressAt,
            .makesOwnKey = makes,
            .makesBadKeys = makes && from < kGoodGenerator,
            .restoresServer = from >= kRestores,
            .decryptionError = from < kNewNumbers ? kOldDecryptionError : 6};
}

constexpr KeyRules udp(FirmwareVersion from, FirmwareVersion before)
{
    return {.platform = kElectron,
            .transport = KeyTransport::Udp,
            .kind = KeyKind::P256,
            .from = from,
            .before = before,
            .readBytes = kEcReadBytes,
            .addressAt = kEcAddressAt,
            .makesOwnKey = true,
            .makesBadKeys = false,
            .restoresServer = from >= kRestores,
            .decryptionError = 6};
}

constexpr std::array kRuleTable{
    tcp(kCore, kOldest, kNewNumbers),
    tcp(kCore, kNewNumbers, kRestores),
    tcp(kCore, kRestores, kNoEnd),
    tcp(kPhoton, kFirstF2, kGoodGenerator),
    tcp(kPhoton, kGoodGenerator, kNewNumbers),
    tcp(kPhoton, kNewNumbers, kRestores),
    tcp(kPhoton, kRestores, kNoEnd),
    tcp(kP1, kFirstF2, kGoodGenerator),
    tcp(kP1, kGoodGenerator, kNewNumbers),
    tcp(kP1, kNewNumbers, kRestores),
    tcp(kP1, kRestores, kNoEnd),
    tcp(kElectron, kFirstF2, kGoodGenerator),
    tcp(kElectron, kGoodGenerator, kNewNumbers),
    tcp(kElectron, kNewNumbers, kRestores),
    tcp(kElectron, kRestores, kNoEnd),
    udp(kFirstF2, kRestores),
    udp(kRestores, kNoEnd),
};

bool filledWith(ByteView bytes, std::byte value)
{
    return std::ranges::all_of(bytes, [value](std::byte b) { return b == value; });
}

/// The first byte decides (3.6); a file that is FF throughout is as blank as a slot.
bool isBlank(ByteView slot)
{
    return slot.empty() || slot.front() == std::byte{0xFF};
}

std::string blankReason(const KeyRules& rules)
{
    if (!rules.makesOwnKey)
        return "the slot is blank: no key was written, and a Core never makes one of its own";
    std::string reason = "the slot is blank: no key was written; the unit makes one of its own at "
                         "its next start, which then has to be registered";
    if (rules.makesBadKeys)
        reason += "; firmware 0.4.0 to 0.4.7 may write it in a shape that it cannot read";
    return reason;
}

std::string ecReason(KeyStructure structure, const struct Error& error)
{
    switch (structure) {
    case KeyStructure::Sec1:
        return error.message;
    case KeyStructure::Pkcs8:
        return "PKCS#8: the burn form is bare SEC1; re-encode it";
    case KeyStructure::Pkcs8Encrypted:
        return "encrypted PKCS#8, it needs its passphrase: decrypt and re-encode it, the burn form "
               "is bare SEC1";
    case KeyStructure::Pkcs1Private:
        return "an RSA key: over UDP the unit takes a P-256 key; its TCP slot takes RSA-1024";
    case KeyStructure::Spki:
    case KeyStructure::Pkcs1Public:
        return "a public key: the unit needs the private one";
    case KeyStructure::Unknown:
        break;
    }
    return "not a key in SEC1: the slot holds something else";
}

/// What the reader needs besides a sound key, as far as it is known (particle-devices 12.4, 12.6):
/// anything that a library may complete by itself is demanded in full.
std::string ecShapeComplaint(ByteView slot, const EcPrivateKey& key)
{
    const std::size_t length = announcedDerLength(slot);
    const std::size_t full = key.toSec1Der().size();
    if (length > kEcReadBytes)
        return concat("it has ", length, " bytes, the unit reads ", kEcReadBytes);
    if (length + 2 < full) // the private number may be up to two bytes short
        return "curve or public point are left out: write the key in the full form of 121 bytes";
    return {};
}

KeyReading readEcSlot(ByteView slot)
{
    KeyReading reading;
    const KeyStructure structure = structureOf(slot);
    reading.length = announcedDerLength(slot);
    reading.encoding = structure == KeyStructure::Sec1 ? "sec1" : readAsUnit(slot).encoding;
    const auto key = structure == KeyStructure::Sec1
                         ? EcPrivateKey::fromBytes(slot)
                         : Result<EcPrivateKey>(fail(Errc::InvalidData, Blame::Unit, ""));
    if (!key) {
        reading.bits = readAsUnit(slot).bits;
        reading.reason = ecReason(structure, key.error());
        return reading;
    }
    reading.bits = 256;
    reading.reason = ecShapeComplaint(slot, *key);
    if (!reading.reason.empty())
        return reading;
    const auto message = randomBytes(32);
    const auto signature = message ? key->sign(*message) : Result<Bytes>(message);
    if (!signature || !key->publicKey().verify(*message, *signature)) {
        reading.reason = "the station could not try the key";
        return reading;
    }
    reading.readable = true;
    reading.ecPublicKey = key->publicKey();
    return reading;
}

void readAddress(ByteView record, ServerReading& reading)
{
    constexpr std::size_t kPortAt = 66;
    reading.addressType = "none";
    if (record.size() < 2)
        return;
    const std::size_t length = u8(record[1]);
    const unsigned type = u8(record[0]);
    if (type > 1 || length + 2 > record.size())
        return;
    const ByteView value = record.subspan(2, length);
    if (type == 0 && length == 4) {
        reading.addressType = "ip";
        reading.host =
            concat(u8(value[0]), '.', u8(value[1]), '.', u8(value[2]), '.', u8(value[3]));
    } else if (type == 1 && length > 0) {
        reading.addressType = "domain";
        reading.host = toText(value);
    }
    if (record.size() < kPortAt + 2)
        return;
    const std::uint16_t port = readBe16(record, kPortAt);
    reading.port = port == 0xFFFF ? std::uint16_t{0} : port;
}

void readServerRsa(ByteView slot, ServerReading& reading)
{
    const auto key = RsaPublicKey::fromDer(slot);
    if (!key) {
        reading.reason = "the server key slot holds no RSA public key (SubjectPublicKeyInfo)";
        return;
    }
    reading.encoding = "spki";
    reading.bits = key->bits();
    if (key->bits() != kServerBits) {
        reading.reason = concat("an RSA key of ", key->bits(),
                                " bits: the unit takes 256 bytes from offset 33 as its modulus, so "
                                "RSA-2048 only");
        return;
    }
    const auto assumed = RsaPublicKey::fromNumbers(key->modulus(), kFixedExponent);
    if (!assumed || assumed->toDer() != key->toDer()) {
        reading.reason = "the public exponent is not 65537, which the unit takes for granted";
        return;
    }
    if (!equalBytes(slot.first(kServerRsaBytes), key->toDer())) {
        reading.reason = "the modulus does not stand at offset 33, where the unit takes it from";
        return;
    }
    reading.usable = true;
    reading.fingerprint = key->fingerprint();
}

void readServerEc(ByteView slot, ServerReading& reading)
{
    const auto key = EcPublicKey::fromDer(slot);
    if (!key) {
        reading.reason = structureOf(slot) == KeyStructure::Spki
                             ? "the server key is no P-256 key, which the unit needs over UDP"
                             : "the server key slot holds no public key (SubjectPublicKeyInfo)";
        reading.encoding = structureOf(slot) == KeyStructure::Spki ? "spki" : "unknown";
        return;
    }
    reading.encoding = "spki";
    reading.bits = 256;
    reading.usable = true;
    reading.fingerprint = key->fingerprint();
}

} // namespace

Result<FirmwareVersion> parseFirmwareVersion(std::string_view text)
{
    FirmwareVersion version;
    const char* at = text.data();
    const char* const end = text.data() + text.size();
    if (at != end && *at == 'v')
        ++at;
    bool good = true;
    for (int* number : {&version.major, &version.minor, &version.patch}) {
        if (number != &version.major)
            good = good && at != end && *at++ == '.';
        const auto parsed = std::from_chars(at, end, *number);
        good = good && parsed.ec == std::errc() && *number >= 0;
        at = parsed.ptr;
        if (!good)
            return fail(Errc::InvalidArgument, Blame::Operator,
                        concat("read the firmware version \"", text, "\": 0.6.3 is meant"));
    }
    return version;
}

std::span<const KeyRules> allKeyRules()
{
    return kRuleTable;
}

Result<KeyRules> keyRulesOf(std::uint16_t platform, std::optional<KeyTransport> transport,
                            std::optional<FirmwareVersion> firmware)
{
    const KeyTransport wanted =
        transport.value_or(platform == kElectron ? KeyTransport::Udp : KeyTransport::Tcp);
    const KeyRules* newest = nullptr;
    for (const KeyRules& rules : kRuleTable) {
        if (rules.platform != platform || rules.transport != wanted)
            continue;
        newest = &rules;
        if (firmware && *firmware >= rules.from &&
            (rules.before == kNoEnd || *firmware < rules.before))
            return rules;
    }
    if (newest == nullptr)
        return fail(Errc::Unsupported, Blame::Operator,
                    concat("judge keys of platform ", platform, " over ",
                           wanted == KeyTransport::Tcp ? "TCP" : "UDP",
                           ": Core, Photon and P1 speak TCP, the Electron both; "
                           "third-generation boards are not served"));
    if (firmware)
        return fail(Errc::Unsupported, Blame::Operator,
                    concat("judge keys of platform ", platform, " with firmware ", firmware->major,
                           '.', firmware->minor, '.', firmware->patch,
                           ": the platform began later"));
    return *newest;
}

KeyReading readAsUnit(ByteView slot, const KeyRules& rules)
{
    const ByteView seen = slot.first(std::min(slot.size(), rules.readBytes));
    if (isBlank(seen))
        return {.reason = blankReason(rules), .encoding = "blank"};
    KeyReading reading = rules.kind == KeyKind::Rsa1024 || filledWith(seen, std::byte{0})
                             ? readAsUnit(seen)
                             : readEcSlot(seen);
    return reading;
}

Result<BurnKey> generateKeyFor(const KeyRules& rules)
{
    BurnKey made;
    if (rules.kind == KeyKind::Rsa1024) {
        const auto key = TRY(RsaPrivateKey::generate(kUnitBits));
        made.publicDer = key.publicKey().toDer();
        made.privateDer = key.toFullWidthDer();
    } else {
        const auto key = TRY(EcPrivateKey::generate());
        made.publicDer = key.publicKey().toDer();
        made.privateDer = key.toSec1Der();
    }
    made.fingerprint = sha256Hex(made.publicDer);
    const auto reading = readAsUnit(made.privateDer.reveal(), rules);
    if (!reading.readable || reading.fingerprint() != made.fingerprint)
        return fail(Errc::Internal, Blame::Station,
                    concat("make a key for a unit: by the unit's own rules it is not readable: ",
                           reading.reason));
    return made;
}

ServerReading readServerAsUnit(ByteView slot, const KeyRules& rules)
{
    Bytes flash = toBytes(slot.first(std::min(slot.size(), kServerSlotBytes)));
    flash.resize(kServerSlotBytes, std::byte{0xFF}); // a shorter file over an erased slot
    ServerReading reading;
    reading.encoding = "unknown";
    readAddress(ByteView(flash).subspan(rules.addressAt, 128), reading);
    const bool rsa = rules.kind == KeyKind::Rsa1024;
    static_assert(kServerEcBytes < kEcAddressAt && kServerRsaBytes < kRsaAddressAt);
    if (isBlank(flash)) {
        reading.encoding = "blank";
        reading.reason = rules.restoresServer
                             ? "the server key is blank: the unit uses the public cloud's, without "
                               "a word about it"
                             : "the server key is blank: every handshake ends with -19";
    } else if (rsa) {
        readServerRsa(flash, reading);
    } else {
        readServerEc(flash, reading);
    }
    return reading;
}

} // namespace provost
