// Journal: what the cloud is still to be told.
#include "store/journal_p.h"

namespace provost {

using sqlite::Connection;
using sqlite::Value;

namespace {

const std::string& deviceOf(const OutboxEntry& entry, const detail::OpenRun& run)
{
    return entry.deviceId.empty() ? run.deviceId : entry.deviceId;
}

/// What is on record under an idempotency key: nothing, the same message, or another one.
struct KnownKey {
    bool known = false;
    bool same = false;
};

Result<KnownKey> lookUp(Connection& db, const OutboxEntry& entry, const std::string& device)
{
    auto row = TRY(db.query("SELECT ifnull(device_id, '') = ?2 AND payload = ?3 AND kind = ?4 "
                            "FROM outbox WHERE idempotency_key = ?1",
                            {entry.idempotencyKey, device, entry.payload, entry.kind}));
    const bool found = TRY(row.step());
    return KnownKey{.known = found, .same = found && row.flag(0)};
}

/// Only the newest registration of a unit may still be sent.
Result<> supersedeOlder(Connection& db, const OutboxEntry& entry, const std::string& device)
{
    if (entry.kind != "registration")
        return {};
    return db.execute("UPDATE outbox SET state = 'superseded' WHERE kind = 'registration' "
                      "AND state = 'waiting' AND device_id = ? AND idempotency_key <> ?",
                      {device, entry.idempotencyKey});
}

Result<> postEntry(Connection& db, RunId run, const std::string& device, std::int64_t now,
                   const OutboxEntry& entry)
{
    const auto before = TRY(lookUp(db, entry, device));
    if (before.known && !before.same)
        return fail(Errc::Mismatch, Blame::Software,
                    concat("idempotency key ", entry.idempotencyKey,
                           " is known with another device or payload"));
    TRY(supersedeOlder(db, entry, device));
    if (before.known)
        return db.execute("UPDATE outbox SET state = 'waiting' WHERE idempotency_key = ?",
                          {entry.idempotencyKey});
    const Value deviceId = device.empty() ? Value(std::nullopt) : Value(device);
    return db.execute("INSERT INTO outbox (run_id, kind, idempotency_key, device_id, payload, "
                      "state, created_utc) VALUES (?, ?, ?, ?, ?, 'waiting', ?)",
                      {run.value, entry.kind, entry.idempotencyKey, deviceId, entry.payload, now});
}

constexpr std::string_view kEntryColumns =
    "SELECT outbox_id, kind, idempotency_key, device_id, payload, state, tries, created_utc, "
    "last_error, run_id FROM outbox ";

Result<std::vector<OutboxEntry>> entriesIn(sqlite::Statement rows)
{
    std::vector<OutboxEntry> entries;
    while (TRY(rows.step()))
        entries.push_back({.id = rows.integer(0),
                           .kind = rows.text(1),
                           .idempotencyKey = rows.text(2),
                           .deviceId = rows.text(3),
                           .payload = rows.text(4),
                           .state = rows.text(5),
                           .tries = rows.number(6),
                           .createdUtc = detail::utcText(rows.integer(7)),
                           .lastError = rows.text(8),
                           .run = RunId{rows.integer(9)}});
    return entries;
}

struct OutboxRow {
    RunId run{};
    std::string key{};
};

Result<OutboxRow> findRow(Connection& db, std::int64_t id)
{
    auto row =
        TRY(db.query("SELECT run_id, idempotency_key FROM outbox WHERE outbox_id = ?", {id}));
    const bool found = TRY(row.step());
    if (!found)
        return fail(Errc::NotFound, Blame::Software, concat("find outbox row ", id, ": none"));
    return OutboxRow{.run = RunId{row.integer(0)}, .key = row.text(1)};
}

} // namespace

namespace detail {

Result<> postOutbox(Connection& db, RunId run, const OpenRun& of, std::int64_t now,
                    const std::vector<OutboxEntry>& entries)
{
    for (const OutboxEntry& entry : entries)
        TRY(postEntry(db, run, deviceOf(entry, of), now, entry));
    return {};
}

// Not the state: the sender may have been quicker than we are.
Result<> checkOutbox(Connection& db, const OpenRun& of, const std::vector<OutboxEntry>& entries)
{
    for (const OutboxEntry& entry : entries) {
        const auto there = TRY(lookUp(db, entry, deviceOf(entry, of)));
        if (!there.same)
            return fail(Errc::Corrupt, Blame::Station,
                        concat("read back outbox row ", entry.idempotencyKey, " from ", db.file(),
                               ": it differs"));
    }
    return {};
}

} // namespace detail

Result<std::vector<OutboxEntry>> Journal::outbox(std::string_view state)
{
    auto db = TRY(m_impl->reader());
    return entriesIn(TRY(db.query(
        concat(kEntryColumns, "WHERE ?1 = '' OR state = ?1 ORDER BY outbox_id"), {state})));
}

Result<std::vector<OutboxEntry>> Journal::outboxPage(std::string_view state, std::int64_t after,
                                                     int limit)
{
    auto db = TRY(m_impl->reader());
    return entriesIn(TRY(db.query(
        concat(kEntryColumns, "WHERE state = ? AND outbox_id > ? ORDER BY outbox_id LIMIT ?"),
        {state, after, std::int64_t{limit}})));
}

Result<std::int64_t> Journal::outboxCount(std::string_view state)
{
    auto db = TRY(m_impl->reader());
    return db.integer("SELECT count(*) FROM outbox WHERE state = ?", {state});
}

// A row that was superseded while it was under way stays so; the journal says that it was sent.
Result<> Journal::markSent(std::int64_t id)
{
    return m_impl->write(concat("mark outbox row ", id, " sent"), [&](Connection& db) -> Result<> {
        const auto row = TRY(findRow(db, id));
        TRY(db.execute("UPDATE outbox SET tries = tries + 1, last_error = '', "
                       "state = iif(state = 'waiting', 'sent', state) WHERE outbox_id = ?",
                       {id}));
        TRY(m_impl->append(db, row.run, "sent", row.key, ""));
        return {};
    });
}

Result<> Journal::markFailed(std::int64_t id, std::string_view error)
{
    return m_impl->write(
        concat("mark outbox row ", id, " not sent"), [&](Connection& db) -> Result<> {
            TRY(findRow(db, id));
            return db.execute("UPDATE outbox SET tries = tries + 1, last_error = ? "
                              "WHERE outbox_id = ?",
                              {error, id});
        });
}

} // namespace provost
