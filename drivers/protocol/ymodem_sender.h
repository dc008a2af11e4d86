// YModem batch sender (protocol sheet 4), tolerant of the unit's own receiver (particle-devices
// 7.5): no re-send on a short time-out, no wait for 'C' behind EOT.
#pragma once

#include "transport/serial.h"

#include <string_view>

namespace provost {

enum class YModemFlavour : std::uint8_t {
    Standard, ///< waits for ACK, repeats on NAK (lrzsz and others)
    Unit,     ///< starts at once, never repeats a block, closes at most 1 s behind EOT
    Streaming ///< YModem-G: receiver asked with 'G', no ACKs between blocks
};

struct YModemOptions {
    YModemFlavour flavour = YModemFlavour::Standard;
    int blockSize = 1024; ///< 128 or 1024
};

/// `line` must outlive it.
class YModemSender {
public:
    explicit YModemSender(ByteStream& line, YModemOptions options = {});
    /// One file of a batch: header, data, EOT.
    /// @returns Denied    the receiver cancelled (CAN CAN); message says at which block
    ///          Protocol  more than 10 refusals of one block
    Result<> send(std::string_view fileName, ByteView content, const OpContext& op);
    /// The empty header that ends the batch.
    /// @returns Denied  the receiver refused what it got (a unit: validation failed)
    Result<> finish(const OpContext& op);
    int retries() const { return m_retries; }

private:
    struct Session;
    ByteStream& m_line;
    YModemOptions m_options;
    int m_retries = 0;
    bool m_started = false;
    bool m_streaming = false;
};

} // namespace provost
