// The last transfers of one slot, for the record of a run that did not pass, and for replay.
#pragma once

#include "core/bytes.h"
#include "core/clock.h"

#include <deque>
#include <optional>
#include <string>
#include <vector>

namespace provost {

/// How a transfer failed. Messages stay out: they repeat what the entry says.
struct TraceFailure {
    Errc code = Errc::Internal;
    Blame blame = Blame::Software;
    std::optional<int> native{};
    bool operator==(const TraceFailure&) const = default;
};

/// One transfer. A secret one keeps the number of its bytes and nothing else of them: of a short
/// secret, a checksum or digest is as good as the secret.
struct TraceEntry {
    std::chrono::microseconds start{}; ///< since the ring began
    std::chrono::microseconds took{};
    std::uint32_t session = 0; ///< one open device or stream, from its opening to its closing
    std::string request{};     ///< "control-in a1 03 0000 0000 6"
    bool secret = false;       ///< `out` and `in` are empty
    std::size_t sent = 0;      ///< bytes
    Bytes out{};
    std::size_t received = 0; ///< bytes
    Bytes in{};
    std::optional<TraceFailure> failure{};
    bool operator==(const TraceEntry&) const = default;
};

struct Trace {
    std::string began{};       ///< UTC
    std::uint64_t dropped = 0; ///< entries that made room for later ones
    std::vector<TraceEntry> entries{};
    bool operator==(const Trace&) const = default;
};

/// One line each:
/// `START TOOK SESSION REQUEST [> OUT] = ok [IN]` or `… = fail CODE BLAME [NATIVE]`, times in
/// microseconds, bytes in hexadecimal or as `secret:COUNT`, below a head that says what it is.
std::string toText(const Trace& trace);
/// @returns InvalidData  the message has the line
Result<Trace> parseTrace(std::string_view text);

struct TraceLimits {
    std::size_t entries = 8192;
    std::size_t bytes = std::size_t{1} << 20; ///< of what was sent and received
};

/// Keeps the newest entries within its limits. Thread-safe.
class TraceRing {
public:
    /// @param clock  outlives the ring
    explicit TraceRing(const Clock& clock, TraceLimits limits = {});

    std::uint32_t beginSession();
    std::chrono::microseconds elapsed() const;
    void add(TraceEntry entry);
    Trace snapshot() const;
    /// Empty, and its time begins anew. Sessions count on.
    void clear();

private:
    const Clock& m_clock;
    const TraceLimits m_limits;
    mutable Mutex m_mutex;
    Clock::Steady m_start PROVOST_GUARDED_BY(m_mutex);
    std::string m_began PROVOST_GUARDED_BY(m_mutex);
    std::deque<TraceEntry> m_entries PROVOST_GUARDED_BY(m_mutex){};
    std::size_t m_bytes PROVOST_GUARDED_BY(m_mutex) = 0;
    std::uint64_t m_dropped PROVOST_GUARDED_BY(m_mutex) = 0;
    std::uint32_t m_sessions PROVOST_GUARDED_BY(m_mutex) = 0;
};

} // namespace provost
