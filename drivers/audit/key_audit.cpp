#include "audit/key_audit.h"

#include "core/text.h"
#include "crypto/ec_key.h"
#include "crypto/rsa_key.h"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

namespace provost {

namespace {

using Positions = std::vector<std::size_t>;

/// What makes two keys the same: modulus, or point.
struct Numbers {
    std::map<Bytes, Positions> rsa{};
    std::map<Bytes, Positions> ec{};
};

Numbers numbersIn(std::span<const AuditedKey> keys, std::vector<AuditFinding>& findings)
{
    Numbers numbers;
    for (std::size_t i = 0; i < keys.size(); ++i) {
        if (const auto rsa = RsaPublicKey::fromDer(keys[i].publicDer))
            numbers.rsa[rsa->modulus()].push_back(i);
        else if (const auto ec = EcPublicKey::fromDer(keys[i].publicDer))
            numbers.ec[Bytes(ec->point().begin(), ec->point().end())].push_back(i);
        else
            findings.push_back({.kind = AuditKind::Damaged,
                                .keys = {i},
                                .reason = concat("the record of ", keys[i].deviceId, " in ",
                                                 keys[i].source, " holds no public key")});
    }
    return numbers;
}

std::string idsOf(std::span<const AuditedKey> keys, const Positions& positions)
{
    std::set<std::string> ids;
    for (const std::size_t at : positions)
        ids.insert(keys[at].deviceId);
    std::string text;
    for (const auto& id : ids)
        text += (text.empty() ? "" : ", ") + id;
    return text;
}

void findDuplicates(std::span<const AuditedKey> keys, const std::map<Bytes, Positions>& numbers,
                    std::vector<AuditFinding>& findings)
{
    for (const auto& [number, positions] : numbers) {
        const auto& first = keys[positions.front()].deviceId;
        if (std::ranges::all_of(positions, [&](auto at) { return keys[at].deviceId == first; }))
            continue;
        findings.push_back({.kind = AuditKind::DuplicateKey,
                            .keys = positions,
                            .reason = concat("one key on several units: ", idsOf(keys, positions),
                                             "; put them on HOLD and make new keys")});
    }
}

void findSharedPrimes(std::span<const AuditedKey> keys, const std::map<Bytes, Positions>& numbers,
                      std::vector<AuditFinding>& findings)
{
    std::vector<Bytes> moduli;
    std::vector<const Positions*> owners;
    for (const auto& [number, positions] : numbers) {
        moduli.push_back(number);
        owners.push_back(&positions);
    }
    for (const auto& group : sharedPrimes(moduli)) {
        Positions all;
        for (const std::size_t at : group)
            all.insert(all.end(), owners[at]->begin(), owners[at]->end());
        std::ranges::sort(all);
        findings.push_back({.kind = AuditKind::SharedPrime,
                            .keys = all,
                            .reason = concat("keys with a common prime, whoever sees them can work "
                                             "out the private ones: ",
                                             idsOf(keys, all),
                                             "; replace them, and the generator that made them")});
    }
}

/// Sources must agree which key a unit has now.
void findDuplicateIds(std::span<const AuditedKey> keys, std::vector<AuditFinding>& findings)
{
    std::map<std::string, Positions> byId;
    for (std::size_t i = 0; i < keys.size(); ++i)
        if (keys[i].current)
            byId[lowerCase(keys[i].deviceId)].push_back(i);
    for (const auto& [id, positions] : byId) {
        const AuditedKey& first = keys[positions.front()];
        const auto same = [&](std::size_t at) {
            return keys[at].publicDer == first.publicDer && keys[at].deviceId == first.deviceId;
        };
        if (std::ranges::all_of(positions, same))
            continue;
        std::set<std::string> sources;
        for (const std::size_t at : positions)
            sources.insert(keys[at].source);
        std::string where;
        for (const auto& source : sources)
            where += (where.empty() ? "" : ", ") + source;
        findings.push_back({.kind = AuditKind::DuplicateId,
                            .keys = positions,
                            .reason = concat("unit ", id, " has different keys on record in ",
                                             where, "; read the key back from the unit")});
    }
}

} // namespace

std::string_view name(AuditKind kind)
{
    switch (kind) {
    case AuditKind::DuplicateKey:
        return "duplicate-key";
    case AuditKind::SharedPrime:
        return "shared-prime";
    case AuditKind::DuplicateId:
        return "duplicate-id";
    case AuditKind::Damaged:
        break;
    }
    return "damaged-key";
}

std::vector<AuditFinding> auditKeys(std::span<const AuditedKey> keys)
{
    std::vector<AuditFinding> findings;
    const Numbers numbers = numbersIn(keys, findings);
    findDuplicates(keys, numbers.rsa, findings);
    findDuplicates(keys, numbers.ec, findings);
    findSharedPrimes(keys, numbers.rsa, findings);
    findDuplicateIds(keys, findings);
    std::ranges::sort(findings, [](const AuditFinding& a, const AuditFinding& b) {
        return std::tie(a.kind, a.keys, a.reason) < std::tie(b.kind, b.keys, b.reason);
    });
    return findings;
}

} // namespace provost
