// Derives the public key from what is ON the unit, in a read of its own, and compares it with the
// record and with the public slot.
#include "core/byte_io.h"
#include "core/text.h"
#include "crypto/digest.h"
#include "crypto/unit_key.h"
#include "steps/steps_p.h"

namespace provost {

namespace {

class ProveKeysStep final : public Step {
public:
    Result<> run(StepContext& context) override
    {
        const auto& layout = context.plan().platform.dct;
        const auto op = context.op().withSecrets();
        auto& facts = context.facts();
        auto* device = TRY(openDct(context, op));
        const auto slot =
            TRY(device->uploadSecret(layout.privateKey.offset, layout.privateKey.size, op));
        const auto reading = readAsUnit(slot.reveal());
        if (!reading.readable)
            return Unexpected(unitError(
                Errc::InvalidData,
                concat("read the device key as the unit reads it: ", reading.reason), "F201"));
        if (!facts.keySlotDigest.empty() && sha256Hex(slot.reveal()) != facts.keySlotDigest)
            return Unexpected(unitError(Errc::Mismatch,
                                        "read the private key slot again: it does not hold what "
                                        "was proved there before",
                                        "F214"));
        const std::string fingerprint = reading.publicKey->fingerprint();
        const auto record = TRY(context.journal().keyOf(facts.id.deviceId));
        const std::string expected = !facts.keyFingerprint.empty() ? facts.keyFingerprint
                                     : record                      ? record->fingerprint
                                                                   : std::string{};
        if (fingerprint != expected)
            return Unexpected(
                unitError(Errc::Mismatch,
                          concat("compare the key on the unit (", shortFingerprint(fingerprint),
                                 ") with our record (",
                                 expected.empty() ? "none" : shortFingerprint(expected), ")"),
                          "F214"));
        facts.publicKeyDer = reading.publicKey->toDer();
        TRY(provePublicSlot(context, *device, op));
        TRY(proveServerSlot(context, *device, op));
        TRY(context.journal().setKeyState(context.run(), fingerprint, "proved"));
        context.measure("key_fingerprint", fingerprint);
        context.note(
            concat("unit, record and public slot agree · ", shortFingerprint(fingerprint)));
        return {};
    }

private:
    static Result<> provePublicSlot(StepContext& context, DfuDevice& device, const OpContext& op)
    {
        const auto& layout = context.plan().platform.dct;
        const Bytes& wanted = context.facts().publicKeyDer;
        if (layout.publicKey.size == 0)
            return {};
        const Bytes found = TRY(device.upload(layout.publicKey.offset, layout.publicKey.size, op));
        if (equalBytes(ByteView(found).first(wanted.size()), wanted))
            return {};
        return Unexpected(unitError(
            Errc::Mismatch, "compare the public key slot with the private one: they are no pair",
            "F214"));
    }

    static Result<> proveServerSlot(StepContext& context, DfuDevice& device, const OpContext& op)
    {
        const auto& layout = context.plan().platform.dct;
        TRY(proveTransport(context, device, op));
        const Bytes& wanted = context.facts().serverSlot;
        if (wanted.empty())
            return {};
        const Bytes found = TRY(device.upload(layout.serverKey.offset, layout.serverKey.size, op));
        if (found == wanted)
            return {};
        return Unexpected(unitError(Errc::Mismatch,
                                    "read the server key slot again: it does not hold what was "
                                    "written there",
                                    "F215"));
    }
};

} // namespace

MadeStep makeProveKeysStep(const StepSpec&)
{
    return std::make_unique<ProveKeysStep>();
}

} // namespace provost
