// Journal: batches of key injection, and what happened beside any run.
#include "store/journal_p.h"
#include "store/migrator.h"
#include "store/page_seal_p.h"

#include <algorithm>
#include <array>

namespace provost {

using sqlite::Connection;
using sqlite::Statement;
using sqlite::Values;

namespace {

constexpr std::string_view kBatchColumns =
    "SELECT key_batch_id, name, platform, plan_id, plan_digest, station, wanted, begun_utc "
    "FROM key_batch ";

KeyBatch batchIn(const Statement& row)
{
    return {.id = row.integer(0),
            .name = row.text(1),
            .platform = row.text(2),
            .planId = row.text(3),
            .planDigest = row.text(4),
            .station = row.text(5),
            .wanted = row.number(6),
            .begunUtc = detail::utcText(row.integer(7))};
}

Result<std::vector<KeyBatch>> batchesWhere(Connection& db, std::string_view condition,
                                           Values values = {})
{
    auto rows = TRY(db.query(concat(kBatchColumns, condition), values));
    std::vector<KeyBatch> batches;
    while (TRY(rows.step()))
        batches.push_back(batchIn(rows));
    return batches;
}

// A run counts where it passed, or where nothing but the cloud's answer is missing: then its
// registration is in the outbox. A unit whose memory is in doubt counts again when it was
// inspected.
constexpr std::string_view kUnitsOfBatch =
    "WITH done AS (SELECT r.unit_id, max(r.run_id) AS run_id FROM run AS r "
    "  WHERE r.key_batch_id = ?1 AND (r.verdict = 'pass' OR (r.verdict = 'hold' AND EXISTS "
    "  (SELECT 1 FROM outbox AS o WHERE o.run_id = r.run_id AND o.kind = 'registration'))) "
    "  AND r.unit_id NOT IN (SELECT unit_id FROM unsettled_intent WHERE unit_id IS NOT NULL) "
    "  GROUP BY r.unit_id), "
    "latest AS (SELECT unit_id, max(run_id) AS run_id FROM run "
    "  WHERE key_batch_id = ?1 AND unit_id IS NOT NULL GROUP BY unit_id) "
    "SELECT u.device_id, u.label, r.verdict, r.cause, r.run_id, ifnull(r.finished_utc, 0), "
    "  r.simulated, r.training, d.run_id IS NOT NULL, k.fingerprint, k.public_der, "
    "  k.origin = 'generated' AND (SELECT kr.key_batch_id FROM run AS kr "
    "  WHERE kr.run_id = k.run_id) = ?1, k.state = 'registered' "
    "FROM latest AS l JOIN unit AS u USING (unit_id) LEFT JOIN done AS d USING (unit_id) "
    "JOIN run AS r ON r.run_id = ifnull(d.run_id, l.run_id) "
    "LEFT JOIN unit_key AS k ON d.run_id IS NOT NULL AND k.unit_key_id = "
    "  (SELECT n.unit_key_id FROM unit_key AS n WHERE n.unit_id = u.unit_id "
    "   AND n.state IN ('proved', 'registered') ORDER BY n.journal_seq DESC LIMIT 1) "
    "ORDER BY u.device_id";

/// Row of stations/engine/causes for a unit that has a key already.
constexpr std::string_view kKeyedCause = "C056";

BatchOutcome outcomeIn(const Statement& row)
{
    if (row.flag(8) && !row.isNull(9))
        return row.flag(11) ? BatchOutcome::Injected : BatchOutcome::Kept;
    if (row.text(3) == kKeyedCause)
        return BatchOutcome::Refused;
    const auto verdict = row.text(2);
    const bool judged = verdict == name(Verdict::Fail) || verdict == name(Verdict::Hold);
    return judged ? BatchOutcome::Failed : BatchOutcome::Open;
}

BatchUnit batchUnitIn(const Statement& row)
{
    BatchUnit unit{.deviceId = row.text(0),
                   .label = row.text(1),
                   .outcome = outcomeIn(row),
                   .simulated = row.flag(6),
                   .training = row.flag(7),
                   .run = RunId{row.integer(4)},
                   .finishedUtc =
                       row.integer(5) == 0 ? std::string{} : detail::utcText(row.integer(5)),
                   .cause = row.text(3)};
    if (!isDone(unit))
        return unit;
    unit.held = !row.flag(12);
    unit.fingerprint = row.text(9);
    unit.publicDer = row.blob(10);
    return unit;
}

} // namespace

std::string_view name(BatchOutcome outcome)
{
    constexpr std::array<std::string_view, 5> kWords{"injected", "kept", "refused", "failed",
                                                     "open"};
    return kWords.at(static_cast<std::size_t>(outcome));
}

bool isDone(const BatchUnit& unit)
{
    return unit.outcome == BatchOutcome::Injected || unit.outcome == BatchOutcome::Kept;
}

Result<KeyBatch> Journal::beginKeyBatch(const KeyBatch& batch)
{
    KeyBatch begun = batch;
    TRY(m_impl->write(concat("begin key batch ", batch.name), [&](Connection& db) -> Result<> {
        const auto twins =
            TRY(db.integer("SELECT count(*) FROM key_batch WHERE name = ?", {batch.name}));
        if (twins != 0)
            return fail(Errc::Denied, Blame::Operator,
                        "a batch of this name has begun already; go on with it by "
                        "--resume, or name another one");
        const auto now = m_impl->now();
        TRY(db.execute("INSERT INTO key_batch (name, platform, plan_id, plan_digest, station, "
                       "wanted, begun_utc) VALUES (?, ?, ?, ?, ?, ?, ?)",
                       {batch.name, batch.platform, batch.planId, batch.planDigest, batch.station,
                        batch.wanted, now}));
        begun.id = db.lastRow();
        begun.begunUtc = detail::utcText(now);
        return {};
    }));
    return begun;
}

Result<std::vector<KeyBatch>> Journal::keyBatches()
{
    auto db = TRY(m_impl->reader());
    return batchesWhere(db, "ORDER BY key_batch_id");
}

Result<std::vector<BatchUnit>> Journal::batchUnits(std::int64_t batch)
{
    auto db = TRY(m_impl->reader());
    auto rows = TRY(db.query(kUnitsOfBatch, {batch}));
    std::vector<BatchUnit> units;
    while (TRY(rows.step()))
        units.push_back(batchUnitIn(rows));
    return units;
}

Result<std::vector<StationRecord>> Journal::stationEvents()
{
    auto db = TRY(m_impl->reader());
    auto rows = TRY(db.query("SELECT at_utc, kind, subject, payload FROM station_event "
                             "ORDER BY station_event_id"));
    std::vector<StationRecord> events;
    while (TRY(rows.step()))
        events.push_back({.atUtc = detail::utcText(rows.integer(0)),
                          .kind = rows.text(1),
                          .subject = rows.text(2),
                          .payload = rows.text(3)});
    return events;
}

Result<> recordStationEvent(const std::filesystem::path& file, const Clock& clock,
                            const StationRecord& event)
{
    // Beside a running station too: it holds the lock, and SQLite lets one row in between.
    const auto name = detail::canonicalName(file);
    const auto lock = FileLock::take(name);
    chain::removePageSeal(name);
    if (lock)
        TRY(migrate(name));
    else
        TRY(requireCurrentSchema(name));
    auto db = TRY(Connection::open(name, sqlite::Access::ReadWrite));
    auto writer = TRY(chain::Writer::open(db));
    const std::int64_t now{clock.utcNow().time_since_epoch().count()};
    return chain::writeSealed(db, writer, now, [&](Connection& in) {
        return in.execute(
            "INSERT INTO station_event (at_utc, kind, subject, payload) VALUES (?, ?, ?, ?)",
            {now, event.kind, event.subject, event.payload});
    });
}

} // namespace provost
