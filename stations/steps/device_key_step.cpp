// Keeps the unit's own key where it is readable and ours, else burns a new one (guide 12).
#include "core/byte_io.h"
#include "core/text.h"
#include "crypto/digest.h"
#include "crypto/key_rules.h"
#include "steps/steps_p.h"

#include <algorithm>

namespace provost {

using namespace std::chrono_literals;

namespace {

constexpr auto kBurnBudget = 30s;
constexpr std::string_view kMadeOnly = "journalled"; ///< state of a key before it is burnt

/// What the plan says of a unit that has a readable key already.
enum class Keyed : std::uint8_t {
    Replace, ///< one that is not ours by record makes room for a new one
    Keep,    ///< any but that of another unit stays and is registered
    Refuse,  ///< nothing is written, unless the key is of the batch that is under way
};

class DeviceKeyStep final : public Step {
public:
    DeviceKeyStep(std::shared_ptr<KeyPool> pool, Keyed keyed)
        : m_pool(std::move(pool)), m_keyed(keyed)
    {
    }

    Result<> run(StepContext& context) override
    {
        const MeasuredRepeats repeats(context);
        const auto op = context.op().withSecrets();
        auto* table = TRY(context.unit().table(op));
        TRY(giveKey(context, *table, op));
        // Where there is a choice of transports, this key is one only over TCP; a product's plan
        // sets it with the server key.
        return context.plan().kind == PlanKind::KeyInjection ? chooseTcp(context, *table, op)
                                                             : Result<>();
    }

private:
    enum class Standing : std::uint8_t { Ours, NeverBurnt, Unknown, OnAnotherUnit, Unreadable };

    Result<> giveKey(StepContext& context, DctMemory& table, const OpContext& op)
    {
        const auto& layout = context.plan().platform.dct;
        const auto slot =
            TRY(table.readSecret(layout.privateKey.offset, layout.privateKey.size, op));
        const auto rules = TRY(keyRulesOf(context.plan().platform.id, KeyTransport::Tcp));
        const auto reading = readAsUnit(slot.reveal(), rules);
        const auto standing =
            reading.readable ? TRY(standingOf(context, *reading.publicKey)) : Standing::Unreadable;
        if (standing != Standing::Unreadable && m_keyed == Keyed::Refuse &&
            !TRY(isOfThisBatch(context, reading.publicKey->fingerprint())))
            return refuseKeyed(*reading.publicKey);
        if (m_keyed == Keyed::Keep &&
            (standing == Standing::Unknown || standing == Standing::NeverBurnt)) {
            if (standing == Standing::Unknown) // else a run that kept it was cut off behind this
                TRY(journalAsKept(context, *reading.publicKey));
            return keepForeign(context, table, *reading.publicKey, slot.reveal());
        }
        if (standing == Standing::Ours) {
            context.facts().keyFingerprint = reading.publicKey->fingerprint();
            context.facts().keySlotDigest = sha256Hex(slot.reveal());
            TRY(recordAsBurnt(context, reading.publicKey->fingerprint()));
            context.note(concat("kept · ", shortFingerprint(reading.publicKey->fingerprint()),
                                " is readable and ours by record"));
            return completePublicSlot(context, table, *reading.publicKey);
        }
        if (standing == Standing::OnAnotherUnit)
            return burn(context, table, rules, "the key of another unit of ours");
        if (standing == Standing::NeverBurnt)
            return burn(context, table, rules, "made by us, and its burn was never announced");
        return burn(context, table, rules,
                    reading.readable ? "not ours by record" : reading.reason);
    }

    static Result<Standing> standingOf(StepContext& context, const RsaPublicKey& key)
    {
        const auto& deviceId = context.facts().id.deviceId;
        const std::string fingerprint = key.fingerprint();
        // By its number: the same one in another encoding is the same key.
        const auto holders = TRY(context.journal().unitsWithSameNumber(key.toDer()));
        const bool onAnother = std::ranges::any_of(
            holders, [&](const std::string& holder) { return holder != deviceId; });
        if (onAnother)
            return Standing::OnAnotherUnit;
        const auto onRecord = TRY(context.journal().keysOf(deviceId));
        const auto record = std::ranges::find(onRecord, fingerprint, &KeyRecord::fingerprint);
        if (record == onRecord.end() || record->state == "superseded" || record->state == "refused")
            return Standing::Unknown;
        if (record->state != kMadeOnly)
            return Standing::Ours;
        // Its burn was announced for this unit, and this unit's own reader has just shown this very
        // key, both halves of it: it was burnt, whether or not anybody saw the end.
        const auto burn = TRY(context.journal().outcomeOf(deviceId, kKeyEffect, fingerprint));
        return burn == IntentOutcome::NotAnnounced ? Standing::NeverBurnt : Standing::Ours;
    }

    static Result<> recordAsBurnt(StepContext& context, const std::string& fingerprint)
    {
        const auto record = TRY(context.journal().keyOf(context.facts().id.deviceId));
        if (!record || record->fingerprint != fingerprint || record->state != kMadeOnly)
            return {};
        return context.journal().setKeyState(context.run(), fingerprint, "burnt");
    }

    /// A run of the same batch made it or took it over, and was cut off before its end: what is
    /// left to do is done now.
    static Result<bool> isOfThisBatch(StepContext& context, const std::string& fingerprint)
    {
        const auto batch = context.station().keyBatch;
        const auto onRecord = TRY(context.journal().keysOf(context.facts().id.deviceId));
        const auto known = std::ranges::find(onRecord, fingerprint, &KeyRecord::fingerprint);
        if (!batch || known == onRecord.end() || known->state == "refused")
            return false;
        const auto run = TRY(context.journal().run(known->run));
        return run.start.keyBatch == batch;
    }

    static Unexpected refuseKeyed(const RsaPublicKey& key)
    {
        return Unexpected(
            Error{.code = Errc::Denied,
                  .blame = Blame::Operator,
                  .message = concat("give the unit a key: it holds ", key.fingerprint(),
                                    " already, and this plan refuses such units"),
                  .frames = {},
                  .native = {},
                  .cause = "C056"});
    }

    static Result<> journalAsKept(StepContext& context, const RsaPublicKey& key)
    {
        return context.journal().journalKey(context.run(), {.fingerprint = key.fingerprint(),
                                                            .deviceId = context.facts().id.deviceId,
                                                            .publicDer = key.toDer(),
                                                            .state = "journalled",
                                                            .origin = "kept",
                                                            .run = context.run()});
    }

    static Result<> keepForeign(StepContext& context, DctMemory& table, const RsaPublicKey& key,
                                ByteView slot)
    {
        // It was read from the unit: there is no burn of ours to wait for.
        TRY(context.journal().setKeyState(context.run(), key.fingerprint(), "burnt"));
        context.facts().keyFingerprint = key.fingerprint();
        context.facts().keySlotDigest = sha256Hex(slot);
        context.note(concat("kept · ", shortFingerprint(key.fingerprint()),
                            " is readable and was the unit's own before"));
        return completePublicSlot(context, table, key);
    }

    /// The public slot may lag behind the private one (3.6); a kept key is completed, not changed.
    static Result<> completePublicSlot(StepContext& context, DctMemory& table,
                                       const RsaPublicKey& key)
    {
        const auto& layout = context.plan().platform.dct;
        if (layout.publicKey.size == 0)
            return {};
        Bytes wanted = key.toDer();
        wanted.resize(layout.publicKey.size, std::byte{0xFF});
        const Bytes present =
            TRY(table.read(layout.publicKey.offset, layout.publicKey.size, context.op()));
        if (present == wanted)
            return {};
        return writeSlot(context, table, layout.publicKey.offset, wanted, kPublicKeyEffect, "F214",
                         context.op());
    }

    /// The gate in front of every burn: the bytes as they will lie in the slot, read and tried with
    /// the unit's own reader.
    static Result<> tryFirst(const SecretBytes& slots, const std::string& fingerprint,
                             const KeyRules& rules)
    {
        const auto reading = readAsUnit(slots.reveal(), rules);
        if (reading.readable && reading.fingerprint() == fingerprint)
            return {};
        return fail(Errc::Internal, Blame::Station,
                    concat("try a new key before it is burnt: the unit could not use it: ",
                           reading.readable ? "it is another one" : reading.reason));
    }

    Result<> burn(StepContext& context, DctMemory& table, const KeyRules& rules,
                  const std::string& why)
    {
        const auto& layout = context.plan().platform.dct;
        auto key = TRY(m_pool ? m_pool->take(rules) : generateKeyFor(rules));
        const std::string fingerprint = key.fingerprint;
        const auto slots = TRY(buildKeySlots(layout, key.privateDer, key.publicDer));
        TRY(tryFirst(slots, fingerprint, rules));
        auto journalled =
            context.journal().journalKey(context.run(), {.fingerprint = fingerprint,
                                                         .deviceId = context.facts().id.deviceId,
                                                         .publicDer = key.publicDer,
                                                         .state = "journalled",
                                                         .origin = "generated",
                                                         .run = context.run()});
        if (!journalled && journalled.error().code == Errc::Mismatch)
            return Unexpected(madeTwice(std::move(journalled).error()));
        TRY(std::move(journalled));
        TRY(beginCustody(context, std::move(key)));

        TRY(context.op().checkpoint());
        TRY(context.intend(kKeyEffect, fingerprint));
        // Between intent and settlement a unit can time out but not be cancelled: half-done, the
        // stale DCT copy still counts and the next run finds the intent and inspects the unit.
        const auto op = context.op().shielded(kBurnBudget).withSecrets();
        const auto burnt = repeatOnTable(context, table, op, [&] {
            return burnAndRead(table, layout.privateKey.offset, slots, op);
        });
        TRY(settleIfKnown(context, kKeyEffect, burnt));
        TRY(Result<>(burnt));
        context.facts().keyFingerprint = fingerprint;
        context.facts().keySlotDigest = sha256Hex(slots.reveal().first(layout.privateKey.size));
        TRY(context.journal().setKeyState(context.run(), fingerprint, "burnt"));
        TRY(context.journal().recordCustody(context.run(), fingerprint, CustodyEvent::Burn,
                                            concat(slots.size(), " bytes at DCT offset ",
                                                   layout.privateKey.offset, ", read back equal")));
        context.note(concat("new key ", shortFingerprint(fingerprint),
                            " burnt · before: ", std::string_view(why).substr(0, why.find(';'))));
        return {};
    }

    /// Nothing of this is the unit's fault, and nothing was burnt: the computer's random numbers
    /// repeat, as those of a copied disk image or a restored snapshot may.
    static struct Error madeTwice(struct Error error)
    {
        error.blame = Blame::Station;
        return withCause(std::move(error), "C052");
    }

    static Result<> burnAndRead(DctMemory& table, std::uint32_t offset, const SecretBytes& slots,
                                const OpContext& op)
    {
        TRY(table.writeSecret(offset, slots, op));
        const auto readBack =
            TRY(table.readSecret(offset, static_cast<std::uint32_t>(slots.size()), op));
        if (!equalBytes(readBack.reveal(), slots.reveal()))
            return Unexpected(
                unitError(Errc::Mismatch,
                          concat("burn the device key (", slots.size(), " bytes at DCT offset ",
                                 offset, "): the unit reads back something else"),
                          "F214"));
        return {};
    }

    std::shared_ptr<KeyPool> m_pool;
    Keyed m_keyed;
};

} // namespace

MadeStep makeDeviceKeyStep(std::shared_ptr<KeyPool> pool, const StepSpec& spec)
{
    const std::string word = spec.textOr("keyed", "replace");
    if (word != "replace" && word != "keep" && word != "refuse")
        return fail(Errc::InvalidArgument, Blame::Operator,
                    concat(spec.placeOf("keyed"), ": keyed = \"", word,
                           "\": must be \"replace\", \"keep\" or \"refuse\""));
    const auto keyed = word == "keep"     ? Keyed::Keep
                       : word == "refuse" ? Keyed::Refuse
                                          : Keyed::Replace;
    return std::make_unique<DeviceKeyStep>(std::move(pool), keyed);
}

} // namespace provost
