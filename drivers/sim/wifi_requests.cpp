#include "sim/wifi_requests.h"

#include "sim/octets.h"
#include "sim/protobuf.h"

#include <algorithm>
#include <array>

namespace provost::sim {

namespace {

namespace we = control_error;

/// How requests count antennas, and what the table keeps (3.3).
struct AntennaCode {
    std::uint64_t request = 0;
    std::uint8_t stored = 0;
};
constexpr std::array kAntennas{AntennaCode{1, 0x00},  // internal
                               AntennaCode{2, 0x01},  // external
                               AntennaCode{3, 0x03}}; // automatic

} // namespace

ControlOutcome WifiRequests::run(std::uint16_t type, ByteView payload)
{
    ControlOutcome outcome;
    switch (type) {
    case 110:
        return setAntenna(payload);
    case 111:
        return antenna();
    case 112:
        return scan();
    case 113:
        return setCredentials(payload);
    case 114:
        if (const auto stored = m_board.credentials()) {
            Bytes point;
            putTextField(point, 1, stored->ssid);
            putVarintField(point, 3, static_cast<std::uint64_t>(stored->security));
            Bytes list;
            putBytesField(list, 1, point);
            putBytesField(outcome.reply, 1, list);
        }
        return outcome;
    default:
        return {.result = m_board.clearCredentials() ? 0 : we::kUnknown};
    }
}

ControlOutcome WifiRequests::setAntenna(ByteView payload)
{
    auto fields = readProtobuf(payload);
    const std::uint64_t wanted = fields ? (*fields)[1].number : 0;
    const auto found = std::find_if(kAntennas.begin(), kAntennas.end(),
                                    [&](const auto& each) { return each.request == wanted; });
    if (found == kAntennas.end())
        return {.result = we::kInvalidArgument};
    const std::byte stored{found->stored};
    return {.result = m_board.writeDct(dct::kAntenna, ByteView(&stored, 1)) ? 0 : we::kUnknown};
}

ControlOutcome WifiRequests::antenna() const
{
    const std::uint8_t stored = octet(m_board.store.read(dct::kAntenna, 1)[0]);
    const auto found = std::find_if(kAntennas.begin(), kAntennas.end(),
                                    [&](const auto& each) { return each.stored == stored; });
    ControlOutcome outcome; // nothing chosen yet: the internal one
    putVarintField(outcome.reply, 1,
                   found == kAntennas.end() ? kAntennas.front().request : found->request);
    return outcome;
}

/// What the bench's radio hears: its one network.
ControlOutcome WifiRequests::scan() const
{
    const BenchNetwork& around = *m_board.network;
    const Bytes station{std::byte{0x02}, std::byte{0}, std::byte{0},
                        std::byte{0},    std::byte{0}, std::byte{0x01}};
    Bytes point;
    putTextField(point, 1, around.ssid);
    putBytesField(point, 2, station);
    putVarintField(point, 3, static_cast<std::uint64_t>(around.security));
    putVarintField(point, 4, around.security >= 2 ? 1 : 0); // AES
    putVarintField(point, 5, 6);                            // channel
    putVarintField(point, 7, static_cast<std::uint64_t>(-48LL));
    Bytes list;
    putBytesField(list, 1, point);
    ControlOutcome outcome;
    putBytesField(outcome.reply, 1, list);
    return outcome;
}

ControlOutcome WifiRequests::setCredentials(ByteView payload)
{
    auto fields = readProtobuf(payload);
    auto point = fields && fields->contains(1) ? readProtobuf((*fields)[1].bytes) : std::nullopt;
    if (!point)
        return {.result = we::kInvalidArgument};
    const WifiCredentials wanted{.ssid = textOf((*point)[1].bytes),
                                 .password = UnitSecret((*point)[8].bytes),
                                 .security = static_cast<int>((*point)[3].number)};
    return {.result = m_board.saveCredentials(wanted) ? 0 : we::kUnknown};
}

} // namespace provost::sim
