#include "crypto/signing_key.h"

#include "core/byte_io.h"
#include "core/durable_file.h"
#include "core/text.h"
#include "crypto/der_p.h"
#include "crypto/digest.h"
#include "crypto/key_file.h"
#include "crypto/openssl_p.h"
#include "crypto/secret_file.h"

#include <sys/stat.h>

namespace provost {

namespace {

constexpr std::size_t kSeedBytes = 32;
constexpr std::size_t kLargestSigningKeyFile = 4096;
// RFC 8410: PrivateKeyInfo and SubjectPublicKeyInfo of id-Ed25519 up to the 32 bytes.
constexpr std::array<std::uint8_t, 16> kPrivateHead{0x30, 0x2E, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06,
                                                    0x03, 0x2B, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20};
constexpr std::array<std::uint8_t, 12> kPublicHead{0x30, 0x2A, 0x30, 0x05, 0x06, 0x03,
                                                   0x2B, 0x65, 0x70, 0x03, 0x21, 0x00};
using DigestContext = std::unique_ptr<EVP_MD_CTX, Freed<EVP_MD_CTX_free>>;

EvpKey privateKeyOf(const SecretBytes& seed)
{
    return EvpKey(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr,
                                               opensslBytes(seed.reveal()), seed.size()));
}

/// The DER in a PEM file; a file without any is damaged, not missing.
Result<SecretBytes> derInPem(ByteView file, std::string_view what)
{
    auto block = firstPemKey(file);
    if (!block)
        return fail(Errc::InvalidData, Blame::Operator,
                    concat("read ", what, ": ", block.error().message));
    return std::move(block->der);
}

/// What stands between head and end of a DER structure of exactly that form.
template <std::size_t N>
Result<ByteView> behindHead(ByteView der, const std::array<std::uint8_t, N>& head,
                            std::string_view what)
{
    const ByteView wanted = std::as_bytes(std::span(head));
    if (der.size() < N + kSeedBytes || !equalBytes(der.first(N), wanted))
        return fail(Errc::InvalidData, Blame::Operator, concat("read ", what, ": it is none"));
    return der.subspan(N, kSeedBytes);
}

} // namespace

Result<VerifyingKey> VerifyingKey::fromPem(ByteView file)
{
    const SecretBytes der = TRY(derInPem(file, "an Ed25519 public key"));
    const ByteView point = TRY(behindHead(der.reveal(), kPublicHead, "an Ed25519 public key"));
    VerifyingKey key;
    std::ranges::copy(point, key.m_point.begin());
    return key;
}

bool VerifyingKey::verify(ByteView message, ByteView signature) const
{
    const EvpKey key(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, opensslBytes(m_point),
                                                 m_point.size()));
    const DigestContext context(EVP_MD_CTX_new());
    const bool good =
        key && context &&
        EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, key.get()) == 1 &&
        EVP_DigestVerify(context.get(), opensslBytes(signature), signature.size(),
                         opensslBytes(message), message.size()) == 1;
    ERR_clear_error();
    return good;
}

Bytes VerifyingKey::toDer() const
{
    Bytes der = toBytes(std::as_bytes(std::span(kPublicHead)));
    der.insert(der.end(), m_point.begin(), m_point.end());
    return der;
}

std::string VerifyingKey::toPem() const
{
    return toText(provost::toPem("PUBLIC KEY", toDer()).reveal());
}

std::string VerifyingKey::fingerprint() const
{
    return sha256Hex(toDer());
}

Result<SigningKey> SigningKey::fromSeed(SecretBytes seed)
{
    const EvpKey key = privateKeyOf(seed);
    SigningKey made;
    std::size_t size = made.m_public.m_point.size();
    if (!key || EVP_PKEY_get_raw_public_key(
                    key.get(), opensslBytes(ByteSpan(made.m_public.m_point)), &size) != 1)
        return opensslFailure(Errc::Internal, Blame::Station, "derive an Ed25519 public key");
    made.m_seed = std::move(seed);
    return made;
}

Result<SigningKey> SigningKey::generate()
{
    Bytes random = TRY(randomBytes(kSeedBytes));
    SecretBytes seed{ByteView(random)};
    wipe(random);
    return fromSeed(std::move(seed));
}

SecretBytes SigningKey::toPem() const
{
    SecretBytes der(kPrivateHead.size() + kSeedBytes);
    std::ranges::copy(std::as_bytes(std::span(kPrivateHead)), der.writable().begin());
    std::ranges::copy(m_seed.reveal(), der.writable().begin() + kPrivateHead.size());
    return provost::toPem("PRIVATE KEY", der.reveal());
}

Result<SigningKey> SigningKey::read(const std::filesystem::path& file,
                                    const SecretBytes& passphrase)
{
    const SecretBytes text = TRY(readSecretFile(file, kLargestSigningKeyFile));
    struct stat info{};
    if (::stat(file.c_str(), &info) == 0 && (info.st_mode & (S_IRWXG | S_IRWXO)) != 0)
        return fail(Errc::Denied, Blame::Operator,
                    concat("read the signing key ", file.string(),
                           ": others may read it; take that from them (chmod 600) and replace the "
                           "key if they did"));
    const auto what = concat("the signing key ", file.string());
    const auto der = unwrapKeyFile(text.reveal(), passphrase);
    if (!der)
        return Unexpected(inFrame(der.error(), "read " + what));
    const ByteView seed = TRY(behindHead(der->reveal(), kPrivateHead, what));
    return fromSeed(SecretBytes(seed));
}

Result<SigningKey> SigningKey::readOrMake(const std::filesystem::path& file,
                                          const SecretBytes& passphrase)
{
    auto kept = read(file, passphrase);
    if (kept && !passphrase.empty() && read(file, {}))
        TRY(keepPrivateKey(file, kept->toPem(), passphrase));
    if (kept || kept.error().code != Errc::NotFound)
        return kept;
    SigningKey made = TRY(generate());
    // Public part first: a folder with it alone makes a new pair at the next start.
    const auto publicFile = std::filesystem::path(file).replace_extension(".pub.pem");
    TRY(writeDurably(publicFile, viewOf(made.m_public.toPem()), 0644));
    TRY(keepPrivateKey(file, made.toPem(), passphrase));
    return made;
}

Result<Bytes> SigningKey::sign(ByteView message) const
{
    const EvpKey key = privateKeyOf(m_seed);
    const DigestContext context(EVP_MD_CTX_new());
    Bytes signature(kSignatureBytes);
    std::size_t size = signature.size();
    if (!key || !context ||
        EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key.get()) != 1 ||
        EVP_DigestSign(context.get(), opensslBytes(ByteSpan(signature)), &size,
                       opensslBytes(message), message.size()) != 1)
        return opensslFailure(Errc::Internal, Blame::Station,
                              concat("sign ", message.size(), " bytes"));
    return signature;
}

} // namespace provost
