// One handshake as lines of text or JSON: what serve, dial and explain print alike.
#pragma once

#include "cli/json.h"
#include "protocol/handshake_session.h"

namespace provost::cli {

/// {"event":"verdict",…}; its members are a contract.
JsonObject verdictObject(const HandshakeReport& report);
/// {"event":"step",…}
JsonObject stepObject(const HandshakeMessage& message);
void printMessage(const HandshakeMessage& message);
void printVerdict(const HandshakeReport& report);

} // namespace provost::cli
