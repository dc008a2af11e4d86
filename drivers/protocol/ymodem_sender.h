// YModem batch sender (protocol sheet 4), tolerant of the unit's own receiver (particle-devices
// 7.5): no re-send on a short time-out, no wait for 'C' behind EOT.
#pragma once

#include "transport/serial.h"

#include <string_view>

namespace provost {

enum class YModemFlavour : std::uint8_t {
    Standard, ///< waits for a request; repeats on NAK and silence; streams where asked with 'G'
    Unit,     ///< starts at once, never repeats a block, closes at most 1 s behind EOT
};

struct YModemOptions {
    YModemFlavour flavour = YModemFlavour::Standard;
    int blockSize = 1024; ///< 128 or 1024
    /// Repeats of frames in the whole batch; ten of one frame in a row end it in any case.
    int retryBudget = 200;
    std::chrono::milliseconds startLimit{60'000};
    std::chrono::milliseconds replyLimit{10'000};
    /// For the ACK of a header, and of every frame to a unit: receivers erase their flash there
    /// (particle-devices 7.5).
    std::chrono::milliseconds erasePause{70'000};
};

/// `line` must outlive it. Used by one thread.
class YModemSender {
public:
    explicit YModemSender(ByteStream& line, YModemOptions options = {});
    /// Waits for the receiver's request; send() does it where nobody did before.
    /// @returns Timeout  nobody asks within options.startLimit; Denied  the receiver cancels
    Result<> start(const OpContext& op);
    /// One file of a batch: header, data, EOT. Any failure but a departure leaves the receiver
    /// cancelled.
    /// @returns Denied           the receiver cancelled (CAN CAN); message says at which block
    ///          Protocol         more than 10 refusals of one frame, or the budget is spent
    ///          InvalidArgument  the name does not fit into a header
    Result<> send(std::string_view fileName, ByteView content, const OpContext& op);
    /// The empty header that ends the batch.
    /// @returns Denied  the receiver refused what it got (a unit: validation failed)
    Result<> finish(const OpContext& op);
    int retries() const { return m_retries; }
    /// The receiver asked for YModem-G: nothing is acknowledged between blocks.
    bool streams() const { return m_streaming; }

private:
    struct Session;
    ByteStream& m_line;
    YModemOptions m_options;
    int m_retries = 0;
    bool m_started = false;
    bool m_midBatch = false;
    bool m_streaming = false;
};

} // namespace provost
