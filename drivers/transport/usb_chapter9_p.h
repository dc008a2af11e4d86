// Numbers of USB 2.0, chapter 9, as far as a host's stack needs them.
#pragma once

#include <cstdint>

namespace provost {

inline constexpr std::uint8_t kClearFeature = 1; // table 9-4
inline constexpr std::uint8_t kGetDescriptor = 6;
inline constexpr std::uint8_t kSetConfiguration = 9;
inline constexpr std::uint8_t kSetInterface = 11;

inline constexpr std::uint8_t kDeviceType = 1; // table 9-5
inline constexpr std::uint8_t kConfigurationType = 2;
inline constexpr std::uint8_t kStringType = 3;

inline constexpr std::uint16_t kEnglish = 0x0409; // language identifier of a string request

} // namespace provost
