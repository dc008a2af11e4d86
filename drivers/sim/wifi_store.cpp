#include "sim/wifi_store.h"

#include "sim/octets.h"

#include <algorithm>

namespace provost::sim {

namespace {

// Configured, SSID length and 32 bytes, security, password length and 64 bytes.
constexpr std::size_t kSsid = 1;
constexpr std::size_t kSecurity = 34;
constexpr std::size_t kPassword = 35;
constexpr std::size_t kWifiRecord = 100;

std::string textAt(ByteView part, std::size_t at, std::size_t most)
{
    const std::size_t length = std::min<std::size_t>(octet(part[at]), most);
    return textOf(part.subspan(at + 1, length));
}

} // namespace

std::optional<WifiCredentials> readCredentials(ByteView part)
{
    if (part.size() < kWifiRecord || octet(part[0]) != 1)
        return std::nullopt;
    const std::size_t length = std::min<std::size_t>(octet(part[kPassword]), 64);
    return WifiCredentials{.ssid = textAt(part, kSsid, 32),
                           .password = UnitSecret(part.subspan(kPassword + 1, length)),
                           .security = octet(part[kSecurity])};
}

std::optional<UnitSecret> makeCredentials(const WifiCredentials& wanted)
{
    const bool fits = !wanted.ssid.empty() && wanted.ssid.size() <= 32 &&
                      wanted.password.size() <= 64 && wanted.security >= 0 && wanted.security <= 5;
    if (!fits)
        return std::nullopt;
    UnitSecret record(kWifiRecord);
    const ByteSpan part = record.writable();
    part[0] = std::byte{1};
    part[kSsid] = static_cast<std::byte>(wanted.ssid.size());
    const ByteView ssid = octetsOf(wanted.ssid);
    std::copy(ssid.begin(), ssid.end(), part.begin() + kSsid + 1);
    part[kSecurity] = static_cast<std::byte>(wanted.security);
    part[kPassword] = static_cast<std::byte>(wanted.password.size());
    const ByteView password = wanted.password.reveal();
    std::copy(password.begin(), password.end(), part.begin() + kPassword + 1);
    return record;
}

} // namespace provost::sim
