// What keeps a station from asking a cloud too often, or again and again where it is refused.
#pragma once

#include "core/mutex.h"
#include "core/op_context.h"
#include "core/result.h"

#include <optional>
#include <string>
#include <string_view>

namespace provost {

/// `Retry-After` of RFC 9110, 10.2.3: seconds, or a date. None where it cannot be read.
std::optional<std::chrono::seconds> parseRetryAfter(std::string_view value, Clock::Utc now);

/// Of one station and cloud, for all its threads. Thread-safe.
class RequestGate {
public:
    struct Limits {
        double perSecond = 10; ///< in the long run
        double burst = 20;
        int refusals = 3;              ///< 401 or 403 in a row, then nothing is sent
        std::chrono::seconds pause{1}; ///< behind a 429 without Retry-After
        /// A longer Retry-After is taken for a mistake of the cloud, and that is said.
        std::chrono::seconds longestPause{std::chrono::hours(24)};
    };
    explicit RequestGate(Limits limits);

    /// Waits for its turn.
    /// @returns Denied       the cloud refused this station too often: native is its last status
    ///          Unavailable  the turn comes behind op's deadline: native is 429
    ///          Cancelled
    Result<> pass(const std::string& attempt, const OpContext& op);
    /// How the cloud answered. 0: not at all.
    void answered(int status, std::optional<std::chrono::seconds> retryAfter, const Clock& clock);

private:
    std::string cutShort();
    Result<Clock::Steady> turn(const std::string& attempt, const Clock& clock);

    const Limits m_limits;
    Mutex m_mutex;
    double m_tokens PROVOST_GUARDED_BY(m_mutex);
    std::optional<Clock::Steady> m_filledAt PROVOST_GUARDED_BY(m_mutex){};
    Clock::Steady m_notBefore PROVOST_GUARDED_BY(m_mutex){};
    std::chrono::seconds m_cutShort PROVOST_GUARDED_BY(m_mutex){}; ///< asked for; 0: kept
    int m_refusals PROVOST_GUARDED_BY(m_mutex) = 0;
    int m_lastRefusal PROVOST_GUARDED_BY(m_mutex) = 0;
};

} // namespace provost
