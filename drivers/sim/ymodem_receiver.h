// The YModem receiver of the firmware, its faults included (particle-devices 7.5, protocol sheet
// 4.4).
#pragma once

#include "core/bytes.h"
#include "sim/virtual_usb.h"

#include <string>

namespace provost::sim {

/// Where a received file goes.
class ReceiveArea {
public:
    virtual ~ReceiveArea() = default;
    /// Erases for `size` bytes. False: larger than the area.
    virtual bool prepare(std::uint32_t size) = 0;
    virtual bool store(std::uint32_t offset, ByteView bytes) = 0;
    /// 0: a module that may be installed; else checks done XOR checks passed.
    virtual unsigned invalid() = 0;
};

/// Fed with bytes and time; answers with bytes. Not thread-safe.
class YModemReceiver {
public:
    enum class Outcome : std::uint8_t {
        Running,
        Done,
        Aborted, ///< by a key or by the sender
        Failed,  ///< too many errors
        TooLarge,
        NotStored,
        Invalid,
    };

    /// @param checksAtEnd  0.6.1 and later validate before they acknowledge the end
    YModemReceiver(ReceiveArea& area, bool checksAtEnd, std::chrono::milliseconds patience,
                   SteadyTime now);
    void feed(std::byte byte, SteadyTime now);
    void tick(SteadyTime now);
    SteadyTime deadline() const { return m_deadline; }
    Outcome outcome() const { return m_outcome; }
    Bytes takeAnswer() { return std::exchange(m_answer, {}); }
    const std::string& fileName() const { return m_name; }
    std::uint32_t fileSize() const { return m_size; }
    unsigned invalidBits() const { return m_invalid; }

private:
    void lead(std::byte byte);
    void packet();
    void header(ByteView data);
    void data(ByteView data);
    void endOfBatch();
    void error();
    void answer(std::uint8_t byte) { m_answer.push_back(std::byte{byte}); }
    void cancel(Outcome outcome);

    ReceiveArea& m_area;
    const bool m_checksAtEnd;
    const std::chrono::milliseconds m_patience;
    SteadyTime m_deadline;
    Outcome m_outcome = Outcome::Running;
    Bytes m_answer{};
    Bytes m_packet{};               ///< from the number byte on
    std::size_t m_expectedSize = 0; ///< of m_packet; 0: waiting for a lead byte
    bool m_cancelSeen = false;
    bool m_anyFile = false;
    std::uint32_t m_packets = 0; ///< of the present file, its header included
    int m_errors = 0;
    std::string m_name{};
    std::uint32_t m_size = 0;
    std::uint32_t m_offset = 0;
    unsigned m_invalid = 0;
};

} // namespace provost::sim
