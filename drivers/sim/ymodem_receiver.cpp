#include "sim/ymodem_receiver.h"

#include "sim/octets.h"

#include <algorithm>
#include <charconv>

namespace provost::sim {

namespace {

constexpr std::uint8_t kSoh = 0x01;
constexpr std::uint8_t kStx = 0x02;
constexpr std::uint8_t kEot = 0x04;
constexpr std::uint8_t kAck = 0x06;
constexpr std::uint8_t kNak = 0x15;
constexpr std::uint8_t kCan = 0x18;
constexpr std::uint8_t kC = 0x43;
constexpr int kMostErrors = 5;
constexpr std::size_t kAroundData = 4; ///< number, complement and two bytes of CRC

} // namespace

YModemReceiver::YModemReceiver(ReceiveArea& area, bool checksAtEnd,
                               std::chrono::milliseconds patience, SteadyTime now)
    : m_area(area), m_checksAtEnd(checksAtEnd), m_patience(patience), m_deadline(now + patience)
{
}

void YModemReceiver::feed(std::byte byte, SteadyTime now)
{
    if (m_outcome != Outcome::Running)
        return;
    m_deadline = now + m_patience;
    if (m_expectedSize == 0) {
        lead(byte);
        return;
    }
    m_packet.push_back(byte);
    if (m_packet.size() == m_expectedSize) {
        m_expectedSize = 0;
        packet();
    }
}

void YModemReceiver::tick(SteadyTime now)
{
    if (m_outcome != Outcome::Running || now < m_deadline)
        return;
    m_deadline = now + m_patience;
    m_expectedSize = 0; // a short packet is forgotten
    m_cancelSeen = false;
    error();
}

void YModemReceiver::lead(std::byte byte)
{
    const bool secondCancel = std::exchange(m_cancelSeen, false);
    switch (octet(byte)) {
    case kSoh:
    case kStx:
        m_packet.clear();
        m_expectedSize = kAroundData + (octet(byte) == kSoh ? 128 : 1024);
        return;
    case kEot:
        answer(kAck); // and no 'C' behind it
        m_packets = 0;
        return;
    case kCan:
        if (secondCancel) {
            answer(kAck);
            m_outcome = Outcome::Aborted;
        }
        m_cancelSeen = !secondCancel;
        return;
    case 'a':
    case 'A':
        cancel(Outcome::Aborted);
        return;
    case ' ':
        answer(kAck);
        return;
    default:
        error();
    }
}

void YModemReceiver::packet()
{
    // The two bytes behind the data are read and never looked at.
    const std::uint8_t number = octet(m_packet[0]);
    if (static_cast<std::uint8_t>(~number) != octet(m_packet[1])) {
        error();
        return;
    }
    if (number != (m_packets & 0xFF)) {
        answer(kNak); // a repeated packet too: a lost ACK cannot be repaired
        return;
    }
    m_errors = 0;
    const ByteView content = ByteView(m_packet).subspan(2, m_packet.size() - kAroundData);
    if (m_packets != 0)
        data(content);
    else if (content[0] == std::byte{0})
        endOfBatch();
    else
        header(content);
}

void YModemReceiver::header(ByteView content)
{
    const std::string text = textOf(content);
    const std::size_t nameEnd = text.find('\0');
    const std::size_t blank = nameEnd == std::string::npos ? nameEnd : text.find(' ', nameEnd);
    std::uint32_t size = 0;
    const bool sized = blank != std::string::npos &&
                       std::from_chars(text.data() + nameEnd + 1, text.data() + blank, size).ptr ==
                           text.data() + blank;
    if (!sized) { // the size is read up to the first blank
        cancel(Outcome::Failed);
        return;
    }
    m_name = text.substr(0, nameEnd);
    m_size = size;
    m_offset = 0;
    if (!m_area.prepare(size)) {
        cancel(Outcome::TooLarge);
        return;
    }
    m_anyFile = true;
    m_packets = 1;
    answer(kAck);
    answer(kC);
}

void YModemReceiver::data(ByteView content)
{
    if (!m_area.store(m_offset, content)) {
        cancel(Outcome::NotStored);
        return;
    }
    m_offset += static_cast<std::uint32_t>(content.size());
    ++m_packets;
    answer(kAck);
}

void YModemReceiver::endOfBatch()
{
    if (!m_anyFile) {
        answer(kAck);
        m_outcome = Outcome::Failed;
        return;
    }
    m_invalid = m_checksAtEnd ? m_area.invalid() : 0;
    if (m_invalid != 0) {
        cancel(Outcome::Invalid);
        return;
    }
    answer(kAck);
    m_outcome = Outcome::Done;
}

void YModemReceiver::error()
{
    if (++m_errors > kMostErrors)
        cancel(Outcome::Failed);
    else
        answer(kC);
}

void YModemReceiver::cancel(Outcome outcome)
{
    answer(kCan);
    answer(kCan);
    m_outcome = outcome;
}

} // namespace provost::sim
