// Reads back what a write that nobody saw end has left on the unit, and decides what follows from
// it. Stands in front of every step that writes: later there would be something else to find.
#include "core/byte_io.h"
#include "core/text.h"
#include "crypto/digest.h"
#include "crypto/unit_key.h"
#include "image/module_info.h"
#include "steps/steps_p.h"

#include <algorithm>
#include <array>
#include <sstream>

namespace provost {

namespace {

constexpr std::array kSlotEffects{kPublicKeyEffect, kServerKeyEffect, kShippingKeyEffect,
                                  kTransportEffect, kClaimEffect};

enum class Decision : std::uint8_t { Resumed, Repeated, Quarantined };

constexpr std::string_view word(Decision decision)
{
    constexpr std::array<std::string_view, 3> kWords{"resumed", "repeated", "quarantined"};
    return kWords.at(static_cast<std::size_t>(decision));
}

/// What is on the unit, whatever anybody meant to put there.
struct Evidence {
    std::optional<int> bootloader{}; ///< module version; none: damaged
    std::optional<DctSnapshot> dct{};
    std::optional<int> counts{}; ///< the DCT copy that the unit works with
    std::string key{"none"};     ///< fingerprint of the device key in it
    std::string dctText{};

    std::string text() const
    {
        return concat("bootloader ", bootloader ? concat(*bootloader) : std::string("damaged"),
                      ", ", dctText, ", key ", key == "none" ? key : shortFingerprint(key));
    }
};

/// What becomes of one announced effect, and by what one sees it.
struct Finding {
    Decision decision = Decision::Repeated;
    std::string text{};
    std::string cause{};
};

Finding judgeBootloader(const Evidence& found, const OpenIntent& intent)
{
    const auto to = intent.payload.rfind(' '); // "502 to 1006"
    const bool there = to != std::string::npos && found.bootloader &&
                       intent.payload.substr(to + 1) == concat(*found.bootloader);
    return there ? Finding{.decision = Decision::Resumed, .text = "the new bootloader is in place"}
                 : Finding{.text = "the bootloader is intact and not the new one"};
}

Finding judgeKey(const Evidence& found, const OpenIntent& intent)
{
    if (found.key == intent.payload)
        return {.decision = Decision::Resumed, .text = "the announced key is on the unit"};
    return {.text = "the announced key is not on the unit"};
}

Finding judgeSlot(const Evidence& found, const DctLayout& layout, const OpenIntent& intent)
{
    DctField field;
    std::string digest;
    std::istringstream payload(intent.payload); // as writeSlot() announces it
    payload >> field.offset >> field.size >> digest;
    const bool inside = field.offset <= layout.applicationSize &&
                        field.size <= layout.applicationSize - field.offset;
    if (payload && inside && sha256Hex(found.dct->field(*found.counts, field)) == digest)
        return {.decision = Decision::Resumed, .text = "the slot holds what was announced"};
    return {.text = "the slot does not hold what was announced"};
}

Finding judge(const Evidence& found, const DctLayout& layout, const OpenIntent& intent)
{
    if (!found.counts)
        return {.decision = Decision::Quarantined,
                .text = "no DCT copy counts, by its marks and by the unit's own reader",
                .cause = "F122"};
    if (!found.bootloader)
        return {.decision = Decision::Quarantined,
                .text = "the bootloader is damaged",
                .cause = "F123"};
    if (intent.effect == kBootloaderEffect)
        return judgeBootloader(found, intent);
    if (intent.effect == kKeyEffect)
        return judgeKey(found, intent);
    if (intent.effect == kWifiPartEffect)
        return {.text = "credentials are cleared and given anew"};
    if (std::ranges::find(kSlotEffects, intent.effect) != kSlotEffects.end())
        return judgeSlot(found, layout, intent);
    return {.decision = Decision::Quarantined,
            .text = "this program does not know what to look for",
            .cause = "C062"};
}

class InspectStep final : public Step {
public:
    Result<> run(StepContext& context) override
    {
        const auto& deviceId = context.facts().id.deviceId;
        auto& journal = context.journal();
        if (!TRY(journal.needsInspection(deviceId))) {
            context.note("no write was left open");
            return {};
        }
        const auto intents = TRY(journal.openIntents(deviceId));
        const Evidence found = TRY(look(context));
        std::string record = concat("found ", found.text());
        Finding worst{.decision = Decision::Resumed};
        for (const auto& intent : intents) {
            auto finding = judge(found, context.plan().platform.dct, intent);
            record += concat("; ", intent.effect, " of run ", intent.run.value, " ",
                             word(finding.decision), ": ", finding.text);
            if (finding.decision > worst.decision)
                worst = std::move(finding);
        }
        TRY(journal.note(context.run(), "inspection", record));
        context.measure("decision", std::string(word(worst.decision)));
        context.note(record);
        if (worst.decision == Decision::Quarantined)
            return quarantine(worst, record);
        return journal.clearInspection(context.run(), deviceId);
    }

private:
    /// Whole bootloader and both DCT copies, by exact length.
    static Result<Evidence> look(StepContext& context)
    {
        const auto& op = context.op();
        const auto& platform = context.plan().platform;
        Evidence found;
        found.dct.emplace(TRY(context.unit().readDct(op)));
        found.counts = TRY(countingCopy(context, *found.dct, op));
        found.dctText = describeCopies(*found.dct, found.counts);
        if (found.counts) {
            const auto reading =
                readAsUnit(found.dct->field(*found.counts, platform.dct.privateKey));
            if (reading.readable)
                found.key = reading.publicKey->fingerprint();
        }
        const auto segment = TRY(platform.segment("bootloader"));
        auto* memory = TRY(context.unit().memory(segment.alternate, op));
        const Bytes bytes = TRY(memory->read(segment.address, segment.size, op));
        const auto module = parseModule(bytes);
        if (module && module->crcOk())
            found.bootloader = module->version;
        return found;
    }

    /// The intents stay open and the unit stays marked: no later run goes past this step.
    static Result<> quarantine(const Finding& finding, const std::string& record)
    {
        const bool bad = finding.cause.starts_with('F');
        return Unexpected(Error{.code = bad ? Errc::InvalidData : Errc::Unsupported,
                                .blame = bad ? Blame::Unit : Blame::Software,
                                .message = concat("inspect the unit: ", record),
                                .frames = {},
                                .native = {},
                                .cause = finding.cause});
    }
};

} // namespace

MadeStep makeInspectStep(const StepSpec&)
{
    return std::make_unique<InspectStep>();
}

} // namespace provost
