#include "crypto/rsa_key.h"

#include "core/byte_io.h"
#include "crypto/der_p.h"
#include "crypto/digest.h"
#include "crypto/rsa_numbers_p.h"

#include <mutex>
#include <new>

#include <openssl/crypto.h>
#include <openssl/rsa.h>

namespace provost {

namespace {

constexpr int kSmallestBits = 512;
constexpr int kLargestBits = 8192;
constexpr std::size_t kSecureHeapBytes = std::size_t{1} << 20;
constexpr std::size_t kSecureHeapGrain = 32;
constexpr int kGenerateAttempts = 8;

/// A context that is ready for one PKCS#1 v1.5 operation with the key; empty where that fails.
EvpKeyContext readyFor(int (*start)(EVP_PKEY_CTX*), EVP_PKEY* key)
{
    EvpKeyContext context(EVP_PKEY_CTX_new(key, nullptr));
    if (!context || start(context.get()) != 1 ||
        EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_PKCS1_PADDING) != 1)
        return {};
    return context;
}

using Pkcs1Operation = int (*)(EVP_PKEY_CTX*, unsigned char*, std::size_t*, const unsigned char*,
                               std::size_t);

EvpKeyContext copyOf(const EvpKeyContext& pattern)
{
    return EvpKeyContext(pattern ? EVP_PKEY_CTX_dup(pattern.get()) : nullptr);
}

/// The result takes the first bytes of `out`.
Result<std::size_t> runPkcs1(Pkcs1Operation operation, const EvpKeyContext& context, ByteView in,
                             ByteSpan out)
{
    std::size_t length = out.size();
    if (!context ||
        operation(context.get(), opensslBytes(out), &length, opensslBytes(in), in.size()) != 1)
        return opensslFailure(Errc::InvalidData, Blame::Unit,
                              concat("RSA over ", in.size(), " bytes"));
    return length;
}

std::size_t modulusBytes(const EVP_PKEY* key)
{
    return static_cast<std::size_t>(EVP_PKEY_get_size(key));
}

Bytes numberBytes(const BIGNUM* number)
{
    Bytes bytes(static_cast<std::size_t>(BN_num_bytes(number)));
    BN_bn2bin(number, opensslBytes(ByteSpan(bytes)));
    return bytes;
}

void writeInteger(DerWriter& to, ByteView digits)
{
    const bool padded = (u8(digits.front()) & 0x80) != 0;
    to.header(DerTag::Integer, digits.size() + (padded ? 1 : 0));
    if (padded)
        to.space(1)[0] = std::byte{0};
    to.raw(digits);
}

std::size_t integerSize(ByteView digits)
{
    return derSize(digits.size() + ((u8(digits.front()) & 0x80) != 0 ? 1 : 0));
}

/// SubjectPublicKeyInfo, shortest DER.
Bytes publicKeyInfo(ByteView modulus, ByteView exponent)
{
    const std::size_t numbers = integerSize(modulus) + integerSize(exponent);
    const std::size_t bitString = 1 + derSize(numbers);
    const std::size_t content = rsaAlgorithmId().size() + derSize(bitString);
    Bytes der(derSize(content));
    DerWriter to(der);
    to.header(DerTag::Sequence, content);
    to.raw(rsaAlgorithmId());
    to.header(DerTag::BitString, bitString);
    to.space(1)[0] = std::byte{0}; // unused bits
    to.header(DerTag::Sequence, numbers);
    writeInteger(to, modulus);
    writeInteger(to, exponent);
    return der;
}

/// SEQUENCE { modulus, publicExponent }, RFC 8017 appendix A.1.1.
Result<RsaPublicKey> fromPublicNumbers(ByteView sequence)
{
    DerCursor outer(sequence);
    const auto content = outer.take(DerTag::Sequence);
    DerCursor cursor(content.value_or(ByteView{}));
    const auto modulus = cursor.takeUnsigned();
    const auto exponent = cursor.takeUnsigned();
    if (!modulus || !exponent)
        return fail(Errc::InvalidData, Blame::Unit,
                    "read an RSA public key: its numbers are damaged");
    return RsaPublicKey::fromNumbers(*modulus, *exponent);
}

} // namespace

// --- public key

struct RsaPublicKey::Impl {
    Impl(EvpKey theKey, const RsaNumbers& numbers)
        : key(std::move(theKey)), modulus(numberBytes(numbers.n.get())),
          bits(BN_num_bits(numbers.n.get())),
          der(publicKeyInfo(modulus, numberBytes(numbers.e.get()))), fingerprint(sha256Hex(der))
    {
    }
    /// A pattern, prepared by who first seals to the key; most keys are only compared.
    const EvpKeyContext& sealing() const
    {
        std::call_once(m_once, [this] { m_sealing = readyFor(EVP_PKEY_encrypt_init, key.get()); });
        return m_sealing;
    }

    EvpKey key;
    Bytes modulus; ///< without leading zero bytes
    int bits;
    Bytes der;
    std::string fingerprint;

private:
    mutable std::once_flag m_once{};
    mutable EvpKeyContext m_sealing{};
};

RsaPublicKey::RsaPublicKey(std::shared_ptr<const Impl> impl) : m_impl(std::move(impl)) {}
RsaPublicKey::RsaPublicKey(RsaPublicKey&&) noexcept = default;
RsaPublicKey& RsaPublicKey::operator=(RsaPublicKey&&) noexcept = default;
RsaPublicKey::RsaPublicKey(const RsaPublicKey&) = default;
RsaPublicKey& RsaPublicKey::operator=(const RsaPublicKey&) = default;
RsaPublicKey::~RsaPublicKey() = default;

Result<RsaPublicKey> RsaPublicKey::fromDer(ByteView spki)
{
    const auto inner = spkiRsaKey(spki);
    if (!inner)
        return fail(Errc::InvalidData, Blame::Unit,
                    concat("read an RSA public key: ", spki.size(),
                           " bytes hold no SubjectPublicKeyInfo of an RSA key"));
    return fromPublicNumbers(*inner);
}

Result<RsaPublicKey> RsaPublicKey::fromText(ByteView file)
{
    auto pem = firstPemKey(file);
    if (!pem && pem.error().code != Errc::NotFound)
        return Unexpected(std::move(pem).error());
    const ByteView der = pem ? pem->der.reveal() : file;
    if (structureOf(der) == KeyStructure::Pkcs1Public)
        return fromPublicNumbers(der);
    return fromDer(der);
}

Result<RsaPublicKey> RsaPublicKey::fromNumbers(ByteView modulus, ByteView exponent)
{
    RsaNumbers numbers;
    numbers.n = Number(BN_bin2bn(opensslBytes(modulus), static_cast<int>(modulus.size()), nullptr));
    numbers.e =
        Number(BN_bin2bn(opensslBytes(exponent), static_cast<int>(exponent.size()), nullptr));
    if (!numbers.n || !numbers.e)
        return opensslFailure(Errc::Internal, Blame::Station, "make an RSA public key");
    const int bits = BN_num_bits(numbers.n.get());
    if (bits < kSmallestBits || bits > kLargestBits || !BN_is_odd(numbers.n.get()) ||
        !BN_is_odd(numbers.e.get()) || BN_is_one(numbers.e.get()) ||
        BN_num_bits(numbers.e.get()) > 64)
        return fail(Errc::InvalidData, Blame::Unit,
                    concat("make an RSA public key: modulus of ", bits, " bits and exponent of ",
                           BN_num_bits(numbers.e.get()), " bits cannot be a key"));
    EvpKey key = TRY(toEvpKey(numbers));
    return RsaPublicKey(std::make_shared<const Impl>(std::move(key), numbers));
}

int RsaPublicKey::bits() const
{
    return m_impl->bits;
}
Bytes RsaPublicKey::modulus() const
{
    return m_impl->modulus;
}

Bytes RsaPublicKey::toDer() const
{
    return m_impl->der;
}

std::string RsaPublicKey::toPem() const
{
    return toText(provost::toPem("PUBLIC KEY", m_impl->der).reveal());
}

std::string RsaPublicKey::fingerprint() const
{
    return m_impl->fingerprint;
}

Result<Bytes> RsaPublicKey::encrypt(ByteView plain) const
{
    Bytes cipher(modulusBytes(m_impl->key.get()));
    const std::size_t size =
        TRY(runPkcs1(EVP_PKEY_encrypt, copyOf(m_impl->sealing()), plain, cipher));
    cipher.resize(size);
    return cipher;
}

Result<Bytes> RsaPublicKey::recover(ByteView signature) const
{
    Bytes payload(modulusBytes(m_impl->key.get()));
    const std::size_t size = TRY(runPkcs1(EVP_PKEY_verify_recover,
                                          readyFor(EVP_PKEY_verify_recover_init, m_impl->key.get()),
                                          signature, payload));
    payload.resize(size);
    return payload;
}

// --- private key

struct RsaPrivateKey::Impl {
    Impl(EvpKey theKey, RsaNumbers theNumbers)
        : key(std::move(theKey)), numbers(std::move(theNumbers)),
          decrypting(readyFor(EVP_PKEY_decrypt_init, key.get())),
          signing(readyFor(EVP_PKEY_sign_init, key.get()))
    {
    }
    EvpKey key;
    RsaNumbers numbers;
    // Patterns, never worked with: a copy takes a thirtieth of what preparing one takes.
    EvpKeyContext decrypting;
    EvpKeyContext signing;
};

RsaPrivateKey::RsaPrivateKey(std::unique_ptr<Impl> impl) : m_impl(std::move(impl)) {}
RsaPrivateKey::RsaPrivateKey(RsaPrivateKey&&) noexcept = default;
RsaPrivateKey& RsaPrivateKey::operator=(RsaPrivateKey&&) noexcept = default;
RsaPrivateKey::~RsaPrivateKey() = default;

Result<RsaPrivateKey> RsaPrivateKey::generate(int bits)
{
    const std::string attempt = concat("generate an RSA key of ", bits, " bits");
    if (bits < kSmallestBits || bits > kLargestBits || bits % 16 != 0)
        return fail(Errc::InvalidArgument, Blame::Software, concat(attempt, ": no such size"));
    for (int tries = 0; tries < kGenerateAttempts; ++tries) {
        const EvpKeyContext context(EVP_PKEY_CTX_new_from_name(nullptr, "RSA", nullptr));
        EVP_PKEY* raw = nullptr;
        if (!context || EVP_PKEY_keygen_init(context.get()) != 1 ||
            EVP_PKEY_CTX_set_rsa_keygen_bits(context.get(), bits) != 1 ||
            EVP_PKEY_generate(context.get(), &raw) != 1)
            return opensslFailure(Errc::Unavailable, Blame::Station, attempt);
        EvpKey key(raw);
        RsaNumbers numbers = TRY(numbersOf(*key));
        if (BN_num_bits(numbers.p.get()) == bits / 2 && BN_num_bits(numbers.q.get()) == bits / 2)
            return RsaPrivateKey(std::make_unique<Impl>(std::move(key), std::move(numbers)));
    }
    return fail(Errc::Internal, Blame::Station, concat(attempt, ": no primes of equal width"));
}

Result<RsaPrivateKey> RsaPrivateKey::fromBytes(ByteView file)
{
    auto pem = firstPemKey(file);
    if (!pem && pem.error().code != Errc::NotFound)
        return Unexpected(std::move(pem).error());
    if (pem && pem->encrypted)
        return fail(Errc::InvalidData, Blame::Operator,
                    "read an RSA private key: the file is encrypted with a passphrase");
    ByteView der = pem ? pem->der.reveal() : file;
    if (structureOf(der) == KeyStructure::Pkcs8)
        der = pkcs8RsaKey(der).value_or(ByteView{});
    if (structureOf(der) != KeyStructure::Pkcs1Private)
        return fail(Errc::InvalidData, Blame::Operator,
                    concat("read an RSA private key: ", file.size(),
                           " bytes hold neither PKCS#1 nor PKCS#8 of an RSA key"));
    RsaNumbers numbers = TRY(readPkcs1(der));
    EvpKey key = TRY(toEvpKey(numbers));
    return RsaPrivateKey(std::make_unique<Impl>(std::move(key), std::move(numbers)));
}

Result<RsaPrivateKey> RsaPrivateKey::fromPrimes(ByteView modulus, ByteView p, ByteView q)
{
    RsaNumbers numbers = TRY(numbersOfPrimes(modulus, p, q));
    EvpKey key = TRY(toEvpKey(numbers));
    return RsaPrivateKey(std::make_unique<Impl>(std::move(key), std::move(numbers)));
}

int RsaPrivateKey::bits() const
{
    return BN_num_bits(m_impl->numbers.n.get());
}

RsaPublicKey RsaPrivateKey::publicKey() const
{
    const RsaNumbers& numbers = m_impl->numbers;
    RsaNumbers shared;
    shared.n = Number(BN_dup(numbers.n.get()));
    shared.e = Number(BN_dup(numbers.e.get()));
    // The public half alone: an EVP_PKEY handed on here must not hold private numbers. The numbers
    // made a key before, so that this cannot fail but for memory.
    Result<EvpKey> key = toEvpKey(shared);
    if (!key)
        throw std::bad_alloc();
    return RsaPublicKey(std::make_shared<const RsaPublicKey::Impl>(std::move(*key), shared));
}

SecretBytes RsaPrivateKey::toPkcs1Der() const
{
    return writePkcs1(m_impl->numbers, IntegerForm::Shortest);
}

SecretBytes RsaPrivateKey::toFullWidthDer() const
{
    return writePkcs1(m_impl->numbers, IntegerForm::FullWidth);
}

SecretBytes RsaPrivateKey::toClearPem() const
{
    const SecretBytes pkcs1 = toPkcs1Der();
    return toPem("PRIVATE KEY", privateKeyInfo(pkcs1.reveal(), rsaAlgorithmId()).reveal());
}

Result<SecretBytes> RsaPrivateKey::decrypt(ByteView cipher) const
{
    SecretBytes plain(modulusBytes(m_impl->key.get()));
    const std::size_t size =
        TRY(runPkcs1(EVP_PKEY_decrypt, copyOf(m_impl->decrypting), cipher, plain.writable()));
    return SecretBytes(plain.reveal().first(size));
}

Result<Bytes> RsaPrivateKey::signRaw(ByteView payload) const
{
    Bytes signature(modulusBytes(m_impl->key.get()));
    // No digest is named: the payload is padded as it is.
    const std::size_t size =
        TRY(runPkcs1(EVP_PKEY_sign, copyOf(m_impl->signing), payload, signature));
    signature.resize(size);
    return signature;
}

Result<> setUpSecureHeap()
{
    if (CRYPTO_secure_malloc_initialized() == 1)
        return {};
    const int made = CRYPTO_secure_malloc_init(kSecureHeapBytes, kSecureHeapGrain);
    if (made == 1)
        return {};
    if (made == 2) // made, but the system refused to lock or to guard it
        CRYPTO_secure_malloc_done();
    return fail(Errc::Unavailable, Blame::Station,
                concat("lock ", kSecureHeapBytes,
                       " bytes of memory for keys: the system refuses; raise the limit of locked "
                       "memory (ulimit -l)"));
}

} // namespace provost
