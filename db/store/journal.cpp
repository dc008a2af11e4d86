#include "store/journal.h"

#include "store/journal_p.h"
#include "store/migrator.h"
#include "store/page_seal_p.h"

namespace provost {

using sqlite::Access;
using sqlite::Connection;

namespace {

/// Row of stations/engine/causes for a run that a stop of the station cut off.
constexpr std::string_view kStoppedCause = "C001";
constexpr std::string_view kStoppedText = "station stopped during the run";

} // namespace

Journal::Journal(std::unique_ptr<Impl> impl) : m_impl(std::move(impl)) {}
Journal::~Journal()
{
    m_impl->close();
}

std::filesystem::path Journal::path() const
{
    return m_impl->file;
}

Result<std::unique_ptr<Journal>> Journal::open(const std::filesystem::path& file,
                                               const Clock& clock)
{
    const auto name = detail::canonicalName(file);
    auto lock = TRY(FileLock::take(name));
    chain::removePageSeal(name);
    TRY(migrate(name));
    auto impl = std::make_unique<Impl>(name, clock, std::optional(std::move(lock)));
    TRY(impl->openWriter());
    TRY(impl->recover());
    return std::unique_ptr<Journal>(new Journal(std::move(impl)));
}

Result<std::unique_ptr<Journal>> Journal::openReadOnly(const std::filesystem::path& file,
                                                       const Clock& clock)
{
    const auto name = detail::canonicalName(file);
    TRY(requireCurrentSchema(name));
    return std::unique_ptr<Journal>(new Journal(std::make_unique<Impl>(name, clock, std::nullopt)));
}

Result<> Journal::Impl::openWriter()
{
    auto connection = TRY(Connection::open(file, Access::ReadWrite));
    const MutexLock guard(mutex);
    writer.emplace(std::move(connection));
    sealer.emplace(TRY(chain::Writer::open(*writer)));
    return {};
}

Result<> Journal::Impl::write(const std::string& what,
                              const std::function<Result<>(Connection&)>& body, Occasion occasion)
{
    bool signedOne = false;
    {
        const MutexLock guard(mutex);
        if (!writer)
            return fail(Errc::Denied, Blame::Software,
                        concat(what, ": ", file.string(), " was opened for reading only"));
        std::optional<chain::Checkpoint> checkpoint;
        const auto written = chain::writeSealed(*writer, *sealer, now(), body,
                                                [&]() PROVOST_REQUIRES(mutex) -> Result<> {
                                                    checkpoint = TRY(signIfDue(occasion));
                                                    return {};
                                                });
        if (!written)
            return Unexpected(inFrame(written.error(), what));
        signedOne = checkpoint.has_value();
        if (checkpoint)
            signedNow(std::move(*checkpoint));
    }
    if (signedOne)
        keepElsewhere();
    return {};
}

Result<Connection> Journal::Impl::reader() const
{
    auto connection = TRY(Connection::open(file, Access::ReadOnly));
    TRY(connection.script("BEGIN"));
    return connection;
}

Result<std::int64_t> Journal::Impl::append(Connection& db, RunId run, std::string_view kind,
                                           std::string_view subject, std::string_view payload) const
{
    TRY(db.execute("INSERT INTO journal (run_id, at_utc, kind, subject, payload) "
                   "VALUES (?, ?, ?, ?, ?)",
                   {run.value, now(), kind, subject, payload}));
    return db.lastRow();
}

// We hold the lock, so whoever began these runs is gone.
Result<> Journal::Impl::recover()
{
    return write(concat("recover ", file.string()), [this](Connection& db) -> Result<> {
        std::vector<RunId> unfinished;
        auto rows = TRY(db.query("SELECT run_id FROM run WHERE verdict IS NULL ORDER BY run_id"));
        while (TRY(rows.step()))
            unfinished.push_back(RunId{rows.integer(0)});
        for (const RunId run : unfinished) {
            // It ran at least until its last journal row.
            TRY(db.execute("UPDATE run SET verdict = 'aborted', cause = ?, error = ?, "
                           "finished_utc = ?, seconds = (SELECT max(0, max(j.at_utc) - "
                           "run.started_utc) / 1000.0 FROM journal AS j "
                           "WHERE j.run_id = run.run_id) WHERE run_id = ?",
                           {kStoppedCause, kStoppedText, now(), run.value}));
            TRY(append(db, run, "finish", kStoppedCause, name(Verdict::Aborted)));
        }
        TRY(closeCustody(db));
        return db.execute("UPDATE unit SET state = 'inspect' WHERE unit_id IN "
                          "(SELECT unit_id FROM unsettled_intent)");
    });
}

// Keys wait for their proof in memory only, and that process is gone.
Result<> Journal::Impl::closeCustody(Connection& db) const
{
    std::vector<std::pair<std::string, RunId>> open;
    auto rows = TRY(db.query(
        "SELECT c.fingerprint, c.run_id FROM key_custody AS c WHERE c.event = 'birth' AND NOT "
        "EXISTS (SELECT 1 FROM key_custody AS d WHERE d.fingerprint = c.fingerprint "
        "AND d.event = 'destruction') ORDER BY c.key_custody_id"));
    while (TRY(rows.step()))
        open.emplace_back(rows.text(0), RunId{rows.integer(1)});
    for (const auto& [fingerprint, run] : open)
        TRY(appendCustody(db, run, fingerprint, CustodyEvent::Destruction,
                          "the process that held it ended"));
    return {};
}

namespace detail {

std::filesystem::path canonicalName(const std::filesystem::path& file)
{
    std::error_code why;
    auto name = std::filesystem::weakly_canonical(file, why);
    return why ? file : name;
}

Result<OpenRun> findRun(Connection& db, RunId run)
{
    auto row = TRY(db.query("SELECT r.unit_id, u.device_id, r.verdict IS NOT NULL, r.simulated, "
                            "r.key_batch_id IS NOT NULL FROM run AS r LEFT JOIN unit AS u USING "
                            "(unit_id) WHERE run_id = ?",
                            {run.value}));
    const bool found = TRY(row.step());
    if (!found)
        return fail(Errc::NotFound, Blame::Software, concat("find run ", run.value, ": none"));
    OpenRun open{.deviceId = row.text(1),
                 .finished = row.flag(2),
                 .simulated = row.flag(3),
                 .inKeyBatch = row.flag(4)};
    if (!row.isNull(0))
        open.unit = row.integer(0);
    return open;
}

Result<OpenRun> findOpenRun(Connection& db, RunId run)
{
    auto open = TRY(findRun(db, run));
    if (open.finished)
        return fail(Errc::InvalidArgument, Blame::Software,
                    concat("write to run ", run.value, ": it has its verdict"));
    return open;
}

Result<OpenRun> findIdentifiedRun(Connection& db, RunId run)
{
    auto open = TRY(findRun(db, run));
    if (!open.unit)
        return fail(Errc::InvalidArgument, Blame::Software,
                    concat("find the unit of run ", run.value, ": its id was not read yet"));
    return open;
}

Result<std::int64_t> findUnit(Connection& db, const std::string& deviceId)
{
    const auto unit = TRY(db.integer("SELECT unit_id FROM unit WHERE device_id = ?", {deviceId}));
    if (unit == 0)
        return fail(Errc::NotFound, Blame::Operator,
                    concat("find unit ", deviceId, ": no record of it"));
    return unit;
}

std::string utcText(std::int64_t milliseconds)
{
    return isoUtc(Clock::Utc{std::chrono::milliseconds{milliseconds}});
}

Result<Verdict> verdictIn(const sqlite::Statement& row, int column)
{
    if (row.isNull(column))
        return Verdict::NotRun;
    return parseVerdict(row.text(column));
}

} // namespace detail

} // namespace provost
