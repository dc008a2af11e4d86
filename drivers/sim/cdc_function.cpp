#include "sim/cdc_function.h"

#include "sim/acm_descriptors.h"
#include "sim/octets.h"

#include <algorithm>

namespace provost::sim {

namespace {

constexpr unsigned kCdc050 = 13;
constexpr unsigned kCdc060 = 102;
constexpr unsigned kCdc070 = 200;
constexpr std::string_view kSameOnAll = "00000000050B";
constexpr std::uint32_t kDfuBaud = 14400;
constexpr std::uint32_t kListeningBaud = 28800;

/// 1.2
std::string cdcSerial(const BoardProfile& board, unsigned version, ByteView id)
{
    const bool f2 = board.dfu.code == BootloaderCode::F2;
    if (f2 && version >= kCdc070)
        return hexText(id);
    if (f2 && version < kCdc060)
        return std::string(kSameOnAll);
    return f2 || version >= kCdc070 ? upperHex(id) : shortSerial(id);
}

} // namespace

CdcFunction::CdcFunction(std::shared_ptr<BoardState> board)
    : m_board(std::move(board)), m_version(m_board->systemVersion),
      m_serial(m_board->faults.constantSerial
                   ? std::string(kSameOnAll)
                   : cdcSerial(m_board->profile, m_version, m_board->deviceId)),
      m_channel(*m_board)
{
}

Bytes CdcFunction::deviceDescriptor() const
{
    const CdcProfile& cdc = m_board->profile.cdc;
    return acm::deviceDescriptor(cdc.id,
                                 m_version >= kCdc060 && cdc.controlRequests ? 0x0250 : 0x0200);
}

CdcFunction::Strings CdcFunction::strings() const
{
    const BoardProfile& profile = m_board->profile;
    const auto product = m_version >= kCdc060 ? profile.cdc.product : profile.cdc.productBefore060;
    return {.manufacturer = std::string(profile.manufacturer),
            .product = std::string(product),
            .serial = m_serial};
}

UsbReply CdcFunction::classRequest(const UsbSetup& setup, ByteView data)
{
    const MutexLock lock(m_board->mutex);
    UsbReply reply = m_coding.classRequest(setup, data);
    if (setup.request == acm::kSetLineCoding && reply.kind == UsbReply::Kind::Data)
        lineCoding(m_coding.baud());
    return reply;
}

void CdcFunction::lineCoding(std::uint32_t baud)
{
    if (!m_board->application().baudCommands)
        return;
    if (baud == kDfuBaud) {
        m_board->askRestart(BootTarget::Dfu);
        return;
    }
    if (baud != kListeningBaud || m_board->listening)
        return;
    const bool oldReceiver = m_version < kCdc050 && m_board->profile.received.size != 0;
    (oldReceiver ? m_board->startReceiver : m_board->listening) = true;
    m_board->notify();
}

UsbReply CdcFunction::vendorRequest(const UsbSetup& setup, ByteView data)
{
    const MutexLock lock(m_board->mutex);
    return m_channel.request(setup, data);
}

UsbReply CdcFunction::bulkOut(std::uint8_t endpoint, ByteView data)
{
    if (endpoint != acm::kDataOut)
        return UsbReply::stall();
    const MutexLock lock(m_board->mutex);
    // The stock application does not read its serial port.
    if (!m_board->consoleRuns && !m_board->listening && !m_board->startReceiver)
        return {};
    m_board->received.insert(m_board->received.end(), data.begin(), data.end());
    m_board->notify();
    return {};
}

UsbReply CdcFunction::bulkIn(std::uint8_t endpoint, std::size_t most)
{
    if (endpoint == acm::kInterrupt)
        return UsbReply::nak();
    if (endpoint != acm::kDataIn)
        return UsbReply::stall();
    const MutexLock lock(m_board->mutex);
    Bytes& waiting = m_board->toHost;
    if (waiting.empty())
        return UsbReply::nak();
    const auto count = static_cast<std::ptrdiff_t>(std::min(most, waiting.size()));
    Bytes data(waiting.begin(), waiting.begin() + count);
    waiting.erase(waiting.begin(), waiting.begin() + count);
    if (waiting.empty())
        m_board->notify();
    return UsbReply::with(std::move(data));
}

} // namespace provost::sim
