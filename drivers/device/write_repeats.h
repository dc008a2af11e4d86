// Beginning a write anew that failed: one bad transfer must not judge a unit.
#pragma once

#include "core/op_context.h"

namespace provost {

/// So often a write is begun anew before its failure counts.
constexpr int kWriteRepeats = 2;

/// True where another try can tell a bad moment from a bad unit. Not where the unit has gone, the
/// work was stopped or its time is over.
bool mayBeRepeated(const Error& error, const OpContext& op);

/// Says something of the unit, and nothing of the way to it: it refuses, or holds other bytes.
bool judges(const Error& error);

/// Calls `write` until it succeeds, at most 1 + kWriteRepeats times; before each repetition `renew`
/// starts the session over. The last failure counts: a refusal or a read-back that differs is the
/// unit's only where it comes again behind a clean start, and where none can be had, the unit was
/// not judged.
///
/// @param renew    Result<>(): brings the unit into a known state, its status read
/// @param write    Result<T>(): erases or announces what it needs, writes, and proves it
/// @param repeats  counts up
template <class Renew, class Write>
auto repeatWrite(int& repeats, const OpContext& op, Renew&& renew, Write&& write)
    -> decltype(write())
{
    auto outcome = write();
    for (int again = 0; again < kWriteRepeats && !outcome; ++again) {
        if (!mayBeRepeated(outcome.error(), op))
            return outcome;
        const Result<> renewed = renew();
        if (!renewed && !judges(outcome.error()))
            return outcome;
        if (!renewed)
            return Unexpected(inFrame(renewed.error(), describe(outcome.error())));
        ++repeats;
        outcome = write();
    }
    return outcome;
}

} // namespace provost
