// The little DER and PEM that RSA keys need, over bytes that stay where they are. Private numbers
// never leave wiped memory, which OpenSSL's own decoders do not promise.
#pragma once

#include "core/bytes.h"
#include "core/result.h"
#include "crypto/secret_bytes.h"

#include <optional>
#include <string>
#include <string_view>

namespace provost {

enum class DerTag : std::uint8_t {
    Integer = 0x02,
    BitString = 0x03,
    OctetString = 0x04,
    ObjectId = 0x06,
    Sequence = 0x30,
    Context0 = 0xA0,
    Context1 = 0xA1,
};

struct DerHeader {
    std::uint8_t tag = 0;
    std::size_t headerSize = 0;
    std::size_t contentSize = 0; ///< as announced; may reach beyond the bytes at hand
};
/// nullopt: no definite length of at most 4 bytes.
std::optional<DerHeader> readDerHeader(ByteView bytes);

/// Takes elements one behind the other; each call returns nullopt where the next one differs.
class DerCursor {
public:
    explicit DerCursor(ByteView bytes) : m_rest(bytes) {}
    std::optional<ByteView> take(DerTag tag);
    /// Without the leading zero bytes. Negative and empty ones are refused.
    std::optional<ByteView> takeUnsigned();
    bool nextIs(DerTag tag) const;
    ByteView rest() const { return m_rest; }

private:
    ByteView m_rest;
};

/// The kinds of key structure that people hand in.
enum class KeyStructure : std::uint8_t {
    Unknown,
    Pkcs1Private,
    Pkcs1Public,
    Pkcs8,
    Pkcs8Encrypted,
    Sec1,
    Spki,
};
/// By content; looks at the first two members only, so damage further back does not matter.
KeyStructure structureOf(ByteView der);

/// The content of the outermost SEQUENCE, cut where the bytes end.
ByteView outerContent(ByteView der);

/// What is inside PKCS#8 or SubjectPublicKeyInfo for the algorithm rsaEncryption.
/// @returns nullopt  damaged, or another algorithm
std::optional<ByteView> pkcs8RsaKey(ByteView der);
std::optional<ByteView> spkiRsaKey(ByteView der);

/// The same for { id-ecPublicKey, prime256v1 }: a SEC1 structure, or the bytes of a point.
std::optional<ByteView> pkcs8EcKey(ByteView der);
std::optional<ByteView> spkiEcPoint(ByteView der);

/// `SEQUENCE { rsaEncryption, NULL }` (RFC 8017, appendix A.1).
ByteView rsaAlgorithmId();
/// `SEQUENCE { id-ecPublicKey, prime256v1 }` (RFC 5480, section 2.1).
ByteView ecAlgorithmId();
/// prime256v1 as an OBJECT IDENTIFIER, with its header.
ByteView prime256v1Id();

std::size_t derSize(std::size_t contentSize); ///< with its header
/// Appends into memory sized beforehand.
class DerWriter {
public:
    explicit DerWriter(ByteSpan to) : m_rest(to) {}
    void header(DerTag tag, std::size_t contentSize);
    void raw(ByteView bytes);
    ByteSpan space(std::size_t size);

private:
    ByteSpan m_rest;
};

/// PKCS#8 around PKCS#1 or SEC1: PrivateKeyInfo, RFC 5208 section 5.
SecretBytes privateKeyInfo(ByteView key, ByteView algorithmId);

/// PrivateKeyInfo under a passphrase, as PEM: PBES2 with PBKDF2-HMAC-SHA256 and AES-256-CBC.
/// @returns InvalidArgument  the passphrase is empty
Result<Bytes> encryptedPem(ByteView privateKeyInfo, const SecretBytes& passphrase);

struct PemBlock {
    std::string label{}; ///< "RSA PRIVATE KEY"
    bool encrypted = false;
    SecretBytes der{};
};
/// The first block whose label ends in KEY.
/// @returns NotFound     no PEM at all
///          InvalidData  not ended, or no base64
Result<PemBlock> firstPemKey(ByteView file);
SecretBytes toPem(std::string_view label, ByteView der);

} // namespace provost
