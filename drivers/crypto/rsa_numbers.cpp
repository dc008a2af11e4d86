#include "crypto/rsa_numbers_p.h"

#include "core/byte_io.h"
#include "crypto/der_p.h"

#include <openssl/core_names.h>

namespace provost {

namespace {

using Member = Number RsaNumbers::*;

/// In the order of RSAPrivateKey, RFC 8017 appendix A.1.2.
constexpr std::array<Member, 8> kPkcs1Order{&RsaNumbers::n,  &RsaNumbers::e,   &RsaNumbers::d,
                                            &RsaNumbers::p,  &RsaNumbers::q,   &RsaNumbers::dP,
                                            &RsaNumbers::dQ, &RsaNumbers::qInv};
constexpr std::array<const char*, 8> kParamNames{
    OSSL_PKEY_PARAM_RSA_N,         OSSL_PKEY_PARAM_RSA_E,           OSSL_PKEY_PARAM_RSA_D,
    OSSL_PKEY_PARAM_RSA_FACTOR1,   OSSL_PKEY_PARAM_RSA_FACTOR2,     OSSL_PKEY_PARAM_RSA_EXPONENT1,
    OSSL_PKEY_PARAM_RSA_EXPONENT2, OSSL_PKEY_PARAM_RSA_COEFFICIENT1};
constexpr std::size_t kPublicNumbers = 2;

Unexpected damaged(std::string_view what)
{
    return fail(Errc::InvalidData, Blame::Operator, concat("read an RSA private key: ", what));
}

/// value mod modulus == wanted
bool leaves(const BIGNUM* value, const BIGNUM* modulus, const BIGNUM* wanted, BN_CTX* context)
{
    const Number rest = secretNumber();
    return rest && BN_nnmod(rest.get(), value, modulus, context) == 1 &&
           BN_cmp(rest.get(), wanted) == 0;
}

/// e·d is 1 and d is dX, both modulo prime - 1.
bool fitsPrime(const RsaNumbers& key, const Number& prime, const Number& exponent, BN_CTX* context)
{
    const Number less = secretNumber();
    const Number product = secretNumber();
    return less && product && BN_sub(less.get(), prime.get(), BN_value_one()) == 1 &&
           !BN_is_zero(less.get()) &&
           BN_mul(product.get(), key.e.get(), key.d.get(), context) == 1 &&
           leaves(product.get(), less.get(), BN_value_one(), context) &&
           leaves(key.d.get(), less.get(), exponent.get(), context);
}

bool belongTogether(const RsaNumbers& key)
{
    const BnContext context(BN_CTX_secure_new());
    const Number product = secretNumber();
    if (!context || !product || BN_is_zero(key.p.get()) || BN_is_zero(key.q.get()))
        return false;
    return BN_mul(product.get(), key.p.get(), key.q.get(), context.get()) == 1 &&
           BN_cmp(product.get(), key.n.get()) == 0 &&
           fitsPrime(key, key.p, key.dP, context.get()) &&
           fitsPrime(key, key.q, key.dQ, context.get()) &&
           BN_mul(product.get(), key.qInv.get(), key.q.get(), context.get()) == 1 &&
           BN_cmp(key.qInv.get(), key.p.get()) < 0 &&
           leaves(product.get(), key.p.get(), BN_value_one(), context.get());
}

Number numberOf(ByteView digits)
{
    Number number = secretNumber();
    if (number &&
        BN_bin2bn(opensslBytes(digits), static_cast<int>(digits.size()), number.get()) == nullptr)
        number.reset();
    return number;
}

/// D, dP, dQ and qInv of n, e, p and q.
bool completeFromPrimes(RsaNumbers& key)
{
    const BnContext context(BN_CTX_secure_new());
    const Number p = secretNumber();
    const Number q = secretNumber();
    const Number common = secretNumber();
    const Number order = secretNumber();
    if (!context || !p || !q || !common || !order)
        return false;
    BN_CTX* const c = context.get();
    return BN_sub(p.get(), key.p.get(), BN_value_one()) == 1 &&
           BN_sub(q.get(), key.q.get(), BN_value_one()) == 1 &&
           BN_gcd(common.get(), p.get(), q.get(), c) == 1 &&
           BN_mul(order.get(), p.get(), q.get(), c) == 1 &&
           BN_div(order.get(), nullptr, order.get(), common.get(), c) == 1 &&
           BN_mod_inverse(key.d.get(), key.e.get(), order.get(), c) != nullptr &&
           BN_nnmod(key.dP.get(), key.d.get(), p.get(), c) == 1 &&
           BN_nnmod(key.dQ.get(), key.d.get(), q.get(), c) == 1 &&
           BN_mod_inverse(key.qInv.get(), key.q.get(), key.p.get(), c) != nullptr;
}

/// Some generators write D larger than the modulus; every reduced one works as well.
bool reduceExponent(RsaNumbers& key)
{
    if (BN_num_bytes(key.d.get()) <= BN_num_bytes(key.n.get()))
        return true;
    const BnContext context(BN_CTX_secure_new());
    const Number p = secretNumber();
    const Number q = secretNumber();
    const Number order = secretNumber();
    return context && p && q && order && BN_sub(p.get(), key.p.get(), BN_value_one()) == 1 &&
           BN_sub(q.get(), key.q.get(), BN_value_one()) == 1 &&
           BN_mul(order.get(), p.get(), q.get(), context.get()) == 1 &&
           BN_nnmod(key.d.get(), key.d.get(), order.get(), context.get()) == 1;
}

/// Content bytes of each integer behind the version.
std::array<std::size_t, 8> contentSizes(const RsaNumbers& key, IntegerForm form)
{
    const auto modulusBytes = static_cast<std::size_t>(BN_num_bytes(key.n.get()));
    std::array<std::size_t, 8> sizes{};
    for (std::size_t i = 0; i < sizes.size(); ++i) {
        const int bits = BN_num_bits((key.*kPkcs1Order[i]).get());
        sizes[i] = static_cast<std::size_t>(bits) / 8 + 1; // a leading 00 where the top bit is set
        const bool keepsShort = kPkcs1Order[i] == &RsaNumbers::e;
        if (form == IntegerForm::FullWidth && !keepsShort) {
            const bool wide = i == 0 || kPkcs1Order[i] == &RsaNumbers::d;
            sizes[i] = 1 + (wide ? modulusBytes : modulusBytes / 2);
        }
    }
    return sizes;
}

} // namespace

Result<RsaNumbers> readPkcs1(ByteView der)
{
    const auto header = readDerHeader(der);
    if (!header || header->tag != static_cast<std::uint8_t>(DerTag::Sequence))
        return damaged("no PKCS#1 structure");
    if (header->headerSize + header->contentSize > der.size())
        return damaged(concat("it ends after ", der.size(), " of ",
                              header->headerSize + header->contentSize, " bytes"));
    DerCursor cursor(outerContent(der));
    const auto version = cursor.takeUnsigned();
    if (!version || !version->empty())
        return damaged("its version is not 0");
    RsaNumbers key;
    for (std::size_t i = 0; i < kPkcs1Order.size(); ++i) {
        const auto digits = cursor.takeUnsigned();
        if (!digits)
            return damaged(concat("its integer ", i + 2, " of 9 is damaged"));
        Number number = i < kPublicNumbers ? Number(BN_new()) : secretNumber();
        if (!number || BN_bin2bn(opensslBytes(*digits), static_cast<int>(digits->size()),
                                 number.get()) == nullptr)
            return opensslFailure(Errc::Internal, Blame::Station, "read an RSA private key");
        key.*kPkcs1Order[i] = std::move(number);
    }
    if (!belongTogether(key) || !reduceExponent(key))
        return damaged("its numbers are not those of one key");
    return key;
}

Result<RsaNumbers> numbersOfPrimes(ByteView modulus, ByteView p, ByteView q)
{
    constexpr unsigned long kExponent = 65537;
    RsaNumbers key{.n = numberOf(modulus),
                   .e = Number(BN_new()),
                   .d = secretNumber(),
                   .p = numberOf(p),
                   .q = numberOf(q),
                   .dP = secretNumber(),
                   .dQ = secretNumber(),
                   .qInv = secretNumber()};
    const BnContext context(BN_CTX_secure_new());
    const Number product = secretNumber();
    if (!key.n || !key.e || !key.d || !key.p || !key.q || !key.dP || !key.dQ || !key.qInv ||
        !context || !product || BN_set_word(key.e.get(), kExponent) != 1)
        return opensslFailure(Errc::Internal, Blame::Station, "complete an RSA key");
    const bool primes = BN_is_odd(key.p.get()) && BN_is_odd(key.q.get()) &&
                        !BN_is_one(key.p.get()) && !BN_is_one(key.q.get());
    if (!primes || BN_mul(product.get(), key.p.get(), key.q.get(), context.get()) != 1 ||
        BN_cmp(product.get(), key.n.get()) != 0 || !completeFromPrimes(key) ||
        !belongTogether(key)) {
        ERR_clear_error();
        return damaged("its primes are not those of its modulus");
    }
    return key;
}

Result<RsaNumbers> numbersOf(const EVP_PKEY& key)
{
    OSSL_PARAM* raw = nullptr;
    if (EVP_PKEY_todata(&key, EVP_PKEY_KEYPAIR, &raw) != 1)
        return opensslFailure(Errc::Internal, Blame::Station, "take the numbers of a new RSA key");
    const Params params(raw);
    RsaNumbers numbers;
    for (std::size_t i = 0; i < kPkcs1Order.size(); ++i) {
        const OSSL_PARAM* param = OSSL_PARAM_locate_const(params.get(), kParamNames[i]);
        Number number = i < kPublicNumbers ? Number(BN_new()) : secretNumber();
        BIGNUM* target = number.get();
        if (param == nullptr || target == nullptr || OSSL_PARAM_get_BN(param, &target) != 1)
            return opensslFailure(Errc::Internal, Blame::Station,
                                  concat("take the number \"", kParamNames[i], "\" of an RSA key"));
        numbers.*kPkcs1Order[i] = std::move(number);
    }
    return numbers;
}

SecretBytes writePkcs1(const RsaNumbers& numbers, IntegerForm form)
{
    const int half = BN_num_bytes(numbers.n.get()) / 2;
    if (form == IntegerForm::FullWidth &&
        (BN_num_bytes(numbers.p.get()) > half || BN_num_bytes(numbers.q.get()) > half))
        return {};
    const auto sizes = contentSizes(numbers, form);
    std::size_t content = 3; // version
    for (const std::size_t size : sizes)
        content += derSize(size);
    SecretBytes der(derSize(content));
    DerWriter to(der.writable());
    to.header(DerTag::Sequence, content);
    to.header(DerTag::Integer, 1);
    to.space(1)[0] = std::byte{0};
    for (std::size_t i = 0; i < sizes.size(); ++i) {
        to.header(DerTag::Integer, sizes[i]);
        BN_bn2binpad((numbers.*kPkcs1Order[i]).get(), opensslBytes(to.space(sizes[i])),
                     static_cast<int>(sizes[i]));
    }
    return der;
}

Result<EvpKey> toEvpKey(const RsaNumbers& numbers)
{
    const ParamBuilder builder(OSSL_PARAM_BLD_new());
    bool built = builder != nullptr;
    const std::size_t count = numbers.d ? kPkcs1Order.size() : kPublicNumbers;
    for (std::size_t i = 0; built && i < count; ++i)
        built = OSSL_PARAM_BLD_push_BN(builder.get(), kParamNames[i],
                                       (numbers.*kPkcs1Order[i]).get()) == 1;
    const Params params(built ? OSSL_PARAM_BLD_to_param(builder.get()) : nullptr);
    const EvpKeyContext context(EVP_PKEY_CTX_new_from_name(nullptr, "RSA", nullptr));
    EVP_PKEY* key = nullptr;
    const int selection = numbers.d ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY;
    if (!params || !context || EVP_PKEY_fromdata_init(context.get()) != 1 ||
        EVP_PKEY_fromdata(context.get(), &key, selection, params.get()) != 1)
        return opensslFailure(Errc::InvalidData, Blame::Operator, "make an RSA key of its numbers");
    return EvpKey(key);
}

} // namespace provost
