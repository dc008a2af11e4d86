#include "support/proven_unit.h"

#include "core/text.h"
#include "device/dct.h"

#include <algorithm>

namespace provost::test {

namespace {

// The order is that of particle-devices 13.
std::vector<std::string> stepsOf(const TestPlan& plan)
{
    const std::string& platform = plan.platform.name;
    if (plan.carrier == Carrier::Swd)
        return {"identify",       "inspect",          "clear-credentials", "backup-dct",
                "flash-image",    "flash-image",      "update-bootloader", "flash-image",
                "device-key",     "server-key",       "prove-keys",        "register",
                "serial-tester",  "give-credentials", "live-handshake",    "shipping-state",
                "leave-unit-safe"};
    if (platform == "electron")
        return {"identify",    "inspect",        "backup-dct",     "flash-image",
                "flash-image", "flash-image",    "restart",        "update-bootloader",
                "flash-image", "device-key",     "server-key",     "prove-keys",
                "register",    "live-handshake", "shipping-state", "leave-unit-safe"};
    if (platform == "core")
        return {"identify",       "inspect",        "clear-credentials", "backup-dct",
                "flash-image",    "restart",        "device-key",        "server-key",
                "prove-keys",     "register",       "give-credentials",  "live-handshake",
                "shipping-state", "leave-unit-safe"};
    return {"identify",       "inspect",          "clear-credentials", "backup-dct",
            "flash-image",    "flash-image",      "restart",           "update-bootloader",
            "flash-image",    "device-key",       "server-key",        "prove-keys",
            "register",       "give-credentials", "live-handshake",    "shipping-state",
            "leave-unit-safe"};
}

/// Every memory that holds keys, as the chips hold it.
std::vector<Bytes> keyMemories(const sim::VirtualBoard& board)
{
    if (board.profile().dct == sim::DctFormat::None)
        return {board.readExternal(0, 0x3000)}; // particle-devices 2.3
    return {board.physicalDct(0), board.physicalDct(1)};
}

/// Shipping state as seen by the bench itself, not through the station's eyes.
std::string wrongInMemory(Station& station, const Bytes& formerPrivateSlot)
{
    const auto& board = station.board();
    const auto password = station.settings().network.password.reveal();
    const auto testKey = station.cloud().service().serverKey().modulus();
    int copy = -1;
    for (const Bytes& dct : keyMemories(board)) {
        ++copy;
        if (contains(dct, password))
            return concat("DCT copy ", copy + 1, " holds the test password");
        if (contains(dct, testKey))
            return concat("DCT copy ", copy + 1, " holds the test server key");
        // Behind the head of the DER: the modulus of the key that was there before.
        const bool kept = board.readFlash(inCurrentDct(board, 34), 612) == formerPrivateSlot;
        const bool hadKey = !allFf(formerPrivateSlot) && !kept;
        if (hadKey && contains(dct, ByteView(formerPrivateSlot).subspan(12, 100)))
            return concat("DCT copy ", copy + 1, " holds the superseded key");
    }
    return board.hasCredentials() ? "credentials are stored" : "";
}

std::string wrongInRun(Station& station, const RunRecord& record, const std::string& route)
{
    std::vector<std::string> steps;
    for (const auto& attempt : record.attempts)
        steps.push_back(attempt.step);
    if (record.verdict != Verdict::Pass)
        return concat("the record says ", name(record.verdict));
    if (!route.empty() && record.route != route)
        return concat("the id was read by ", record.route);
    if (!record.start.simulated)
        return "the record does not say that it was simulated";
    if (record.start.planDigest.size() != 64)
        return "the record has no plan digest";
    if (steps != stepsOf(station.plan()))
        return "other steps were run: " + joined(steps);
    if (record.handshake.empty() || std::ranges::any_of(record.handshake, &HandshakeArrow::failed))
        return "the handshake was not recorded";
    return record.images.size() == station.plan().shipping->modules.size()
               ? ""
               : "not every image was recorded";
}

std::string wrongInDatabase(Station& station, const std::string& deviceId)
{
    const auto unit = station.journal().unit(deviceId);
    const auto key = station.journal().keyOf(deviceId);
    const auto registered = station.cloud().service().registry().find(deviceId);
    if (!unit || unit->state != "pass")
        return "the unit's row does not say pass";
    if (!key || !*key || (*key)->state != "registered")
        return "the unit's key is not recorded as registered";
    if (!registered || !*registered || (*registered)->fingerprint() != (*key)->fingerprint)
        return "the cloud has another key";
    if (!station.query("SELECT effect FROM unsettled_intent").empty())
        return "an intent was left open";
    const auto problem = verifyDatabase(station.database());
    if (!problem)
        return describe(problem.error());
    return *problem ? (*problem)->reason : "";
}

} // namespace

std::uint32_t inCurrentDct(const sim::VirtualBoard& board, std::uint32_t offset)
{
    const std::uint32_t application =
        board.profile().dct == sim::DctFormat::Dcd ? 8U : 0x1D7CU; // particle-devices 3.1, 3.2
    return 0x08004000U + 0x4000U * static_cast<std::uint32_t>(board.currentDct()) + application +
           offset;
}

Bytes privateSlot(const sim::VirtualBoard& board)
{
    if (board.profile().dct == sim::DctFormat::None)
        return board.readExternal(0x2000, 612);
    return board.readFlash(inCurrentDct(board, 34), 612);
}

std::string joined(const std::vector<std::string>& lines)
{
    std::string all;
    for (const auto& line : lines)
        all += line + "; ";
    return all;
}

StationSetup one(UnitWish unit, bool modeButton)
{
    return {.bench = {.supplies = {{std::move(unit)}}, .modeButton = modeButton}};
}

std::string runAndProve(Station& station, const std::string& route)
{
    const auto& board = station.board();
    const Bytes former = privateSlot(board);
    const auto run = station.run();
    if (run.verdict != Verdict::Pass)
        return told(run);
    const auto after = station.after();
    if (!after.escapes.empty())
        return "it dialled " + joined(after.escapes);
    if (!after.violations.empty())
        return "DFU was violated: " + joined(after.violations);
    if (auto wrong = wrongInMemory(station, former); !wrong.empty())
        return wrong;
    if (auto wrong = wrongInRun(station, station.record(run.run), route); !wrong.empty())
        return wrong;
    return wrongInDatabase(station, board.deviceId());
}

} // namespace provost::test
