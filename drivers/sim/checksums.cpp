#include "sim/checksums.h"

#include "sim/octets.h"

#include <openssl/evp.h>

namespace provost::sim {

std::uint32_t unitCrc32(ByteView bytes)
{
    // Remainders of the sixteen half bytes.
    constexpr auto kHalves = [] {
        std::array<std::uint32_t, 16> halves{};
        for (std::uint32_t half = 0; half < 16; ++half) {
            halves.at(half) = half;
            for (int bit = 0; bit < 4; ++bit)
                halves.at(half) = (halves.at(half) >> 1) ^ (halves.at(half) % 2 * 0xEDB88320);
        }
        return halves;
    }();
    std::uint32_t remainder = 0xFFFFFFFF;
    for (const std::byte byte : bytes) {
        remainder ^= octet(byte);
        remainder = kHalves[remainder & 0xF] ^ (remainder >> 4);
        remainder = kHalves[remainder & 0xF] ^ (remainder >> 4);
    }
    return ~remainder;
}

std::array<std::byte, 32> unitSha256(ByteView bytes)
{
    std::array<std::byte, 32> digest{};
    auto* const out = static_cast<unsigned char*>(static_cast<void*>(digest.data()));
    EVP_Digest(bytes.data(), bytes.size(), out, nullptr, EVP_sha256(), nullptr);
    return digest;
}

} // namespace provost::sim
