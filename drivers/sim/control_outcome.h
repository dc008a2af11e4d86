// What a queued control request comes to (particle-devices 1.3).
#pragma once

#include "core/bytes.h"

namespace provost::sim {

struct ControlOutcome {
    std::int32_t result = 0;
    Bytes reply{};
};

/// Result codes of the firmware's system_error.h.
namespace control_error {
constexpr std::int32_t kUnknown = -100;
constexpr std::int32_t kNotSupported = -120;
constexpr std::int32_t kNotFound = -170;
constexpr std::int32_t kTooLarge = -190;
constexpr std::int32_t kInvalidState = -210;
constexpr std::int32_t kInvalidArgument = -270;
constexpr std::int32_t kBadData = -280;
constexpr std::int32_t kOutOfRange = -290;
} // namespace control_error

} // namespace provost::sim
