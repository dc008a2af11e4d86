// Reads the chip's id from the wire and compares it with the printed label.
#include "core/text.h"
#include "steps/steps_p.h"

namespace provost {

namespace {

class IdentifyStep final : public Step {
public:
    Result<> run(StepContext& context) override
    {
        auto& facts = context.facts();
        facts.id = TRY(context.unit().identify(context.op()));
        const UnitIdentity identity{.serial = facts.label, .deviceId = facts.id.deviceId};
        TRY(context.identified(identity, facts.id.route));
        context.measure("id_route", facts.id.route);
        const std::string label = lowerCase(trimmed(facts.label));
        if (label.empty()) {
            context.note(concat("id by ", facts.id.route, " · no label was scanned"));
            return {};
        }
        if (label != facts.id.deviceId)
            return Unexpected(unitError(Errc::Mismatch,
                                        concat("compare the label \"", facts.label,
                                               "\" with the unit in the slot: it is ",
                                               facts.id.deviceId),
                                        "F101"));
        context.note(concat("id by ", facts.id.route, " · matches the label"));
        return {};
    }
};

} // namespace

MadeStep makeIdentifyStep(const StepSpec&) { return std::make_unique<IdentifyStep>(); }

} // namespace provost
