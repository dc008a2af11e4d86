// The station's own Ed25519 key (RFC 8032): signs manifests, so that who receives them knows that
// this station wrote them and that nothing was changed since.
#pragma once

#include "core/bytes.h"
#include "core/result.h"
#include "crypto/secret_bytes.h"

#include <array>
#include <filesystem>
#include <string>

namespace provost {

constexpr std::size_t kSignatureBytes = 64;

class VerifyingKey {
public:
    /// SubjectPublicKeyInfo in PEM, as `openssl pkey -pubout` writes it.
    /// @returns InvalidData  no Ed25519 public key
    static Result<VerifyingKey> fromPem(ByteView file);
    bool verify(ByteView message, ByteView signature) const;
    std::string toPem() const;
    std::string fingerprint() const; ///< lower-case hex SHA-256 of the SubjectPublicKeyInfo

private:
    friend class SigningKey;
    static constexpr std::size_t kPointBytes = 32;
    Bytes toDer() const;
    std::array<std::byte, kPointBytes> m_point{};
};

class SigningKey {
public:
    static Result<SigningKey> generate();
    /// PKCS#8 in PEM, under a passphrase or in the clear.
    /// @returns Denied       others than its owner may read the file, or it is under another
    ///                       passphrase
    ///          InvalidData  no Ed25519 private key
    static Result<SigningKey> read(const std::filesystem::path& file,
                                   const SecretBytes& passphrase);
    /// read(); where there is no such file, one is made (mode 0600), and FILE.pub.pem beside it. A
    /// key that lay in the clear is written anew under the passphrase.
    static Result<SigningKey> readOrMake(const std::filesystem::path& file,
                                         const SecretBytes& passphrase);

    const VerifyingKey& verifyingKey() const { return m_public; }
    /// Over the message itself: `openssl pkeyutl -verify -rawin` checks it.
    Result<Bytes> sign(ByteView message) const;

private:
    static Result<SigningKey> fromSeed(SecretBytes seed);
    SecretBytes toPem() const;
    SecretBytes m_seed{}; ///< 32 bytes
    VerifyingKey m_public{};
};

} // namespace provost
