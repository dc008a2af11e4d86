#include "cli/handshake_output.h"

#include "cli/output.h"
#include "core/text.h"

namespace provost::cli {

JsonObject verdictObject(const HandshakeReport& report)
{
    JsonArray evidence;
    for (const std::string& line : report.evidence)
        evidence.add(line);
    JsonObject object{{"event", "verdict"},
                      {"verdict", report.passed ? "pass" : "fail"},
                      {"device_id", textOrNull(report.deviceId)},
                      {"stage", name(report.stage)},
                      {"cause", textOrNull(report.cause)},
                      {"advice", textOrNull(report.advice)},
                      {"ms", roundedTo(1, report.totalMs)}};
    object.add("evidence", evidence);
    return object;
}

JsonObject stepObject(const HandshakeMessage& message)
{
    return {{"event", "step"},
            {"stage", name(message.stage)},
            {"from", message.fromDevice ? "device" : "server"},
            {"what", message.what},
            {"bytes", message.bytes},
            {"ms", roundedTo(1, message.atMs)},
            {"note", textOrNull(message.note)},
            {"ok", !message.failed}};
}

void printMessage(const HandshakeMessage& message)
{
    printText(concat("  ", message.fromDevice ? "device → server  " : "server → device  ",
                     message.what, " · ", message.bytes, " bytes · +", fixed(message.atMs, 0),
                     " ms", message.note.empty() ? "" : " · ", message.note));
}

void printVerdict(const HandshakeReport& report)
{
    printText(concat(report.passed ? "PASS  " : "FAIL  ",
                     report.deviceId.empty() ? "unknown device" : report.deviceId, "  ",
                     fixed(report.totalMs, 0), " ms"));
    if (!report.passed)
        printText(concat("  at ", name(report.stage), ": ", report.cause, " · ", report.advice));
    for (const std::string& line : report.evidence)
        printText(concat(report.passed ? "  seen: " : "  because ", line));
}

} // namespace provost::cli
