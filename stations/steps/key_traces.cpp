#include "steps/key_traces.h"

#include "core/byte_io.h"
#include "crypto/digest.h"
#include "device/dct.h"

#include <algorithm>
#include <array>

namespace provost {

namespace {

constexpr std::size_t kNumberBytes = 128;
constexpr std::size_t kPieceBytes = 32;
constexpr std::size_t kExponentAt =
    148; ///< of its number, in the full-width form (particle-devices 4.1)
/// An INTEGER of 129 bytes that begins with 00: modulus and private exponent of PKCS#1, modulus of
/// SubjectPublicKeyInfo. A prime is half as long, a key of 2048 bits has another length.
constexpr std::array kNumberHead{std::byte{0x02}, std::byte{0x81}, std::byte{0x81}, std::byte{0}};
/// e = 65537, in front of the private exponent and of nothing else.
constexpr std::array kPublicExponent{std::byte{0x02}, std::byte{0x03}, std::byte{0x01},
                                     std::byte{0x00}, std::byte{0x01}};

struct KeyNumber {
    std::size_t at = 0;
    ByteView bytes{};
    bool isPrivateExponent = false;
};

bool standsBehindPublicExponent(ByteView memory, std::size_t head)
{
    return head >= kPublicExponent.size() &&
           equalBytes(memory.subspan(head - kPublicExponent.size(), kPublicExponent.size()),
                      kPublicExponent);
}

std::vector<KeyNumber> numbersIn(ByteView memory)
{
    std::vector<KeyNumber> numbers;
    auto from = memory.begin();
    while (true) {
        const auto found = std::search(from, memory.end(), kNumberHead.begin(), kNumberHead.end());
        const auto head = static_cast<std::size_t>(found - memory.begin());
        if (memory.size() - head < kNumberHead.size() + kNumberBytes)
            return numbers;
        const ByteView bytes = memory.subspan(head + kNumberHead.size(), kNumberBytes);
        // Both are odd.
        if (!allFf(bytes) && (bytes.back() & std::byte{1}) != std::byte{0})
            numbers.push_back({.at = head + kNumberHead.size(),
                               .bytes = bytes,
                               .isPrivateExponent = standsBehindPublicExponent(memory, head)});
        from = found + 1;
    }
}

bool isOwn(const KeyNumber& number, const OwnKey& own)
{
    // Its value is proved with the slot that it lies in.
    if (number.isPrivateExponent)
        return number.at == own.privateAt + kExponentAt;
    return equalBytes(number.bytes, own.modulus);
}

} // namespace

std::vector<Bytes> moduliIn(ByteView memory)
{
    std::vector<Bytes> moduli;
    for (const auto& number : numbersIn(memory)) {
        if (!number.isPrivateExponent)
            moduli.push_back(toBytes(number.bytes));
    }
    return moduli;
}

bool holdsPartOf(ByteView memory, ByteView number)
{
    for (std::size_t at = 0; at + kPieceBytes <= number.size(); at += kPieceBytes) {
        if (contains(memory, number.subspan(at, kPieceBytes)))
            return true;
    }
    return false;
}

std::optional<std::string> foreignKeyIn(ByteView memory, const OwnKey& own,
                                        std::span<const Bytes> former)
{
    for (const auto& modulus : former) {
        if (!equalBytes(modulus, own.modulus) && holdsPartOf(memory, modulus))
            return sha256Hex(modulus);
    }
    for (const auto& number : numbersIn(memory)) {
        if (!isOwn(number, own))
            return sha256Hex(number.bytes);
    }
    return std::nullopt;
}

} // namespace provost
