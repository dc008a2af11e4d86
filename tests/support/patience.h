// How tests wait: for events, behind limits that a hang reaches and a busy machine does not.
#pragma once

#include "core/op_context.h"

#include <QTest>

#include <atomic>
#include <chrono>
#include <memory>
#include <thread>

// Five seconds is what Qt gives an event; two busy cores may take longer.
#undef QTRY_VERIFY
#undef QTRY_COMPARE
#define QTRY_VERIFY(expression)                                                                    \
    QTRY_VERIFY_WITH_TIMEOUT((expression), static_cast<int>(provost::test::kHangGuard.count()))
#define QTRY_COMPARE(actual, expected)                                                             \
    QTRY_COMPARE_WITH_TIMEOUT((actual), (expected),                                                \
                              static_cast<int>(provost::test::kHangGuard.count()))

namespace provost::test {

/// What is sure to come has come by then, whatever else the machine does.
constexpr std::chrono::milliseconds kHangGuard = std::chrono::minutes(1);

/// Whether `attempt`, repeated, takes less than `limit` once. Others' load delays some attempts;
/// only code that waits longer than it promises delays all of them.
/// @param attempt  returns how long it took
template <class Attempt>
bool onceWithin(std::chrono::milliseconds limit, Attempt attempt)
{
    const auto end = std::chrono::steady_clock::now() + kHangGuard;
    do {
        if (attempt() < limit)
            return true;
    } while (std::chrono::steady_clock::now() < end);
    return false;
}

/// How long `action` takes.
template <class Action>
std::chrono::milliseconds timed(Action action)
{
    const auto since = std::chrono::steady_clock::now();
    action();
    return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() -
                                                                 since);
}

/// The system's time, and word of when an operation first asks for it: then it has begun.
class WatchedClock final : public Clock {
public:
    Steady now() const override
    {
        begin();
        return m_system.now();
    }
    Utc utcNow() const override { return m_system.utcNow(); }
    Result<> sleepUntil(Steady when, std::stop_token stop) const override
    {
        begin();
        return m_system.sleepUntil(when, std::move(stop));
    }
    /// An operation that has until `guard`; making it is not its beginning.
    OpContext op(std::stop_token stop = {}) const
    {
        return {.clock = *this, .stop = std::move(stop), .deadline = {m_system.now() + kHangGuard}};
    }
    void begin() const
    {
        m_begun = true;
        m_begun.notify_all();
    }
    void awaitBeginning() const { m_begun.wait(false); }

private:
    SystemClock m_system{};
    mutable std::atomic<bool> m_begun = false;
};

/// Runs `wait`, which takes the operation, and has `during` happen once it has begun.
/// @returns how long `wait` took from then on
template <class Wait, class During>
std::chrono::milliseconds interrupted(Wait wait, During during, std::stop_token stop = {})
{
    const WatchedClock clock;
    const OpContext op = clock.op(std::move(stop));
    std::chrono::steady_clock::time_point since{};
    std::jthread meanwhile([&] {
        clock.awaitBeginning();
        // That it sleeps by now no event tells. Where it does not yet, less is proved, and nothing
        // fails.
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        since = std::chrono::steady_clock::now();
        during();
    });
    wait(op);
    const auto until = std::chrono::steady_clock::now();
    clock.begin();
    meanwhile.join();
    return std::chrono::duration_cast<std::chrono::milliseconds>(until - since);
}

/// The same with a request to stop.
template <class Wait>
std::chrono::milliseconds stopped(Wait wait)
{
    // On the heap: in this place GCC 12 takes a local one for uninitialised.
    const auto stop = std::make_unique<std::stop_source>();
    return interrupted(std::move(wait), [&stop] { stop->request_stop(); }, stop->get_token());
}

} // namespace provost::test
