#include "steps/key_proof.h"

#include "core/byte_io.h"
#include "core/text.h"
#include "crypto/digest.h"
#include "steps/steps_p.h"

#include <algorithm>

namespace provost {

namespace {

constexpr std::string_view kUnreadable = "F201";
constexpr std::string_view kOtherKey = "F214";
constexpr std::string_view kOtherServerKey = "F215";
constexpr std::string_view kOtherServerAddress = "F216";
constexpr std::string_view kCloudOtherKey = "F221";
constexpr std::string_view kCloudOtherAlgorithm = "F222";
constexpr std::string_view kDamagedRecord = "C054";
constexpr std::string_view kCloudContradiction = "C081";

using ProofFindings = std::vector<ProofFinding>;

/// True where something was added.
bool add(ProofFindings& findings, std::string_view cause, std::string reason)
{
    findings.push_back({.cause = std::string(cause), .reason = std::move(reason)});
    return true;
}

/// A record that contradicts itself proves nothing about any unit.
void judgeRecord(const ExpectedKeys& expected, ProofFindings& findings)
{
    const KeyRecord& record = expected.record;
    if (sha256Hex(record.publicDer) != record.fingerprint)
        add(findings, kDamagedRecord,
            concat("the record of this key is damaged: its public key has another fingerprint "
                   "than ",
                   shortFingerprint(record.fingerprint)));
    if (record.deviceId != expected.deviceId)
        add(findings, kDamagedRecord,
            concat("the record of this key is of unit ", record.deviceId, ", not of ",
                   expected.deviceId));
    if (record.state == "superseded" || record.state == "refused")
        add(findings, kDamagedRecord,
            concat("our record calls this key ", record.state, ", it cannot be proved"));
}

void judgePrivateSlot(const UnitKeyCopy& unit, const ExpectedKeys& expected,
                      const KeyReading& reading, ProofFindings& findings)
{
    if (!reading.readable) {
        add(findings, kUnreadable,
            concat("read the device key as the unit reads it: ", reading.reason));
        return;
    }
    const std::string fingerprint = reading.fingerprint();
    if (fingerprint != expected.record.fingerprint)
        add(findings, kOtherKey,
            concat("compare the key on the unit (", shortFingerprint(fingerprint),
                   ") with our record (", shortFingerprint(expected.record.fingerprint), ")"));
    // Bytes that the unit's reader never looks at are part of the proof all the same.
    else if (!expected.privateDigest.empty() &&
             sha256Hex(unit.privateSlot) != expected.privateDigest)
        add(findings, kOtherKey,
            "read the private key slot again: it does not hold what was proved there before");
}

void judgePublicSlot(const UnitKeyCopy& unit, const ExpectedKeys& expected, ByteView publicDer,
                     ProofFindings& findings)
{
    if (!expected.hasPublicSlot)
        return;
    const bool holds = unit.publicSlot.size() >= publicDer.size() &&
                       equalBytes(unit.publicSlot.first(publicDer.size()), publicDer);
    if (!holds)
        add(findings, kOtherKey,
            "compare the public key slot with the private one: they are no pair");
    else if (!std::ranges::all_of(unit.publicSlot.subspan(publicDer.size()),
                                  [](std::byte b) { return b == std::byte{0xFF}; }))
        add(findings, kOtherKey,
            "read the public key slot: behind the key it holds something else than FF");
}

void judgeServerSlot(const UnitKeyCopy& unit, const ExpectedKeys& expected, ProofFindings& findings)
{
    const ByteView wanted(expected.serverSlot);
    if (wanted.empty())
        return;
    const std::size_t split = std::min<std::size_t>(expected.addressRecord, wanted.size());
    if (unit.serverSlot.size() != wanted.size() ||
        !equalBytes(unit.serverSlot.first(split), wanted.first(split)))
        add(findings, kOtherServerKey,
            "read the server key slot again: it does not hold the key that was written there");
    if (unit.serverSlot.size() == wanted.size() &&
        !equalBytes(unit.serverSlot.subspan(split), wanted.subspan(split)))
        add(findings, kOtherServerAddress,
            "read the server address again: it is not the one that was written");
}

} // namespace

std::vector<ProofFinding> compareUnitWithRecord(const UnitKeyCopy& unit,
                                                const ExpectedKeys& expected)
{
    ProofFindings findings;
    judgeRecord(expected, findings);
    const auto reading = readAsUnit(unit.privateSlot, expected.rules);
    judgePrivateSlot(unit, expected, reading, findings);
    if (reading.publicKey)
        judgePublicSlot(unit, expected, reading.publicKey->toDer(), findings);
    judgeServerSlot(unit, expected, findings);
    return findings;
}

std::vector<ProofFinding> compareCloudWithUnit(const RegisteredKey& cloud,
                                               std::string_view deviceId, ByteView unitPublicDer,
                                               const KeyRules& rules)
{
    ProofFindings findings;
    const std::string_view algorithm = rules.kind == KeyKind::P256 ? "ecc" : "rsa"; // 9
    const std::string fingerprint = sha256Hex(unitPublicDer);
    const std::string held = sha256Hex(cloud.publicDer);
    if (!cloud.deviceId.empty() && lowerCase(cloud.deviceId) != deviceId)
        add(findings, kCloudContradiction,
            concat("asked for the key of ", deviceId, ", the cloud answered for ", cloud.deviceId));
    if (!cloud.algorithm.empty() && cloud.algorithm != algorithm)
        add(findings, kCloudOtherAlgorithm,
            concat("the cloud keeps the key as \"", cloud.algorithm, "\", the unit's is ",
                   algorithm));
    if (!cloud.fingerprint.empty() && lowerCase(cloud.fingerprint) != held)
        add(findings, kCloudContradiction,
            concat("the cloud's key has the fingerprint ", shortFingerprint(held),
                   ", it says itself ", shortFingerprint(cloud.fingerprint)));
    if (held != fingerprint)
        add(findings, kCloudOtherKey,
            concat("compare the cloud's key (", shortFingerprint(held), ") with the unit's (",
                   shortFingerprint(fingerprint), ")"));
    return findings;
}

} // namespace provost
