#include "sim/uart_adapter.h"

#include "sim/acm_descriptors.h"
#include "sim/octets.h"

#include <algorithm>

namespace provost::sim {

namespace {

constexpr std::uint32_t kBaud = 9600;
constexpr int kBitsPerByte = 10; // 8N1
// pid.codes' test id: no adapter that is sold has it.
constexpr UsbId kAdapter{.vendor = 0x1209, .product = 0x0001};

} // namespace

UartAdapter::UartAdapter(std::shared_ptr<BoardState> board) : m_board(std::move(board)) {}

Bytes UartAdapter::deviceDescriptor() const
{
    return acm::deviceDescriptor(kAdapter, 0x0100);
}

UartAdapter::Strings UartAdapter::strings() const
{
    return {.manufacturer = "Provost", .product = "Virtual UART", .serial = "1"};
}

UsbReply UartAdapter::classRequest(const UsbSetup& setup, ByteView data)
{
    const MutexLock lock(m_board->mutex);
    return m_coding.classRequest(setup, data);
}

UsbReply UartAdapter::vendorRequest(const UsbSetup&, ByteView)
{
    return UsbReply::stall();
}

Bytes UartAdapter::overTheLine(ByteView bytes) const
{
    Bytes heard = copyOf(bytes);
    if (m_coding != acm::LineCoding{}) // Serial1 has 9600 8N1
        for (std::byte& byte : heard)  // neither start bits nor levels are where they should be
            byte = (byte << 3 | byte >> 5) ^ std::byte{0xA9};
    return heard;
}

void UartAdapter::occupy(SteadyTime& freeFrom, std::size_t bytes) const
{
    const std::chrono::microseconds span(1000000LL * kBitsPerByte *
                                         static_cast<std::int64_t>(bytes) / kBaud);
    freeFrom = std::max(freeFrom, std::chrono::steady_clock::now()) + m_board->pace.work(span);
}

UsbReply UartAdapter::bulkOut(std::uint8_t endpoint, ByteView data)
{
    if (endpoint != acm::kDataOut)
        return UsbReply::stall();
    const MutexLock lock(m_board->mutex);
    if (m_sendFree > std::chrono::steady_clock::now())
        return UsbReply::nak(m_sendFree);
    occupy(m_sendFree, data.size());
    if (!m_board->consoleRuns) // nobody reads Serial1 outside of listening mode
        return {};
    const Bytes heard = overTheLine(data);
    m_board->received.insert(m_board->received.end(), heard.begin(), heard.end());
    m_board->notify();
    return {};
}

UsbReply UartAdapter::bulkIn(std::uint8_t endpoint, std::size_t most)
{
    if (endpoint == acm::kInterrupt)
        return UsbReply::nak();
    if (endpoint != acm::kDataIn)
        return UsbReply::stall();
    const MutexLock lock(m_board->mutex);
    Bytes& waiting = m_board->toHost;
    if (m_receiveFree > std::chrono::steady_clock::now())
        return UsbReply::nak(m_receiveFree);
    if (waiting.empty())
        return UsbReply::nak();
    const std::size_t count = std::min({most, waiting.size(), std::size_t{acm::kPacket}});
    Bytes data = overTheLine(ByteView(waiting).first(count));
    waiting.erase(waiting.begin(), waiting.begin() + static_cast<std::ptrdiff_t>(count));
    occupy(m_receiveFree, count);
    if (waiting.empty())
        m_board->notify();
    return UsbReply::with(std::move(data));
}

} // namespace provost::sim
