// Time as a dependency: production waits, tests advance.
#pragma once

#include "core/mutex.h"
#include "core/result.h"

#include <chrono>
#include <condition_variable>
#include <stop_token>

namespace provost {

/// Thread-safe.
class Clock {
public:
    using Steady = std::chrono::steady_clock::time_point;
    using Utc = std::chrono::sys_time<std::chrono::milliseconds>;
    virtual ~Clock() = default;
    virtual Steady now() const = 0;
    virtual Utc utcNow() const = 0;
    /// Returns Cancelled as soon as `stop` is requested.
    virtual Result<> sleepUntil(Steady when, std::stop_token stop) const = 0;
};

class SystemClock final : public Clock {
public:
    Steady now() const override;
    Utc utcNow() const override;
    Result<> sleepUntil(Steady when, std::stop_token stop) const override;
};

/// Advances instead of sleeping: for single-slot, in-process tests.
class VirtualClock final : public Clock {
public:
    Steady now() const override;
    Utc utcNow() const override;
    Result<> sleepUntil(Steady when, std::stop_token stop) const override;
    void advance(std::chrono::milliseconds span);

private:
    mutable Mutex m_mutex;
    mutable Steady m_now PROVOST_GUARDED_BY(m_mutex){};
};

/// `2026-11-03T14:31:07.250Z`.
std::string isoUtc(Clock::Utc when);

} // namespace provost
