// Journal: a run from its beginning to its verdict.
#include "store/journal_p.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace provost {

using sqlite::Connection;
using sqlite::Value;

namespace {

/// Kinds that recovery and verification read: a note must not pass for one of them.
constexpr std::array<std::string_view, 22> kOwnKinds{"withdraw",
                                                     "hold",
                                                     "key-birth",
                                                     "key-burn",
                                                     "key-proof",
                                                     "key-escrow",
                                                     "key-destruction",
                                                     "begin",
                                                     "identify",
                                                     "attempt",
                                                     "image",
                                                     "intend",
                                                     "settle",
                                                     "key",
                                                     "key-refused",
                                                     "key-state",
                                                     "inspected",
                                                     "finish",
                                                     "sent",
                                                     "trace",
                                                     "release",
                                                     "superseded"};

bool isDeviceId(std::string_view text)
{
    return text.size() == 24 &&
           text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

/// Creates or touches the unit's row. @returns its row id
Result<std::int64_t> seeUnit(Connection& db, const UnitIdentity& unit, bool simulated,
                             std::int64_t now)
{
    if (!isDeviceId(unit.deviceId))
        return fail(Errc::InvalidArgument, Blame::Software,
                    concat("record unit \"", unit.deviceId,
                           "\": a device id has 24 lower-case hexadecimal digits"));
    TRY(db.execute("INSERT INTO unit (device_id, label, simulated, first_seen_utc, last_seen_utc) "
                   "VALUES (?1, ?2, ?3, ?4, ?4) ON CONFLICT (device_id) DO UPDATE SET "
                   "label = CASE WHEN ?2 = '' THEN label ELSE ?2 END, simulated = ?3, "
                   "last_seen_utc = ?4",
                   {unit.deviceId, unit.serial, simulated, now}));
    return detail::findUnit(db, unit.deviceId);
}

/// SQLite would store "not a number" as NULL, and that means not measured.
Result<> checkNumber(const Measurement& measurement)
{
    const auto* number = measurement.value ? std::get_if<double>(&*measurement.value) : nullptr;
    if (number != nullptr && std::isnan(*number))
        return fail(Errc::InvalidArgument, Blame::Software,
                    concat("record measurement ", measurement.name, ": not a number"));
    return {};
}

Result<> insertMeasurement(Connection& db, std::int64_t attempt, std::int64_t position,
                           const Measurement& measurement)
{
    TRY(checkNumber(measurement));
    Value number = std::nullopt;
    Value words = std::nullopt;
    Value flag = std::nullopt;
    if (measurement.value) {
        if (const auto* real = std::get_if<double>(&*measurement.value))
            number = *real;
        else if (const auto* text = std::get_if<std::string>(&*measurement.value))
            words = *text;
        else
            flag = std::get<bool>(*measurement.value);
    }
    const Limit& limit = measurement.limit;
    return db.execute("INSERT INTO measurement (attempt_id, position, name, number, words, flag, "
                      "minimum, maximum, unit, verdict) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                      {attempt, position, measurement.name, number, words, flag, limit.min,
                       limit.max, limit.unit, name(measurement.verdict)});
}

Result<> insertAttempt(Connection& db, RunId run, const AttemptRecord& attempt)
{
    TRY(db.execute("INSERT INTO attempt (run_id, position, step, name, attempt, verdict, seconds, "
                   "note, cause, error) VALUES (?1, (SELECT count(*) + 1 FROM attempt "
                   "WHERE run_id = ?1), ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
                   {run.value, attempt.step, attempt.name, attempt.attempt, name(attempt.verdict),
                    attempt.seconds, attempt.note, attempt.cause, attempt.error}));
    const std::int64_t row = db.lastRow();
    std::int64_t position = 0;
    for (const Measurement& measurement : attempt.measurements)
        TRY(insertMeasurement(db, row, ++position, measurement));
    return {};
}

/// The session that these arrows belong to.
Result<std::int64_t> handshakeSession(Connection& db, RunId run, int firstPosition)
{
    auto last = TRY(db.query("SELECT session, max(position) FROM handshake_arrow WHERE run_id = ? "
                             "GROUP BY session ORDER BY session DESC LIMIT 1",
                             {run.value}));
    const bool found = TRY(last.step());
    if (!found)
        return 1;
    return firstPosition > last.integer(1) ? last.integer(0) : last.integer(0) + 1;
}

} // namespace

Result<RunId> Journal::beginRun(const RunStart& start)
{
    RunId run{};
    TRY(m_impl->write(concat("begin a run in slot ", start.slot), [&](Connection& db) -> Result<> {
        const std::int64_t now = m_impl->now();
        TRY(db.execute("INSERT INTO run (slot, label, plan_id, plan_revision, plan_digest, "
                       "station, simulated, started_utc, key_batch_id, training) VALUES "
                       "(?, ?, ?, ?, ?, ?, ?, ?, nullif(?, 0), ?)",
                       {start.slot, start.unit.serial, start.planId, start.planRevision,
                        start.planDigest, start.station, start.simulated, now,
                        start.keyBatch.value_or(0), start.training}));
        run.value = db.lastRow();
        TRY(m_impl->append(db, run, "begin", start.planId, start.planDigest));
        if (start.unit.deviceId.empty())
            return {};
        const auto unit = TRY(seeUnit(db, start.unit, start.simulated, now));
        return db.execute("UPDATE run SET unit_id = ? WHERE run_id = ?", {unit, run.value});
    }));
    return run;
}

Result<> Journal::identify(RunId run, const UnitIdentity& unit, std::string_view route,
                           std::string_view platform)
{
    const auto what = concat("identify unit ", unit.deviceId, " in run ", run.value);
    return m_impl->write(what, [&](Connection& db) -> Result<> {
        const auto open = TRY(detail::findOpenRun(db, run));
        if (open.unit && open.deviceId != unit.deviceId)
            return fail(Errc::Mismatch, Blame::Fixture,
                        concat("run ", run.value, " is of unit ", open.deviceId, ", not of ",
                               unit.deviceId));
        const auto row = TRY(seeUnit(db, unit, open.simulated, m_impl->now()));
        TRY(db.execute("UPDATE unit SET platform = ?1 WHERE unit_id = ?2 AND ?1 <> ''",
                       {platform, row}));
        TRY(db.execute("UPDATE run SET unit_id = ?1, route = ?2, "
                       "label = CASE WHEN ?3 = '' THEN label ELSE ?3 END WHERE run_id = ?4",
                       {row, route, unit.serial, run.value}));
        // A label that was scanned before the id was known belongs to the unit as well.
        TRY(db.execute("UPDATE unit SET label = r.label FROM run AS r WHERE r.run_id = ? "
                       "AND unit.unit_id = r.unit_id AND r.label <> ''",
                       {run.value}));
        TRY(m_impl->append(db, run, "identify", unit.deviceId, route));
        return {};
    });
}

Result<> Journal::recordAttempt(RunId run, const AttemptRecord& attempt)
{
    const auto what =
        concat("record attempt ", attempt.attempt, " of \"", attempt.name, "\" in run ", run.value);
    return m_impl->write(what, [&](Connection& db) -> Result<> {
        TRY(detail::findOpenRun(db, run));
        TRY(insertAttempt(db, run, attempt));
        TRY(m_impl->append(db, run, "attempt", attempt.name, name(attempt.verdict)));
        return {};
    });
}

Result<> Journal::recordHandshake(RunId run, const std::vector<HandshakeArrow>& arrows)
{
    if (arrows.empty())
        return {};
    return m_impl->write(
        concat("record the handshake of run ", run.value), [&](Connection& db) -> Result<> {
            TRY(detail::findOpenRun(db, run));
            auto session = TRY(handshakeSession(db, run, arrows.front().position));
            int before = arrows.front().position - 1;
            for (const HandshakeArrow& arrow : arrows) {
                session += arrow.position <= before ? 1 : 0;
                before = arrow.position;
                TRY(db.execute(
                    "INSERT INTO handshake_arrow (run_id, session, position, from_device, "
                    "what, note, bytes, at_ms, failed) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    {run.value, session, arrow.position, arrow.fromDevice, arrow.what, arrow.note,
                     arrow.bytes, arrow.atMs, arrow.failed}));
            }
            return {};
        });
}

Result<> Journal::recordImage(RunId run, const ImageUse& image)
{
    const auto what =
        concat("record image ", image.role, " ", image.version, " in run ", run.value);
    return m_impl->write(what, [&](Connection& db) -> Result<> {
        TRY(detail::findOpenRun(db, run));
        TRY(db.execute("INSERT INTO image_use (run_id, role, version, sha256, module_version) "
                       "VALUES (?, ?, ?, ?, ?)",
                       {run.value, image.role, image.version, image.sha256, image.moduleVersion}));
        TRY(m_impl->append(db, run, "image", image.sha256, image.role));
        return {};
    });
}

Result<> Journal::recordTrace(RunId run, const TraceRecord& trace)
{
    return m_impl->write(
        concat("record the trace of run ", run.value), [&](Connection& db) -> Result<> {
            TRY(detail::findOpenRun(db, run));
            TRY(db.execute(
                "INSERT INTO run_trace (run_id, transfers, dropped, trace) VALUES (?, ?, ?, ?)",
                {run.value, trace.transfers, trace.dropped, trace.text}));
            TRY(m_impl->append(db, run, "trace", "", concat(trace.transfers, " transfers")));
            return {};
        });
}

Result<> Journal::note(RunId run, std::string_view kind, std::string_view payload)
{
    const auto what = concat("note \"", kind, "\" in run ", run.value);
    if (std::ranges::find(kOwnKinds, kind) != kOwnKinds.end())
        return fail(Errc::InvalidArgument, Blame::Software,
                    concat(what, ": only the journal itself writes rows of this kind"));
    return m_impl->write(what, [&](Connection& db) -> Result<> {
        TRY(detail::findRun(db, run));
        TRY(m_impl->append(db, run, kind, "", payload));
        return {};
    });
}

Result<> Journal::intend(RunId run, std::string_view effect, std::string_view payload)
{
    return m_impl->write(concat("announce ", effect, " in run ", run.value),
                         [&](Connection& db) -> Result<> {
                             TRY(detail::findOpenRun(db, run));
                             TRY(m_impl->append(db, run, "intend", effect, payload));
                             return {};
                         });
}

Result<> Journal::settle(RunId run, std::string_view effect, Verdict verdict)
{
    return m_impl->write(
        concat("settle ", effect, " in run ", run.value), [&](Connection& db) -> Result<> {
            TRY(detail::findOpenRun(db, run));
            const auto open = TRY(db.integer("SELECT count(*) FROM unsettled_intent "
                                             "WHERE run_id = ? AND effect = ?",
                                             {run.value, effect}));
            if (open == 0)
                return fail(Errc::NotFound, Blame::Software,
                            concat("no intent of \"", effect, "\" is open in run ", run.value));
            TRY(m_impl->append(db, run, "settle", effect, name(verdict)));
            return {};
        });
}

} // namespace provost
