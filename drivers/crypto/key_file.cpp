#include "crypto/key_file.h"

#include "core/byte_io.h"
#include "core/durable_file.h"
#include "core/text.h"
#include "crypto/der_p.h"
#include "crypto/digest.h"
#include "crypto/openssl_p.h"

#include <algorithm>
#include <cstring>

#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/x509.h>

namespace provost {

namespace {

using Memory = std::unique_ptr<BIO, Freed<BIO_free_all>>;
using Encrypted = std::unique_ptr<X509_SIG, Freed<X509_SIG_free>>;

constexpr int kUnitKeyFileBits = 1024;

Unexpected sealedKey(const SecretBytes& passphrase)
{
    ERR_clear_error();
    return fail(Errc::Denied, Blame::Operator,
                passphrase.empty()
                    ? "open an encrypted key file: it needs its passphrase (--passphrase-file)"
                    : "open an encrypted key file: the passphrase does not open it");
}

/// Copies what OpenSSL allocated and wipes it there.
SecretBytes takeOver(unsigned char* bytes, std::size_t size)
{
    SecretBytes secret(std::as_bytes(std::span(bytes, size)));
    OPENSSL_clear_free(bytes, size);
    return secret;
}

/// EncryptedPrivateKeyInfo, RFC 5208 section 6.
Result<SecretBytes> openPkcs8(ByteView der, const SecretBytes& passphrase)
{
    const unsigned char* at = opensslBytes(der);
    const Encrypted sealed(d2i_X509_SIG(nullptr, &at, static_cast<long>(der.size())));
    if (!sealed)
        return opensslFailure(Errc::InvalidData, Blame::Operator, "read an encrypted key file");
    const X509_ALGOR* algorithm = nullptr;
    const ASN1_OCTET_STRING* cipher = nullptr;
    X509_SIG_get0(sealed.get(), &algorithm, &cipher);
    const ByteView words = passphrase.reveal();
    unsigned char* plain = nullptr;
    int size = 0;
    if (words.empty() ||
        PKCS12_pbe_crypt(algorithm, reinterpret_cast<const char*>(words.data()),
                         static_cast<int>(words.size()), ASN1_STRING_get0_data(cipher),
                         ASN1_STRING_length(cipher), &plain, &size, 0) == nullptr)
        return sealedKey(passphrase);
    SecretBytes opened = takeOver(plain, static_cast<std::size_t>(size));
    // One wrong passphrase in 256 leaves valid padding behind.
    if (structureOf(opened.reveal()) != KeyStructure::Pkcs8)
        return sealedKey(passphrase);
    return opened;
}

int givePassphrase(char* to, int room, int, void* from)
{
    const auto& words = *static_cast<const SecretBytes*>(from);
    if (words.empty() || words.size() > static_cast<std::size_t>(room))
        return -1;
    std::memcpy(to, words.reveal().data(), words.size());
    return static_cast<int>(words.size());
}

/// "Proc-Type: 4,ENCRYPTED", RFC 1421.
Result<SecretBytes> openTraditional(ByteView file, const std::string& label,
                                    const SecretBytes& passphrase)
{
    const Memory memory(BIO_new_mem_buf(file.data(), static_cast<int>(file.size())));
    unsigned char* plain = nullptr;
    long size = 0;
    // The callback takes a pointer without const; it is only read.
    void* words = const_cast<SecretBytes*>(&passphrase);
    if (!memory || PEM_bytes_read_bio_secmem(&plain, &size, nullptr, label.c_str(), memory.get(),
                                             givePassphrase, words) != 1)
        return sealedKey(passphrase);
    SecretBytes opened(std::as_bytes(std::span(plain, static_cast<std::size_t>(size))));
    OPENSSL_secure_clear_free(plain, static_cast<std::size_t>(size));
    if (structureOf(opened.reveal()) == KeyStructure::Unknown)
        return sealedKey(passphrase);
    return opened;
}

/// The body of an "ENCRYPTED PRIVATE KEY" block, which firstPemKey() leaves alone.
Result<SecretBytes> openPemPkcs8(ByteView file, const SecretBytes& passphrase)
{
    const Memory memory(BIO_new_mem_buf(file.data(), static_cast<int>(file.size())));
    unsigned char* sealed = nullptr;
    long size = 0;
    if (!memory || PEM_bytes_read_bio(&sealed, &size, nullptr, PEM_STRING_PKCS8, memory.get(),
                                      givePassphrase, nullptr) != 1)
        return opensslFailure(Errc::InvalidData, Blame::Operator, "read an encrypted key file");
    const Bytes der = toBytes(std::as_bytes(std::span(sealed, static_cast<std::size_t>(size))));
    OPENSSL_free(sealed);
    return openPkcs8(der, passphrase);
}

/// The generator of firmware 0.4.0 to 0.4.7 left out leading zeros behind full-width headers, so
/// that everything behind a short number stands early (particle-devices 4.1). Modulus and primes
/// are never short; whoever finds them where D was `early` bytes short has the whole key. The same
/// cures a key whose other numbers were damaged.
Result<RsaPrivateKey> fromItsPrimes(ByteView der)
{
    constexpr std::size_t kModulusAt = 11;
    constexpr std::size_t kPrimePAt = 279;
    constexpr std::size_t kPrimeQAt = 346;
    constexpr std::size_t kModulusSize = 128;
    constexpr std::size_t kPrimeSize = 64;
    constexpr std::size_t kMostEarly = 4; // one key in 2^40 has more
    if (structureOf(der) == KeyStructure::Pkcs1Private && der.size() >= kPrimeQAt + kPrimeSize)
        for (std::size_t early = 0; early <= kMostEarly; ++early) {
            auto key = RsaPrivateKey::fromPrimes(der.subspan(kModulusAt, kModulusSize),
                                                 der.subspan(kPrimePAt - early, kPrimeSize),
                                                 der.subspan(kPrimeQAt - early, kPrimeSize));
            if (key)
                return key;
        }
    return fail(Errc::InvalidData, Blame::Operator, "read an RSA private key: no primes found");
}

/// What a public key's file is, and where it belongs.
std::string publicFileReason(ByteView der, const KeyRules& rules)
{
    const auto server = readServerAsUnit(der, rules);
    if (!server.usable)
        return {};
    std::string reason = concat("the public key of a server (", server.bits, " bits, ");
    reason += server.host.empty() ? "no address" : concat("address ", server.host);
    return reason + "): it belongs in the server key slot; judge it there with --server";
}

} // namespace

Result<SecretBytes> unwrapKeyFile(ByteView file, const SecretBytes& passphrase)
{
    auto pem = firstPemKey(file);
    if (pem && pem->encrypted)
        return pem->label.starts_with("ENCRYPTED") ? openPemPkcs8(file, passphrase)
                                                   : openTraditional(file, pem->label, passphrase);
    if (pem)
        return std::move(pem->der);
    if (pem.error().code != Errc::NotFound)
        return Unexpected(std::move(pem).error());
    if (structureOf(file) == KeyStructure::Pkcs8Encrypted)
        return openPkcs8(file, passphrase);
    return SecretBytes(file);
}

Result<> keepPrivateKey(const std::filesystem::path& file, const SecretBytes& clearPem,
                        const SecretBytes& passphrase)
{
    constexpr mode_t kOwnerOnly = 0600;
    if (passphrase.empty())
        return writeDurably(file, clearPem.reveal(), kOwnerOnly);
    const SecretBytes der = TRY(unwrapKeyFile(clearPem.reveal()));
    if (structureOf(der.reveal()) != KeyStructure::Pkcs8)
        return fail(Errc::InvalidData, Blame::Software,
                    concat("write ", file.string(), ": the key is not in PKCS#8"));
    return writeDurably(file, TRY(encryptedPem(der.reveal(), passphrase)), kOwnerOnly);
}

KeyReading judgeKeyFile(ByteView file, const KeyRules& rules, const SecretBytes& passphrase)
{
    const auto opened = unwrapKeyFile(file, passphrase);
    if (!opened) {
        KeyReading reading = judgeKeyFile(file);
        if (!passphrase.empty() || reading.reason.empty())
            reading.reason = opened.error().message;
        reading.readable = false;
        return reading;
    }
    const ByteView der = opened->reveal();
    const auto pem = firstPemKey(file);
    const bool wasEncrypted =
        pem ? pem->encrypted : structureOf(file) == KeyStructure::Pkcs8Encrypted;
    KeyReading reading = readAsUnit(der, rules);
    if (wasEncrypted) {
        reading.readable = false;
        reading.publicKey.reset();
        reading.ecPublicKey.reset();
        reading.reason = "encrypted: no unit reads that; decrypt and re-encode it";
    }
    if (reading.readable)
        return reading;
    const std::string server =
        reading.encoding == "spki" ? publicFileReason(der, rules) : std::string{};
    if (!server.empty())
        reading.reason = server;
    reading.curable = reencodeForUnit(der, rules).has_value();
    return reading;
}

Result<BurnKey> reencodeForUnit(ByteView file, const KeyRules& rules, const SecretBytes& passphrase)
{
    const SecretBytes der = TRY(unwrapKeyFile(file, passphrase));
    BurnKey key;
    if (rules.kind == KeyKind::Rsa1024) {
        auto read = RsaPrivateKey::fromBytes(der.reveal());
        if (!read) {
            auto recovered = fromItsPrimes(der.reveal());
            if (recovered)
                read = std::move(recovered);
        }
        const auto rsa = TRY(std::move(read));
        if (rsa.publicKey().bits() != kUnitKeyFileBits)
            return fail(Errc::InvalidData, Blame::Operator,
                        concat("re-encode a key for a unit: it has ", rsa.publicKey().bits(),
                               " bits, units take RSA-1024 only"));
        key.privateDer = rsa.toFullWidthDer();
        key.publicDer = rsa.publicKey().toDer();
    } else {
        const auto ec = TRY(EcPrivateKey::fromBytes(der.reveal()));
        key.privateDer = ec.toSec1Der();
        key.publicDer = ec.publicKey().toDer();
    }
    key.fingerprint = sha256Hex(key.publicDer);
    const auto reading = readAsUnit(key.privateDer.reveal(), rules);
    if (!reading.readable || reading.fingerprint() != key.fingerprint)
        return fail(Errc::InvalidData, Blame::Operator,
                    concat("re-encode a key for a unit: no encoding makes the unit read it: ",
                           reading.reason));
    return key;
}

} // namespace provost
