#include "steps/steps_p.h"

#include "core/byte_io.h"
#include "core/text.h"
#include "crypto/digest.h"
#include "device/write_repeats.h"

#include <algorithm>

namespace provost {

using namespace std::chrono_literals;

namespace {
constexpr auto kSlotBudget = 20s;
constexpr std::byte kTcp{0}; // particle-devices 3.3
} // namespace

Error unitError(Errc code, std::string message, std::string_view cause)
{
    return Error{.code = code,
                 .blame = Blame::Unit,
                 .message = std::move(message),
                 .frames = {},
                 .native = {},
                 .cause = std::string(cause)};
}

Result<> refuse(const std::vector<ProofFinding>& findings)
{
    if (findings.empty())
        return {};
    std::string reasons;
    for (const auto& finding : findings)
        reasons += (reasons.empty() ? "" : "; ") + finding.reason;
    return Unexpected(unitError(Errc::Mismatch, std::move(reasons), findings.front().cause));
}

std::string shortFingerprint(std::string_view fingerprint)
{
    if (fingerprint.size() < 6)
        return std::string(fingerprint);
    return concat(fingerprint.substr(0, 2), ":", fingerprint.substr(2, 2),
                  ":…:", fingerprint.substr(fingerprint.size() - 2));
}

Result<std::shared_ptr<const FlashImage>> imageFor(StepContext& context, std::string_view role,
                                                   std::string_view version)
{
    auto image = context.images().find(context.plan().platform.name, role, version);
    if (!image)
        return Unexpected(withCause(std::move(image).error(), "C040"));
    const std::shared_ptr<const FlashImage> found = TRY(std::move(image));
    if (found->module.demo && !context.unit().simulated())
        return Unexpected(Error{.code = Errc::Denied,
                                .blame = Blame::Operator,
                                .message = concat("write ", found->fileName,
                                                  ": it is a demo image and this unit is real"),
                                .frames = {},
                                .native = {},
                                .cause = "C041"});
    return found;
}

Result<std::optional<int>> countingCopy(StepContext& context, const DctSnapshot& dct,
                                        const OpContext& op)
{
    if (const auto marked = dct.current())
        return marked;
    if (!dct.isCurrent(0))
        return std::optional<int>{};
    if (!context.unit().hasUsb())
        return std::optional<int>{}; // a probe is no reader of the unit's
    auto table = context.unit().table(op);
    if (!table && table.error().cause == "F122")
        return std::optional<int>{}; // nothing on the unit reads either of them
    TRY(Result<DctMemory*>(table));
    const auto size = context.plan().platform.dct.applicationSize;
    const auto shown = TRY((*table)->readSecret(0, size, op.withSecrets()));
    for (const int copy : {0, 1}) {
        if (equalBytes(shown.reveal(), dct.application(copy).first(size)))
            return std::optional(copy);
    }
    return std::optional<int>{};
}

std::string describeCopies(const DctSnapshot& dct, std::optional<int> counts)
{
    if (dct.copies() == 1)
        return "one copy of the keys";
    if (!counts)
        return dct.isCurrent(0) ? "both DCT copies are marked and the unit reads neither"
                                : "no DCT copy is marked";
    const int other = 1 - *counts;
    const std::string_view beside = dct.isCurrent(other)       ? " is marked too"
                                    : dct.isHalfWritten(other) ? " half-written"
                                                               : " stale";
    return concat("DCT copy ", *counts + 1, " counts, copy ", other + 1, beside);
}

namespace {

Result<> writeAndCompare(DctMemory& table, std::uint32_t offset, ByteView bytes,
                         std::string_view effect, std::string_view cause, const OpContext& op)
{
    TRY(table.writeSecret(offset, SecretBytes(bytes), op));
    const auto readBack =
        TRY(table.readSecret(offset, static_cast<std::uint32_t>(bytes.size()), op));
    if (!equalBytes(readBack.reveal(), bytes))
        return Unexpected(unitError(Errc::Mismatch,
                                    concat(effect, ", ", bytes.size(), " bytes at DCT offset ",
                                           offset, ": the unit reads back something else"),
                                    cause));
    return {};
}

} // namespace

Result<> writeSlot(StepContext& context, DctMemory& table, std::uint32_t offset, ByteView bytes,
                   std::string_view effect, std::string_view cause, const OpContext& outer)
{
    TRY(outer.checkpoint());
    TRY(context.intend(effect, concat(offset, " ", bytes.size(), " ", sha256Hex(bytes))));
    // Cut off half-way, the stale copy still counts; but a cancelled write proves nothing.
    const auto op = outer.shielded(kSlotBudget).withSecrets();
    const auto written = repeatOnTable(context, table, op, [&] {
        return writeAndCompare(table, offset, bytes, effect, cause, op);
    });
    TRY(settleIfKnown(context, effect, written));
    return written;
}

Result<> repeatOnTable(StepContext& context, DctMemory& table, const OpContext& op,
                       const std::function<Result<>()>& write)
{
    return repeatWrite(context.facts().slotRepeats, op, [&] { return table.renew(op); }, write);
}

Result<> chooseTcp(StepContext& context, DctMemory& table, const OpContext& op)
{
    const auto& transport = context.plan().platform.dct.transport;
    if (transport.size == 0)
        return {};
    return writeSlot(context, table, transport.offset, Bytes(transport.size, kTcp),
                     kTransportEffect, "F215", op);
}

Result<> proveTransport(StepContext& context, DctMemory& table, const OpContext& op)
{
    const auto& transport = context.plan().platform.dct.transport;
    if (transport.size == 0)
        return {};
    const Bytes found = TRY(table.read(transport.offset, transport.size, op));
    if (found == Bytes(transport.size, kTcp))
        return {};
    return Unexpected(unitError(Errc::Mismatch,
                                concat("read the cloud transport at DCT offset ", transport.offset,
                                       " again: ", toHex(found), " instead of 00 (TCP)"),
                                "F215"));
}

Result<> settleIfKnown(StepContext& context, std::string_view effect, const Result<>& outcome)
{
    if (outcome)
        return context.settle(effect, Verdict::Pass);
    const auto code = outcome.error().code;
    const bool judged = outcome.error().blame == Blame::Unit &&
                        (code == Errc::Mismatch || code == Errc::Denied || code == Errc::Protected);
    return judged ? context.settle(effect, Verdict::Fail) : Result<>{};
}

Result<> changeWifiPart(StepContext& context, std::string_view what,
                        const std::function<Result<>()>& write)
{
    // What the unit's own firmware writes is not the station's to announce, but to protect.
    if (context.unit().hasUsb()) {
        context.critical(true, kWifiPartEffect);
        const auto written = write();
        context.critical(false, {});
        return written;
    }
    TRY(context.intend(kWifiPartEffect, what));
    const auto written = write();
    TRY(settleIfKnown(context, kWifiPartEffect, written));
    return written;
}

Result<> giveTestCredentials(StepContext& context, const OpContext& op)
{
    const auto& network = context.station().network;
    context.facts().credentialsGiven = true; // from here on they may be on the unit
    const WifiAccess access{.ssid = network.ssid,
                            .password = network.password,
                            .security = network.security,
                            .storedPart = network.storedPart};
    return changeWifiPart(context, "give",
                          [&] { return context.unit().giveCredentials(access, op); });
}

Result<bool> clearClaim(StepContext& context, DctMemory& table, const OpContext& op)
{
    const auto& layout = context.plan().platform.dct;
    bool found = false;
    for (const auto& field : {layout.claimCode, layout.claimed}) {
        if (field.size == 0 || allFf(TRY(table.read(field.offset, field.size, op))))
            continue;
        found = true;
        TRY(writeSlot(context, table, field.offset, Bytes(field.size, std::byte{0xFF}),
                      kClaimEffect, "F301", op));
    }
    return found;
}

Result<std::string> clearCredentials(StepContext& context, const OpContext& op)
{
    std::string route;
    TRY(changeWifiPart(context, "clear", [&]() -> Result<> {
        route = TRY(context.unit().clearCredentials(op));
        return {};
    }));
    return route;
}

Silence judgeSilence(NetworkWitness::Standing standing)
{
    switch (standing) {
    case NetworkWitness::Standing::Works:
        return {"F404", Blame::Unit, "the test network works for other units"};
    case NetworkWitness::Standing::Dead:
        return {"C072", Blame::Station, "the access point does not answer either; switch it on"};
    case NetworkWitness::Standing::NeverJoined:
        break;
    case NetworkWitness::Standing::NotProven:
        return {"C074", Blame::Station,
                "no other unit was seen there since; run another one, then this one again"};
    }
    return {"C073", Blame::Station,
            "no other unit was seen there since the station was started; check name and password "
            "of the test network, or run a unit that is known to be good"};
}

} // namespace provost
