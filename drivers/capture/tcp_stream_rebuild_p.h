// One direction of a TCP connection, put in order again.
#pragma once

#include "core/bytes.h"

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

namespace provost::capture {

class StreamRebuild {
public:
    /// The number of the first byte: that of a SYN plus one.
    void startsAt(std::uint32_t sequence) { m_next = sequence; }
    bool started() const { return m_next.has_value(); }
    /// Takes a segment in any order, any number of times, overlapping or not.
    /// @returns the bytes that are now in order; empty where one before them is still missing
    Bytes take(std::uint32_t sequence, ByteView payload);
    /// Bytes arrived that one missing before them keeps apart.
    bool hasGap() const { return !m_waiting.empty(); }

private:
    /// Where `sequence` lies behind the byte that is awaited; numbers wrap (RFC 9293, 3.4).
    std::int64_t ahead(std::uint32_t sequence) const
    {
        return static_cast<std::int32_t>(sequence - *m_next);
    }
    std::optional<std::uint32_t> m_next{};
    std::map<std::uint64_t, Bytes> m_waiting{}; ///< by position since the first byte
    std::uint64_t m_position = 0;
};

} // namespace provost::capture
