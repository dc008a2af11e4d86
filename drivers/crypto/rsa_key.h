// RSA keys as units and clouds use them. Raw PKCS#1 v1.5 blocks: the handshake signs without
// DigestInfo (particle-devices 5.1).
#pragma once

#include "core/bytes.h"
#include "core/result.h"
#include "crypto/secret_bytes.h"

#include <memory>
#include <string>

namespace provost {

class RsaPublicKey {
public:
    RsaPublicKey(RsaPublicKey&&) noexcept;
    RsaPublicKey& operator=(RsaPublicKey&&) noexcept;
    RsaPublicKey(const RsaPublicKey& other);
    RsaPublicKey& operator=(const RsaPublicKey& other);
    ~RsaPublicKey();

    /// SubjectPublicKeyInfo DER; trailing bytes behind the structure are ignored (slots are
    /// padded).
    static Result<RsaPublicKey> fromDer(ByteView spki);
    /// PEM or DER, by content.
    static Result<RsaPublicKey> fromText(ByteView file);
    static Result<RsaPublicKey> fromNumbers(ByteView modulus, ByteView exponent);

    int bits() const;
    Bytes modulus() const; ///< big-endian, bits()/8 bytes
    Bytes toDer() const;   ///< SubjectPublicKeyInfo
    std::string toPem() const;
    std::string fingerprint() const; ///< lower-case hex SHA-256 of toDer()
    /// PKCS#1 v1.5 type 2; at most bits()/8 - 11 bytes of plain text.
    Result<Bytes> encrypt(ByteView plain) const;
    /// Opens a type-1 block and returns what is behind the padding.
    /// @returns InvalidData  no type-1 padding
    Result<Bytes> recover(ByteView signature) const;

private:
    struct Impl;
    explicit RsaPublicKey(std::shared_ptr<const Impl> impl);
    std::shared_ptr<const Impl> m_impl; ///< never changed once made: sharing is a copy
    friend class RsaPrivateKey;
};

class RsaPrivateKey {
public:
    RsaPrivateKey(RsaPrivateKey&&) noexcept;
    RsaPrivateKey& operator=(RsaPrivateKey&&) noexcept;
    ~RsaPrivateKey();

    /// e = 65537, both primes of equal width.
    static Result<RsaPrivateKey> generate(int bits);
    /// PKCS#1 or PKCS#8, DER or unencrypted PEM, by content; trailing bytes behind DER are ignored.
    static Result<RsaPrivateKey> fromBytes(ByteView file);

    /// The key of two primes with e = 65537.
    /// @returns InvalidData  their product is not `modulus`
    static Result<RsaPrivateKey> fromPrimes(ByteView modulus, ByteView p, ByteView q);

    int bits() const;
    RsaPublicKey publicKey() const;
    /// PKCS#1 RSAPrivateKey, shortest DER.
    SecretBytes toPkcs1Der() const;
    /// The form that on-device generators make and every firmware reads: each integer at full
    /// width behind a 00 byte; 611 bytes for RSA-1024 (particle-devices 4.1, 4.2). Empty where a
    /// prime is wider than half the modulus: such a key has no full-width form.
    SecretBytes toFullWidthDer() const;
    /// PKCS#8 PEM in the clear, for files that the user named with --clear-key.
    SecretBytes toClearPem() const;
    /// PKCS#8 PEM under a passphrase: PBES2 with PBKDF2-HMAC-SHA256 and AES-256-CBC (RFC 8018),
    /// as `openssl pkey` opens it. Takes a good part of a second by design.
    /// @returns InvalidArgument  the passphrase is empty
    Result<Bytes> toEncryptedPem(const SecretBytes& passphrase) const;
    /// PKCS#1 v1.5 type 2.
    /// @returns InvalidData  no such padding. OpenSSL builds with implicit rejection return
    ///          pseudo-random bytes instead: always check length and content (5.1).
    Result<SecretBytes> decrypt(ByteView cipher) const;
    /// A type-1 block around `payload`, no DigestInfo.
    Result<Bytes> signRaw(ByteView payload) const;

private:
    struct Impl;
    explicit RsaPrivateKey(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> m_impl;
};

/// True where the secure heap is locked memory. Called once at start; idempotent.
Result<> setUpSecureHeap();

/// CMS EnvelopedData (DER) to the certificate's key, AES-256: opened with `openssl cms -decrypt`.
/// @param certificatePem  X.509, one certificate
Result<Bytes> sealToCertificate(ByteView certificatePem, ByteView plain);

} // namespace provost
