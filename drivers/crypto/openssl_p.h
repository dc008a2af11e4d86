// OpenSSL objects with owners; included by drivers/crypto/*.cpp only.
#pragma once

#include "core/result.h"
#include "core/text.h"

#include <memory>
#include <string>

#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/params.h>

namespace provost {

template <auto Free>
struct Freed {
    template <class T>
    void operator()(T* object) const
    {
        Free(object);
    }
};

using EvpKey = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY_free>>;
using EvpKeyContext = std::unique_ptr<EVP_PKEY_CTX, Freed<EVP_PKEY_CTX_free>>;
using CipherContext = std::unique_ptr<EVP_CIPHER_CTX, Freed<EVP_CIPHER_CTX_free>>;
using ParamBuilder = std::unique_ptr<OSSL_PARAM_BLD, Freed<OSSL_PARAM_BLD_free>>;
using Params = std::unique_ptr<OSSL_PARAM, Freed<OSSL_PARAM_free>>;
using BnContext = std::unique_ptr<BN_CTX, Freed<BN_CTX_free>>;
using Montgomery = std::unique_ptr<BN_MONT_CTX, Freed<BN_MONT_CTX_free>>;
/// Cleared when it goes; private ones are made by secretNumber().
using Number = std::unique_ptr<BIGNUM, Freed<BN_clear_free>>;

/// Zero, in the secure heap where there is one, excluded from data-dependent shortcuts.
inline Number secretNumber()
{
    Number number(BN_secure_new());
    if (number)
        BN_set_flags(number.get(), BN_FLG_CONSTTIME);
    return number;
}

inline const unsigned char* opensslBytes(ByteView bytes)
{
    return reinterpret_cast<const unsigned char*>(bytes.data());
}
inline unsigned char* opensslBytes(ByteSpan bytes)
{
    return reinterpret_cast<unsigned char*>(bytes.data());
}

/// `attempt`, with the oldest reason in OpenSSL's queue, which is emptied.
inline Unexpected opensslFailure(Errc code, Blame blame, std::string_view attempt)
{
    const unsigned long reason = ERR_get_error();
    ERR_clear_error();
    const char* words = reason != 0 ? ERR_reason_error_string(reason) : nullptr;
    return fail(code, blame, concat(attempt, ": ", words != nullptr ? words : "no reason given"));
}

} // namespace provost
