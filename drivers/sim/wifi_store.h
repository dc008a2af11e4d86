// Wi-Fi credentials as a record. Neither the layout of that part of the table nor that of the
// CC3000 is published; this one is the virtual boards' own.
#pragma once

#include "core/bytes.h"
#include "sim/unit_secret.h"

#include <optional>
#include <string>

namespace provost::sim {

struct WifiCredentials {
    std::string ssid{};
    UnitSecret password{};
    int security = 3; ///< 0 open, 1 WEP, 2 WPA, 3 WPA2, 4 and 5 enterprise
};

/// nullopt: none stored. An empty view is none.
std::optional<WifiCredentials> readCredentials(ByteView part);
/// nullopt: a field is out of range.
std::optional<UnitSecret> makeCredentials(const WifiCredentials& wanted);

} // namespace provost::sim
