// The connections of one unit between its restart and the one that passed.
#pragma once

#include "core/clock.h"
#include "core/mutex.h"

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <map>

namespace provost {

/// Thread-safe: connections speak from threads of their own.
class JoinAttempts {
public:
    void heard(std::uint64_t connection, Clock::Steady at)
    {
        const MutexLock lock(m_mutex);
        m_lastWord[connection] = at;
    }
    int count()
    {
        const MutexLock lock(m_mutex);
        return std::max(1, static_cast<int>(m_lastWord.size()));
    }
    /// When the latest one began to be made: at the last word of the one before it, or at the
    /// restart.
    Clock::Steady latestSince(Clock::Steady restart)
    {
        const MutexLock lock(m_mutex);
        if (m_lastWord.size() < 2)
            return restart;
        return std::max(restart, std::next(m_lastWord.rbegin())->second);
    }

private:
    Mutex m_mutex;
    std::map<std::uint64_t, Clock::Steady> m_lastWord PROVOST_GUARDED_BY(m_mutex);
};

} // namespace provost
