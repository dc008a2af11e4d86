#include "steps/key_traces.h"

#include "core/byte_io.h"
#include "crypto/digest.h"
#include "device/dct.h"

#include <algorithm>
#include <array>

namespace provost {

namespace {

constexpr std::size_t kModulusBytes = 128;
constexpr std::size_t kPieceBytes = 32;
/// An INTEGER of 129 bytes that begins with 00: the modulus of PKCS#1 and of SubjectPublicKeyInfo.
/// A prime is half as long, a key of 2048 bits has another length.
constexpr std::array kModulusHead{std::byte{0x02}, std::byte{0x81}, std::byte{0x81}, std::byte{0}};

bool endsOdd(ByteView number)
{
    return (number.back() & std::byte{1}) != std::byte{0};
}

} // namespace

std::vector<Bytes> moduliIn(ByteView memory)
{
    std::vector<Bytes> moduli;
    auto from = memory.begin();
    while (true) {
        const auto head = std::search(from, memory.end(), kModulusHead.begin(), kModulusHead.end());
        const auto left = static_cast<std::size_t>(memory.end() - head);
        if (left < kModulusHead.size() + kModulusBytes)
            return moduli;
        const auto at = static_cast<std::size_t>(head - memory.begin()) + kModulusHead.size();
        const ByteView number = memory.subspan(at, kModulusBytes);
        const bool isNumber = !allFf(number) && endsOdd(number);
        if (isNumber && std::ranges::none_of(
                            moduli, [&](const Bytes& known) { return equalBytes(known, number); }))
            moduli.push_back(toBytes(number));
        from = head + 1;
    }
}

bool holdsPartOf(ByteView memory, ByteView number)
{
    for (std::size_t at = 0; at + kPieceBytes <= number.size(); at += kPieceBytes) {
        if (contains(memory, number.subspan(at, kPieceBytes)))
            return true;
    }
    return false;
}

std::optional<std::string> foreignKeyIn(ByteView memory, ByteView ownModulus,
                                        std::span<const Bytes> former)
{
    for (const auto& modulus : former) {
        if (!equalBytes(modulus, ownModulus) && holdsPartOf(memory, modulus))
            return sha256Hex(modulus);
    }
    for (const auto& modulus : moduliIn(memory)) {
        if (!equalBytes(modulus, ownModulus))
            return sha256Hex(modulus);
    }
    return std::nullopt;
}

} // namespace provost
