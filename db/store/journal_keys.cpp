// Journal: public keys of units and their history.
#include "store/journal_p.h"

#include <algorithm>
#include <array>

namespace provost {

using sqlite::Connection;
using sqlite::Statement;

namespace {

constexpr std::string_view kKeyColumns =
    "SELECT k.fingerprint, u.device_id, k.public_der, k.state, k.origin, k.run_id "
    "FROM unit_key AS k JOIN unit AS u USING (unit_id) ";

KeyRecord keyIn(const Statement& row)
{
    return {.fingerprint = row.text(0),
            .deviceId = row.text(1),
            .publicDer = row.blob(2),
            .state = row.text(3),
            .origin = row.text(4),
            .run = RunId{row.integer(5)}};
}

Result<std::vector<KeyRecord>> keysIn(Statement rows)
{
    std::vector<KeyRecord> keys;
    while (TRY(rows.step()))
        keys.push_back(keyIn(rows));
    return keys;
}

/// Device id of another unit that owns the key, empty where none does.
Result<std::string> otherOwner(Connection& db, const std::string& fingerprint, std::int64_t unit)
{
    return db.text("SELECT u.device_id FROM unit_key AS k JOIN unit AS u USING (unit_id) "
                   "WHERE k.fingerprint = ? AND k.unit_id <> ? AND k.state <> 'refused'",
                   {fingerprint, unit});
}

/// A key that the unit holds keeps state, origin and run; one that it held before starts anew.
Result<> insertKey(Connection& db, RunId run, std::int64_t unit, const KeyRecord& key,
                   std::string_view state, std::int64_t seq)
{
    return db.execute(
        "INSERT INTO unit_key (unit_id, fingerprint, public_der, state, origin, run_id, "
        "journal_seq) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (unit_id, fingerprint) DO UPDATE "
        "SET journal_seq = excluded.journal_seq, "
        "state = iif(state IN ('superseded', 'refused'), excluded.state, state), "
        "origin = iif(state IN ('superseded', 'refused'), excluded.origin, origin), "
        "run_id = iif(state IN ('superseded', 'refused'), excluded.run_id, run_id)",
        {unit, key.fingerprint, key.publicDer, state, key.origin, run.value, seq});
}

/// A registration that still waits would tell the cloud a key that the unit no longer holds.
Result<> supersedeOthers(Connection& db, RunId run, std::int64_t unit,
                         const std::string& fingerprint)
{
    TRY(db.execute("UPDATE unit_key SET state = 'superseded' WHERE unit_id = ? "
                   "AND fingerprint <> ? AND state NOT IN ('superseded', 'refused')",
                   {unit, fingerprint}));
    if (db.changes() == 0)
        return {};
    return db.execute("UPDATE outbox SET state = 'superseded' WHERE kind = 'registration' "
                      "AND state = 'waiting' AND run_id <> ? "
                      "AND device_id = (SELECT device_id FROM unit WHERE unit_id = ?)",
                      {run.value, unit});
}

} // namespace

Result<> Journal::journalKey(RunId run, const KeyRecord& key)
{
    std::string owner;
    std::string deviceId;
    TRY(m_impl->write(
        concat("journal key ", key.fingerprint, " in run ", run.value),
        [&](Connection& db) -> Result<> {
            TRY(detail::findOpenRun(db, run));
            const auto open = TRY(detail::findIdentifiedRun(db, run));
            deviceId = open.deviceId;
            if (!key.deviceId.empty() && key.deviceId != deviceId)
                return fail(Errc::InvalidArgument, Blame::Software,
                            concat("a key of unit ", key.deviceId, " in a run of unit ", deviceId));
            owner = TRY(otherOwner(db, key.fingerprint, *open.unit));
            const auto kind = owner.empty() ? "key" : "key-refused";
            const auto seq = TRY(m_impl->append(db, run, kind, key.fingerprint, key.origin));
            return insertKey(db, run, *open.unit, key, owner.empty() ? "journalled" : "refused",
                             seq);
        }));
    if (!owner.empty())
        return fail(Errc::Mismatch, Blame::Unit,
                    concat("journal key ", key.fingerprint, " of unit ", deviceId, ": unit ", owner,
                           " has the same key"));
    return {};
}

Result<> Journal::setKeyState(RunId run, const std::string& fingerprint, std::string_view state)
{
    static constexpr std::array<std::string_view, 5> kStates{"journalled", "burnt", "proved",
                                                             "registered", "superseded"};
    if (std::ranges::find(kStates, state) == kStates.end())
        return fail(Errc::InvalidArgument, Blame::Software,
                    concat("set state of key ", fingerprint, ": no state \"", state, "\""));
    return m_impl->write(
        concat("set key ", fingerprint, " to ", state, " in run ", run.value),
        [&](Connection& db) -> Result<> {
            const auto open = TRY(detail::findIdentifiedRun(db, run));
            TRY(db.execute(
                "UPDATE unit_key SET state = iif(?1 = 'proved' AND state = 'registered', "
                "state, ?1) WHERE unit_id = ?2 AND fingerprint = ?3 AND state <> 'refused'",
                {state, *open.unit, fingerprint}));
            if (db.changes() == 0)
                return fail(Errc::NotFound, Blame::Software,
                            concat("no such key is journalled for unit ", open.deviceId));
            TRY(m_impl->append(db, run, "key-state", fingerprint, state));
            if (state == "proved" || state == "registered")
                return supersedeOthers(db, run, *open.unit, fingerprint);
            return {};
        });
}

Result<std::optional<std::string>> Journal::wireRouteOf(const std::string& deviceId)
{
    auto db = TRY(m_impl->reader());
    auto row =
        TRY(db.query("SELECT r.route FROM run AS r JOIN unit AS u USING (unit_id) "
                     "WHERE u.device_id = ? AND r.route <> '' ORDER BY r.run_id DESC LIMIT 1",
                     {deviceId}));
    const bool found = TRY(row.step());
    return found ? std::optional(row.text(0)) : std::nullopt;
}

Result<std::optional<KeyRecord>> Journal::keyOf(const std::string& deviceId)
{
    auto db = TRY(m_impl->reader());
    auto row = TRY(db.query(concat(kKeyColumns, "WHERE u.device_id = ? AND k.state NOT IN "
                                                "('superseded', 'refused') "
                                                "ORDER BY k.journal_seq DESC LIMIT 1"),
                            {deviceId}));
    const bool found = TRY(row.step());
    if (!found)
        return std::optional<KeyRecord>{};
    return std::optional(keyIn(row));
}

Result<std::vector<KeyRecord>> Journal::keysOf(const std::string& deviceId)
{
    auto db = TRY(m_impl->reader());
    auto rows = TRY(db.query(
        concat(kKeyColumns, "WHERE u.device_id = ? ORDER BY k.journal_seq DESC"), {deviceId}));
    return keysIn(std::move(rows));
}

Result<std::vector<KeyRecord>> Journal::allKeys()
{
    auto db = TRY(m_impl->reader());
    auto rows = TRY(db.query(concat(kKeyColumns, "ORDER BY k.unit_key_id")));
    return keysIn(std::move(rows));
}

Result<std::vector<std::string>> Journal::unitsWithKey(const std::string& fingerprint)
{
    auto db = TRY(m_impl->reader());
    auto rows = TRY(db.query(
        concat(kKeyColumns, "WHERE k.fingerprint = ? ORDER BY k.state = 'refused', k.unit_key_id"),
        {fingerprint}));
    std::vector<std::string> ids;
    while (TRY(rows.step()))
        ids.push_back(rows.text(1));
    return ids;
}

} // namespace provost
