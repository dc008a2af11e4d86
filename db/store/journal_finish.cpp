// Journal: the verdict, and units that must be inspected.
#include "store/journal_p.h"

namespace provost {

using sqlite::Connection;

namespace {

struct Ending {
    Verdict verdict = Verdict::NotRun;
    std::string_view cause{};
    std::string_view error{};
    double seconds = 0;
};

Result<> requireSettled(Connection& db, RunId run)
{
    const auto effect =
        TRY(db.text("SELECT effect FROM unsettled_intent WHERE run_id = ?", {run.value}));
    if (!effect.empty())
        return fail(Errc::InvalidArgument, Blame::Software,
                    concat("run ", run.value, " cannot pass: \"", effect, "\" is not settled"));
    return {};
}

/// What the verdict of this run makes of its unit. A unit that was only given its key is no
/// product: it stays to be provisioned, and nobody can release it.
std::string_view stateAfter(const detail::OpenRun& of, Verdict verdict, bool registrationWaits)
{
    const bool keyed = verdict == Verdict::Pass || (verdict == Verdict::Hold && registrationWaits);
    return of.inKeyBatch && keyed ? "new" : name(verdict);
}

/// The state that a run leaves: that of its verdict if it judged, unless memory is in doubt.
Result<> judgeUnit(Connection& db, const detail::OpenRun& of, Verdict verdict,
                   bool registrationWaits, std::int64_t now)
{
    const bool judged =
        verdict == Verdict::Pass || verdict == Verdict::Hold || verdict == Verdict::Fail;
    return db.execute("UPDATE unit SET last_seen_utc = ?2, state = CASE "
                      "WHEN EXISTS (SELECT 1 FROM unsettled_intent WHERE unit_id = ?1) "
                      "THEN 'inspect' WHEN ?3 THEN ?4 ELSE state END WHERE unit_id = ?1",
                      {*of.unit, now, judged, stateAfter(of, verdict, registrationWaits)});
}

/// True where the same ending is there already.
Result<bool> isFinishedAlike(Connection& db, RunId run, const Ending& ending)
{
    auto row = TRY(
        db.query("SELECT verdict, cause, error, seconds FROM run WHERE run_id = ?", {run.value}));
    const bool found = TRY(row.step());
    return found && row.text(0) == name(ending.verdict) && row.text(1) == ending.cause &&
           row.text(2) == ending.error && row.real(3) == ending.seconds;
}

Result<> writeEnding(Connection& db, RunId run, const Ending& ending, std::int64_t now)
{
    return db.execute(
        "UPDATE run SET verdict = ?, cause = ?, error = ?, seconds = ?, "
        "finished_utc = ? WHERE run_id = ?",
        {name(ending.verdict), ending.cause, ending.error, ending.seconds, now, run.value});
}

Result<> checkEnding(Connection& db, RunId run, const Ending& ending,
                     const std::vector<OutboxEntry>& outbox)
{
    const auto alike = TRY(isFinishedAlike(db, run, ending));
    if (!alike)
        return fail(Errc::Corrupt, Blame::Station,
                    concat("read back run ", run.value, " from ", db.file(),
                           ": its verdict is not ", name(ending.verdict)));
    const auto of = TRY(detail::findRun(db, run));
    const auto state = stateAfter(of, ending.verdict, !outbox.empty());
    // A later run of the unit may have changed its state since.
    const auto wrong = TRY(db.integer(
        "SELECT count(*) FROM unit AS u WHERE u.device_id = ?1 AND ?2 IN ('pass', 'hold', 'fail') "
        "AND u.state NOT IN (?4, 'inspect') "
        // The cloud may have confirmed meanwhile what this verdict waits for.
        "AND NOT (u.state = 'pass' AND EXISTS (SELECT 1 FROM journal AS j WHERE j.run_id = ?3 "
        "AND j.kind = 'release')) "
        "AND NOT EXISTS (SELECT 1 FROM run AS r WHERE r.unit_id = u.unit_id AND r.run_id > ?3)",
        {of.deviceId, name(ending.verdict), run.value, state}));
    if (wrong != 0)
        return fail(Errc::Corrupt, Blame::Station,
                    concat("read back unit ", of.deviceId, " from ", db.file(),
                           ": its state is not ", state));
    return detail::checkOutbox(db, of, outbox);
}

} // namespace

Result<> Journal::finishRun(RunId run, Verdict verdict, std::string_view cause,
                            std::string_view error, double seconds,
                            const std::vector<OutboxEntry>& outbox)
{
    const Ending ending{.verdict = verdict, .cause = cause, .error = error, .seconds = seconds};
    const auto what = concat("record verdict ", name(verdict), " of run ", run.value);
    TRY(m_impl->write(
        what,
        [&](Connection& db) -> Result<> {
            const auto open = TRY(detail::findRun(db, run));
            const auto alike = TRY(isFinishedAlike(db, run, ending));
            if (open.finished && alike)
                return {}; // the caller could not read it back and asks again
            TRY(detail::findOpenRun(db, run));
            if (verdict == Verdict::Pass) {
                TRY(detail::findIdentifiedRun(db, run));
                TRY(requireSettled(db, run));
            }
            const std::int64_t now = m_impl->now();
            TRY(writeEnding(db, run, ending, now));
            if (open.unit)
                TRY(judgeUnit(db, open, verdict, !outbox.empty(), now));
            TRY(detail::postOutbox(db, run, open, now, outbox));
            TRY(m_impl->append(db, run, "finish", cause, name(verdict)));
            return {};
        },
        Occasion::Verdict));
    auto fresh = TRY(m_impl->reader());
    auto checked = checkEnding(fresh, run, ending, outbox);
    if (!checked)
        return Unexpected(inFrame(std::move(checked).error(), what));
    return {};
}

Result<bool> Journal::needsInspection(const std::string& deviceId)
{
    auto db = TRY(m_impl->reader());
    const auto found = TRY(
        db.integer("SELECT EXISTS (SELECT 1 FROM unit WHERE device_id = ?1 AND (state = 'inspect' "
                   "OR unit_id IN (SELECT unit_id FROM unsettled_intent)))",
                   {deviceId}));
    return found != 0;
}

Result<std::vector<OpenIntent>> Journal::openIntents(const std::string& deviceId)
{
    auto db = TRY(m_impl->reader());
    auto rows = TRY(db.query("SELECT i.run_id, i.at_utc, i.effect, i.payload "
                             "FROM unsettled_intent AS i JOIN unit AS u USING (unit_id) "
                             "WHERE u.device_id = ? ORDER BY i.seq",
                             {deviceId}));
    std::vector<OpenIntent> open;
    while (TRY(rows.step()))
        open.push_back({.run = RunId{rows.integer(0)},
                        .atUtc = detail::utcText(rows.integer(1)),
                        .effect = rows.text(2),
                        .payload = rows.text(3)});
    return open;
}

Result<> Journal::clearInspection(RunId run, const std::string& deviceId)
{
    return m_impl->write(
        concat("clear the inspection of unit ", deviceId), [&](Connection& db) -> Result<> {
            TRY(detail::findRun(db, run));
            const auto unit = TRY(detail::findUnit(db, deviceId));
            TRY(m_impl->append(db, run, "inspected", deviceId, ""));
            return db.execute(
                "UPDATE unit SET state = 'new' WHERE unit_id = ? AND state = 'inspect'", {unit});
        });
}

} // namespace provost
