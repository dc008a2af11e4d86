#include "capture/tcp_capture.h"

#include "capture/tcp_packet_p.h"
#include "capture/tcp_stream_rebuild_p.h"
#include "core/byte_io.h"
#include "core/text.h"

#include <pcap/pcap.h>

#include <array>
#include <map>
#include <memory>

namespace provost {

using namespace capture;

namespace {

/// A handshake and its first messages need a few kilobytes; what streams on is no handshake.
constexpr std::size_t kMostBytes = 1024UL * 1024;

class Connection {
public:
    Connection(const TcpSegment& first, double at) : m_start(at)
    {
        // Without the opening packets, the side that talks to the lower port is the client's.
        const bool fromClient = first.syn ? !first.ack : !isFromServerPort(first);
        m_conversation.client = fromClient ? first.from : first.to;
        m_conversation.server = fromClient ? first.to : first.from;
        m_conversation.startSeconds = at;
    }

    void take(const TcpSegment& segment, double at)
    {
        const bool fromClient = segment.from == m_conversation.client;
        StreamRebuild& stream = m_streams[fromClient ? 0 : 1];
        RecordedConversation& recorded = m_conversation.recorded;
        if (segment.syn) {
            stream.startsAt(segment.sequence + 1);
            recorded.answered = recorded.answered || !fromClient;
            return;
        }
        if (!stream.started() && !segment.payload.empty())
            recorded.incomplete = true; // who knows what came before
        if (segment.cut)
            recorded.incomplete = true;
        Bytes bytes = stream.take(segment.sequence, segment.payload);
        if (!bytes.empty() && m_bytes < kMostBytes) {
            m_bytes += bytes.size();
            recorded.answered = recorded.answered || !fromClient;
            recorded.pieces.push_back(
                {.fromDevice = fromClient, .atMs = since(at), .bytes = std::move(bytes)});
        }
        if ((segment.fin || segment.reset) && recorded.end == RecordedEnd::Open)
            endedBy(segment, fromClient, at);
    }

    /// A new SYN on the same ports begins another connection.
    bool isOver() const { return m_conversation.recorded.end != RecordedEnd::Open; }

    TcpConversation finish()
    {
        for (const StreamRebuild& stream : m_streams)
            m_conversation.recorded.incomplete =
                m_conversation.recorded.incomplete || stream.hasGap();
        return std::move(m_conversation);
    }

private:
    static bool isFromServerPort(const TcpSegment& segment)
    {
        const auto colon = segment.from.rfind(':');
        const int fromPort = std::stoi(segment.from.substr(colon + 1));
        return fromPort < segment.toPort;
    }
    double since(double at) const { return (at - m_start) * 1000.0; }
    void endedBy(const TcpSegment& segment, bool fromClient, double at)
    {
        RecordedConversation& recorded = m_conversation.recorded;
        recorded.endMs = since(at);
        if (segment.reset && !fromClient && !recorded.answered)
            recorded.end = RecordedEnd::Refused;
        else if (segment.reset)
            recorded.end = fromClient ? RecordedEnd::DeviceReset : RecordedEnd::ServerReset;
        else
            recorded.end = fromClient ? RecordedEnd::DeviceClosed : RecordedEnd::ServerClosed;
    }

    double m_start;
    TcpConversation m_conversation{};
    std::array<StreamRebuild, 2> m_streams{}; ///< from the client, from the server
    std::size_t m_bytes = 0;
};

/// Sorts segments into connections.
class Table {
public:
    void take(const TcpSegment& segment, double at)
    {
        const auto pair = std::minmax(segment.from, segment.to);
        auto& current = m_current[{pair.first, pair.second}];
        const bool opens = segment.syn && !segment.ack;
        if (!current || (opens && current->isOver())) {
            if (segment.reset)
                return; // belongs to nothing that was seen
            current = std::make_shared<Connection>(segment, at);
            m_all.push_back(current);
        }
        current->take(segment, at);
    }
    std::vector<TcpConversation> finish()
    {
        std::vector<TcpConversation> conversations;
        for (const auto& connection : m_all)
            conversations.push_back(connection->finish());
        return conversations;
    }

private:
    std::map<std::pair<std::string, std::string>, std::shared_ptr<Connection>> m_current{};
    std::vector<std::shared_ptr<Connection>> m_all{};
};

} // namespace

Result<std::vector<TcpConversation>> readTcpCapture(const std::filesystem::path& file)
{
    if (!std::filesystem::is_regular_file(file))
        return fail(Errc::NotFound, Blame::Operator,
                    concat("read capture ", file.string(), ": there is no such file"));
    std::array<char, PCAP_ERRBUF_SIZE> why{};
    const std::unique_ptr<pcap_t, decltype(&pcap_close)> capture(
        pcap_open_offline(file.c_str(), why.data()), &pcap_close);
    if (!capture)
        return fail(Errc::InvalidData, Blame::Operator,
                    concat("read capture ", file.string(), ": ", why.data(),
                           "; give a pcap or pcapng file"));
    const int linkType = pcap_datalink(capture.get());
    if (!knowsLinkLayer(linkType)) {
        const char* known = pcap_datalink_val_to_name(linkType);
        return fail(Errc::InvalidData, Blame::Operator,
                    concat("read capture ", file.string(), ": link layer ",
                           known != nullptr ? known : std::to_string(linkType),
                           " is not read; capture on Ethernet or with `tcpdump -i any`"));
    }
    Table table;
    double start = -1;
    pcap_pkthdr* head = nullptr;
    const unsigned char* data = nullptr;
    while (pcap_next_ex(capture.get(), &head, &data) == 1) {
        const double at = static_cast<double>(head->ts.tv_sec) +
                          static_cast<double>(head->ts.tv_usec) / 1'000'000.0;
        if (start < 0)
            start = at;
        const auto segment = tcpSegmentOf(linkType, std::as_bytes(std::span(data, head->caplen)));
        if (segment)
            table.take(*segment, at - start);
    }
    return table.finish();
}

} // namespace provost
