#include "crypto/unit_key.h"

#include "core/byte_io.h"
#include "core/text.h"
#include "crypto/der_p.h"
#include "crypto/unit_reader_p.h"

#include <algorithm>
#include <array>

namespace provost {

namespace {

constexpr int kUnitKeyBits = 1024;
constexpr std::size_t kFullWidthSize = 611;  // particle-devices 4.1
constexpr std::size_t kCredentialBytes = 40; // particle-devices 5.1
constexpr int kKeyAttempts = 8;
constexpr std::array<std::byte, 3> kAssumedExponent{std::byte{1}, std::byte{0}, std::byte{1}};

/// The integers of PKCS#1 behind the version, with the content lengths the reader can follow.
struct IntegerRule {
    std::string_view name{};
    std::size_t shortest = 0;
    std::size_t longest = 0;
};
constexpr std::array<IntegerRule, 8> kRules{{
    {"the modulus N", 129, 129},
    {"the public exponent e", 3, 3},
    {"the private exponent D", 128, 129},
    {"the prime P", 64, 65},
    {"the prime Q", 64, 65},
    {"the exponent dP", 64, 65},
    {"the exponent dQ", 64, 65},
    {"the coefficient qInv", 64, 65},
}};

bool isFilledWith(ByteView bytes, std::byte value)
{
    return std::ranges::all_of(bytes, [value](std::byte b) { return b == value; });
}

int bitsOf(ByteView digits)
{
    if (digits.empty())
        return 0;
    int bits = static_cast<int>(digits.size()) * 8;
    for (unsigned top = u8(digits.front()); (top & 0x80) == 0; top <<= 1)
        --bits;
    return bits;
}

/// The on-device generator of firmware 0.4.0 to 0.4.7 wrote full-width headers over shorter
/// numbers: the next element then begins in the last byte of this one (particle-devices 4.1).
bool looksLikeOldGenerator(ByteView slot, ByteView integer)
{
    const auto header = readDerHeader(integer);
    return announcedDerLength(slot) == kFullWidthSize && header &&
           header->headerSize + header->contentSize <= integer.size() &&
           u8(integer[header->headerSize + header->contentSize - 1]) ==
               static_cast<std::uint8_t>(DerTag::Integer);
}

struct Walk {
    std::string complaint{}; ///< empty: every length fits the reader
    int bits = 0;
    bool otherExponent = false;
};

std::string wrongLength(const IntegerRule& rule, std::size_t length)
{
    if (length < rule.shortest)
        return concat(rule.name, " is short (", length,
                      " bytes): the unit reads its numbers one byte off; write the key in the "
                      "full-width form");
    return concat(rule.name, " has ", length, " bytes, the unit reads at most ", rule.longest);
}

/// Walks the structure as DER to name what the unit's own reader stumbles over.
Walk walkPkcs1(ByteView slot)
{
    Walk walk;
    DerCursor cursor(outerContent(slot));
    cursor.take(DerTag::Integer); // version
    ByteView previous;
    for (const IntegerRule& rule : kRules) {
        const ByteView here = cursor.rest();
        const auto content = cursor.take(DerTag::Integer);
        if (!content) {
            walk.complaint =
                looksLikeOldGenerator(slot, previous)
                    ? "malformed: the on-device generator of firmware 0.4.0 to 0.4.7 left out a "
                      "leading zero, the numbers behind it stand one byte early"
                    : concat("the structure is damaged or cut off at ", rule.name);
            return walk;
        }
        if (&rule == kRules.begin())
            walk.bits = bitsOf(DerCursor(here).takeUnsigned().value_or(ByteView{}));
        if (&rule == kRules.begin() && walk.bits != kUnitKeyBits) {
            walk.complaint = concat("an RSA key of ", walk.bits, " bits: units take RSA-1024 only");
            return walk;
        }
        if (&rule == kRules.begin() + 1)
            walk.otherExponent = !equalBytes(*content, kAssumedExponent);
        else if (walk.complaint.empty() &&
                 (content->size() < rule.shortest || content->size() > rule.longest))
            walk.complaint = wrongLength(rule, content->size());
        previous = here;
    }
    return walk;
}

std::string otherStructureReason(KeyStructure structure)
{
    switch (structure) {
    case KeyStructure::Pkcs8:
        return "PKCS#8: the unit reads bare PKCS#1 only; re-encode it";
    case KeyStructure::Pkcs8Encrypted:
        return "encrypted PKCS#8, it needs its passphrase: decrypt and re-encode it, the unit "
               "reads "
               "bare PKCS#1 only";
    case KeyStructure::Sec1:
        return "an EC key (SEC1): this platform takes RSA-1024 only";
    case KeyStructure::Spki:
    case KeyStructure::Pkcs1Public:
        return "a public key: the unit needs the private one";
    case KeyStructure::Pkcs1Private:
    case KeyStructure::Unknown:
        break;
    }
    return "not a key in PKCS#1: the slot holds something else";
}

std::string encodingName(KeyStructure structure)
{
    switch (structure) {
    case KeyStructure::Pkcs1Private:
    case KeyStructure::Pkcs1Public:
        return "pkcs1";
    case KeyStructure::Pkcs8:
    case KeyStructure::Pkcs8Encrypted:
        return "pkcs8";
    case KeyStructure::Sec1:
        return "sec1";
    case KeyStructure::Spki:
        return "spki";
    case KeyStructure::Unknown:
        break;
    }
    return "unknown";
}

/// Size of the modulus, or of the curve by the size of its numbers; 0 where it cannot be seen.
int keyBits(KeyStructure structure, ByteView der)
{
    DerCursor cursor(outerContent(der));
    switch (structure) {
    case KeyStructure::Pkcs1Private:
        cursor.take(DerTag::Integer);
        [[fallthrough]];
    case KeyStructure::Pkcs1Public:
        return bitsOf(cursor.takeUnsigned().value_or(ByteView{}));
    case KeyStructure::Pkcs8:
        return keyBits(KeyStructure::Pkcs1Private, pkcs8RsaKey(der).value_or(ByteView{}));
    case KeyStructure::Sec1:
        cursor.take(DerTag::Integer);
        return static_cast<int>(cursor.take(DerTag::OctetString).value_or(ByteView{}).size()) * 8;
    case KeyStructure::Spki:
        return keyBits(KeyStructure::Pkcs1Public, spkiRsaKey(der).value_or(ByteView{}));
    case KeyStructure::Pkcs8Encrypted:
    case KeyStructure::Unknown:
        break;
    }
    return 0;
}

std::string unreadableReason(ByteView slot, KeyStructure structure)
{
    if (structure != KeyStructure::Pkcs1Private)
        return otherStructureReason(structure);
    const Walk walk = walkPkcs1(slot);
    if (!walk.complaint.empty())
        return walk.complaint;
    if (walk.otherExponent)
        return "the public exponent is not 65537, which the unit takes for granted";
    return "corrupt: its numbers are not those of one key, a trial cipher text does not open";
}

} // namespace

KeyReading readAsUnit(ByteView slot)
{
    KeyReading reading;
    if (slot.empty() || isFilledWith(slot, std::byte{0xFF})) {
        reading.encoding = "blank";
        reading.reason = "the slot is blank: no key was written";
        return reading;
    }
    if (isFilledWith(slot, std::byte{0})) {
        reading.encoding = "blank";
        reading.reason = "the slot reads as zeros: no key, or this memory cannot be read";
        return reading;
    }
    const KeyStructure structure = structureOf(slot);
    reading.encoding = encodingName(structure);
    reading.length = announcedDerLength(slot);
    reading.bits = keyBits(structure, slot);
    const auto numbers = readStrides(slot);
    const auto opens = numbers ? opensTrialCipher(*numbers) : Result<bool>(false);
    if (!opens || !*opens) {
        reading.reason = opens && numbers ? unreadableReason(slot, structure)
                                          : "the station could not try the key";
        return reading;
    }
    auto announced = RsaPublicKey::fromNumbers(numbers->announced, kAssumedExponent);
    if (!announced) {
        reading.reason = announced.error().message;
        return reading;
    }
    reading.readable = true;
    reading.bits = announced->bits();
    reading.publicKey = std::move(*announced);
    return reading;
}

KeyReading judgeKeyFile(ByteView file)
{
    auto pem = firstPemKey(file);
    if (!pem && pem.error().code == Errc::NotFound)
        return readAsUnit(file);
    if (!pem)
        return KeyReading{.reason = pem.error().message, .encoding = "unknown"};
    if (pem->encrypted)
        return KeyReading{.reason =
                              "encrypted, it needs its passphrase: decrypt it, the unit reads "
                              "bare PKCS#1 only",
                          .encoding = pem->label.starts_with("ENCRYPTED") ? "pkcs8" : "unknown"};
    return readAsUnit(pem->der.reveal());
}

Result<UnitKey> generateUnitKey()
{
    for (int tries = 0; tries < kKeyAttempts; ++tries) {
        const RsaPrivateKey key = TRY(RsaPrivateKey::generate(kUnitKeyBits));
        SecretBytes der = key.toFullWidthDer();
        const KeyReading reading = readAsUnit(der.reveal());
        if (reading.readable && der.size() == kFullWidthSize)
            return UnitKey{.privateDer = std::move(der), .publicKey = key.publicKey()};
    }
    return fail(Errc::Internal, Blame::Station,
                concat("make a key for a unit: ", kKeyAttempts,
                       " keys in a row could not be read back by the rules of the unit"));
}

Result<SecretBytes> decryptAsUnit(ByteView slot, ByteView cipher)
{
    const UnitNumbers numbers = TRY(readStrides(slot));
    const SecretBytes block = TRY(unitRawDecrypt(numbers, cipher));
    const ByteView bytes = block.reveal();
    const auto end = std::find(bytes.begin() + 2, bytes.end(), std::byte{0});
    const auto payload = static_cast<std::size_t>(bytes.end() - end);
    if (u8(bytes[0]) != 0 || u8(bytes[1]) != 2 || payload == 0 || payload - 1 > kCredentialBytes)
        return fail(Errc::InvalidData, Blame::Unit,
                    concat("open ", cipher.size(), " bytes as the unit does: no type-2 padding"));
    return SecretBytes(bytes.last(payload - 1));
}

std::size_t announcedDerLength(ByteView slot)
{
    const auto header = readDerHeader(slot);
    if (!header || header->tag != static_cast<std::uint8_t>(DerTag::Sequence))
        return 0;
    return header->headerSize + header->contentSize;
}

} // namespace provost
