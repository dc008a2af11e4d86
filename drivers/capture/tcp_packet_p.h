// One captured packet, from its link layer down to TCP.
#pragma once

#include "core/bytes.h"

#include <cstdint>
#include <optional>
#include <string>

namespace provost::capture {

struct TcpSegment {
    std::string from{}; ///< "address:port"
    std::string to{};
    std::uint16_t toPort = 0;
    std::uint32_t sequence = 0;
    bool syn = false;
    bool ack = false;
    bool fin = false;
    bool reset = false;
    bool cut = false; ///< the capture holds less of the payload than was sent
    ByteView payload{};
};

/// Whether tcpSegmentOf() knows the link layer, by libpcap's number (DLT_…).
bool knowsLinkLayer(int linkType);

/// @returns nothing where the packet is no TCP over IPv4 or IPv6, a fragment, or damaged
std::optional<TcpSegment> tcpSegmentOf(int linkType, ByteView packet);

} // namespace provost::capture
