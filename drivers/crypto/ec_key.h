// P-256 keys, as the Electron uses them over UDP (particle-devices 4.1).
#pragma once

#include "core/bytes.h"
#include "core/result.h"
#include "crypto/secret_bytes.h"

#include <array>
#include <string>

namespace provost {

class EcPublicKey {
public:
    /// SubjectPublicKeyInfo DER; trailing bytes are ignored (slots are padded).
    /// @returns InvalidData  another structure or curve, or no point of the curve
    static Result<EcPublicKey> fromDer(ByteView spki);
    /// PEM or DER, by content.
    static Result<EcPublicKey> fromText(ByteView file);
    /// 65 bytes: 04, X, Y.
    /// @returns InvalidData  compressed, or no point of the curve
    static Result<EcPublicKey> fromPoint(ByteView point);

    ByteView point() const { return m_point; } ///< 65 bytes
    Bytes toDer() const;                       ///< SubjectPublicKeyInfo, 91 bytes
    std::string toPem() const;
    std::string fingerprint() const; ///< lower-case hex SHA-256 of toDer()
    /// ECDSA with SHA-256; `signature` as DER.
    bool verify(ByteView message, ByteView signature) const;

private:
    static constexpr std::size_t kPointBytes = 65;
    std::array<std::byte, kPointBytes> m_point{};
};

class EcPrivateKey {
public:
    static Result<EcPrivateKey> generate();
    /// SEC1 or PKCS#8, DER or unencrypted PEM, by content; trailing bytes behind DER are ignored.
    /// @returns InvalidData  another structure or curve, a scalar out of range, or a public point
    ///                       that is not the scalar's
    static Result<EcPrivateKey> fromBytes(ByteView file);

    const EcPublicKey& publicKey() const { return m_public; }
    /// SEC1 ECPrivateKey with curve and public point, every field at full width: always 121 bytes.
    SecretBytes toSec1Der() const;
    /// PKCS#8 PEM in the clear, for files that the user named with --clear-key.
    SecretBytes toClearPem() const;
    /// PKCS#8 PEM under a passphrase, as RsaPrivateKey::toEncryptedPem().
    Result<Bytes> toEncryptedPem(const SecretBytes& passphrase) const;
    /// ECDSA with SHA-256, DER.
    Result<Bytes> sign(ByteView message) const;

private:
    EcPrivateKey(SecretBytes scalar, EcPublicKey shared)
        : m_scalar(std::move(scalar)), m_public(shared)
    {
    }
    static Result<EcPrivateKey> fromSec1(ByteView der);
    SecretBytes m_scalar; ///< 32 bytes, big-endian
    EcPublicKey m_public;
};

} // namespace provost
