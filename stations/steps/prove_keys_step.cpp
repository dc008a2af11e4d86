// Derives the public key from what is ON the unit, in a read of its own, and compares it with the
// record and with the public slot.
#include "core/text.h"
#include "steps/key_proof.h"
#include "steps/steps_p.h"

namespace provost {

namespace {

/// The key that this run kept or burnt, else the one that is on record for the unit.
Result<ExpectedKeys> keysExpectedOnUnit(StepContext& context)
{
    const auto& facts = context.facts();
    const auto& layout = context.plan().platform.dct;
    const auto record = TRY(context.journal().keyOf(facts.id.deviceId));
    if (!record || (!facts.keyFingerprint.empty() && record->fingerprint != facts.keyFingerprint))
        return Unexpected(unitError(Errc::Mismatch,
                                    concat("look up our record of the key of ", facts.id.deviceId,
                                           record ? ": it is of another key" : ": there is none"),
                                    record ? "C054" : "F214"));
    return ExpectedKeys{.rules = TRY(keyRulesOf(context.plan().platform.id, KeyTransport::Tcp)),
                        .deviceId = facts.id.deviceId,
                        .record = *record,
                        .privateDigest = facts.keySlotDigest,
                        .hasPublicSlot = layout.publicKey.size != 0,
                        .serverSlot = facts.serverSlot,
                        .addressRecord = layout.addressRecord};
}

class ProveKeysStep final : public Step {
public:
    Result<> run(StepContext& context) override
    {
        auto& facts = context.facts();
        const RsaPublicKey key = TRY(proveKeysOnUnit(context, context.op()));
        facts.publicKeyDer = key.toDer();
        const std::string fingerprint = key.fingerprint();
        TRY(context.journal().setKeyState(context.run(), fingerprint, "proved"));
        TRY(settleCustody(context, fingerprint));
        context.measure("key_fingerprint", fingerprint);
        context.note(
            concat("unit, record and public slot agree · ", shortFingerprint(fingerprint)));
        return {};
    }
};

} // namespace

Result<RsaPublicKey> proveKeysOnUnit(StepContext& context, const OpContext& outer)
{
    const auto op = outer.withSecrets();
    const auto& layout = context.plan().platform.dct;
    auto* table = TRY(context.unit().table(op));
    const auto slot = TRY(table->readSecret(layout.privateKey.offset, layout.privateKey.size, op));
    const auto readWhere = [&](bool wanted, DctField field) -> Result<Bytes> {
        return wanted ? table->read(field.offset, field.size, op) : Result<Bytes>(Bytes());
    };
    const Bytes publicSlot = TRY(readWhere(layout.publicKey.size != 0, layout.publicKey));
    const Bytes serverSlot = TRY(readWhere(!context.facts().serverSlot.empty(), layout.serverKey));
    const auto expected = TRY(keysExpectedOnUnit(context));
    TRY(refuse(compareUnitWithRecord(
        {.privateSlot = slot.reveal(), .publicSlot = publicSlot, .serverSlot = serverSlot},
        expected)));
    const auto reading = readAsUnit(slot.reveal(), expected.rules);
    TRY(proveTransport(context, *table, op));
    return RsaPublicKey(*reading.publicKey);
}

MadeStep makeProveKeysStep(const StepSpec&)
{
    return std::make_unique<ProveKeysStep>();
}

} // namespace provost
