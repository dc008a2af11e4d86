// What every operation that can wait, fail half-way or be watched takes as its last argument.
#pragma once

#include "core/clock.h"
#include "core/result.h"

#include <chrono>
#include <cstdint>
#include <stop_token>
#include <string_view>

namespace provost {

/// A point in time, not a duration: passing one down never extends it.
struct Deadline {
    Clock::Steady at{};
};

class ProgressSink {
public:
    virtual ~ProgressSink() = default;
    /// `fraction` of the whole, 0 to 1. `phase` is valid during the call only.
    virtual void report(std::string_view phase, double fraction) = 0;
};

/// A slice [from, to] of somebody's progress bar; never moves backwards.
struct Progress {
    ProgressSink* sink = nullptr;
    std::string_view phase{};
    double from = 0;
    double to = 1;
    void advance(std::uint64_t done, std::uint64_t total) const;
};

struct OpContext {
    const Clock& clock;
    Progress progress{};
    std::stop_token stop{};
    Deadline deadline{};
    bool sensitive = false; ///< traces keep lengths and digests, never payloads

    /// Cancelled, Timeout or success.
    Result<> checkpoint() const;
    /// Waits `span` but not beyond the deadline (then Timeout).
    Result<> sleepFor(std::chrono::milliseconds span) const;
    /// What is left until the deadline, at least 0.
    std::chrono::milliseconds remaining() const;
    OpContext phase(std::string_view name, double from, double to) const;
    /// One of `count` equal shares.
    OpContext part(std::size_t index, std::size_t count) const;
    /// Tighter deadline, never looser.
    OpContext within(std::chrono::milliseconds span) const;
    OpContext withSecrets() const;
    /// For a part of a secret operation that carries none: its status, its addresses.
    OpContext withoutSecrets() const;
    /// Ignores stop; own deadline.
    OpContext shielded(std::chrono::milliseconds budget) const;
};

} // namespace provost
