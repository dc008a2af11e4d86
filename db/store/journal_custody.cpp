// Journal: what became of private keys, and equal keys on several units.
#include "store/journal_p.h"

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

Result<> Journal::withdrawUnit(RunId run, const std::string& deviceId, std::string_view why)
{
    return m_impl->write(concat("withdraw unit ", deviceId), [&](Connection& db) -> Result<> {
        TRY(detail::findRun(db, run));
        const auto unit = TRY(detail::findUnit(db, deviceId));
        TRY(m_impl->append(db, run, "withdraw", deviceId, why));
        return db.execute("UPDATE unit SET state = 'fail' WHERE unit_id = ? AND state <> 'inspect'",
                          {unit});
    });
}

} // namespace provost
