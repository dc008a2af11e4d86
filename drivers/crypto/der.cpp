#include "crypto/der_p.h"

#include "core/byte_io.h"
#include "core/text.h"

#include <algorithm>
#include <array>

#include <openssl/evp.h>

namespace provost {

namespace {

constexpr std::array<std::uint8_t, 15> kRsaAlgorithm{0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86,
                                                     0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00};
constexpr std::array<std::uint8_t, 21> kEcAlgorithm{0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48,
                                                    0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
                                                    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07};
constexpr std::size_t kCurveAt = 11;
constexpr std::string_view kPemBegin = "-----BEGIN ";
constexpr std::string_view kPemDashes = "-----";
constexpr std::size_t kPemLine = 64; // RFC 7468, section 2

std::size_t lengthBytes(std::size_t contentSize)
{
    std::size_t count = 1;
    if (contentSize >= 0x80)
        for (std::size_t rest = contentSize; rest > 0; rest >>= 8)
            ++count;
    return count;
}

bool isBase64(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' ||
           c == '/' || c == '=';
}

std::string_view textOf(ByteView bytes)
{
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

Result<SecretBytes> fromBase64(std::string_view body)
{
    SecretBytes compact(body.size());
    std::size_t used = 0;
    for (const char c : body) {
        if (isBase64(c))
            compact.writable()[used++] = static_cast<std::byte>(c);
        else if (c != '\r' && c != '\n' && c != ' ' && c != '\t')
            return fail(Errc::InvalidData, Blame::Operator,
                        "read a PEM key: it holds a character that is not base64");
    }
    const ByteView text = compact.reveal().first(used);
    SecretBytes decoded(used / 4 * 3 + 3);
    const int size = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(decoded.writable().data()),
                                     reinterpret_cast<const unsigned char*>(text.data()),
                                     static_cast<int>(used));
    if (size < 0 || used % 4 != 0 || used == 0)
        return fail(Errc::InvalidData, Blame::Operator,
                    concat("read a PEM key: ", used, " base64 characters are no whole groups"));
    const auto padding = static_cast<std::size_t>(
        std::count(text.end() - 2, text.end(), static_cast<std::byte>('=')));
    return SecretBytes(decoded.reveal().first(static_cast<std::size_t>(size) - padding));
}

/// The inner key of `algorithm, wrapper` where the algorithm is the wanted one.
std::optional<ByteView> behindAlgorithm(DerCursor& cursor, ByteView wanted, DerTag wrapper)
{
    const ByteView before = cursor.rest();
    if (!cursor.take(DerTag::Sequence))
        return std::nullopt;
    const ByteView algorithm = before.first(before.size() - cursor.rest().size());
    if (!equalBytes(algorithm, wanted))
        return std::nullopt;
    return cursor.take(wrapper);
}

std::optional<ByteView> insidePkcs8(ByteView der, ByteView algorithm)
{
    DerCursor cursor(outerContent(der));
    if (!cursor.takeUnsigned())
        return std::nullopt;
    return behindAlgorithm(cursor, algorithm, DerTag::OctetString);
}

std::optional<ByteView> insideSpki(ByteView der, ByteView algorithm)
{
    DerCursor cursor(outerContent(der));
    const auto bits = behindAlgorithm(cursor, algorithm, DerTag::BitString);
    if (!bits || bits->empty() || bits->front() != std::byte{0}) // unused bits
        return std::nullopt;
    return bits->subspan(1);
}

} // namespace

std::optional<DerHeader> readDerHeader(ByteView bytes)
{
    if (bytes.size() < 2)
        return std::nullopt;
    const unsigned first = u8(bytes[1]);
    if (first < 0x80)
        return DerHeader{.tag = u8(bytes[0]), .headerSize = 2, .contentSize = first};
    const std::size_t count = first & 0x7F;
    if (count == 0 || count > 4 || bytes.size() < 2 + count)
        return std::nullopt;
    std::size_t size = 0;
    for (const std::byte b : bytes.subspan(2, count))
        size = (size << 8) | u8(b);
    return DerHeader{.tag = u8(bytes[0]), .headerSize = 2 + count, .contentSize = size};
}

std::optional<ByteView> DerCursor::take(DerTag tag)
{
    const auto header = readDerHeader(m_rest);
    if (!header || header->tag != static_cast<std::uint8_t>(tag) ||
        header->contentSize > m_rest.size() - header->headerSize)
        return std::nullopt;
    const ByteView content = m_rest.subspan(header->headerSize, header->contentSize);
    m_rest = m_rest.subspan(header->headerSize + header->contentSize);
    return content;
}

std::optional<ByteView> DerCursor::takeUnsigned()
{
    const auto content = take(DerTag::Integer);
    if (!content || content->empty() || (u8(content->front()) & 0x80) != 0)
        return std::nullopt;
    ByteView digits = *content;
    while (!digits.empty() && digits.front() == std::byte{0})
        digits = digits.subspan(1);
    return digits;
}

bool DerCursor::nextIs(DerTag tag) const
{
    return !m_rest.empty() && u8(m_rest.front()) == static_cast<std::uint8_t>(tag);
}

ByteView outerContent(ByteView der)
{
    const auto header = readDerHeader(der);
    if (!header || header->tag != static_cast<std::uint8_t>(DerTag::Sequence))
        return {};
    const ByteView content = der.subspan(header->headerSize);
    return content.first(std::min(content.size(), header->contentSize));
}

KeyStructure structureOf(ByteView der)
{
    DerCursor cursor(outerContent(der));
    if (cursor.take(DerTag::Sequence)) {
        if (cursor.nextIs(DerTag::BitString))
            return KeyStructure::Spki;
        return cursor.nextIs(DerTag::OctetString) ? KeyStructure::Pkcs8Encrypted
                                                  : KeyStructure::Unknown;
    }
    const auto first = cursor.takeUnsigned();
    if (!first)
        return KeyStructure::Unknown;
    if (cursor.nextIs(DerTag::Integer))
        return first->empty() ? KeyStructure::Pkcs1Private : KeyStructure::Pkcs1Public;
    if (cursor.nextIs(DerTag::Sequence))
        return KeyStructure::Pkcs8;
    return cursor.nextIs(DerTag::OctetString) ? KeyStructure::Sec1 : KeyStructure::Unknown;
}

std::optional<ByteView> pkcs8RsaKey(ByteView der)
{
    return insidePkcs8(der, rsaAlgorithmId());
}

std::optional<ByteView> spkiRsaKey(ByteView der)
{
    return insideSpki(der, rsaAlgorithmId());
}

std::optional<ByteView> pkcs8EcKey(ByteView der)
{
    return insidePkcs8(der, ecAlgorithmId());
}

std::optional<ByteView> spkiEcPoint(ByteView der)
{
    return insideSpki(der, ecAlgorithmId());
}

ByteView rsaAlgorithmId()
{
    return std::as_bytes(std::span(kRsaAlgorithm));
}

ByteView ecAlgorithmId()
{
    return std::as_bytes(std::span(kEcAlgorithm));
}

ByteView prime256v1Id()
{
    return ecAlgorithmId().subspan(kCurveAt);
}

std::size_t derSize(std::size_t contentSize)
{
    return 1 + lengthBytes(contentSize) + contentSize;
}

void DerWriter::header(DerTag tag, std::size_t contentSize)
{
    const std::size_t count = lengthBytes(contentSize);
    const ByteSpan to = space(1 + count);
    to[0] = static_cast<std::byte>(tag);
    if (count == 1) {
        to[1] = static_cast<std::byte>(contentSize);
        return;
    }
    to[1] = static_cast<std::byte>(0x80 | (count - 1));
    for (std::size_t i = 0; i + 1 < count; ++i)
        to[count - i] = static_cast<std::byte>((contentSize >> (8 * i)) & 0xFF);
}

void DerWriter::raw(ByteView bytes)
{
    std::ranges::copy(bytes, space(bytes.size()).begin());
}

ByteSpan DerWriter::space(std::size_t size)
{
    const ByteSpan taken = m_rest.first(size);
    m_rest = m_rest.subspan(size);
    return taken;
}

SecretBytes privateKeyInfo(ByteView key, ByteView algorithmId)
{
    const std::size_t content = 3 + algorithmId.size() + derSize(key.size());
    SecretBytes der(derSize(content));
    DerWriter to(der.writable());
    to.header(DerTag::Sequence, content);
    to.header(DerTag::Integer, 1);
    to.space(1)[0] = std::byte{0};
    to.raw(algorithmId);
    to.header(DerTag::OctetString, key.size());
    to.raw(key);
    return der;
}

Result<PemBlock> firstPemKey(ByteView file)
{
    const std::string_view text = textOf(file);
    for (auto at = text.find(kPemBegin); at != std::string_view::npos;
         at = text.find(kPemBegin, at + 1)) {
        const auto labelAt = at + kPemBegin.size();
        const auto labelEnd = text.find(kPemDashes, labelAt);
        if (labelEnd == std::string_view::npos)
            break;
        const std::string_view label = text.substr(labelAt, labelEnd - labelAt);
        if (!label.ends_with("KEY"))
            continue;
        const auto end = text.find(concat("-----END ", label), labelEnd);
        if (end == std::string_view::npos)
            return fail(Errc::InvalidData, Blame::Operator,
                        concat("read a PEM key: the block \"", label, "\" is not ended"));
        const auto bodyAt = labelEnd + kPemDashes.size();
        const std::string_view body = text.substr(bodyAt, end - bodyAt);
        PemBlock block{.label = std::string(label)};
        // RFC 1421 headers stand before the body of encrypted traditional keys only.
        block.encrypted = label.starts_with("ENCRYPTED") || body.find(':') != body.npos;
        if (!block.encrypted)
            block.der = TRY(fromBase64(body));
        return block;
    }
    return fail(Errc::NotFound, Blame::Operator, "read a PEM key: no key block in the file");
}

SecretBytes toPem(std::string_view label, ByteView der)
{
    SecretBytes base64(derSize(der.size()) / 3 * 4 + 8);
    const auto length = static_cast<std::size_t>(EVP_EncodeBlock(
        reinterpret_cast<unsigned char*>(base64.writable().data()),
        reinterpret_cast<const unsigned char*>(der.data()), static_cast<int>(der.size())));
    const std::string head = concat(kPemBegin, label, kPemDashes, '\n');
    const std::string tail = concat("-----END ", label, kPemDashes, '\n');
    const std::size_t lines = (length + kPemLine - 1) / kPemLine;
    SecretBytes pem(head.size() + length + lines + tail.size());
    DerWriter to(pem.writable());
    to.raw(viewOf(head));
    for (std::size_t at = 0; at < length; at += kPemLine) {
        to.raw(base64.reveal().subspan(at, std::min(kPemLine, length - at)));
        to.raw(viewOf("\n"));
    }
    to.raw(viewOf(tail));
    return pem;
}

} // namespace provost
