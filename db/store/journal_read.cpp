// Journal: reading runs and units back.
#include "store/journal_p.h"

namespace provost {

using sqlite::Connection;
using sqlite::Statement;
using sqlite::Values;

namespace {

constexpr std::string_view kRunColumns =
    "SELECT r.run_id, r.slot, r.label, ifnull(u.device_id, ''), r.plan_id, r.plan_revision, "
    "r.plan_digest, r.simulated, r.station, r.verdict, r.cause, r.error, r.started_utc, "
    "r.finished_utc, ifnull(r.seconds, 0), r.route, r.key_batch_id, r.training FROM run AS r LEFT "
    "JOIN unit AS u "
    "USING (unit_id) ";

constexpr std::string_view kUnitColumns =
    "SELECT u.device_id, u.label, iif(u.state = 'pass' AND (SELECT r.verdict FROM run AS r "
    " WHERE r.unit_id = u.unit_id AND r.verdict IN ('pass', 'hold', 'fail') "
    " ORDER BY r.run_id DESC LIMIT 1) = 'hold', 'released', u.state), u.first_seen_utc, "
    "u.last_seen_utc, u.simulated, "
    "(SELECT k.fingerprint FROM unit_key AS k WHERE k.unit_id = u.unit_id "
    " AND k.state IN ('proved', 'registered') ORDER BY k.journal_seq DESC LIMIT 1), "
    "(SELECT count(*) FROM run AS r WHERE r.unit_id = u.unit_id), "
    "(SELECT r.cause FROM run AS r WHERE r.unit_id = u.unit_id AND r.verdict IS NOT NULL "
    " ORDER BY r.run_id DESC LIMIT 1), u.platform FROM unit AS u ";

Result<RunRecord> runIn(const Statement& row)
{
    const Verdict verdict = TRY(detail::verdictIn(row, 9));
    RunRecord run{.id = RunId{row.integer(0)}, .verdict = verdict};
    run.start = {.slot = row.number(1),
                 .unit = {.serial = row.text(2), .deviceId = row.text(3)},
                 .planId = row.text(4),
                 .planRevision = row.number(5),
                 .planDigest = row.text(6),
                 .simulated = row.flag(7),
                 .station = row.text(8),
                 .training = row.flag(17)};
    if (!row.isNull(16))
        run.start.keyBatch = row.integer(16);
    run.cause = row.text(10);
    run.error = row.text(11);
    run.startedUtc = detail::utcText(row.integer(12));
    if (!row.isNull(13))
        run.finishedUtc = detail::utcText(row.integer(13));
    run.seconds = row.real(14);
    run.route = row.text(15);
    return run;
}

Result<Measurement> measurementIn(const Statement& row)
{
    const Verdict verdict = TRY(detail::verdictIn(row, 7));
    Measurement measurement{.name = row.text(0), .verdict = verdict};
    if (!row.isNull(1))
        measurement.value = row.real(1);
    else if (!row.isNull(2))
        measurement.value = row.text(2);
    else if (!row.isNull(3))
        measurement.value = row.flag(3);
    measurement.limit = {.min = row.maybeReal(4), .max = row.maybeReal(5), .unit = row.text(6)};
    return measurement;
}

Result<std::vector<Measurement>> measurementsOf(Connection& db, std::int64_t attempt)
{
    auto rows = TRY(db.query("SELECT name, number, words, flag, minimum, maximum, unit, verdict "
                             "FROM measurement WHERE attempt_id = ? ORDER BY position",
                             {attempt}));
    std::vector<Measurement> measurements;
    while (TRY(rows.step()))
        measurements.push_back(TRY(measurementIn(rows)));
    return measurements;
}

Result<std::vector<AttemptRecord>> attemptsOf(Connection& db, RunId run)
{
    auto rows = TRY(db.query("SELECT attempt_id, step, name, attempt, verdict, seconds, note, "
                             "cause, error FROM attempt WHERE run_id = ? ORDER BY position",
                             {run.value}));
    std::vector<AttemptRecord> attempts;
    while (TRY(rows.step())) {
        const Verdict verdict = TRY(detail::verdictIn(rows, 4));
        AttemptRecord attempt{.step = rows.text(1),
                              .name = rows.text(2),
                              .attempt = rows.number(3),
                              .verdict = verdict,
                              .seconds = rows.real(5),
                              .note = rows.text(6),
                              .cause = rows.text(7),
                              .error = rows.text(8)};
        attempt.measurements = TRY(measurementsOf(db, rows.integer(0)));
        attempts.push_back(std::move(attempt));
    }
    return attempts;
}

Result<std::vector<HandshakeArrow>> handshakeOf(Connection& db, RunId run)
{
    auto rows = TRY(db.query("SELECT position, from_device, what, note, bytes, at_ms, failed "
                             "FROM handshake_arrow WHERE run_id = ?1 AND session = "
                             "(SELECT max(session) FROM handshake_arrow WHERE run_id = ?1) "
                             "ORDER BY position",
                             {run.value}));
    std::vector<HandshakeArrow> arrows;
    while (TRY(rows.step()))
        arrows.push_back({.position = rows.number(0),
                          .fromDevice = rows.flag(1),
                          .what = rows.text(2),
                          .note = rows.text(3),
                          .bytes = rows.integer(4),
                          .atMs = rows.real(5),
                          .failed = rows.flag(6)});
    return arrows;
}

Result<std::vector<ImageUse>> imagesOf(Connection& db, RunId run)
{
    auto rows = TRY(db.query("SELECT role, version, sha256, module_version FROM image_use "
                             "WHERE run_id = ? ORDER BY image_use_id",
                             {run.value}));
    std::vector<ImageUse> images;
    while (TRY(rows.step()))
        images.push_back({.role = rows.text(0),
                          .version = rows.text(1),
                          .sha256 = rows.text(2),
                          .moduleVersion = rows.number(3)});
    return images;
}

Result<std::vector<RunRecord>> runsWhere(Connection& db, std::string_view condition, Values values)
{
    auto rows = TRY(db.query(concat(kRunColumns, condition), values));
    std::vector<RunRecord> runs;
    while (TRY(rows.step()))
        runs.push_back(TRY(runIn(rows)));
    for (RunRecord& run : runs) {
        run.attempts = TRY(attemptsOf(db, run.id));
        run.handshake = TRY(handshakeOf(db, run.id));
        run.images = TRY(imagesOf(db, run.id));
    }
    return runs;
}

UnitRow unitIn(const Statement& row)
{
    return {.deviceId = row.text(0),
            .label = row.text(1),
            .platform = row.text(9),
            .state = row.text(2),
            .keyFingerprint = row.text(6),
            .firstSeenUtc = detail::utcText(row.integer(3)),
            .lastSeenUtc = detail::utcText(row.integer(4)),
            .runs = row.number(7),
            .lastCause = row.text(8),
            .simulated = row.flag(5)};
}

Result<std::vector<UnitRow>> unitsWhere(Connection& db, std::string_view condition, Values values)
{
    auto rows = TRY(db.query(
        concat(kUnitColumns, condition, " ORDER BY u.last_seen_utc DESC, u.unit_id DESC"), values));
    std::vector<UnitRow> units;
    while (TRY(rows.step()))
        units.push_back(unitIn(rows));
    return units;
}

} // namespace

Result<RunRecord> Journal::run(RunId id)
{
    auto db = TRY(m_impl->reader());
    auto runs = TRY(runsWhere(db, "WHERE r.run_id = ?", {id.value}));
    if (runs.empty())
        return fail(Errc::NotFound, Blame::Operator, concat("find run ", id.value, ": none"));
    return std::move(runs.front());
}

Result<std::vector<RunRecord>> Journal::runsOf(const std::string& deviceId)
{
    auto db = TRY(m_impl->reader());
    return runsWhere(db, "WHERE u.device_id = ? ORDER BY r.run_id DESC", {deviceId});
}

Result<std::vector<RunRecord>> Journal::runsSince(Clock::Utc since)
{
    auto db = TRY(m_impl->reader());
    return runsWhere(db, "WHERE r.finished_utc >= ? ORDER BY r.finished_utc, r.run_id",
                     {std::int64_t{since.time_since_epoch().count()}});
}

Result<std::vector<JournalRow>> Journal::journalOf(RunId id)
{
    auto db = TRY(m_impl->reader());
    auto rows = TRY(db.query("SELECT seq, at_utc, kind, subject, payload FROM journal "
                             "WHERE run_id = ? ORDER BY seq",
                             {id.value}));
    std::vector<JournalRow> journal;
    while (TRY(rows.step()))
        journal.push_back({.seq = rows.integer(0),
                           .atUtc = detail::utcText(rows.integer(1)),
                           .kind = rows.text(2),
                           .subject = rows.text(3),
                           .payload = rows.text(4)});
    return journal;
}

Result<std::optional<TraceRecord>> Journal::traceOf(RunId id)
{
    auto db = TRY(m_impl->reader());
    auto row = TRY(
        db.query("SELECT transfers, dropped, trace FROM run_trace WHERE run_id = ?", {id.value}));
    const bool found = TRY(row.step());
    if (!found)
        return std::optional<TraceRecord>{};
    return std::optional(
        TraceRecord{.transfers = row.integer(0), .dropped = row.integer(1), .text = row.text(2)});
}

Result<IntentOutcome> Journal::outcomeOf(const std::string& deviceId, std::string_view effect,
                                         std::string_view payload)
{
    auto db = TRY(m_impl->reader());
    auto row = TRY(
        db.query("SELECT (SELECT s.payload FROM journal AS s WHERE s.kind = 'settle' AND s.run_id "
                 "= i.run_id "
                 "AND s.subject = i.subject AND s.seq > i.seq ORDER BY s.seq LIMIT 1) "
                 "FROM journal AS i JOIN run USING (run_id) JOIN unit AS u USING (unit_id) "
                 "WHERE i.kind = 'intend' AND i.subject = ? AND i.payload = ? AND u.device_id = ? "
                 "ORDER BY i.seq DESC LIMIT 1",
                 {effect, payload, deviceId}));
    const bool found = TRY(row.step());
    if (!found)
        return IntentOutcome::NotAnnounced;
    if (row.isNull(0))
        return IntentOutcome::Unknown;
    return row.text(0) == name(Verdict::Pass) ? IntentOutcome::Passed : IntentOutcome::Failed;
}

Result<std::vector<UnitRow>> Journal::units()
{
    auto db = TRY(m_impl->reader());
    return unitsWhere(db, "", {});
}

Result<UnitRow> Journal::unit(const std::string& idOrLabel)
{
    const auto what = concat("find unit \"", idOrLabel, "\"");
    if (idOrLabel.empty())
        return fail(Errc::InvalidArgument, Blame::Operator, concat(what, ": no id or label given"));
    auto db = TRY(m_impl->reader());
    const std::string id = lowerCase(idOrLabel);
    auto found = TRY(unitsWhere(db, "WHERE u.device_id = ? OR u.label = ?", {id, idOrLabel}));
    if (found.empty())
        found = TRY(unitsWhere(db,
                               "WHERE substr(u.device_id, 1, length(?1)) = ?1 "
                               "OR substr(u.label, 1, length(?2)) = ?2",
                               {id, idOrLabel}));
    if (found.empty())
        return fail(Errc::NotFound, Blame::Operator,
                    concat(what, ": no unit with such an id or label is on record"));
    if (found.size() > 1)
        return fail(Errc::InvalidArgument, Blame::Operator,
                    concat(what, ": ", found.size(), " units fit, among them ", found[0].deviceId,
                           " and ", found[1].deviceId, "; give more of it"));
    return std::move(found.front());
}

} // namespace provost
