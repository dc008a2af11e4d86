#include "crypto/digest.h"

#include "core/byte_io.h"
#include "core/text.h"
#include "crypto/openssl_p.h"

#include <new>

#include <openssl/core_names.h>
#include <openssl/rand.h>

namespace provost {

namespace {

constexpr std::size_t kAesBlock = 16;

// OpenSSL looks an algorithm up by its name in each use, unless it was fetched before.
using Cipher = std::unique_ptr<EVP_CIPHER, Freed<EVP_CIPHER_free>>;
using Digest = std::unique_ptr<EVP_MD, Freed<EVP_MD_free>>;

using Mac = std::unique_ptr<EVP_MAC, Freed<EVP_MAC_free>>;
using MacContext = std::unique_ptr<EVP_MAC_CTX, Freed<EVP_MAC_CTX_free>>;

MacContext hmacSha1Pattern()
{
    const Mac hmac(EVP_MAC_fetch(nullptr, "HMAC", nullptr));
    MacContext context(EVP_MAC_CTX_new(hmac.get()));
    std::string digest("SHA1");
    const std::array<OSSL_PARAM, 2> params{
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest.data(), 0),
        OSSL_PARAM_construct_end()};
    if (context && EVP_MAC_CTX_set_params(context.get(), params.data()) != 1)
        context.reset();
    return context;
}

const EVP_CIPHER* aes128Cbc()
{
    static const Cipher fetched(EVP_CIPHER_fetch(nullptr, "AES-128-CBC", nullptr));
    return fetched.get();
}

const EVP_MD* sha256Digest()
{
    static const Digest fetched(EVP_MD_fetch(nullptr, "SHA2-256", nullptr));
    return fetched.get();
}

Result<> checkAesParameters(ByteView key, ByteView iv)
{
    if (key.size() != kAesBlock || iv.size() != kAesBlock)
        return fail(Errc::InvalidArgument, Blame::Software,
                    concat("AES-128-CBC: key of ", key.size(), " and IV of ", iv.size(),
                           " bytes, 16 each wanted"));
    return {};
}

/// Direction as EVP counts it: 1 encrypts, 0 decrypts.
Result<Bytes> runAes(int direction, ByteView key, ByteView iv, ByteView in)
{
    const CipherContext context(EVP_CIPHER_CTX_new());
    Bytes out(in.size() + kAesBlock);
    int body = 0;
    int tail = 0;
    const bool done =
        context &&
        EVP_CipherInit_ex2(context.get(), aes128Cbc(), opensslBytes(key), opensslBytes(iv),
                           direction, nullptr) == 1 &&
        EVP_CipherUpdate(context.get(), opensslBytes(ByteSpan(out)), &body, opensslBytes(in),
                         static_cast<int>(in.size())) == 1 &&
        EVP_CipherFinal_ex(context.get(), opensslBytes(ByteSpan(out)) + body, &tail) == 1;
    if (!done)
        return opensslFailure(Errc::InvalidData, Blame::Unit,
                              concat("AES-128-CBC over ", in.size(), " bytes"));
    out.resize(static_cast<std::size_t>(body) + static_cast<std::size_t>(tail));
    return out;
}

} // namespace

Sha256 sha256(ByteView bytes)
{
    Sha256 digest{};
    // Fails only where memory is exhausted.
    if (EVP_Digest(bytes.data(), bytes.size(), opensslBytes(ByteSpan(digest)), nullptr,
                   sha256Digest(), nullptr) != 1)
        throw std::bad_alloc();
    return digest;
}

Bytes hmacSha1(ByteView key, ByteView data)
{
    static const MacContext pattern = hmacSha1Pattern();
    const MacContext context(pattern ? EVP_MAC_CTX_dup(pattern.get()) : nullptr);
    Bytes mac(20);
    std::size_t length = 0;
    if (!context || EVP_MAC_init(context.get(), opensslBytes(key), key.size(), nullptr) != 1 ||
        EVP_MAC_update(context.get(), opensslBytes(data), data.size()) != 1 ||
        EVP_MAC_final(context.get(), opensslBytes(ByteSpan(mac)), &length, mac.size()) != 1)
        throw std::bad_alloc();
    return mac;
}

Result<Bytes> randomBytes(std::size_t count)
{
    Bytes bytes(count);
    if (RAND_bytes(opensslBytes(ByteSpan(bytes)), static_cast<int>(count)) != 1)
        return opensslFailure(Errc::Unavailable, Blame::Station,
                              concat("draw ", count, " random bytes"));
    return bytes;
}

Result<Bytes> aes128CbcEncrypt(ByteView key, ByteView iv, ByteView plain)
{
    TRY(checkAesParameters(key, iv));
    return runAes(1, key, iv, plain);
}

Result<Bytes> aes128CbcDecrypt(ByteView key, ByteView iv, ByteView cipher)
{
    TRY(checkAesParameters(key, iv));
    if (cipher.empty() || cipher.size() % kAesBlock != 0)
        return fail(Errc::InvalidData, Blame::Unit,
                    concat("AES-128-CBC: ", cipher.size(), " bytes are no whole blocks"));
    return runAes(0, key, iv, cipher);
}

std::string sha256Hex(ByteView bytes)
{
    return toHex(sha256(bytes));
}

} // namespace provost
