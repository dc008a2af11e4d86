// How long a good unit may take from its restart to the end of its handshake.
#pragma once

#include "engine/plan.h"

namespace provost {

/// From the restart to an address: the plan's greatest `join_s`, or what the station knows of its
/// network where that is less. 30 s where the plan limits nothing.
std::chrono::milliseconds joinLimit(const StepSpec& step, const TestNetwork& network);

/// Once connected: to read nonce and session key, and the server's Hello (particle-devices 5.6).
std::chrono::milliseconds talkLimit(const CloudWaits& waits);

/// The sum of particle-devices 5.6: to join, to connect, to read nonce and session key, the
/// server's Hello, and the back-off behind one refused attempt before the good one.
std::chrono::milliseconds handshakeLimit(std::chrono::milliseconds join, const CloudWaits& waits);

/// A step that is cut off before that limit would call good units bad.
/// @returns InvalidData  a `live-handshake` whose timeout or limit of `seconds` is below, or whose
///                       limit of `handshake_ms` is below talkLimit() (file:line:column)
Result<> checkHandshakeTime(const TestPlan& plan, const TestNetwork& network);

} // namespace provost
