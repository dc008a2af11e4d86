// `provost db …` and `provost unit …`: what is on record.
#include "cli/commands.h"
#include "cli/output.h"
#include "core/text.h"
#include "engine/causes.h"
#include "host/host.h"
#include "store/journal.h"

namespace provost::cli {

namespace {

std::filesystem::path databaseOf(const Arguments& arguments)
{
    return arguments.has("db") ? std::filesystem::path(arguments.text("db"))
                               : stateFolder() / "provost.db";
}

JsonObject toJson(const UnitRow& unit)
{
    return {{"event", "unit"},
            {"unit", textOrNull(unit.deviceId)},
            {"label", textOrNull(unit.label)},
            {"platform", textOrNull(unit.platform)},
            {"state", unit.state},
            {"cause", textOrNull(unit.lastCause)},
            {"key", textOrNull(unit.keyFingerprint)},
            {"first_seen", unit.firstSeenUtc},
            {"last_seen", unit.lastSeenUtc},
            {"runs", unit.runs},
            {"simulated", unit.simulated}};
}

std::string toLine(const UnitRow& unit)
{
    return concat(leftIn(24, unit.deviceId), "  ", leftIn(8, unit.state),
                  leftIn(6, orDash(unit.lastCause)), shownTime(unit.lastSeenUtc),
                  rightIn(6, std::to_string(unit.runs)), unit.simulated ? "  SIMULATED" : "");
}

constexpr std::string_view kUnitColumns =
    "unit                      state   cause last seen, UTC       runs";

Exit listUnits(const Arguments& arguments)
{
    const SystemClock clock;
    auto journal = Journal::openReadOnly(databaseOf(arguments), clock);
    if (!journal)
        return report(journal.error(), arguments);
    const auto units = (*journal)->units();
    if (!units)
        return report(units.error(), arguments);
    const bool json = arguments.has("json");
    if (!json && !units->empty())
        printText(std::string(kUnitColumns));
    for (const auto& unit : *units) {
        if (json)
            printJson(toJson(unit));
        else
            printText(toLine(unit));
    }
    if (json)
        printJson({{"event", "units"}, {"count", units->size()}});
    else
        printText(counted(units->size(), "unit"));
    return Exit::Pass;
}

JsonValue valueOf(const Measurement& measurement)
{
    if (!measurement.value)
        return {};
    return std::visit([](const auto& value) { return JsonValue(value); }, *measurement.value);
}

JsonObject toJson(const AttemptRecord& attempt)
{
    JsonArray measurements;
    for (const auto& each : attempt.measurements)
        measurements.add(JsonObject{{"name", each.name},
                                    {"value", valueOf(each)},
                                    {"min", each.limit.min},
                                    {"max", each.limit.max},
                                    {"unit", textOrNull(each.limit.unit)}});
    return {{"step", attempt.name},
            {"attempt", attempt.attempt},
            {"verdict", name(attempt.verdict)},
            {"seconds", roundedTo(3, attempt.seconds)},
            {"note", textOrNull(attempt.note)},
            {"cause", textOrNull(attempt.cause)},
            {"error", textOrNull(attempt.error)},
            {"measurements", measurements}};
}

JsonValue toJson(const std::optional<TraceRecord>& trace)
{
    if (!trace)
        return {};
    return JsonObject{{"transfers", trace->transfers}, {"dropped", trace->dropped}};
}

JsonObject toJson(const RunRecord& run, const std::optional<TraceRecord>& trace)
{
    JsonArray steps;
    for (const auto& attempt : run.attempts)
        steps.add(toJson(attempt));
    JsonArray images;
    for (const auto& image : run.images)
        images.add(
            JsonObject{{"role", image.role}, {"version", image.version}, {"sha256", image.sha256}});
    JsonArray handshake;
    for (const auto& arrow : run.handshake)
        handshake.add(JsonObject{{"from", arrow.fromDevice ? "device" : "server"},
                                 {"what", arrow.what},
                                 {"bytes", arrow.bytes},
                                 {"ms", roundedTo(1, arrow.atMs)},
                                 {"note", textOrNull(arrow.note)},
                                 {"ok", !arrow.failed}});
    return {{"event", "run"},
            {"run", run.id.value},
            {"slot", run.start.slot},
            {"unit", textOrNull(run.start.unit.deviceId)},
            {"verdict", name(run.verdict)},
            {"cause", textOrNull(run.cause)},
            {"error", textOrNull(run.error)},
            {"started", run.startedUtc},
            {"finished", textOrNull(run.finishedUtc)},
            {"seconds", roundedTo(3, run.seconds)},
            {"plan", run.start.planId},
            {"plan_revision", run.start.planRevision},
            {"plan_digest", run.start.planDigest},
            {"station", textOrNull(run.start.station)},
            {"simulated", run.start.simulated},
            {"training", run.start.training},
            {"id_route", textOrNull(run.route)},
            {"steps", steps},
            {"images", images},
            {"handshake", handshake},
            {"trace", toJson(trace)}};
}

/// What was measured against a limit, but for the seconds, which stand in their column.
std::string measuredText(const AttemptRecord& attempt)
{
    std::string text;
    for (const auto& each : attempt.measurements) {
        if ((!each.limit.min && !each.limit.max) || each.name == "seconds")
            continue;
        const auto* number = each.value ? std::get_if<double>(&*each.value) : nullptr;
        text += concat("  ", each.name, " ",
                       number != nullptr ? concat(fixed(*number, 1), " ", each.limit.unit)
                                         : std::string("not measured"),
                       each.limit.min ? concat(" ≥ ", fixed(*each.limit.min, 1)) : std::string{},
                       each.limit.max ? concat(" ≤ ", fixed(*each.limit.max, 1)) : std::string{});
    }
    return text;
}

void print(const RunRecord& run, const std::optional<TraceRecord>& trace)
{
    printText(concat("\nrun ", run.id.value, "  ", shownName(run.verdict), "  ",
                     shownTime(run.startedUtc), " UTC  ", fixed(run.seconds, 1), " s  slot ",
                     run.start.slot, "  plan ", run.start.planId, " revision ",
                     run.start.planRevision, run.start.simulated ? "  SIMULATED" : "",
                     run.start.training && !run.start.simulated ? "  TRAINING" : ""));
    if (!run.cause.empty()) {
        const auto& cause = causeById(run.cause);
        printText(concat("  ", cause.id, "  ", cause.title, " · ", cause.action));
    }
    for (const auto& attempt : run.attempts) {
        const std::string count =
            attempt.attempt > 1 ? concat(" (", attempt.attempt, ")") : std::string{};
        printText(concat("  ", leftIn(8, shownName(attempt.verdict)),
                         leftIn(32, attempt.name + count), rightIn(6, fixed(attempt.seconds, 1)),
                         " s", attempt.note.empty() ? "" : "  ", attempt.note,
                         measuredText(attempt), attempt.error.empty() ? "" : "  ", attempt.error));
    }
    for (const auto& arrow : run.handshake)
        printText(concat("    ", arrow.fromDevice ? "unit → station  " : "station → unit  ",
                         arrow.what, " · ", arrow.bytes, " bytes · +", fixed(arrow.atMs, 0), " ms",
                         arrow.note.empty() ? "" : " · ", arrow.note));
    if (trace)
        printText(concat("    trace: the last ", trace->transfers, " transfers",
                         trace->dropped > 0 ? concat(", ", trace->dropped, " before them not kept")
                                            : std::string{},
                         "; provost unit show --trace ", run.id.value));
}

/// What the run and its unit said to each other last, as a replay takes it.
Result<> showTrace(Journal& journal, const Arguments& arguments)
{
    const RunId id{static_cast<std::int64_t>(TRY(arguments.number("trace", 0)))};
    const auto run = TRY(journal.run(id));
    const auto trace = TRY(journal.traceOf(id));
    if (!trace)
        return fail(Errc::NotFound, Blame::Operator,
                    concat("show the trace of run ", id.value,
                           ": none is on record, its verdict "
                           "is ",
                           shownName(run.verdict)));
    if (arguments.has("json"))
        printJson({{"event", "trace"},
                   {"run", id.value},
                   {"transfers", trace->transfers},
                   {"dropped", trace->dropped},
                   {"text", trace->text}});
    else
        printText(trace->text);
    return {};
}

Result<UnitRow> wantedUnit(Journal& journal, const Arguments& arguments)
{
    if (!arguments.positionals().empty())
        return journal.unit(arguments.positionals()[0]);
    auto units = TRY(journal.units());
    if (units.empty())
        return fail(
            Errc::NotFound, Blame::Operator,
            concat("show the unit last seen: no unit is on record in ", journal.path().string()));
    return units.front();
}

Result<> showUnit(const Arguments& arguments)
{
    const SystemClock clock;
    const auto journal = TRY(Journal::openReadOnly(databaseOf(arguments), clock));
    if (arguments.has("trace"))
        return showTrace(*journal, arguments);
    const auto unit = TRY(wantedUnit(*journal, arguments));
    const auto runs = TRY(journal->runsOf(unit.deviceId));
    if (arguments.has("json")) {
        for (auto run = runs.rbegin(); run != runs.rend(); ++run) {
            const auto trace = TRY(journal->traceOf(run->id));
            printJson(toJson(*run, trace));
        }
        printJson(toJson(unit));
        return {};
    }
    printText(concat("unit   ", unit.deviceId, unit.simulated ? "  SIMULATED" : "", "\nstate  ",
                     unit.state, unit.lastCause.empty() ? "" : "  ", unit.lastCause, "\nlabel  ",
                     orDash(unit.label), "\nboard  ", orDash(unit.platform), "\nkey    ",
                     orDash(unit.keyFingerprint), "\nseen   ", shownTime(unit.firstSeenUtc), " to ",
                     shownTime(unit.lastSeenUtc), " UTC, ",
                     counted(static_cast<std::size_t>(unit.runs), "run")));
    for (const auto& run : runs) {
        const auto trace = TRY(journal->traceOf(run.id));
        print(run, trace);
    }
    return {};
}

} // namespace

std::vector<Command> recordCommands()
{
    const Option db{.name = "db",
                    .value = "FILE",
                    .help = "database, else provost.db in the user's state folder"};
    return {verifyCommand(),
            {.path = "unit list",
             .summary = "Lists every unit on record",
             .options = {db},
             .example = "provost unit list --json",
             .run = listUnits,
             .looksOnly = true},
            {.path = "unit show",
             .summary = "Shows a unit with its runs, steps, measurements and handshake",
             .positionals = "[UNIT]",
             .maxPositionals = 1,
             .options = {db,
                         {.name = "trace",
                          .value = "RUN",
                          .help = "instead: the last transfers of a run that did not pass"}},
             .example = "provost unit show --json",
             .run = [](const Arguments& a) { return reportIfFailed(showUnit(a), a); },
             .notes = "UNIT  device id or label, or how either begins; the unit last seen where "
                      "none is named",
             .looksOnly = true}};
}

} // namespace provost::cli
