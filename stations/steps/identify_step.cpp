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
        if (context.unit().look())
            TRY(mayTakeDemoImages(context));
        facts.id = TRY(context.unit().identify(context.op()));
        TRY(mayTakeDemoImages(context));
        const UnitIdentity identity{.serial = facts.label, .deviceId = facts.id.deviceId};
        TRY(context.identified(identity, facts.id.route));
        context.measure("id_route", facts.id.route);
        const std::string label = lowerCase(trimmed(facts.label));
        if (label.empty()) {
            context.note(concat("id by ", facts.id.route, " · no label was scanned"));
            return {};
        }
        if (label != facts.id.deviceId)
            return Unexpected(
                unitError(Errc::Mismatch,
                          concat("compare the label \"", facts.label,
                                 "\" with the unit in the slot: it is ", facts.id.deviceId),
                          "F101"));
        context.note(concat("id by ", facts.id.route, " · matches the label"));
        return {};
    }

private:
    /// Before anything at all is sent to the unit; each write asks again.
    static Result<> mayTakeDemoImages(StepContext& context)
    {
        if (!context.plan().demo || context.unit().simulated())
            return {};
        return Unexpected(Error{.code = Errc::Denied,
                                .blame = Blame::Operator,
                                .message = concat("run plan ", context.plan().id,
                                                  ": it has demo images and this unit is real"),
                                .frames = {},
                                .native = {},
                                .cause = "C041"});
    }
};

} // namespace

MadeStep makeIdentifyStep(const StepSpec&)
{
    return std::make_unique<IdentifyStep>();
}

} // namespace provost
