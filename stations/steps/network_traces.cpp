#include "steps/network_traces.h"

#include "core/byte_io.h"
#include "core/text.h"
#include "device/dct.h"

#include <algorithm>

namespace provost {

namespace {

constexpr std::size_t kShortestTrace = 8; // of WPA and WPA2, too
constexpr std::size_t kLongestSsid = 32;

Result<> untraceable(const TestNetwork& network, const std::string& why)
{
    return Unexpected(Error{.code = Errc::Denied,
                            .blame = Blame::Operator,
                            .message = concat("use the test network \"", network.ssid, "\": ", why),
                            .frames = {},
                            .native = {},
                            .cause = "C042"});
}

} // namespace

std::vector<ByteView> unprovedParts(ByteView sector, std::vector<ByteView> proved)
{
    std::ranges::sort(proved, {}, [](ByteView part) { return part.data(); });
    std::vector<ByteView> rest;
    std::size_t from = 0;
    for (const auto part : proved) {
        if (part.empty())
            continue;
        const auto at = static_cast<std::size_t>(part.data() - sector.data());
        if (at > from)
            rest.push_back(sector.subspan(from, at - from));
        from = std::max(from, at + part.size());
    }
    if (from < sector.size())
        rest.push_back(sector.subspan(from));
    return rest;
}

bool holdsSsid(ByteView wifiPart, std::string_view ssid)
{
    if (ssid.empty() || ssid.size() > kLongestSsid)
        return false;
    Bytes record{static_cast<std::byte>(ssid.size())};
    const ByteView name = viewOf(ssid);
    record.insert(record.end(), name.begin(), name.end());
    return contains(wifiPart, record);
}

Result<> checkTraceable(const TestNetwork& network)
{
    if (network.ssid.empty() || network.ssid.size() > kLongestSsid)
        return untraceable(network, concat("its name has ", network.ssid.size(),
                                           " characters instead of 1 to ", kLongestSsid,
                                           "; mend ssid in [network]"));
    const auto size = network.password.size();
    if (size > 0 && size < kShortestTrace)
        return untraceable(
            network,
            concat("its password has ", size, " characters; with fewer than ", kShortestTrace,
                   " nobody can tell what a unit has kept of it from other text; give "
                   "the network a longer one, or none"));
    return {};
}

} // namespace provost
