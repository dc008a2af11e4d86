#include "capture/tcp_packet_p.h"

#include "core/byte_io.h"
#include "core/text.h"

#include <pcap/dlt.h>

#include <arpa/inet.h>
#include <array>

namespace provost::capture {

namespace {

// IEEE 802 EtherTypes
constexpr unsigned kIpv4Type = 0x0800;
constexpr unsigned kIpv6Type = 0x86DD;
constexpr unsigned kVlanType = 0x8100;
constexpr unsigned kProviderVlanType = 0x88A8;

constexpr unsigned kTcpProtocol = 6;
// IPv6 extension headers with a length field: hop-by-hop, routing, destination options (RFC 8200).
constexpr std::array kSkippedHeaders{0U, 43U, 60U};

constexpr std::size_t kTcpHead = 20;
// RFC 9293, 3.1
constexpr unsigned kFin = 0x01;
constexpr unsigned kSyn = 0x02;
constexpr unsigned kReset = 0x04;
constexpr unsigned kAck = 0x10;

/// The network layer of one packet.
struct IpPayload {
    std::string from{};
    std::string to{};
    ByteView payload{};
    std::size_t sent = 0; ///< bytes of payload on the wire; the capture may hold fewer
};

std::string addressText(int family, ByteView bytes)
{
    std::array<char, INET6_ADDRSTRLEN> text{};
    inet_ntop(family, bytes.data(), text.data(), text.size());
    return family == AF_INET6 ? concat("[", text.data(), "]") : std::string(text.data());
}

std::optional<IpPayload> ipv4(ByteView packet)
{
    constexpr std::size_t kHead = 20;
    if (packet.size() < kHead || u8(packet[0]) >> 4 != 4)
        return std::nullopt;
    const std::size_t head = (u8(packet[0]) & 0x0FU) * 4;
    const std::size_t total = readBe16(packet, 2);
    const bool fragment = (readBe16(packet, 6) & 0x3FFFU) != 0; // more to come, or an offset
    if (head < kHead || packet.size() < head || total < head || fragment ||
        u8(packet[9]) != kTcpProtocol)
        return std::nullopt;
    // Ethernet pads short frames, so the length on the wire is what counts.
    return IpPayload{.from = addressText(AF_INET, packet.subspan(12, 4)),
                     .to = addressText(AF_INET, packet.subspan(16, 4)),
                     .payload = packet.subspan(head, std::min(packet.size(), total) - head),
                     .sent = total - head};
}

std::optional<IpPayload> ipv6(ByteView packet)
{
    constexpr std::size_t kHead = 40;
    if (packet.size() < kHead || u8(packet[0]) >> 4 != 6)
        return std::nullopt;
    unsigned next = u8(packet[6]);
    const std::size_t length = readBe16(packet, 4);
    std::size_t sent = length;
    ByteView rest = packet.subspan(kHead, std::min(packet.size() - kHead, length));
    while (std::ranges::find(kSkippedHeaders, next) != kSkippedHeaders.end()) {
        if (rest.size() < 2)
            return std::nullopt;
        const std::size_t size = (u8(rest[1]) + 1U) * 8U;
        if (rest.size() < size)
            return std::nullopt;
        next = u8(rest[0]);
        rest = rest.subspan(size);
        sent -= size;
    }
    if (next != kTcpProtocol)
        return std::nullopt;
    return IpPayload{.from = addressText(AF_INET6, packet.subspan(8, 16)),
                     .to = addressText(AF_INET6, packet.subspan(24, 16)),
                     .payload = rest,
                     .sent = sent};
}

std::optional<IpPayload> ipOfType(unsigned type, ByteView packet)
{
    constexpr std::size_t kTag = 4;
    while ((type == kVlanType || type == kProviderVlanType) && packet.size() >= kTag) {
        type = readBe16(packet, 2);
        packet = packet.subspan(kTag);
    }
    if (type == kIpv4Type)
        return ipv4(packet);
    return type == kIpv6Type ? ipv6(packet) : std::nullopt;
}

std::optional<IpPayload> rawIp(ByteView packet)
{
    if (packet.empty())
        return std::nullopt;
    return u8(packet[0]) >> 4 == 6 ? ipv6(packet) : ipv4(packet);
}

struct LinkLayer {
    int type = 0;
    std::size_t head = 0;                   ///< bytes before the network layer
    std::optional<std::size_t> etherType{}; ///< where its EtherType stands; none: raw IP
};

// https://www.tcpdump.org/linktypes.html
constexpr std::array kLinkLayers{
    LinkLayer{.type = DLT_EN10MB, .head = 14, .etherType = 12},
    LinkLayer{.type = DLT_LINUX_SLL, .head = 16, .etherType = 14},
    LinkLayer{.type = DLT_LINUX_SLL2, .head = 20, .etherType = 0},
    LinkLayer{.type = DLT_NULL, .head = 4}, // address family in the byte order of its maker
    LinkLayer{.type = DLT_LOOP, .head = 4},
    LinkLayer{.type = DLT_RAW},
    LinkLayer{.type = DLT_IPV4},
    LinkLayer{.type = DLT_IPV6},
};

std::optional<IpPayload> ipOf(int linkType, ByteView packet)
{
    const auto layer = std::ranges::find(kLinkLayers, linkType, &LinkLayer::type);
    if (layer == kLinkLayers.end() || packet.size() < layer->head)
        return std::nullopt;
    const ByteView rest = packet.subspan(layer->head);
    return layer->etherType ? ipOfType(readBe16(packet, *layer->etherType), rest) : rawIp(rest);
}

} // namespace

bool knowsLinkLayer(int linkType)
{
    return std::ranges::find(kLinkLayers, linkType, &LinkLayer::type) != kLinkLayers.end();
}

std::optional<TcpSegment> tcpSegmentOf(int linkType, ByteView packet)
{
    const auto ip = ipOf(linkType, packet);
    if (!ip || ip->payload.size() < kTcpHead)
        return std::nullopt;
    const ByteView tcp = ip->payload;
    const std::size_t head = (u8(tcp[12]) >> 4U) * 4U;
    if (head < kTcpHead || tcp.size() < head)
        return std::nullopt;
    const unsigned flags = u8(tcp[13]);
    return TcpSegment{.from = concat(ip->from, ":", readBe16(tcp, 0)),
                      .to = concat(ip->to, ":", readBe16(tcp, 2)),
                      .toPort = readBe16(tcp, 2),
                      .sequence = readBe32(tcp, 4),
                      .syn = (flags & kSyn) != 0,
                      .ack = (flags & kAck) != 0,
                      .fin = (flags & kFin) != 0,
                      .reset = (flags & kReset) != 0,
                      .cut = tcp.size() < ip->sent,
                      .payload = tcp.subspan(head)};
}

} // namespace provost::capture
