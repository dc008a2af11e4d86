#include "sim/unit_rsa.h"

#include "sim/octets.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>

namespace provost::sim {

namespace {

struct BnDelete {
    void operator()(BIGNUM* number) const { BN_clear_free(number); }
    void operator()(BN_CTX* context) const { BN_CTX_free(context); }
    void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
    void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};
using Number = std::unique_ptr<BIGNUM, BnDelete>;
using Context = std::unique_ptr<BN_CTX, BnDelete>;

const unsigned char* raw(ByteView bytes)
{
    return static_cast<const unsigned char*>(static_cast<const void*>(bytes.data()));
}
unsigned char* rawOut(ByteSpan bytes)
{
    return static_cast<unsigned char*>(static_cast<void*>(bytes.data()));
}

Number numberOf(ByteView bytes)
{
    return Number(BN_bin2bn(raw(bytes), static_cast<int>(bytes.size()), nullptr));
}

/// Skips a leading zero by bit 0 of the length byte at `lengthAt`, whatever that byte says
/// otherwise, and takes `size` bytes. Moves `lengthAt` behind them.
UnitSecret stride(ByteView slot, std::size_t& lengthAt, std::size_t size)
{
    std::size_t start = lengthAt + 1;
    if ((octet(slot[lengthAt]) & 1) != 0)
        ++start;
    lengthAt = start + size;
    return UnitSecret(slot.subspan(start, size));
}

constexpr std::size_t kLong = 128;
constexpr std::size_t kHalf = 64;

/// Position of `00` behind at least 8 padding bytes of a block 00 `type` …; nullopt: no such block.
std::optional<std::size_t> endOfPadding(ByteView block, std::uint8_t type)
{
    if (octet(block[0]) != 0 || octet(block[1]) != type)
        return std::nullopt;
    for (std::size_t at = 2; at < block.size(); ++at) {
        if (octet(block[at]) == 0)
            return at >= 10 ? std::optional(at) : std::nullopt;
        if (type == 1 && octet(block[at]) != 0xFF)
            return std::nullopt;
    }
    return std::nullopt;
}

std::optional<Bytes> raiseTo65537(ByteView serverSlot, ByteView block)
{
    const Context context(BN_CTX_new());
    const Number modulus = numberOf(serverSlot.subspan(33, 256));
    const Number base = numberOf(block);
    const Number result(BN_new());
    const Number exponent(BN_new());
    BN_set_word(exponent.get(), 65537);
    if (BN_is_zero(modulus.get()) || BN_cmp(base.get(), modulus.get()) >= 0 ||
        BN_mod_exp(result.get(), base.get(), exponent.get(), modulus.get(), context.get()) != 1)
        return std::nullopt;
    Bytes out(256);
    if (BN_bn2binpad(result.get(), rawOut(out), 256) != 256)
        return std::nullopt;
    return out;
}

using Key = std::unique_ptr<EVP_PKEY, BnDelete>;

UnitSecret parameter(const Key& key, const char* name, std::size_t width)
{
    BIGNUM* number = nullptr;
    UnitSecret out(width);
    if (EVP_PKEY_get_bn_param(key.get(), name, &number) != 1)
        return {};
    const Number owned(number);
    if (BN_bn2binpad(number, rawOut(out.writable()), static_cast<int>(width)) < 0)
        return {};
    return out;
}

struct Integer {
    const char* name;
    std::size_t width;
};
constexpr std::array kIntegers{
    Integer{OSSL_PKEY_PARAM_RSA_N, kLong},           Integer{OSSL_PKEY_PARAM_RSA_D, kLong},
    Integer{OSSL_PKEY_PARAM_RSA_FACTOR1, kHalf},     Integer{OSSL_PKEY_PARAM_RSA_FACTOR2, kHalf},
    Integer{OSSL_PKEY_PARAM_RSA_EXPONENT1, kHalf},   Integer{OSSL_PKEY_PARAM_RSA_EXPONENT2, kHalf},
    Integer{OSSL_PKEY_PARAM_RSA_COEFFICIENT1, kHalf}};

void putFullWidth(Fields& out, ByteView value)
{
    out.u8(0x02);
    if (value.size() + 1 > 127)
        out.u8(0x81);
    out.u8(static_cast<unsigned>(value.size() + 1)).u8(0).raw(value);
}

Result<UnitSecret> fullWidth(const Key& key)
{
    Bytes der;
    der.reserve(700); // no growth: a grown vector leaves copies behind
    Fields out(der);
    out.u8(0x30).u8(0x82).be16(607).u8(0x02).u8(1).u8(0);
    for (std::size_t i = 0; i < kIntegers.size(); ++i) {
        const UnitSecret value = parameter(key, kIntegers[i].name, kIntegers[i].width);
        if (value.empty())
            return fail(Errc::Internal, Blame::Software, "take apart a generated key: refused");
        putFullWidth(out, value.reveal());
        if (i == 0)
            out.u8(0x02).u8(3).u8(1).u8(0).u8(1);
    }
    UnitSecret secret{ByteView(der)};
    wipeBytes(der);
    return secret;
}

Result<Key> generate()
{
    Key key(EVP_RSA_gen(1024));
    if (!key)
        return fail(Errc::Internal, Blame::Software, "generate an RSA-1024 key: refused");
    return key;
}

} // namespace

UnitKeyNumbers readKeySlot(ByteView slot)
{
    UnitKeyNumbers key;
    std::size_t at = 9;
    key.n = stride(slot, at, kLong);
    at += 7; // 02 03 01 00 01, then 02 81
    key.d = stride(slot, at, kLong);
    for (UnitSecret* half : {&key.p, &key.q, &key.dp, &key.dq, &key.qInverse}) {
        at += 1; // 02
        *half = stride(slot, at, kHalf);
    }
    return key;
}

std::optional<UnitSecret> unitDecrypt(const UnitKeyNumbers& key, ByteView cipher)
{
    const Context context(BN_CTX_new());
    const Number c = numberOf(cipher);
    const Number p = numberOf(key.p.reveal());
    const Number q = numberOf(key.q.reveal());
    const Number dp = numberOf(key.dp.reveal());
    const Number dq = numberOf(key.dq.reveal());
    const Number inverse = numberOf(key.qInverse.reveal());
    const Number m1(BN_new());
    const Number m2(BN_new());
    const Number t(BN_new());
    const Number n = numberOf(key.n.reveal());
    BN_CTX* const ctx = context.get();
    // mbedTLS refuses even moduli; so does the unit.
    if (!BN_is_odd(p.get()) || !BN_is_odd(q.get()) || BN_cmp(c.get(), n.get()) >= 0)
        return std::nullopt;
    const bool computed = BN_mod_exp(m1.get(), c.get(), dp.get(), p.get(), ctx) == 1 &&
                          BN_mod_exp(m2.get(), c.get(), dq.get(), q.get(), ctx) == 1 &&
                          BN_mod_sub(t.get(), m1.get(), m2.get(), p.get(), ctx) == 1 &&
                          BN_mod_mul(t.get(), t.get(), inverse.get(), p.get(), ctx) == 1 &&
                          BN_mul(t.get(), t.get(), q.get(), ctx) == 1 &&
                          BN_add(t.get(), t.get(), m2.get()) == 1;
    UnitSecret block(kLong);
    if (!computed || BN_bn2binpad(t.get(), rawOut(block.writable()), kLong) < 0)
        return std::nullopt;
    const auto end = endOfPadding(block.reveal(), 2);
    if (!end)
        return std::nullopt;
    return UnitSecret(block.reveal().subspan(*end + 1));
}

std::optional<Bytes> encryptToServer(ByteView serverSlot, ByteView plain)
{
    Bytes block(256);
    const std::size_t padding = 256 - 3 - plain.size();
    block[1] = std::byte{2};
    for (std::size_t i = 0; i < padding; ++i) {
        do {
            if (RAND_bytes(rawOut(ByteSpan(block).subspan(2 + i, 1)), 1) != 1)
                return std::nullopt;
        } while (block[2 + i] == std::byte{0});
    }
    std::copy(plain.begin(), plain.end(), block.begin() + static_cast<std::ptrdiff_t>(3 + padding));
    return raiseTo65537(serverSlot, block);
}

std::optional<Bytes> recoverFromServer(ByteView serverSlot, ByteView signature)
{
    const auto block = raiseTo65537(serverSlot, signature);
    if (!block)
        return std::nullopt;
    const auto end = endOfPadding(*block, 1);
    if (!end)
        return std::nullopt;
    return copyOf(ByteView(*block).subspan(*end + 1));
}

Result<UnitSecret> generateOnDevice()
{
    return fullWidth(TRY(generate()));
}

Result<UnitSecret> generateOnDesktop()
{
    while (true) {
        const Key key = TRY(generate());
        std::array<unsigned char, 1024> der{};
        unsigned char* end = der.data();
        // EVP keys of type RSA encode as PKCS#1.
        const int length = i2d_PrivateKey(key.get(), nullptr);
        if (length <= 0 || length > static_cast<int>(der.size()) ||
            i2d_PrivateKey(key.get(), &end) != length)
            return fail(Errc::Internal, Blame::Software, "encode a generated key: refused");
        UnitSecret secret(std::as_bytes(std::span(der).first(static_cast<std::size_t>(length))));
        wipeBytes(std::as_writable_bytes(std::span(der)));
        UnitSecret slot(612);
        std::copy_n(secret.reveal().begin(), secret.size(), slot.writable().begin());
        const UnitKeyNumbers numbers = readKeySlot(slot.reveal());
        const auto same = [&key](const UnitSecret& seen, const char* name, std::size_t width) {
            return sameOctets(seen.reveal(), parameter(key, name, width).reveal());
        };
        if (same(numbers.d, OSSL_PKEY_PARAM_RSA_D, kLong) &&
            same(numbers.qInverse, OSSL_PKEY_PARAM_RSA_COEFFICIENT1, kHalf))
            return secret;
    }
}

Bytes pastedPublicKey(ByteView privateSlot)
{
    Bytes key = *fromHexText("30819f300d06092a864886f70d010101050003818d0030818902818100");
    Fields(key).raw(privateSlot.subspan(11, 128)).u8(2).u8(3).u8(1).u8(0).u8(1);
    return key;
}

Bytes unitHmacSha1(ByteView key, ByteView data)
{
    Bytes mac(20);
    unsigned length = 0;
    HMAC(EVP_sha1(), raw(key), static_cast<int>(key.size()), raw(data), data.size(), rawOut(mac),
         &length);
    return mac;
}

namespace {

Bytes aes(ByteView key, ByteView iv, ByteView in, int encrypt)
{
    const std::unique_ptr<EVP_CIPHER_CTX, BnDelete> context(EVP_CIPHER_CTX_new());
    Bytes out(in.size() + 16);
    int length = 0;
    EVP_CipherInit_ex(context.get(), EVP_aes_128_cbc(), nullptr, raw(key), raw(iv), encrypt);
    EVP_CIPHER_CTX_set_padding(context.get(), 0);
    EVP_CipherUpdate(context.get(), rawOut(out), &length, raw(in), static_cast<int>(in.size()));
    out.resize(static_cast<std::size_t>(length));
    return out;
}

} // namespace

Bytes unitAesEncrypt(ByteView key, ByteView iv, ByteView padded)
{
    return aes(key, iv, padded, 1);
}

Bytes unitAesDecrypt(ByteView key, ByteView iv, ByteView cipher)
{
    return aes(key, iv, cipher, 0);
}

} // namespace provost::sim
