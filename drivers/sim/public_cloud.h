// The public cloud as a unit knows it: where it lies, and a key whose private part nobody has
// (particle-devices 3.1, 3.6, 4.3).
#pragma once

#include "core/bytes.h"

#include <cstdint>
#include <string_view>

namespace provost::sim {

constexpr std::string_view kPublicCloudHost = "device.spark.io";
constexpr std::uint16_t kPublicCloudPort = 5683;

/// DER, 294 bytes: what stock tables hold, and what firmware from 0.7.0 on has built in.
Bytes publicCloudKey();

} // namespace provost::sim
