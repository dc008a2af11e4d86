// `provost unit release`, `provost cloud reconcile` and `cloud import`: what the cloud confirms,
// holds and takes.
#include "cli/commands.h"
#include "cli/output.h"
#include "cloud/http_provisioning_client.h"
#include "cloud/outbox_sender.h"
#include "cloud/reconcile.h"
#include "core/text.h"
#include "crypto/secret_file.h"
#include "host/host.h"

namespace provost::cli {

using namespace std::chrono_literals;

namespace {

constexpr auto kReleaseWithin = 60s;
constexpr auto kReconcileWithin = 12h;

std::filesystem::path recordsOf(const Arguments& arguments)
{
    return arguments.has("db") ? std::filesystem::path(arguments.text("db"))
                               : stateFolder() / "provost.db";
}

Result<HttpClientConfig> clientConfigOf(const Arguments& arguments)
{
    HttpClientConfig config{.baseUrl = arguments.text("cloud"), .caFile = arguments.text("ca")};
    if (arguments.has("token-file"))
        config.token = TRY(readSecretLine(arguments.text("token-file")));
    return config;
}

class Unheard final : public EventSink {
public:
    void post(StationEvent /*event*/) override {}
};

/// Sends what waits, until nothing of this unit does or the time is over.
Result<> sendWaiting(Journal& journal, const std::string& deviceId, const Arguments& arguments,
                     const OpContext& op)
{
    HttpProvisioningClient client(TRY(clientConfigOf(arguments)));
    Unheard events;
    const OutboxSender sender(journal, client, events, op.clock);
    while (true) {
        bool waits = false;
        for (const OutboxEntry& entry : TRY(journal.outbox("waiting")))
            waits = waits || entry.deviceId == deviceId;
        if (!waits)
            return {};
        if (const auto slept = op.sleepFor(50ms); !slept)
            return slept.error().code == Errc::Timeout ? Result<>{} : slept;
    }
}

void printRelease(const std::string& deviceId, const ReleaseRecord& release,
                  const Arguments& arguments)
{
    if (arguments.has("json"))
        printJson({{"event", "release"},
                   {"unit", deviceId},
                   {"released", true},
                   {"run", release.run.value},
                   {"at", release.atUtc},
                   {"key", release.fingerprint},
                   {"evidence", release.evidence},
                   {"reason", nullptr}});
    else
        printText(concat(deviceId, "  RELEASED  ", shownTime(release.atUtc), " UTC  ",
                         release.evidence, "; its label may be printed"));
}

Exit notReleased(const std::string& deviceId, const Error& why, const Arguments& arguments)
{
    if (why.code != Errc::Unavailable && why.code != Errc::InvalidArgument)
        return report(why, arguments);
    const bool waits = why.code == Errc::Unavailable;
    if (arguments.has("json"))
        printJson({{"event", "release"},
                   {"unit", deviceId},
                   {"released", false},
                   {"reason", why.message}});
    else
        printText(concat(deviceId, waits ? "  HOLD  " : "  NOT RELEASED  ", why.message));
    return waits ? Exit::Hold : Exit::Refused;
}

Result<std::optional<ReleaseRecord>> releasedBefore(const Arguments& arguments, const Clock& clock,
                                                    std::string& deviceId)
{
    const auto journal = TRY(Journal::openReadOnly(recordsOf(arguments), clock));
    deviceId = TRY(journal->unit(arguments.positionals()[0])).deviceId;
    return journal->releaseOf(deviceId);
}

Result<ReleaseRecord> releaseNow(const std::string& deviceId, const Arguments& arguments,
                                 const Clock& clock)
{
    auto journal = Journal::open(recordsOf(arguments), clock);
    if (!journal && journal.error().code == Errc::Busy)
        return fail(Errc::Busy, Blame::Operator,
                    concat("release unit ", deviceId,
                           ": the station program has the records open; it lets the unit go by "
                           "itself as soon as the cloud confirms"));
    if (!journal)
        return Unexpected(std::move(journal).error());
    const StopSignal stop;
    if (arguments.has("cloud"))
        TRY(sendWaiting(**journal, deviceId, arguments,
                        commandContext(clock, kReleaseWithin, nullptr, stop)));
    TRY((*journal)->releaseUnit(deviceId, "the registration is on record as answered"));
    const auto release = TRY((*journal)->releaseOf(deviceId));
    if (release)
        return *release;
    return fail(Errc::Corrupt, Blame::Station,
                concat("release unit ", deviceId, ": the record of it cannot be read back"));
}

Exit releaseUnit(const Arguments& arguments)
{
    const SystemClock clock;
    std::string deviceId;
    const auto before = releasedBefore(arguments, clock, deviceId);
    if (!before)
        return report(before.error(), arguments);
    if (*before) {
        printRelease(deviceId, **before, arguments);
        return Exit::Pass;
    }
    const auto now = releaseNow(deviceId, arguments, clock);
    if (!now)
        return notReleased(deviceId, now.error(), arguments);
    printRelease(deviceId, *now, arguments);
    return Exit::Pass;
}

struct ImportWord {
    std::string_view word{};
    std::string_view meaning{};
};

ImportWord wordOf(ImportOutcome outcome)
{
    switch (outcome) {
    case ImportOutcome::Added:
        return {"added", "taken into the product"};
    case ImportOutcome::Already:
        return {"already", "in the product already"};
    case ImportOutcome::Foreign:
        return {"foreign", "of another owner: have it given up there first"};
    case ImportOutcome::Refused:
        break;
    }
    return {"refused", "not known to the cloud or of another platform: register it first"};
}

/// Each unit by itself, so that each has its answer.
Result<bool> importAll(const Arguments& arguments)
{
    const SystemClock clock;
    const StopSignal stop;
    const auto op = commandContext(clock, kReconcileWithin, nullptr, stop);
    const std::string product = arguments.text("product");
    HttpProvisioningClient client(TRY(clientConfigOf(arguments)));
    bool all = true;
    for (const std::string& id : arguments.positionals()) {
        const auto outcome =
            TRY(client.importIntoProduct(product, {.deviceId = lowerCase(id)}, op));
        const auto [word, meaning] = wordOf(outcome);
        all = all && (outcome == ImportOutcome::Added || outcome == ImportOutcome::Already);
        if (arguments.has("json"))
            printJson({{"event", "import"}, {"unit", id}, {"product", product}, {"outcome", word}});
        else
            printText(concat(id, "  ", meaning));
    }
    return all;
}

Exit importUnits(const Arguments& arguments)
{
    const auto all = importAll(arguments);
    if (!all)
        return report(all.error(), arguments);
    return *all ? Exit::Pass : Exit::Fail;
}

Result<Reconciliation> askTheCloud(const Arguments& arguments)
{
    const SystemClock clock;
    const StopSignal stop;
    const auto journal = TRY(Journal::openReadOnly(recordsOf(arguments), clock));
    HttpProvisioningClient client(TRY(clientConfigOf(arguments)));
    return reconcile(*journal, client, commandContext(clock, kReconcileWithin, nullptr, stop));
}

Exit reconcileUnits(const Arguments& arguments)
{
    const auto found = askTheCloud(arguments);
    if (!found)
        return report(found.error(), arguments);
    const bool json = arguments.has("json");
    for (const Difference& difference : found->differences) {
        if (json)
            printJson({{"event", "difference"},
                       {"unit", difference.deviceId},
                       {"reason", difference.reason}});
        else
            printText(concat(difference.deviceId, "  ", difference.reason));
    }
    if (json)
        printJson({{"event", "reconciled"},
                   {"units", found->units},
                   {"equal", found->equal},
                   {"waiting", found->waiting},
                   {"differences", found->differences.size()}});
    else
        printText(concat(counted(found->units, "unit"), ", ", found->equal, " equal, ",
                         found->waiting, " waiting, ",
                         counted(found->differences.size(), "difference")));
    return found->differences.empty() ? Exit::Pass : Exit::Fail;
}

} // namespace

std::vector<Command> releaseCommands()
{
    const Option db{.name = "db",
                    .value = "FILE",
                    .help = "database, else provost.db in the user's state folder"};
    const Option token{
        .name = "token-file", .value = "FILE", .help = "the station's token: its first line"};
    const Option ca{
        .name = "ca", .value = "FILE", .help = "PEM certificates of a site's own authority"};
    return {
        {.path = "unit release",
         .summary = "Lets a unit on HOLD go, once the cloud has confirmed its registration",
         .positionals = "UNIT",
         .minPositionals = 1,
         .maxPositionals = 1,
         .options = {db,
                     {.name = "cloud",
                      .value = "URL",
                      .help = "sends there what still waits, before"},
                     token,
                     ca},
         .example = "provost unit release 1f002a000547343233323032 --json",
         .run = releaseUnit,
         .notes = "Exit 5 while the cloud has not confirmed, 4 where the HOLD has another "
                  "reason. A running station releases its units by itself."},
        {.path = "cloud import",
         .summary = "Takes registered units into a product",
         .positionals = "UNIT…",
         .minPositionals = 1,
         .maxPositionals = 1000,
         .options = {{.name = "product",
                      .value = "ID",
                      .help = "number or name of the product",
                      .required = true},
                     {.name = "cloud", .value = "URL", .help = "base address", .required = true},
                     token,
                     ca},
         .example = "provost cloud import 1f002a000547343233323032 --product 6 --cloud "
                    "http://127.0.0.1:8080",
         .run = importUnits},
        {.path = "cloud reconcile",
         .summary = "Compares every proved key on record with what the cloud holds",
         .options = {db,
                     {.name = "cloud", .value = "URL", .help = "base address", .required = true},
                     token,
                     ca},
         .example = "provost cloud reconcile --cloud http://127.0.0.1:8080",
         .run = reconcileUnits}};
}

} // namespace provost::cli
