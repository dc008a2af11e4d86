#include "crypto/ec_key.h"

#include "core/byte_io.h"
#include "crypto/der_p.h"
#include "crypto/digest.h"
#include "crypto/openssl_p.h"

#include <algorithm>

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/obj_mac.h>

namespace provost {

namespace {

using Group = std::unique_ptr<EC_GROUP, Freed<EC_GROUP_free>>;
using Point = std::unique_ptr<EC_POINT, Freed<EC_POINT_clear_free>>;
using DigestContext = std::unique_ptr<EVP_MD_CTX, Freed<EVP_MD_CTX_free>>;

constexpr std::size_t kScalarBytes = 32;
constexpr std::size_t kEcPointBytes = 65;
constexpr std::size_t kLargestSignature = 80; // DER of two 33-byte integers is 72

Unexpected ecDamaged(std::string_view what)
{
    return fail(Errc::InvalidData, Blame::Operator, concat("read an EC key: ", what));
}

Group curve()
{
    return Group(EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1));
}

/// scalar · G; refused where the scalar is not in [1, n-1].
Result<std::array<std::byte, kEcPointBytes>> pointOf(ByteView scalar)
{
    const Group group = curve();
    const BnContext context(BN_CTX_secure_new());
    const Number number = secretNumber();
    const Point point(group ? EC_POINT_new(group.get()) : nullptr);
    if (!context || !number || !point ||
        BN_bin2bn(opensslBytes(scalar), static_cast<int>(scalar.size()), number.get()) == nullptr)
        return opensslFailure(Errc::Internal, Blame::Station, "derive an EC public key");
    if (BN_is_zero(number.get()) || BN_cmp(number.get(), EC_GROUP_get0_order(group.get())) >= 0)
        return ecDamaged("its private number is out of range");
    std::array<std::byte, kEcPointBytes> bytes{};
    if (EC_POINT_mul(group.get(), point.get(), number.get(), nullptr, nullptr, context.get()) !=
            1 ||
        EC_POINT_point2oct(group.get(), point.get(), POINT_CONVERSION_UNCOMPRESSED,
                           opensslBytes(ByteSpan(bytes)), bytes.size(),
                           context.get()) != bytes.size())
        return opensslFailure(Errc::Internal, Blame::Station, "derive an EC public key");
    return bytes;
}

/// A key of OpenSSL; public only where `scalar` is empty.
Result<EvpKey> toEvp(ByteView point, ByteView scalar)
{
    const ParamBuilder builder(OSSL_PARAM_BLD_new());
    const Number number = secretNumber();
    bool built = builder && number &&
                 OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME,
                                                 SN_X9_62_prime256v1, 0) == 1 &&
                 OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY,
                                                  point.data(), point.size()) == 1;
    if (built && !scalar.empty())
        built = BN_bin2bn(opensslBytes(scalar), static_cast<int>(scalar.size()), number.get()) !=
                    nullptr &&
                OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_PRIV_KEY, number.get()) == 1;
    const Params params(built ? OSSL_PARAM_BLD_to_param(builder.get()) : nullptr);
    const EvpKeyContext context(EVP_PKEY_CTX_new_from_name(nullptr, "EC", nullptr));
    EVP_PKEY* key = nullptr;
    if (!params || !context || EVP_PKEY_fromdata_init(context.get()) != 1 ||
        EVP_PKEY_fromdata(context.get(), &key,
                          scalar.empty() ? EVP_PKEY_PUBLIC_KEY : EVP_PKEY_KEYPAIR,
                          params.get()) != 1)
        return opensslFailure(Errc::InvalidData, Blame::Operator, "make an EC key of its numbers");
    return EvpKey(key);
}

/// The members of ECPrivateKey, RFC 5915 section 3.
struct Sec1 {
    ByteView scalar{};
    ByteView parameters{}; ///< empty: left out
    ByteView point{};      ///< empty: left out
};

Result<Sec1> readSec1(ByteView der)
{
    const auto header = readDerHeader(der);
    if (!header || header->tag != static_cast<std::uint8_t>(DerTag::Sequence))
        return ecDamaged("no SEC1 structure");
    if (header->headerSize + header->contentSize > der.size())
        return ecDamaged(concat("it ends after ", der.size(), " of ",
                                header->headerSize + header->contentSize, " bytes"));
    DerCursor cursor(outerContent(der));
    const auto version = cursor.takeUnsigned();
    if (!version || !equalBytes(*version, std::array{std::byte{1}}))
        return ecDamaged("its version is not 1");
    Sec1 members;
    const auto scalar = cursor.take(DerTag::OctetString);
    if (!scalar)
        return ecDamaged("its private number is damaged");
    members.scalar = *scalar;
    if (const auto parameters = cursor.take(DerTag::Context0))
        members.parameters = *parameters;
    if (cursor.nextIs(DerTag::Context1)) {
        DerCursor inner(cursor.take(DerTag::Context1).value_or(ByteView{}));
        const auto bits = inner.take(DerTag::BitString);
        if (!bits || bits->empty())
            return ecDamaged("its public point is damaged");
        members.point = bits->subspan(1);
    }
    if (!cursor.rest().empty())
        return ecDamaged("its curve or its public point is damaged");
    return members;
}

} // namespace

// --- public key

Result<EcPublicKey> EcPublicKey::fromPoint(ByteView point)
{
    const Group group = curve();
    const Point parsed(group ? EC_POINT_new(group.get()) : nullptr);
    constexpr std::byte kUncompressed{4}; // SEC1, 2.3.3
    if (point.size() != kPointBytes || point.front() != kUncompressed || !parsed ||
        EC_POINT_oct2point(group.get(), parsed.get(), opensslBytes(point), point.size(), nullptr) !=
            1)
        return opensslFailure(Errc::InvalidData, Blame::Unit,
                              concat("read an EC public key: ", point.size(),
                                     " bytes are no uncompressed point of P-256"));
    EcPublicKey key;
    std::ranges::copy(point, key.m_point.begin());
    return key;
}

Result<EcPublicKey> EcPublicKey::fromDer(ByteView spki)
{
    const auto point = spkiEcPoint(spki);
    if (!point)
        return fail(Errc::InvalidData, Blame::Unit,
                    concat("read an EC public key: ", spki.size(),
                           " bytes hold no SubjectPublicKeyInfo of a P-256 key"));
    return fromPoint(*point);
}

Result<EcPublicKey> EcPublicKey::fromText(ByteView file)
{
    auto pem = firstPemKey(file);
    if (!pem && pem.error().code != Errc::NotFound)
        return Unexpected(std::move(pem).error());
    return fromDer(pem ? pem->der.reveal() : file);
}

Bytes EcPublicKey::toDer() const
{
    const std::size_t bitString = 1 + m_point.size();
    const std::size_t content = ecAlgorithmId().size() + derSize(bitString);
    Bytes der(derSize(content));
    DerWriter to(der);
    to.header(DerTag::Sequence, content);
    to.raw(ecAlgorithmId());
    to.header(DerTag::BitString, bitString);
    to.space(1)[0] = std::byte{0}; // unused bits
    to.raw(m_point);
    return der;
}

std::string EcPublicKey::toPem() const
{
    return toText(provost::toPem("PUBLIC KEY", toDer()).reveal());
}

std::string EcPublicKey::fingerprint() const
{
    return sha256Hex(toDer());
}

bool EcPublicKey::verify(ByteView message, ByteView signature) const
{
    const auto key = toEvp(m_point, {});
    const DigestContext context(EVP_MD_CTX_new());
    const bool good =
        key && context &&
        EVP_DigestVerifyInit(context.get(), nullptr, EVP_sha256(), nullptr, key->get()) == 1 &&
        EVP_DigestVerify(context.get(), opensslBytes(signature), signature.size(),
                         opensslBytes(message), message.size()) == 1;
    ERR_clear_error();
    return good;
}

// --- private key

Result<EcPrivateKey> EcPrivateKey::generate()
{
    const EvpKeyContext context(EVP_PKEY_CTX_new_from_name(nullptr, "EC", nullptr));
    EVP_PKEY* raw = nullptr;
    if (!context || EVP_PKEY_keygen_init(context.get()) != 1 ||
        EVP_PKEY_CTX_set_ec_paramgen_curve_nid(context.get(), NID_X9_62_prime256v1) != 1 ||
        EVP_PKEY_generate(context.get(), &raw) != 1)
        return opensslFailure(Errc::Unavailable, Blame::Station, "generate a P-256 key");
    const EvpKey key(raw);
    Number number = secretNumber();
    BIGNUM* target = number.get();
    SecretBytes scalar(kScalarBytes);
    if (target == nullptr ||
        EVP_PKEY_get_bn_param(key.get(), OSSL_PKEY_PARAM_PRIV_KEY, &target) != 1 ||
        BN_bn2binpad(target, opensslBytes(scalar.writable()), static_cast<int>(kScalarBytes)) < 0)
        return opensslFailure(Errc::Internal, Blame::Station, "take the number of a new EC key");
    const auto point = TRY(pointOf(scalar.reveal()));
    const EcPublicKey shared = TRY(EcPublicKey::fromPoint(point));
    return EcPrivateKey(std::move(scalar), shared);
}

Result<EcPrivateKey> EcPrivateKey::fromSec1(ByteView der)
{
    const Sec1 members = TRY(readSec1(der));
    if (!members.parameters.empty() && !equalBytes(members.parameters, prime256v1Id()))
        return ecDamaged("another curve than P-256");
    ByteView digits = members.scalar;
    while (digits.size() > kScalarBytes && digits.front() == std::byte{0})
        digits = digits.subspan(1);
    if (digits.size() > kScalarBytes)
        return ecDamaged(concat("its private number has ", digits.size(), " bytes, P-256 has 32"));
    SecretBytes scalar(kScalarBytes);
    std::ranges::copy(digits, scalar.writable().last(digits.size()).begin());
    const auto point = TRY(pointOf(scalar.reveal()));
    if (!members.point.empty() && !equalBytes(members.point, point))
        return ecDamaged("its public point is not that of its private number");
    const EcPublicKey shared = TRY(EcPublicKey::fromPoint(point));
    return EcPrivateKey(std::move(scalar), shared);
}

Result<EcPrivateKey> EcPrivateKey::fromBytes(ByteView file)
{
    auto pem = firstPemKey(file);
    if (!pem && pem.error().code != Errc::NotFound)
        return Unexpected(std::move(pem).error());
    if (pem && pem->encrypted)
        return ecDamaged("the file is encrypted with a passphrase");
    const ByteView der = pem ? pem->der.reveal() : file;
    if (structureOf(der) == KeyStructure::Sec1)
        return fromSec1(der);
    const auto inner = pkcs8EcKey(der);
    if (structureOf(der) != KeyStructure::Pkcs8 || !inner)
        return ecDamaged(concat(file.size(), " bytes hold neither SEC1 nor PKCS#8 of a P-256 key"));
    return fromSec1(*inner);
}

SecretBytes EcPrivateKey::toSec1Der() const
{
    const std::size_t bitString = 1 + kEcPointBytes;
    const std::size_t content =
        3 + derSize(kScalarBytes) + derSize(prime256v1Id().size()) + derSize(derSize(bitString));
    SecretBytes der(derSize(content));
    DerWriter to(der.writable());
    to.header(DerTag::Sequence, content);
    to.header(DerTag::Integer, 1);
    to.space(1)[0] = std::byte{1};
    to.header(DerTag::OctetString, kScalarBytes);
    to.raw(m_scalar.reveal());
    to.header(DerTag::Context0, prime256v1Id().size());
    to.raw(prime256v1Id());
    to.header(DerTag::Context1, derSize(bitString));
    to.header(DerTag::BitString, bitString);
    to.space(1)[0] = std::byte{0}; // unused bits
    to.raw(m_public.point());
    return der;
}

SecretBytes EcPrivateKey::toClearPem() const
{
    const SecretBytes sec1 = toSec1Der();
    return toPem("PRIVATE KEY", privateKeyInfo(sec1.reveal(), ecAlgorithmId()).reveal());
}

Result<Bytes> EcPrivateKey::toEncryptedPem(const SecretBytes& passphrase) const
{
    const SecretBytes sec1 = toSec1Der();
    return encryptedPem(privateKeyInfo(sec1.reveal(), ecAlgorithmId()).reveal(), passphrase);
}

Result<Bytes> EcPrivateKey::sign(ByteView message) const
{
    const EvpKey key = TRY(toEvp(m_public.point(), m_scalar.reveal()));
    const DigestContext context(EVP_MD_CTX_new());
    Bytes signature(kLargestSignature);
    std::size_t length = signature.size();
    if (!context ||
        EVP_DigestSignInit(context.get(), nullptr, EVP_sha256(), nullptr, key.get()) != 1 ||
        EVP_DigestSign(context.get(), opensslBytes(ByteSpan(signature)), &length,
                       opensslBytes(message), message.size()) != 1)
        return opensslFailure(Errc::Internal, Blame::Station, "sign with an EC key");
    signature.resize(length);
    return signature;
}

} // namespace provost
