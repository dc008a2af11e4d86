// What the sheet says of a Photon, for tests: written once, and not taken from the code under test.
#pragma once

#include <cstdint>

namespace provost::test::photon {

inline constexpr std::uint16_t kPlatform = 6;
inline constexpr std::uint32_t kUserPart = 0x080A0000;
/// Offsets in the space of DFU alternate 1 (section 3.3).
inline constexpr std::uint32_t kPrivateKey = 34;
inline constexpr std::uint32_t kPrivateKeyBytes = 612;

} // namespace provost::test::photon
