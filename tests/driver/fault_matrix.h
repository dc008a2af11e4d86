// The fault matrix: a failure at every transfer of a complete session ends in a defined error or in
// what was wanted, before its deadline, with nothing written elsewhere, and the next session on the
// same port works.
#pragma once

#include "driver/fault_plan.h"

#include <cstdlib>
#include <functional>
#include <memory>

namespace provost::test {

inline constexpr std::chrono::seconds kMatrixSessionLimit{600};
inline constexpr std::chrono::seconds kMatrixGoodbye{2}; // what a driver may add to say goodbye

/// Set: every transfer of every matrix; else those of a stride where one would take minutes.
inline bool wholeMatrix()
{
    return std::getenv("PROVOST_WHOLE_MATRIX") != nullptr;
}

inline Bytes matrixContent(std::size_t size)
{
    Bytes bytes(size);
    for (std::size_t i = 0; i < size; ++i)
        bytes[i] = static_cast<std::byte>((i * 37 + i / 249 + 5) & 0xFF);
    return bytes;
}

/// One case: a fresh world in which one session goes wrong and the next one must not.
class FaultWorld {
public:
    virtual ~FaultWorld() = default;
    /// The complete session; what it achieved is checked in it.
    virtual Result<> session(const OpContext& op) = 0;
    /// Empty, or what was harmed beyond what the session may touch.
    virtual std::string damage() { return {}; }
    /// Plugged in again, or a fixture's last resort. True: the port needed it.
    virtual void replug() = 0;
    /// Where it has to be restarted by other means before the next session.
    virtual bool restartedByFixture() { return false; }

    OpContext op() const
    {
        return {.clock = clock,
                .stop = plan.stop.get_token(),
                .deadline = {clock.now() + kMatrixSessionLimit}};
    }
    VirtualClock clock;
    FaultPlan plan;
};

using MakeWorld = std::function<std::unique_ptr<FaultWorld>()>;

struct MatrixTally {
    int transfers = 0;
    int stride = 1;
    int cases = 0;
    int survived = 0; ///< the session came through all the same
    int restarts = 0; ///< the unit had to be restarted before the next session
    std::string failure{};
};

inline std::string judgeCase(FaultWorld& world, Harm harm, MatrixTally& tally)
{
    const auto began = world.clock.now();
    const auto result = world.session(world.op());
    if (!world.plan.struck)
        return "the transfer was never made";
    if (world.clock.now() - began > kMatrixSessionLimit + kMatrixGoodbye)
        return "it went on behind the deadline";
    // A probe's own word may be that it was asked something impossible: a command that was altered.
    if (!result && ((result.error().code == Errc::Internal && !result.error().native) ||
                    result.error().message.empty()))
        return concat("no defined error: ", describe(result.error()));
    if (harm == Harm::Cancel && (result || result.error().code != Errc::Cancelled))
        return concat("not cancelled: ", result ? "success" : describe(result.error()));
    if (!result && harm != Harm::Cancel && result.error().code == Errc::Cancelled)
        return "cancelled by nobody";
    if (const auto harmed = world.damage(); !harmed.empty())
        return harmed;
    tally.survived += result ? 1 : 0;
    if (world.plan.gone)
        world.replug();
    world.plan = {};
    auto next = world.session(world.op());
    if (!next && world.restartedByFixture()) {
        ++tally.restarts;
        next = world.session(world.op());
    }
    if (!next)
        return concat("the next session failed: ", describe(next.error()),
                      " (behind: ", result ? "success" : describe(result.error()), ")");
    return world.damage();
}

/// @param stride  every so many transfers, each harm beginning one further on; 1 where the whole
///                matrix is asked for
inline MatrixTally runMatrix(const MakeWorld& make, int stride = 1)
{
    MatrixTally tally;
    tally.stride = wholeMatrix() ? 1 : stride;
    const auto clean = make();
    if (const auto result = clean->session(clean->op()); !result) {
        tally.failure = concat("without a fault: ", describe(result.error()));
        return tally;
    }
    const auto seen = clean->plan.seen;
    tally.transfers = static_cast<int>(seen.size());
    for (std::size_t kind = 0; kind < kHarms.size(); ++kind) {
        const Harm harm = kHarms.at(kind);
        for (int at = static_cast<int>(kind) % tally.stride; at < tally.transfers;
             at += tally.stride) {
            const auto flips = seen[static_cast<std::size_t>(at)].flips();
            const std::size_t variants = harm == Harm::BitFlip ? flips.size() : 1;
            for (std::size_t variant = 0; variant < variants; ++variant) {
                const auto world = make();
                world->plan.at = at;
                world->plan.harm = harm;
                world->plan.flip = harm == Harm::BitFlip ? flips[variant] : 0;
                ++tally.cases;
                const auto wrong = judgeCase(*world, harm, tally);
                if (!wrong.empty() && tally.failure.empty())
                    tally.failure =
                        concat("transfer ", at, " of ", tally.transfers, ", ", kHarmNames.at(kind),
                               " of byte ", world->plan.flip, ", variant ", variant, ": ", wrong);
            }
        }
    }
    return tally;
}

} // namespace provost::test
