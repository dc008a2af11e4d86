// What the test network leaves behind in a unit's memory. Pure: bytes in, findings out.
#pragma once

#include "core/bytes.h"
#include "engine/plan.h"

#include <string_view>
#include <vector>

namespace provost {

/// What lies between the `proved` parts of `sector`, in its order. What was compared byte for byte
/// with what it has to hold cannot be a leftover, whatever text it has in common with one.
/// @param proved  views into `sector`, in any order; empty ones count for nothing
std::vector<ByteView> unprovedParts(ByteView sector, std::vector<ByteView> proved);

/// True where the Wi-Fi part of a table holds `ssid` as a record: its length, then its name. The
/// name alone may be part of any other text.
bool holdsSsid(ByteView wifiPart, std::string_view ssid);

/// Whether it can be told for sure that no unit leaves with this network: a password that is short
/// stands in memory by chance, too, as part of a version or a name.
/// @returns Denied (C042)
Result<> checkTraceable(const TestNetwork& network);

} // namespace provost
