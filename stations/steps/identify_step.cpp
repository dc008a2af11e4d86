// Reads the chip's id from the wire and compares it with the printed label.
#include "core/text.h"
#include "steps/steps_p.h"

namespace provost {

namespace {

class IdentifyStep final : public Step {
public:
    explicit IdentifyStep(bool labelRequired) : m_labelRequired(labelRequired) {}

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
        if (label.empty() && m_labelRequired)
            return Unexpected(Error{.code = Errc::InvalidArgument,
                                    .blame = Blame::Operator,
                                    .message = concat("compare the label with unit ",
                                                      facts.id.deviceId, ": none was scanned"),
                                    .frames = {},
                                    .native = {},
                                    .cause = "C018"});
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

    bool m_labelRequired;
};

} // namespace

MadeStep makeIdentifyStep(const StepSpec& spec)
{
    const std::string label = spec.textOr("label", "optional");
    if (label != "required" && label != "optional")
        return fail(
            Errc::InvalidArgument, Blame::Operator,
            concat(spec.where, ": label = \"", label, "\": must be \"required\" or \"optional\""));
    return std::make_unique<IdentifyStep>(label == "required");
}

} // namespace provost
