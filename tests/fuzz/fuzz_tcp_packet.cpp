// Captured packets of every link layer; the first byte chooses it.
#include "capture/tcp_packet_p.h"
#include "fuzz/fuzz.h"

#include <array>

using namespace provost;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    constexpr std::array kLinkTypes{1, 113, 276, 0, 108, 12, 228, 229}; // DLT_…
    if (size == 0)
        return 0;
    const ByteView packet = test::view(data + 1, size - 1);
    const auto segment = capture::tcpSegmentOf(kLinkTypes[data[0] % kLinkTypes.size()], packet);
    if (segment && !segment->payload.empty())
        test::demand(segment->payload.data() >= packet.data() &&
                     segment->payload.data() + segment->payload.size() <=
                         packet.data() + packet.size());
    return 0;
}
