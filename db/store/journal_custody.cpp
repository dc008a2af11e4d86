// Journal: what became of private keys, and equal keys on several units.
#include "store/journal_p.h"

#include <algorithm>
#include <iterator>

namespace provost {

using sqlite::Connection;

Result<> Journal::Impl::appendCustody(Connection& db, RunId run, const std::string& fingerprint,
                                      CustodyEvent event, std::string_view detail) const
{
    const auto seq = TRY(append(db, run, concat("key-", name(event)), fingerprint, detail));
    return db.execute("INSERT INTO key_custody (fingerprint, event, detail, run_id, "
                      "journal_seq) VALUES (?, ?, ?, ?, ?)",
                      {fingerprint, name(event), detail, run.value, seq});
}

Result<> Journal::recordCustody(RunId run, const std::string& fingerprint, CustodyEvent event,
                                std::string_view detail)
{
    return m_impl->write(
        concat("record ", name(event), " of key ", fingerprint, " in run ", run.value),
        [&](Connection& db) -> Result<> {
            TRY(detail::findRun(db, run));
            return m_impl->appendCustody(db, run, fingerprint, event, detail);
        });
}

Result<std::vector<CustodyRow>> Journal::custodyOf(const std::string& fingerprint)
{
    auto db = TRY(m_impl->reader());
    auto rows = TRY(db.query("SELECT c.event, c.detail, c.run_id, j.at_utc FROM key_custody AS c "
                             "JOIN journal AS j ON j.seq = c.journal_seq "
                             "WHERE c.fingerprint = ? ORDER BY c.key_custody_id",
                             {fingerprint}));
    std::vector<CustodyRow> custody;
    while (TRY(rows.step()))
        custody.push_back({.event = rows.text(0),
                           .detail = rows.text(1),
                           .run = RunId{rows.integer(2)},
                           .atUtc = detail::utcText(rows.integer(3))});
    return custody;
}

Result<std::vector<std::string>> Journal::keysWithOpenCustody()
{
    auto db = TRY(m_impl->reader());
    auto rows = TRY(db.query(
        "SELECT DISTINCT fingerprint FROM key_custody AS c WHERE event = 'birth' AND NOT EXISTS "
        "(SELECT 1 FROM key_custody AS d WHERE d.fingerprint = c.fingerprint "
        "AND d.event = 'destruction') ORDER BY fingerprint"));
    std::vector<std::string> open;
    while (TRY(rows.step()))
        open.push_back(rows.text(0));
    return open;
}

Result<std::vector<std::string>> Journal::unitsWithSameNumber(const Bytes& publicDer)
{
    auto db = TRY(m_impl->reader());
    auto rows = TRY(
        db.query("SELECT DISTINCT u.device_id FROM unit_key AS k JOIN unit AS u USING (unit_id) "
                 "WHERE substr(k.public_der, 30, 128) = substr(?, 30, 128) ORDER BY u.device_id",
                 {publicDer}));
    std::vector<std::string> ids;
    while (TRY(rows.step()))
        ids.push_back(rows.text(0));
    return ids;
}

Result<> Journal::Impl::withdraw(Connection& db, RunId run, const std::string& deviceId,
                                 std::string_view why) const
{
    const auto unit = TRY(detail::findUnit(db, deviceId));
    TRY(append(db, run, "withdraw", deviceId, why));
    auto rows = TRY(db.query("SELECT outbox_id, idempotency_key FROM outbox WHERE device_id = ? "
                             "AND kind = 'registration' AND state = 'waiting'",
                             {deviceId}));
    std::vector<std::pair<std::int64_t, std::string>> waiting;
    while (TRY(rows.step()))
        waiting.emplace_back(rows.integer(0), rows.text(1));
    for (const auto& [id, key] : waiting) {
        TRY(append(db, run, "superseded", key, why));
        TRY(db.execute("UPDATE outbox SET state = 'superseded', last_error = ? WHERE outbox_id = ?",
                       {why, id}));
    }
    return db.execute("UPDATE unit SET state = 'hold' WHERE unit_id = ? "
                      "AND state NOT IN ('inspect', 'fail')",
                      {unit});
}

Result<> Journal::withdrawUnit(RunId run, const std::string& deviceId, std::string_view why)
{
    return m_impl->write(concat("withdraw unit ", deviceId), [&](Connection& db) -> Result<> {
        TRY(detail::findRun(db, run));
        return m_impl->withdraw(db, run, deviceId, why);
    });
}

Result<std::vector<std::string>> Journal::withdrawTwins(RunId run, const std::string& deviceId,
                                                        const Bytes& publicDer)
{
    const auto holders = TRY(unitsWithSameNumber(publicDer)); // never fewer than a moment ago
    std::vector<std::string> twins;
    std::ranges::copy_if(holders, std::back_inserter(twins),
                         [&](const std::string& holder) { return holder != deviceId; });
    if (twins.empty())
        return twins;
    TRY(m_impl->write(
        concat("withdraw the units with the key of ", deviceId), [&](Connection& db) -> Result<> {
            TRY(detail::findRun(db, run));
            for (const auto& twin : twins) {
                // One that has a newer key was made good since.
                const auto newest = TRY(db.integer(
                    "SELECT ifnull((SELECT substr(k.public_der, 30, 128) = substr(?2, 30, 128) "
                    "FROM unit_key AS k JOIN unit AS u USING (unit_id) WHERE u.device_id = ?1 "
                    "ORDER BY k.journal_seq DESC LIMIT 1), 0)",
                    {twin, publicDer}));
                if (newest != 0)
                    TRY(m_impl->withdraw(db, run, twin,
                                         concat("its key was found on unit ", deviceId)));
            }
            return m_impl->withdraw(db, run, deviceId,
                                    concat("its key is on record for unit ", twins.front()));
        }));
    return twins;
}

} // namespace provost
