// `provost keys batch --inject` and `provost keys manifest`.
#include "cli/commands.h"
#include "cli/key_storage.h"
#include "cli/keys_batch_files.h"
#include "cli/output.h"
#include "core/file_io.h"
#include "core/text.h"
#include "host/bench_operator.h"
#include "host/host.h"
#include "host/key_manifest.h"
#include "host/nest_feeder.h"

#include <algorithm>
#include <set>

namespace provost::cli {

namespace {

/// The batch as the records tell it, looked up again after each verdict; prints what becomes of
/// each unit.
class BatchBook final : public EventSink {
public:
    BatchBook(Host& host, bool json) : m_host(host), m_json(json)
    {
        refresh();
        for (const auto& unit : m_units)
            m_told.insert(unit.deviceId);
    }

    void post(StationEvent event) override
    {
        const auto* finished = std::get_if<RunFinished>(&event);
        if (finished == nullptr)
            return;
        const MutexLock lock(m_mutex);
        m_worst = std::max(m_worst, finished->verdict);
        m_vainInRow = finished->verdict <= Verdict::Hold ? 0 : m_vainInRow + 1;
        refresh();
        m_told.insert(finished->unit.deviceId);
        print(*finished);
    }

    int remaining()
    {
        const MutexLock lock(m_mutex);
        return m_failed || m_vainInRow >= kMostVainInRow
                   ? 0
                   : m_host.batch()->wanted - countOf(m_units).done();
    }

    /// @returns the first error of looking it up
    Result<std::vector<BatchUnit>> units()
    {
        const MutexLock lock(m_mutex);
        refresh();
        if (m_failed)
            return Unexpected(*m_failed);
        return m_units;
    }

    /// So many units in a row came to nothing that it is not the units.
    bool goesWrong()
    {
        const MutexLock lock(m_mutex);
        return m_vainInRow >= kMostVainInRow;
    }
    static constexpr int kMostVainInRow = 10;

    Verdict worst()
    {
        const MutexLock lock(m_mutex);
        return m_worst;
    }

private:
    void refresh() PROVOST_REQUIRES(m_mutex)
    {
        auto units = m_host.journal().batchUnits(m_host.batch()->id);
        if (units)
            m_units = *std::move(units);
        else if (!m_failed)
            m_failed = std::move(units).error();
    }

    /// A unit may be on record before its line is printed; the count printed goes with the lines.
    std::vector<BatchUnit> toldUnits() const PROVOST_REQUIRES(m_mutex)
    {
        std::vector<BatchUnit> units;
        std::ranges::copy_if(m_units, std::back_inserter(units), [this](const BatchUnit& unit) {
            return m_told.contains(unit.deviceId);
        });
        return units;
    }

    void print(const RunFinished& finished) PROVOST_REQUIRES(m_mutex)
    {
        const auto found = std::ranges::find(m_units, finished.unit.deviceId, &BatchUnit::deviceId);
        const auto outcome = found == m_units.end() ? BatchOutcome::Open : found->outcome;
        const std::string key = found == m_units.end() ? std::string{} : found->fingerprint;
        const int done = countOf(toldUnits()).done();
        const int wanted = m_host.batch()->wanted;
        if (m_json)
            printJson({{"event", "unit"},
                       {"slot", finished.slot.value},
                       {"unit", textOrNull(finished.unit.deviceId)},
                       {"outcome", name(outcome)},
                       {"verdict", name(finished.verdict)},
                       {"cause", textOrNull(finished.cause)},
                       {"fingerprint", textOrNull(key)},
                       {"run", finished.run.value},
                       {"simulated", finished.simulated},
                       {"done", done},
                       {"wanted", wanted}});
        else
            printText(concat("slot ", leftIn(2, std::to_string(finished.slot.value)), " ",
                             leftIn(24, orDash(finished.unit.deviceId)), "  ",
                             leftIn(9, name(outcome)), leftIn(6, orDash(finished.cause)), done,
                             " of ", wanted, finished.simulated ? "  SIMULATED" : ""));
        if (finished.verdict > Verdict::Hold && !finished.error.empty())
            printNote(concat("slot ", finished.slot.value, ": ", finished.error));
    }

    Host& m_host;
    const bool m_json;
    Mutex m_mutex;
    std::vector<BatchUnit> m_units PROVOST_GUARDED_BY(m_mutex);
    std::set<std::string> m_told PROVOST_GUARDED_BY(m_mutex); ///< ids with a line, or of before
    std::optional<Error> m_failed PROVOST_GUARDED_BY(m_mutex);
    Verdict m_worst PROVOST_GUARDED_BY(m_mutex) = Verdict::NotRun;
    int m_vainInRow PROVOST_GUARDED_BY(m_mutex) = 0;
};

/// Feeds the nests until the batch is done, the user stops it or no further unit can be had.
/// @returns true where the user stopped it
bool feed(Host& host, NestFeederConfig config, std::stop_source& end)
{
    config.slots = host.slotsInUse();
    NestFeeder feeder(std::move(config));
    host.events().add(feeder);
    const StopSignal stop([&] {
        end.request_stop();
        host.engine().abortAll();
    });
    feeder.feed(host.clock(), end.get_token());
    host.events().remove(feeder);
    return stop.stopped();
}

/// Hands change the units.
bool feedByHands(Host& host, BatchBook& book, bool json)
{
    host.watchSlots();
    std::stop_source end;
    return feed(host,
                {.occupied = [&host](SlotId slot) { return host.occupied(slot); },
                 .start = [&host](SlotId slot) { return host.start(slot, {}); },
                 .remaining = [&book] { return book.remaining(); },
                 .onReady =
                     [json](SlotId slot) {
                         if (json)
                             printJson({{"event", "ready"}, {"slot", slot.value}});
                         else
                             printNote(concat("slot ", slot.value, ": insert the next unit"));
                     }},
                end);
}

/// A virtual bench changes its units by itself, until its supply is used up.
bool feedFromBench(Host& host, BatchBook& book)
{
    sim::Bench& bench = *host.bench();
    BenchOperator takesOut(
        bench, host.events(), host.clock(),
        [](SlotId, const std::string&) {
            return fail(Errc::Internal, Blame::Software, "the operator only takes units out");
        },
        BenchOperatorOptions{.units = 0},
        [&host](RunId run, const std::string& reply) { host.engine().answer(run, reply); });
    takesOut.begin();
    takesOut.waitUntilDone(); // no nest holds anything yet
    host.events().add(takesOut);
    std::stop_source end;
    std::set<SlotId> empty;
    const auto put = [&](SlotId slot) {
        if (bench.present(slot.value))
            return true;
        const auto next = bench.insertNext(slot.value);
        if (next && *next)
            return true;
        empty.insert(slot);
        if (empty.size() == host.slotsInUse().size())
            end.request_stop();
        return false;
    };
    const bool stopped = feed(host,
                              {.occupied = put,
                               .start =
                                   [&](SlotId slot) {
                                       const auto unit = bench.present(slot.value);
                                       return host.start(slot, unit ? unit->label : "");
                                   },
                               .remaining = [&book] { return book.remaining(); },
                               .onReady = [](SlotId) {}},
                              end);
    host.events().remove(takesOut);
    return stopped;
}

void printSummary(const KeyBatch& batch, const std::vector<BatchUnit>& units,
                  const std::filesystem::path& folder, bool json)
{
    const auto counts = countOf(units);
    if (json)
        printJson({{"event", "summary"},
                   {"batch", batch.name},
                   {"wanted", batch.wanted},
                   {"done", counts.done()},
                   {"injected", counts.injected},
                   {"kept", counts.kept},
                   {"held", counts.held},
                   {"refused", counts.refused},
                   {"failed", counts.failed},
                   {"open", counts.open},
                   {"complete", counts.done() >= batch.wanted},
                   {"manifest", folder.string()}});
    else
        printText(concat("batch ", batch.name, ": ", counts.done(), " of ", batch.wanted,
                         " units · ", counts.injected, " injected · ", counts.kept, " kept · ",
                         counts.held, " await the cloud · ", counts.refused, " refused · ",
                         counts.failed, " failed · ", counts.open,
                         " open\nmanifest: ", folder.string()));
}

Result<Exit> runBatch(Host& host, const Arguments& arguments)
{
    const bool json = arguments.has("json");
    const KeyBatch& batch = *host.batch();
    const auto folder = arguments.has("out")
                            ? std::filesystem::path(arguments.text("out"))
                            : host.database().parent_path() / "batches" / batch.name;
    BatchBook book(host, json);
    const auto before = countOf(TRY(book.units())).done();
    if (json)
        printJson({{"event", "batch"},
                   {"batch", batch.name},
                   {"wanted", batch.wanted},
                   {"done", before},
                   {"database", host.database().string()}});
    else
        printNote(concat("batch ", batch.name, ": ", before, " of ", batch.wanted,
                         " done; database: ", host.database().string()));
    host.events().add(book);
    const bool stopped =
        book.remaining() > 0 &&
        (host.bench() != nullptr ? feedFromBench(host, book) : feedByHands(host, book, json));
    host.events().remove(book);
    const auto units = TRY(book.units());
    TRY(writeManifest(folder, TRY(manifestOf(batch, units)), host.signingKey()));
    printSummary(batch, units, folder, json);
    const auto counts = countOf(units);
    const Verdict held = counts.held > 0 ? Verdict::Hold : Verdict::Pass;
    const Verdict worst = std::max(book.worst(), held);
    if (counts.done() >= batch.wanted)
        return exitFor(worst);
    printNote(
        concat("provost: ", counted(static_cast<std::size_t>(batch.wanted - counts.done()), "unit"),
               " of ", batch.wanted, " to do: ",
               stopped            ? "stopped"
               : book.goesWrong() ? concat(BatchBook::kMostVainInRow,
                                           " units in a row came to nothing; look at the causes")
                                  : "no further unit can be had",
               "; go on with --resume --name ", batch.name));
    return exitFor(std::max(worst, stopped ? Verdict::Aborted : Verdict::Error));
}

Result<HostOptions> hostOptionsOf(const Arguments& arguments)
{
    HostOptions options;
    const auto rules = TRY(keyRulesOf(arguments));
    const auto platform = platformName(rules.platform);
    const auto wanted = TRY(arguments.number("count", 0));
    options.plan = arguments.text("plan", concat(platform, "-keys"));
    options.bench = arguments.text("simulate");
    options.database = arguments.text("db");
    options.training = arguments.has("training");
    if (arguments.has("station"))
        options.station = arguments.text("station");
    if (arguments.has("speed"))
        options.speed = TRY(speedNamed(arguments.text("speed")));
    options.operatorAnswers = !options.bench.empty();
    options.batch = KeyBatchOrder{.platform = std::string(platform),
                                  .name = arguments.text("name"),
                                  .wanted = static_cast<int>(wanted),
                                  .resume = arguments.has("resume")};
    return options;
}

Result<Exit> injectBatch(const Arguments& arguments)
{
    const auto options = TRY(hostOptionsOf(arguments));
    auto host = TRY(Host::create(options));
    for (const auto& each : host->overridden())
        printNote("TRAINING, keys are not protected: " + each);
    return runBatch(*host, arguments);
}

Result<Exit> batchOf(const Arguments& arguments)
{
    constexpr std::uint32_t kMostUnits = 1'000'000;
    const auto wanted = TRY(arguments.number("count", 0));
    if (wanted == 0 || wanted > kMostUnits)
        return fail(Errc::InvalidArgument, Blame::Operator,
                    concat("--count ", wanted, ": must be 1 to ", kMostUnits));
    if (arguments.has("inject"))
        return injectBatch(arguments);
    if (!arguments.has("out"))
        return fail(Errc::InvalidArgument, Blame::Operator,
                    "make a batch of keys: name a folder for them by --out, or put them into units "
                    "by --inject");
    return makeKeyFiles(arguments, wanted);
}

Exit batchCommand(const Arguments& arguments)
{
    const auto exit = batchOf(arguments);
    return exit ? *exit : report(exit.error(), arguments);
}

Result<VerifiedManifest> verified(const Arguments& arguments)
{
    const std::string file = arguments.text("public-key");
    auto key = VerifyingKey::fromPem(TRY(readFile(file, 1UL << 16)));
    if (!key)
        return Unexpected(inFrame(std::move(key).error(), "--public-key " + file));
    return verifyManifest(arguments.positionals()[0], *key);
}

Exit manifestCommand(const Arguments& arguments)
{
    const auto manifest = verified(arguments);
    if (!manifest)
        return report(manifest.error(), arguments);
    if (arguments.has("json"))
        printJson({{"event", "manifest"},
                   {"ok", true},
                   {"batch", manifest->batch},
                   {"units", manifest->units},
                   {"signer", manifest->signer}});
    else
        printText(concat(arguments.positionals()[0], ": batch ", manifest->batch, ", ",
                         manifest->units, " keys, signed by ", manifest->signer));
    return Exit::Pass;
}

} // namespace

std::vector<Command> keysBatchCommands()
{
    std::vector<Option> options{
        {.name = "platform", .value = "P", .help = "name or number", .required = true},
        {.name = "count", .value = "N", .help = "how many units", .required = true},
        {.name = "inject", .help = "put the keys into units: --station or --simulate"},
        {.name = "out",
         .value = "DIR",
         .help = "without --inject key files and manifest; with it the manifest"},
        {.name = "resume", .help = "go on with a batch that was stopped or killed"},
        {.name = "name", .value = "NAME", .help = "of the batch; platform and time by default"},
        {.name = "plan", .value = "PLAN", .help = "PLATFORM-keys by default"},
        {.name = "simulate", .value = "BENCH.toml", .help = "a virtual bench, by id or path"},
        {.name = "speed", .value = "SPEED", .help = "of the bench: instant, demo or timed"},
        {.name = "training",
         .help = "although this computer cannot protect keys; never in production"},
        {.name = "signing-key",
         .value = "FILE",
         .help = "of a batch of files: Ed25519, made where there is none; else station-key.pem "
                 "beside the database"}};
    const auto storage = keyStorageOptions();
    options.insert(options.end(), storage.begin(), storage.end());
    return {{.path = "keys batch",
             .summary = "Gives N units a key each, or makes N key files, with a signed manifest",
             .options = std::move(options),
             .example = "provost keys batch --platform photon --count 4 --inject --simulate "
                        "photon-quick --speed instant --out lot-1",
             .run = batchCommand,
             .notes = "A batch that was killed anywhere goes on with --resume: no key is lost and "
                      "none is given twice."},
            {.path = "keys manifest",
             .summary = "Checks the manifest of a batch: signatures, counts, fingerprints",
             .positionals = "DIR",
             .minPositionals = 1,
             .maxPositionals = 1,
             .options = {{.name = "public-key",
                          .value = "PEM",
                          .help = "the station's, from a source of your own",
                          .required = true}},
             .example = "provost keys manifest lot-1 --public-key lot-1/station-key.pub.pem",
             .run = manifestCommand,
             .looksOnly = true}};
}

} // namespace provost::cli
