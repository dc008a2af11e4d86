#include "core/clock.h"

#include <array>
#include <cstdio>

namespace provost {

using namespace std::chrono;

Clock::Steady SystemClock::now() const
{
    return steady_clock::now();
}

Clock::Utc SystemClock::utcNow() const
{
    return floor<milliseconds>(system_clock::now());
}

Result<> SystemClock::sleepUntil(Steady when, std::stop_token stop) const
{
    std::mutex mutex;
    std::condition_variable_any wake;
    std::unique_lock lock(mutex);
    wake.wait_until(lock, stop, when, [] { return false; });
    if (stop.stop_requested())
        return fail(Errc::Cancelled, Blame::Operator, "stopped while waiting");
    return {};
}

Clock::Steady VirtualClock::now() const
{
    const MutexLock lock(m_mutex);
    return m_now;
}

Clock::Utc VirtualClock::utcNow() const
{
    const auto since = duration_cast<milliseconds>(now().time_since_epoch());
    return Utc{} + days{20000} + since;
}

Result<> VirtualClock::sleepUntil(Steady when, std::stop_token stop) const
{
    if (stop.stop_requested())
        return fail(Errc::Cancelled, Blame::Operator, "stopped while waiting");
    const MutexLock lock(m_mutex);
    m_now = std::max(m_now, when);
    return {};
}

void VirtualClock::advance(milliseconds span)
{
    const MutexLock lock(m_mutex);
    m_now += span;
}

std::string isoUtc(Clock::Utc when)
{
    const auto day = floor<days>(when);
    const year_month_day date{day};
    const hh_mm_ss time{when - day};
    std::array<char, 40> text{};
    std::snprintf(text.data(), text.size(), "%04d-%02u-%02uT%02d:%02d:%02d.%03dZ",
                  static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                  static_cast<unsigned>(date.day()), static_cast<int>(time.hours().count()),
                  static_cast<int>(time.minutes().count()),
                  static_cast<int>(time.seconds().count()),
                  static_cast<int>(time.subseconds().count()));
    return text.data();
}

} // namespace provost
