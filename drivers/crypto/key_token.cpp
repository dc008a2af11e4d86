#include "crypto/key_token.h"

#include "core/mutex.h"
#include "core/text.h"
#include "crypto/digest.h"
#include "crypto/key_file.h"
#include "crypto/openssl_p.h"

#include <array>
#include <cstring>
#include <dlfcn.h>
#include <span>

#include <openssl/core_names.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#define CRYPTOKI_GNU 1
#include <p11-kit/pkcs11.h>

namespace provost {

namespace {

using ck_ulong_t = unsigned long; // the header names it in the other spelling only

constexpr ck_ulong_t kTokenKeyBits = 1024; // particle-devices 4.1
constexpr std::size_t kTransportKeyBytes = 32;
constexpr std::size_t kWrappedRoom = 2048;
constexpr ck_mechanism_type_t kKeyWrapPad = 0x210A; // CKM_AES_KEY_WRAP_PAD, PKCS#11 2.40 2.14

Unexpected tokenFailed(std::string_view attempt, ck_rv_t value)
{
    const bool denied = value == CKR_PIN_INCORRECT || value == CKR_PIN_LOCKED ||
                        value == CKR_PIN_EXPIRED || value == CKR_USER_PIN_NOT_INITIALIZED;
    const bool cannot = value == CKR_MECHANISM_INVALID || value == CKR_KEY_SIZE_RANGE ||
                        value == CKR_KEY_UNEXTRACTABLE || value == CKR_KEY_NOT_WRAPPABLE ||
                        value == CKR_FUNCTION_NOT_SUPPORTED;
    return fail(denied   ? Errc::Denied
                : cannot ? Errc::Unsupported
                         : Errc::Unavailable,
                Blame::Station,
                concat(attempt, ": the token answers 0x",
                       hex32(static_cast<std::uint32_t>(value)).substr(2),
                       denied ? "; check its PIN"
                              : "; check that it is plugged in and serves keys of "
                                "units"),
                static_cast<int>(value));
}

/// CKA_LABEL-like fields are filled up with blanks.
std::string paddedText(const unsigned char* text, std::size_t size)
{
    const std::string all(reinterpret_cast<const char*>(text), size);
    return std::string(trimmed(all));
}

template <class T>
ck_attribute attribute(ck_attribute_type_t type, T& value)
{
    return {.type = type, .value = &value, .value_len = sizeof value};
}

class Library {
public:
    explicit Library(const std::filesystem::path& file)
        : m_handle(::dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL))
    {
    }
    // Never unloaded: modules leave threads and handlers behind that would run into nothing.
    ck_function_list* functions() const
    {
        if (m_handle == nullptr)
            return nullptr;
        void* symbol = ::dlsym(m_handle, "C_GetFunctionList");
        CK_C_GetFunctionList get = nullptr;
        std::memcpy(&get, &symbol, sizeof get);
        ck_function_list* list = nullptr;
        return get != nullptr && get(&list) == CKR_OK ? list : nullptr;
    }

private:
    void* m_handle;
};

} // namespace

struct KeyToken::Impl {
    std::string label{};
    ck_function_list* p11 = nullptr;
    Mutex mutex{};
    ck_session_handle_t session = CK_INVALID_HANDLE;

    Result<ck_slot_id_t> findSlot() const;
    Result<> logIn(const SecretBytes& pin);
    Result<std::pair<ck_object_handle_t, ck_object_handle_t>> makePair() const;
    Result<ck_object_handle_t> putTransportKey(const SecretBytes& value) const;
    Result<Bytes> wrap(ck_object_handle_t transport, ck_object_handle_t key) const;
    Result<bool> holdsPrivateKey(Bytes modulus) const;
    Result<Bytes> modulusOf(ck_object_handle_t key) const;
    Result<BurnKey> makeKey(const KeyRules& rules, std::vector<ck_object_handle_t>& made) const;
};

Result<ck_slot_id_t> KeyToken::Impl::findSlot() const
{
    std::array<ck_slot_id_t, 64> slots{};
    ck_ulong_t count = slots.size();
    if (const auto value = p11->C_GetSlotList(1, slots.data(), &count); value != CKR_OK)
        return tokenFailed("list the tokens", value);
    for (const auto slot : std::span(slots).first(count)) {
        ck_token_info info{};
        if (p11->C_GetTokenInfo(slot, &info) == CKR_OK &&
            paddedText(info.label, sizeof info.label) == label)
            return slot;
    }
    return fail(Errc::NotFound, Blame::Operator,
                concat("find token \"", label, "\": none of the ", count,
                       " tokens of this module has that label; name one in the station's file"));
}

Result<> KeyToken::Impl::logIn(const SecretBytes& pin)
{
    const auto slot = TRY(findSlot());
    if (const auto value = p11->C_OpenSession(slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, nullptr,
                                              nullptr, &session);
        value != CKR_OK)
        return tokenFailed(concat("open a session with token ", label), value);
    SecretBytes words = pin.clone();
    const auto value =
        p11->C_Login(session, CKU_USER, reinterpret_cast<unsigned char*>(words.writable().data()),
                     static_cast<ck_ulong_t>(words.size()));
    if (value != CKR_OK && value != CKR_USER_ALREADY_LOGGED_IN)
        return tokenFailed(concat("log in to token ", label), value);
    return {};
}

/// @returns public and private key, both for this session only
Result<std::pair<ck_object_handle_t, ck_object_handle_t>> KeyToken::Impl::makePair() const
{
    ck_mechanism mechanism{.mechanism = CKM_RSA_PKCS_KEY_PAIR_GEN};
    unsigned char yes = 1;
    unsigned char no = 0;
    ck_ulong_t bits = kTokenKeyBits;
    std::array<unsigned char, 3> exponent{0x01, 0x00, 0x01};
    std::array open{attribute(CKA_TOKEN, no), attribute(CKA_MODULUS_BITS, bits),
                    attribute(CKA_PUBLIC_EXPONENT, exponent)};
    // Sensitive: never in the clear. Extractable: or no unit could ever hold it.
    std::array closed{attribute(CKA_TOKEN, no), attribute(CKA_PRIVATE, yes),
                      attribute(CKA_SENSITIVE, yes), attribute(CKA_EXTRACTABLE, yes)};
    ck_object_handle_t publicKey = CK_INVALID_HANDLE;
    ck_object_handle_t privateKey = CK_INVALID_HANDLE;
    const auto value =
        p11->C_GenerateKeyPair(session, &mechanism, open.data(), open.size(), closed.data(),
                               closed.size(), &publicKey, &privateKey);
    if (value != CKR_OK)
        return tokenFailed(concat("make an RSA-1024 key in token ", label), value);
    return std::pair(publicKey, privateKey);
}

Result<ck_object_handle_t> KeyToken::Impl::putTransportKey(const SecretBytes& value) const
{
    ck_object_class_t kind = CKO_SECRET_KEY;
    ck_key_type_t type = CKK_AES;
    unsigned char yes = 1;
    unsigned char no = 0;
    SecretBytes copy = value.clone();
    std::array wanted{attribute(CKA_CLASS, kind),
                      attribute(CKA_KEY_TYPE, type),
                      attribute(CKA_TOKEN, no),
                      attribute(CKA_SENSITIVE, yes),
                      attribute(CKA_EXTRACTABLE, no),
                      attribute(CKA_WRAP, yes),
                      attribute(CKA_ENCRYPT, no),
                      attribute(CKA_DECRYPT, no),
                      ck_attribute{.type = CKA_VALUE,
                                   .value = copy.writable().data(),
                                   .value_len = static_cast<ck_ulong_t>(copy.size())}};
    ck_object_handle_t key = CK_INVALID_HANDLE;
    if (const auto outcome = p11->C_CreateObject(session, wanted.data(), wanted.size(), &key);
        outcome != CKR_OK)
        return tokenFailed(concat("hand token ", label, " a transport key"), outcome);
    return key;
}

Result<Bytes> KeyToken::Impl::wrap(ck_object_handle_t transport, ck_object_handle_t key) const
{
    ck_mechanism mechanism{.mechanism = kKeyWrapPad};
    Bytes wrapped(kWrappedRoom);
    auto size = static_cast<ck_ulong_t>(wrapped.size());
    const auto value =
        p11->C_WrapKey(session, &mechanism, transport, key, opensslBytes(ByteSpan(wrapped)), &size);
    if (value != CKR_OK)
        return tokenFailed(concat("take a key out of token ", label, ", wrapped"), value);
    wrapped.resize(size);
    return wrapped;
}

Result<Bytes> KeyToken::Impl::modulusOf(ck_object_handle_t key) const
{
    Bytes modulus(kTokenKeyBits / 8);
    ck_attribute wanted{.type = CKA_MODULUS,
                        .value = modulus.data(),
                        .value_len = static_cast<ck_ulong_t>(modulus.size())};
    if (const auto value = p11->C_GetAttributeValue(session, key, &wanted, 1); value != CKR_OK)
        return tokenFailed(concat("read a public key of token ", label), value);
    modulus.resize(wanted.value_len);
    return modulus;
}

namespace {

/// RFC 5649: key wrap with padding, undone.
Result<SecretBytes> unwrapped(const SecretBytes& transport, ByteView wrapped)
{
    const CipherContext context(EVP_CIPHER_CTX_new());
    SecretBytes plain(wrapped.size() + 16);
    int size = 0;
    int rest = 0;
    if (context)
        EVP_CIPHER_CTX_set_flags(context.get(), EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
    if (!context ||
        EVP_DecryptInit_ex(context.get(), EVP_aes_256_wrap_pad(), nullptr,
                           opensslBytes(transport.reveal()), nullptr) != 1 ||
        EVP_DecryptUpdate(context.get(), opensslBytes(plain.writable()), &size,
                          opensslBytes(wrapped), static_cast<int>(wrapped.size())) != 1 ||
        EVP_DecryptFinal_ex(context.get(), opensslBytes(plain.writable()) + size, &rest) != 1)
        return opensslFailure(Errc::InvalidData, Blame::Station, "open a key that a token wrapped");
    return SecretBytes(plain.reveal().first(static_cast<std::size_t>(size + rest)));
}

} // namespace

Result<BurnKey> KeyToken::Impl::makeKey(const KeyRules& rules,
                                        std::vector<ck_object_handle_t>& made) const
{
    Bytes random = TRY(randomBytes(kTransportKeyBytes));
    const SecretBytes transport{ByteView(random)};
    wipe(random);
    const auto [publicKey, privateKey] = TRY(makePair());
    made = {publicKey, privateKey};
    made.push_back(TRY(putTransportKey(transport)));
    const Bytes wrapped = TRY(wrap(made.back(), privateKey));
    const SecretBytes key = TRY(unwrapped(transport, wrapped));
    BurnKey burn = TRY(reencodeForUnit(key.reveal(), rules));
    const auto modulus = TRY(modulusOf(publicKey));
    if (TRY(RsaPublicKey::fromDer(burn.publicDer)).modulus() != modulus)
        return fail(Errc::Mismatch, Blame::Station,
                    concat("take a key out of token ", label,
                           ": what came out is another key than the one that was made"));
    burn.maker = concat("token ", label);
    return burn;
}

Result<std::unique_ptr<KeyToken>> KeyToken::open(KeyTokenConfig config)
{
    auto impl = std::make_unique<Impl>();
    impl->label = config.label;
    impl->p11 = Library(config.module).functions();
    if (impl->p11 == nullptr)
        return fail(Errc::NotFound, Blame::Operator,
                    concat("load the token module ", config.module.string(),
                           ": it is no PKCS#11 module of this computer; check its path"));
    ck_c_initialize_args threads{.flags = CKF_OS_LOCKING_OK};
    const auto value = impl->p11->C_Initialize(&threads);
    if (value != CKR_OK && value != CKR_CRYPTOKI_ALREADY_INITIALIZED)
        return tokenFailed(concat("start the token module ", config.module.string()), value);
    std::unique_ptr<KeyToken> token(new KeyToken(std::move(impl)));
    TRY(token->m_impl->logIn(config.pin));
    return token;
}

KeyToken::KeyToken(std::unique_ptr<Impl> impl) : m_impl(std::move(impl)) {}

KeyToken::~KeyToken()
{
    if (m_impl->session != CK_INVALID_HANDLE)
        m_impl->p11->C_CloseSession(m_impl->session); // its objects go with it
}

Result<bool> KeyToken::Impl::holdsPrivateKey(Bytes modulus) const
{
    const std::string attempt = concat("look for a private key in token ", label);
    ck_object_class_t kind = CKO_PRIVATE_KEY;
    std::array wanted{attribute(CKA_CLASS, kind),
                      ck_attribute{.type = CKA_MODULUS,
                                   .value = modulus.data(),
                                   .value_len = static_cast<ck_ulong_t>(modulus.size())}};
    if (const auto value = p11->C_FindObjectsInit(session, wanted.data(), wanted.size());
        value != CKR_OK)
        return tokenFailed(attempt, value);
    ck_object_handle_t found = CK_INVALID_HANDLE;
    ck_ulong_t count = 0;
    const auto value = p11->C_FindObjects(session, &found, 1, &count);
    p11->C_FindObjectsFinal(session);
    return value == CKR_OK ? Result<bool>(count > 0) : tokenFailed(attempt, value);
}

namespace {

/// Of a certificate to an RSA key; empty: to another kind, which is not looked for.
Result<Bytes> modulusIn(ByteView certificatePem)
{
    using Text = std::unique_ptr<BIO, Freed<BIO_free_all>>;
    using Certificate = std::unique_ptr<X509, Freed<X509_free>>;
    using Number = std::unique_ptr<BIGNUM, Freed<BN_free>>;
    const Text text(
        BIO_new_mem_buf(certificatePem.data(), static_cast<int>(certificatePem.size())));
    const Certificate parsed(text ? PEM_read_bio_X509(text.get(), nullptr, nullptr, nullptr)
                                  : nullptr);
    EVP_PKEY* const key = parsed ? X509_get0_pubkey(parsed.get()) : nullptr;
    if (key == nullptr)
        return opensslFailure(Errc::InvalidData, Blame::Operator, "read the escrow certificate");
    BIGNUM* n = nullptr;
    if (EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_N, &n) != 1) {
        ERR_clear_error();
        return Bytes();
    }
    const Number number(n);
    Bytes modulus(static_cast<std::size_t>(BN_num_bytes(n)));
    BN_bn2bin(n, opensslBytes(ByteSpan(modulus)));
    return modulus;
}

} // namespace

Result<bool> KeyToken::holdsKeyOf(ByteView certificatePem)
{
    Bytes modulus = TRY(modulusIn(certificatePem));
    if (modulus.empty())
        return false;
    const MutexLock lock(m_impl->mutex);
    return m_impl->holdsPrivateKey(std::move(modulus));
}

const std::string& KeyToken::label() const
{
    return m_impl->label;
}

Result<BurnKey> KeyToken::makeKey(const KeyRules& rules)
{
    if (rules.kind != KeyKind::Rsa1024)
        return fail(Errc::Unsupported, Blame::Operator,
                    concat("make a P-256 key in token ", label(),
                           ": only RSA keys of units are made there; leave [token] out of the "
                           "station's file for this platform"));
    const MutexLock lock(m_impl->mutex);
    std::vector<ck_object_handle_t> made;
    auto key = m_impl->makeKey(rules, made);
    for (const auto object : made)
        m_impl->p11->C_DestroyObject(m_impl->session, object);
    return key;
}

} // namespace provost
