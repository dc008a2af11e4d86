// `provost plan …`: a plan checked and read before a unit meets it.
#include "cli/commands.h"
#include "cli/output.h"
#include "core/text.h"
#include "host/host.h"
#include "steps/register_all_steps.h"

namespace provost::cli {

namespace {

Result<std::shared_ptr<const TestPlan>> planOf(const Arguments& arguments)
{
    const auto folders = dataFolders();
    StepRegistry steps;
    registerAllSteps(steps);
    const auto images = TRY(openCatalog(folders.manifests, folders.images));
    return loadPlan(arguments.positionals()[0], folders, steps, *images);
}

JsonObject toJson(const TestPlan& plan)
{
    return {{"event", "plan"},
            {"ok", true},
            {"plan", plan.id},
            {"revision", plan.revision},
            {"title", plan.title},
            {"release", plan.release},
            {"platform", plan.platform.name},
            {"shipping", plan.shipping ? JsonValue(plan.shipping->id) : JsonValue()},
            {"demo", plan.demo},
            {"steps", plan.steps.size()},
            {"teardown", plan.teardown.size()},
            {"digest", plan.digest}};
}

std::string toLine(const TestPlan& plan)
{
    return concat(plan.id, " revision ", plan.revision, ": ", plan.title,
                  plan.demo ? "  (demo images, virtual units only)" : "");
}

Exit checkPlan(const Arguments& arguments)
{
    const auto plan = planOf(arguments);
    const bool json = arguments.has("json");
    if (plan) {
        if (json)
            printJson(toJson(**plan));
        else
            printText(concat(toLine(**plan), "\n", counted((*plan)->steps.size(), "step"),
                             ", nothing is wrong with it"));
        return Exit::Pass;
    }
    const auto& error = plan.error();
    if (error.code != Errc::InvalidData && error.code != Errc::InvalidArgument)
        return report(error, arguments);
    printNote("provost: " + describe(error));
    if (json)
        printJson({{"event", "plan"},
                   {"ok", false},
                   {"plan", arguments.positionals()[0]},
                   {"reason", describe(error)}});
    return Exit::Fail;
}

std::string limitText(const std::string& name, const Limit& limit)
{
    return concat("  ", name, limit.min ? concat(" ≥ ", fixed(*limit.min, 1)) : std::string{},
                  limit.max ? concat(" ≤ ", fixed(*limit.max, 1)) : std::string{}, " ", limit.unit);
}

void print(const StepSpec& step, std::size_t number, bool teardown, bool json)
{
    const double timeout = static_cast<double>(step.timeout.count()) / 1000;
    if (!json) {
        std::string line = concat(rightIn(4, std::to_string(number)), "  ", leftIn(32, step.name),
                                  leftIn(20, step.use), rightIn(5, fixed(timeout, 0)), " s",
                                  step.retries > 0 ? concat("  +", step.retries) : std::string{},
                                  teardown ? "  always" : "");
        for (const auto& [name, limit] : step.limits)
            line += limitText(name, limit);
        return printText(line);
    }
    JsonObject limits({});
    for (const auto& [name, limit] : step.limits)
        limits.add(
            name,
            JsonObject{{"min", limit.min}, {"max", limit.max}, {"unit", textOrNull(limit.unit)}});
    JsonObject parameters({});
    for (const auto& [name, value] : step.parameters)
        parameters.add(name, std::visit([](const auto& v) { return JsonValue(v); }, value));
    printJson({{"event", "step"},
               {"number", number},
               {"use", step.use},
               {"name", step.name},
               {"timeout_s", timeout},
               {"retries", step.retries},
               {"typical_s", step.typicalSeconds},
               {"teardown", teardown},
               {"parameters", parameters},
               {"limits", limits}});
}

Result<> show(const Arguments& arguments)
{
    const auto plan = TRY(planOf(arguments));
    const bool json = arguments.has("json");
    if (!json)
        printText(concat(toLine(*plan), "\nplatform ", plan->platform.name, ", release ",
                         plan->release, ", shipping state ",
                         plan->shipping ? plan->shipping->id : "-", "\ndigest   ", plan->digest,
                         "\n\n   #  step                            code                timeout"));
    std::size_t number = 0;
    for (const auto& step : plan->steps)
        print(step, ++number, false, json);
    for (const auto& step : plan->teardown)
        print(step, ++number, true, json);
    if (json)
        printJson(toJson(*plan));
    return {};
}

} // namespace

std::vector<Command> planCommands()
{
    const std::string notes = "PLAN  the id of a plan of this installation, or a path";
    return {{.path = "plan check",
             .summary = "Checks a plan against steps, images, platform and shipping state",
             .positionals = "PLAN",
             .minPositionals = 1,
             .maxPositionals = 1,
             .example = "provost plan check photon-full",
             .run = checkPlan,
             .notes = notes,
             .looksOnly = true},
            {.path = "plan show",
             .summary = "Prints a plan step by step with its limits",
             .positionals = "PLAN",
             .minPositionals = 1,
             .maxPositionals = 1,
             .example = "provost plan show photon-full --json",
             .run = [](const Arguments& a) { return reportIfFailed(show(a), a); },
             .notes = notes,
             .looksOnly = true}};
}

} // namespace provost::cli
