#include "cloud/reconcile.h"

#include "core/text.h"
#include "crypto/digest.h"

#include <map>
#include <set>

namespace provost {

namespace {

Result<std::set<std::string>> waitingUnits(Journal& journal)
{
    std::set<std::string> units;
    for (const OutboxEntry& entry : TRY(journal.outbox("waiting"))) {
        if (entry.kind == "registration")
            units.insert(entry.deviceId);
    }
    return units;
}

} // namespace

Result<Reconciliation> reconcile(Journal& journal, ProvisioningClient& cloud, const OpContext& op)
{
    Reconciliation found;
    std::map<std::string, std::string> holderOf; // fingerprint in the cloud: device id
    const auto waiting = TRY(waitingUnits(journal));
    for (const UnitRow& unit : TRY(journal.units())) {
        TRY(op.checkpoint());
        if (unit.keyFingerprint.empty())
            continue;
        ++found.units;
        const auto held = TRY(cloud.registeredKey({.deviceId = unit.deviceId}, op));
        const bool holds = held && !held->publicDer.empty();
        const std::string theirs = holds ? sha256Hex(held->publicDer) : std::string{};
        const auto [other, first] = holderOf.emplace(theirs, unit.deviceId);
        if (!theirs.empty() && !first)
            found.differences.push_back(
                {unit.deviceId, concat("the cloud holds the same key for ", other->second)});
        if (theirs == unit.keyFingerprint)
            ++found.equal;
        else if (waiting.contains(unit.deviceId))
            ++found.waiting;
        else if (!held)
            found.differences.push_back(
                {unit.deviceId, "the cloud cannot say which key it holds: nothing is proved"});
        else if (theirs.empty())
            found.differences.push_back(
                {unit.deviceId, "the cloud holds no key: register the unit again"});
        else
            found.differences.push_back(
                {unit.deviceId, concat("the cloud holds ", theirs.substr(0, 12), ", proved is ",
                                       unit.keyFingerprint.substr(0, 12))});
    }
    return found;
}

} // namespace provost
