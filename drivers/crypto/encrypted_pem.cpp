// A private key under a passphrase: PKCS#8 with PBES2 (RFC 8018 appendix A, RFC 5208 section 6).
#include "core/byte_io.h"
#include "crypto/der_p.h"
#include "crypto/digest.h"
#include "crypto/openssl_p.h"
#include "crypto/rsa_key.h"

#include <array>

namespace provost {

namespace {

constexpr std::size_t kSaltBytes = 16;
constexpr std::size_t kBlockBytes = 16;
constexpr std::size_t kKeyBytes = 32;
// What current advice asks of PBKDF2-HMAC-SHA256; some 0.2 s on a station.
constexpr std::uint32_t kIterations = 600'000;

constexpr std::array<std::uint8_t, 11> kPbes2{0x06, 0x09, 0x2A, 0x86, 0x48, 0x86,
                                              0xF7, 0x0D, 0x01, 0x05, 0x0D};
constexpr std::array<std::uint8_t, 11> kPbkdf2{0x06, 0x09, 0x2A, 0x86, 0x48, 0x86,
                                               0xF7, 0x0D, 0x01, 0x05, 0x0C};
/// SEQUENCE { hmacWithSHA256, NULL }
constexpr std::array<std::uint8_t, 14> kHmacSha256{0x30, 0x0C, 0x06, 0x08, 0x2A, 0x86, 0x48,
                                                   0x86, 0xF7, 0x0D, 0x02, 0x09, 0x05, 0x00};
constexpr std::array<std::uint8_t, 11> kAes256Cbc{0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
                                                  0x65, 0x03, 0x04, 0x01, 0x2A};

template <class... Parts>
Bytes joined(const Parts&... parts)
{
    Bytes bytes;
    ByteWriter writer(bytes);
    (writer.raw(std::as_bytes(std::span(parts))), ...);
    return bytes;
}

Bytes element(DerTag tag, ByteView content)
{
    Bytes der(derSize(content.size()));
    DerWriter to(der);
    to.header(tag, content.size());
    to.raw(content);
    return der;
}

Bytes iterationsElement()
{
    Bytes digits(3); // 600 000 has 20 bits
    for (std::size_t i = 0; i < digits.size(); ++i)
        digits[i] = static_cast<std::byte>((kIterations >> (8 * (digits.size() - 1 - i))) & 0xFF);
    return element(DerTag::Integer, digits);
}

/// AlgorithmIdentifier of PBES2 with its parameters.
Bytes algorithm(ByteView salt, ByteView iv)
{
    const Bytes derivation = element(
        DerTag::Sequence,
        joined(kPbkdf2, element(DerTag::Sequence, joined(element(DerTag::OctetString, salt),
                                                         iterationsElement(), kHmacSha256))));
    const Bytes cipher =
        element(DerTag::Sequence, joined(kAes256Cbc, element(DerTag::OctetString, iv)));
    return element(DerTag::Sequence,
                   joined(kPbes2, element(DerTag::Sequence, joined(derivation, cipher))));
}

Result<SecretBytes> deriveKey(const SecretBytes& passphrase, ByteView salt)
{
    SecretBytes key(kKeyBytes);
    const ByteView words = passphrase.reveal();
    if (PKCS5_PBKDF2_HMAC(
            reinterpret_cast<const char*>(words.data()), static_cast<int>(words.size()),
            opensslBytes(salt), static_cast<int>(salt.size()), static_cast<int>(kIterations),
            EVP_sha256(), static_cast<int>(kKeyBytes), opensslBytes(key.writable())) != 1)
        return opensslFailure(Errc::Internal, Blame::Station, "derive a key from a passphrase");
    return key;
}

Result<Bytes> encrypt(const SecretBytes& key, ByteView iv, ByteView plain)
{
    const CipherContext context(EVP_CIPHER_CTX_new());
    Bytes cipher(plain.size() + kBlockBytes);
    int length = 0;
    int rest = 0;
    if (!context ||
        EVP_EncryptInit_ex2(context.get(), EVP_aes_256_cbc(), opensslBytes(key.reveal()),
                            opensslBytes(iv), nullptr) != 1 ||
        EVP_EncryptUpdate(context.get(), opensslBytes(ByteSpan(cipher)), &length,
                          opensslBytes(plain), static_cast<int>(plain.size())) != 1 ||
        EVP_EncryptFinal_ex(context.get(), opensslBytes(ByteSpan(cipher)) + length, &rest) != 1)
        return opensslFailure(Errc::Internal, Blame::Station, "encrypt a private key");
    cipher.resize(static_cast<std::size_t>(length + rest));
    return cipher;
}

} // namespace

Result<Bytes> encryptedPem(ByteView privateKeyInfo, const SecretBytes& passphrase)
{
    if (passphrase.empty())
        return fail(Errc::InvalidArgument, Blame::Operator,
                    "encrypt a private key: the passphrase is empty");
    const Bytes salt = TRY(randomBytes(kSaltBytes));
    const Bytes iv = TRY(randomBytes(kBlockBytes));
    const SecretBytes key = TRY(deriveKey(passphrase, salt));
    const Bytes cipher = TRY(encrypt(key, iv, privateKeyInfo));
    const Bytes der = element(DerTag::Sequence,
                              joined(algorithm(salt, iv), element(DerTag::OctetString, cipher)));
    return toBytes(toPem("ENCRYPTED PRIVATE KEY", der).reveal());
}

Result<Bytes> RsaPrivateKey::toEncryptedPem(const SecretBytes& passphrase) const
{
    const SecretBytes pkcs1 = toPkcs1Der();
    return encryptedPem(privateKeyInfo(pkcs1.reveal(), rsaAlgorithmId()).reveal(), passphrase);
}

} // namespace provost
