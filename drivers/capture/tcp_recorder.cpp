#include "capture/tcp_recorder.h"

#include "core/byte_io.h"
#include "core/file_io.h"
#include "core/text.h"

#include <algorithm>
#include <arpa/inet.h>
#include <charconv>

namespace provost {

namespace {

// pcap, https://www.tcpdump.org/manpages/pcap-savefile.5.html
constexpr std::uint32_t kPcapMagic = 0xA1B2C3D4;
constexpr std::uint32_t kLongestPacket = 65535;
constexpr std::uint32_t kRawIp = 101; // LINKTYPE_RAW
constexpr std::size_t kFileHeader = 24;
constexpr std::size_t kRecordHeader = 16;
// RFC 791, RFC 9293: both headers without options.
constexpr std::size_t kPlainIpHeader = 20;
constexpr std::size_t kPlainTcpHeader = 20;
constexpr std::size_t kLongestPayload = 1400;
constexpr std::uint8_t kFlagSyn = 0x02;
constexpr std::uint8_t kFlagPush = 0x08;
constexpr std::uint8_t kFlagAck = 0x10;

constexpr std::uint32_t kThisSide = 0xC0000201;  // 192.0.2.1
constexpr std::uint32_t kOtherSide = 0xC0000202; // 192.0.2.2
constexpr std::uint16_t kThisPort = 49152;

/// RFC 1071, over what is laid out in `words`.
std::uint16_t onesComplement(ByteView words)
{
    std::uint32_t sum = 0;
    for (std::size_t at = 0; at + 1 < words.size(); at += 2)
        sum += readBe16(words, at);
    if (words.size() % 2 != 0)
        sum += std::uint32_t{u8(words.back())} << 8U;
    while (sum > 0xFFFF)
        sum = (sum & 0xFFFFU) + (sum >> 16U);
    return static_cast<std::uint16_t>(~sum);
}

/// The bytes that the checksum of TCP covers besides the segment.
Bytes pseudoHeader(ByteView packet)
{
    Bytes bytes(12);
    std::ranges::copy(packet.subspan(12, 8), bytes.begin());
    bytes[9] = packet[9];
    writeBe16(bytes, 10, static_cast<std::uint16_t>(packet.size() - kPlainIpHeader));
    return bytes;
}

} // namespace

TcpRecorder::TcpRecorder(ByteStream& line, const Clock& clock, const std::string& peer)
    : m_line(line), m_clock(clock), m_begunUtc(clock.utcNow()), m_begun(clock.now()),
      m_serverAddress(kOtherSide)
{
    const auto colon = peer.rfind(':');
    in_addr address{};
    if (colon != std::string::npos) {
        std::from_chars(peer.data() + colon + 1, peer.data() + peer.size(), m_serverPort);
        if (::inet_pton(AF_INET, peer.substr(0, colon).c_str(), &address) == 1)
            m_serverAddress = ntohl(address.s_addr);
    }
    segment(From::Client, kFlagSyn, {});
    ++m_clientSequence;
    segment(From::Server, kFlagSyn | kFlagAck, {});
    ++m_serverSequence;
    segment(From::Client, kFlagAck, {});
}

void TcpRecorder::segment(From from, std::uint8_t flags, ByteView payload)
{
    const bool client = from == From::Client;
    Bytes packet(kPlainIpHeader + kPlainTcpHeader + payload.size());
    const auto size = static_cast<std::uint16_t>(packet.size());
    packet[0] = std::byte{0x45}; // version 4, five words
    writeBe16(packet, 2, size);
    packet[8] = std::byte{64}; // hops
    packet[9] = std::byte{6};  // TCP
    writeBe32(packet, 12, client ? kThisSide : m_serverAddress);
    writeBe32(packet, 16, client ? m_serverAddress : kThisSide);
    writeBe16(packet, 10, onesComplement(ByteView(packet).first(kPlainIpHeader)));
    const std::size_t tcp = kPlainIpHeader;
    writeBe16(packet, tcp, client ? kThisPort : m_serverPort);
    writeBe16(packet, tcp + 2, client ? m_serverPort : kThisPort);
    writeBe32(packet, tcp + 4, client ? m_clientSequence : m_serverSequence);
    if ((flags & kFlagAck) != 0)
        writeBe32(packet, tcp + 8, client ? m_serverSequence : m_clientSequence);
    packet[tcp + 12] = std::byte{0x50}; // five words
    packet[tcp + 13] = std::byte{flags};
    writeBe16(packet, tcp + 14, 0xFFFF); // window
    std::ranges::copy(payload, packet.begin() + static_cast<std::ptrdiff_t>(tcp + kPlainTcpHeader));
    Bytes covered = pseudoHeader(packet);
    covered.insert(covered.end(), packet.begin() + static_cast<std::ptrdiff_t>(tcp), packet.end());
    writeBe16(packet, tcp + 16, onesComplement(covered));

    Bytes record(kRecordHeader);
    // The calendar knows milliseconds only; what follows within one keeps its order.
    const auto now = std::chrono::duration_cast<std::chrono::microseconds>(
        m_begunUtc.time_since_epoch() + (m_clock.now() - m_begun));
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(now);
    writeLe32(record, 0, static_cast<std::uint32_t>(seconds.count()));
    writeLe32(record, 4, static_cast<std::uint32_t>((now - seconds).count()));
    writeLe32(record, 8, size);
    writeLe32(record, 12, size);
    m_packets.insert(m_packets.end(), record.begin(), record.end());
    m_packets.insert(m_packets.end(), packet.begin(), packet.end());
    (client ? m_clientSequence : m_serverSequence) += static_cast<std::uint32_t>(payload.size());
}

Result<std::size_t> TcpRecorder::readSome(ByteSpan to, const OpContext& op)
{
    const std::size_t count =
        TRY(m_line.readSome(to.first(std::min(to.size(), kLongestPayload)), op));
    segment(From::Server, kFlagPush | kFlagAck, to.first(count));
    return count;
}

Result<> TcpRecorder::writeAll(ByteView data, const OpContext& op)
{
    TRY(m_line.writeAll(data, op));
    for (; !data.empty(); data = data.subspan(std::min(data.size(), kLongestPayload)))
        segment(From::Client, kFlagPush | kFlagAck,
                data.first(std::min(data.size(), kLongestPayload)));
    return {};
}

Result<> TcpRecorder::writeFile(const std::filesystem::path& file) const
{
    Bytes bytes(kFileHeader);
    writeLe32(bytes, 0, kPcapMagic);
    writeLe16(bytes, 4, 2); // version 2.4
    writeLe16(bytes, 6, 4);
    writeLe32(bytes, 16, kLongestPacket);
    writeLe32(bytes, 20, kRawIp);
    bytes.insert(bytes.end(), m_packets.begin(), m_packets.end());
    return writeNewFile(file, bytes, 0600);
}

} // namespace provost
