// A run on record that ended in HOLD: the key is proved, its registration waits.
#pragma once

#include "cloud_bench.h"
#include "core/text.h"
#include "store/journal.h"

#include <string_view>

namespace provost::test {

/// @param run    begun, without a unit
/// @param route  by which the id came from the wire
/// @returns false  the journal took something not
inline bool endsInHold(Journal& journal, RunId run, const Unit& unit,
                       std::string_view route = "listening")
{
    const std::string fingerprint = unit.key.publicKey.fingerprint();
    return journal.identify(run, unit.identity(), route) &&
           journal.journalKey(run, {.fingerprint = fingerprint,
                                    .deviceId = unit.id,
                                    .publicDer = unit.publicDer(),
                                    .origin = "generated"}) &&
           journal.setKeyState(run, fingerprint, "proved") &&
           journal.finishRun(run, Verdict::Hold, "H310", "", 1.0,
                             {{.kind = "registration",
                               .idempotencyKey = concat("registration-", run.value),
                               .deviceId = unit.id,
                               .payload = unit.key.publicKey.toPem()}});
}

} // namespace provost::test
