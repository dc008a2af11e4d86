// YModem batch receiver (protocol sheet 4.3): CRC-16, blocks of 128 and 1024, YModem-G.
#pragma once

#include "transport/serial.h"

#include <array>
#include <functional>
#include <optional>
#include <string>

namespace provost {

struct YModemFile {
    std::string name{}; ///< without folders; never empty, "." or ".."
    Bytes content{};    ///< cut to the announced size; with its padding where none was announced
    std::optional<std::uint64_t> announced{}; ///< bytes
};

struct YModemReceiveOptions {
    bool streaming = false; ///< asks with 'G': no ACKs between blocks, no repair either
    bool refusesEot = true; ///< NAKs the first EOT: a damaged lead byte may look like one
    int retryBudget = 200;  ///< requests to repeat in the whole batch; ten in a row end it
    std::uint64_t mostBytes = 64ULL << 20; ///< of one file, announced or sent
    int mostAsks = 20;                     ///< for a header that does not come, one every 3 s
    std::chrono::milliseconds replyLimit{10'000};
    std::chrono::milliseconds silence{100}; ///< a damaged frame is over behind it
    /// Asked behind each header, before any data; an error cancels the batch.
    std::function<Result<>(const YModemFile&)> accepts{};
};

/// `line` must outlive it. Used by one thread.
class YModemReceiver {
public:
    explicit YModemReceiver(ByteStream& line, YModemReceiveOptions options = {});
    /// The next file of the batch; nothing behind the last one. Any failure but a departure leaves
    /// the sender cancelled.
    /// @returns Timeout      the sender is silent
    ///          Denied       the sender cancelled, or the file is larger than options.mostBytes
    ///          Protocol     more than 10 damaged frames in a row, the budget is spent, a block
    ///                       out of order, or any damage where nothing can be repaired (-G)
    ///          InvalidData  the name cannot be used, or the size announced is not what came
    ///          or what options.accepts said
    Result<std::optional<YModemFile>> receive(const OpContext& op);
    /// Tells a sender whose file is not wanted after all.
    Result<> cancel(const OpContext& op);
    int retries() const { return m_retries; }

private:
    struct Session;
    ByteStream& m_line;
    YModemReceiveOptions m_options;
    int m_retries = 0;
    bool m_inBatch = false;
    std::array<std::byte, 2048> m_buffer{};
    std::size_t m_at = 0;
    std::size_t m_end = 0;
};

} // namespace provost
