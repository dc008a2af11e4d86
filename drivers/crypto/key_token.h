// Keys made under a PKCS#11 token (Cryptoki 2.40): a hardware module on the line, SoftHSM in tests.
#pragma once

#include "crypto/key_rules.h"

#include <filesystem>
#include <memory>

namespace provost {

struct KeyTokenConfig {
    std::filesystem::path module{}; ///< shared library of the maker of the token
    std::string label{};            ///< of the token in it
    SecretBytes pin{};              ///< of its user
};

/// A unit has to hold its private key, so no token can keep it to itself: the key pair is made in
/// the token, leaves it wrapped under a transport key that lives for this one key (AES-256, RFC
/// 5649), is opened in wiped memory and tried with the unit's own reader. Nothing of it stays in
/// the token. Thread-safe.
class KeyToken {
public:
    /// Loads the module and logs in.
    /// @returns NotFound     no such module, or no token of this label in it
    ///          Denied       the token refuses the PIN
    ///          Unsupported  it makes no RSA keys or wraps none
    static Result<std::unique_ptr<KeyToken>> open(KeyTokenConfig config);
    ~KeyToken();
    KeyToken(const KeyToken&) = delete;
    KeyToken& operator=(const KeyToken&) = delete;

    const std::string& label() const;
    /// @returns Unsupported  the rules want a P-256 key
    ///          Unavailable  the token failed; the message names the return value
    Result<BurnKey> makeKey(const KeyRules& rules);

    /// Whether a private key of the certificate lies in the token, whatever it may be used for.
    /// @param certificatePem  X.509, one certificate
    /// @returns InvalidData  it is damaged
    ///          Unavailable  the token failed
    Result<bool> holdsKeyOf(ByteView certificatePem);

private:
    struct Impl;
    explicit KeyToken(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> m_impl;
};

} // namespace provost
