// How fast a virtual bench lives.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace provost::sim {

/// Instant: nothing waits. Timed: as long as the real thing. Demo: timed, divided by a factor.
enum class Speed : std::uint8_t { Instant, Demo, Timed };

struct Pace {
    Speed speed = Speed::Instant;
    double factor = 10; ///< Demo: this many times faster
    /// What a control transfer costs besides its bytes, and how fast those go (bench file).
    std::chrono::microseconds usbTransfer{300};
    std::int64_t usbKilobytes = 1000; ///< a second

    std::chrono::microseconds usbTime(bool control, std::size_t bytes) const
    {
        return work(
            (control ? usbTransfer : std::chrono::microseconds(0)) +
            std::chrono::microseconds(static_cast<std::int64_t>(bytes) * 1000 / usbKilobytes));
    }

    /// How long work takes here that takes `real` on a board.
    std::chrono::microseconds work(std::chrono::microseconds real) const
    {
        if (speed == Speed::Instant)
            return std::chrono::microseconds(0);
        return speed == Speed::Timed ? real : divided(real, factor);
    }

    /// How long a board waits here for its peer where it waits `real`. A peer needs some time at
    /// any speed, so this never falls below `least`.
    std::chrono::milliseconds patience(std::chrono::milliseconds real,
                                       std::chrono::milliseconds least) const
    {
        if (speed == Speed::Timed)
            return real;
        const auto scaled = std::chrono::duration_cast<std::chrono::milliseconds>(
            divided(real, speed == Speed::Instant ? 10.0 : factor));
        return std::min(real, std::max(least, scaled));
    }

private:
    static std::chrono::microseconds divided(std::chrono::microseconds real, double by)
    {
        return std::chrono::microseconds(
            static_cast<std::int64_t>(static_cast<double>(real.count()) / by));
    }
};

} // namespace provost::sim
