// Wi-Fi credentials in the configuration table. The layout of that part is not published; this one
// is the virtual board's own.
#pragma once

#include "crypto/secret_bytes.h"
#include "sim/dct_store.h"

#include <optional>
#include <string>

namespace provost::sim {

struct WifiCredentials {
    std::string ssid{};
    SecretBytes password{};
    int security = 3; ///< 0 open, 1 WEP, 2 WPA, 3 WPA2, 4 and 5 enterprise
};

std::optional<WifiCredentials> storedCredentials(const DctStore& store);
/// False: a field is out of range; nothing is changed.
bool storeCredentials(DctStore& store, const WifiCredentials& wanted);

} // namespace provost::sim
