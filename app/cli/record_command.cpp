// `provost db …` and `provost unit …`: what is on record.
#include "cli/commands.h"
#include "cli/output.h"
#include "core/text.h"
#include "engine/causes.h"
#include "host/host.h"
#include "store/journal.h"

#include <QJsonArray>
#include <cmath>

namespace provost::cli {

namespace {

std::filesystem::path databaseOf(const Arguments& arguments)
{
    return arguments.has("db") ? std::filesystem::path(arguments.text("db"))
                               : stateFolder() / "provost.db";
}

Exit verify(const Arguments& arguments)
{
    const std::filesystem::path file(arguments.positionals()[0]);
    const auto problem = verifyDatabase(file);
    if (!problem)
        return report(problem.error(), arguments);
    if (!*problem) {
        if (arguments.has("json"))
            printJson({{"event", "verify"}, {"file", toQt(file.string())}, {"ok", true}});
        else
            printText(file.string() + ": intact");
        return Exit::Pass;
    }
    const auto& found = **problem;
    if (arguments.has("json"))
        printJson({{"event", "verify"},
                   {"table", textOrNull(found.table)},
                   {"row", static_cast<qint64>(found.row)},
                   {"reason", toQt(found.reason)}});
    else
        printText(concat(file.string(), ": table ", found.table, ", row ", found.row, ": ",
                         found.reason));
    return Exit::Fail;
}

QJsonObject toJson(const UnitRow& unit)
{
    return {{"event", "unit"},
            {"unit", textOrNull(unit.deviceId)},
            {"label", textOrNull(unit.label)},
            {"state", toQt(unit.state)},
            {"cause", textOrNull(unit.lastCause)},
            {"key", textOrNull(unit.keyFingerprint)},
            {"first_seen", toQt(unit.firstSeenUtc)},
            {"last_seen", toQt(unit.lastSeenUtc)},
            {"runs", unit.runs},
            {"simulated", unit.simulated}};
}

std::string toLine(const UnitRow& unit)
{
    std::string state = unit.state;
    state.resize(8, ' ');
    return concat(unit.deviceId, "  ", state, " ", unit.lastSeenUtc, "  ", unit.runs,
                  unit.runs == 1 ? " run " : " runs", unit.simulated ? "  SIMULATED" : "",
                  unit.lastCause.empty() ? "" : "  ", unit.lastCause);
}

Exit list(const Arguments& arguments)
{
    const SystemClock clock;
    auto journal = Journal::openReadOnly(databaseOf(arguments), clock);
    if (!journal)
        return report(journal.error(), arguments);
    const auto units = (*journal)->units();
    if (!units)
        return report(units.error(), arguments);
    for (const auto& unit : *units) {
        if (arguments.has("json"))
            printJson(toJson(unit));
        else
            printText(toLine(unit));
    }
    if (arguments.has("json"))
        printJson({{"event", "units"}, {"count", static_cast<qint64>(units->size())}});
    else
        printText(concat(units->size(), units->size() == 1 ? " unit" : " units"));
    return Exit::Pass;
}

QJsonValue valueOf(const Measurement& measurement)
{
    if (!measurement.value)
        return QJsonValue(QJsonValue::Null);
    return std::visit(
        [](const auto& value) -> QJsonValue {
            if constexpr (std::is_same_v<std::decay_t<decltype(value)>, std::string>)
                return toQt(value);
            else
                return value;
        },
        *measurement.value);
}

QJsonObject toJson(const RunRecord& run)
{
    QJsonArray steps;
    for (const auto& attempt : run.attempts) {
        QJsonArray measurements;
        for (const auto& measurement : attempt.measurements) {
            const auto bound = [](const std::optional<double>& value) {
                return value ? QJsonValue(*value) : QJsonValue(QJsonValue::Null);
            };
            measurements.append(QJsonObject{{"name", toQt(measurement.name)},
                                            {"value", valueOf(measurement)},
                                            {"min", bound(measurement.limit.min)},
                                            {"max", bound(measurement.limit.max)},
                                            {"unit", textOrNull(measurement.limit.unit)}});
        }
        steps.append(QJsonObject{{"step", toQt(attempt.name)},
                                 {"attempt", attempt.attempt},
                                 {"verdict", toQt(name(attempt.verdict))},
                                 {"seconds", attempt.seconds},
                                 {"note", textOrNull(attempt.note)},
                                 {"cause", textOrNull(attempt.cause)},
                                 {"error", textOrNull(attempt.error)},
                                 {"measurements", measurements}});
    }
    return {{"event", "run"},
            {"run", static_cast<qint64>(run.id.value)},
            {"slot", run.start.slot},
            {"plan", toQt(run.start.planId)},
            {"plan_digest", toQt(run.start.planDigest)},
            {"started", toQt(run.startedUtc)},
            {"finished", textOrNull(run.finishedUtc)},
            {"verdict", toQt(name(run.verdict))},
            {"cause", textOrNull(run.cause)},
            {"seconds", run.seconds},
            {"simulated", run.start.simulated},
            {"steps", steps}};
}

void print(const RunRecord& run)
{
    printText(concat("\nrun ", run.id.value, "  ", shownName(run.verdict), "  ", run.startedUtc,
                     "  ", fixed(run.seconds, 1), " s  plan ", run.start.planId, " rev ",
                     run.start.planRevision));
    if (!run.cause.empty()) {
        const auto& cause = causeById(run.cause);
        printText(concat("  ", cause.id, "  ", cause.title, " · ", cause.action));
    }
    for (const auto& attempt : run.attempts) {
        std::string step = attempt.name;
        step.resize(std::max<std::size_t>(32, step.size()), ' ');
        std::string verdict(shownName(attempt.verdict));
        verdict.resize(8, ' ');
        std::string seconds = fixed(attempt.seconds, 1);
        seconds.insert(0, seconds.size() < 6 ? 6 - seconds.size() : 0, ' ');
        printText(concat("  ", verdict, step, seconds, " s  ", attempt.note, attempt.error));
    }
    for (const auto& arrow : run.handshake)
        printText(concat("    ", arrow.fromDevice ? "unit → station  " : "station → unit  ",
                         arrow.what, " · ", arrow.bytes, " bytes · +", fixed(arrow.atMs, 0), " ms",
                         arrow.note.empty() ? "" : " · ", arrow.note));
}

Exit show(const Arguments& arguments)
{
    const SystemClock clock;
    auto journal = Journal::openReadOnly(databaseOf(arguments), clock);
    if (!journal)
        return report(journal.error(), arguments);
    const auto unit = (*journal)->unit(arguments.positionals()[0]);
    if (!unit)
        return report(unit.error(), arguments);
    const auto runs = (*journal)->runsOf(unit->deviceId);
    if (!runs)
        return report(runs.error(), arguments);
    if (arguments.has("json")) {
        for (auto run = runs->rbegin(); run != runs->rend(); ++run)
            printJson(toJson(*run));
        printJson(toJson(*unit));
        return Exit::Pass;
    }
    printText(toLine(*unit));
    printText(concat("label ", unit->label.empty() ? "none" : unit->label, "  key ",
                     unit->keyFingerprint.empty() ? "none" : unit->keyFingerprint));
    for (const auto& run : *runs)
        print(run);
    return Exit::Pass;
}

} // namespace

std::vector<Command> recordCommands()
{
    const Option db{.name = "db", .value = "FILE", .help = "database, else the state folder"};
    return {{.path = "db verify",
             .summary = "Checks a database; exit 1 and the first bad row where it is damaged",
             .positionals = "FILE",
             .minPositionals = 1,
             .maxPositionals = 1,
             .example = "provost db verify provost.db --json",
             .run = verify},
            {.path = "unit list",
             .summary = "Lists every unit on record",
             .options = {db},
             .example = "provost unit list --json",
             .run = list},
            {.path = "unit show",
             .summary = "Shows a unit with its runs, steps, measurements and handshake",
             .positionals = "UNIT",
             .minPositionals = 1,
             .maxPositionals = 1,
             .options = {db},
             .example = "provost unit show 3d0021000447",
             .run = show}};
}

} // namespace provost::cli
