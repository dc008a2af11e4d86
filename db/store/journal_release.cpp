// Journal: how a unit leaves HOLD, and registrations that must not be sent any more.
#include "store/journal_p.h"

namespace provost {

using sqlite::Connection;

namespace {

/// The run that put the unit on HOLD; nothing may have happened to the unit since.
struct HeldRun {
    RunId run{};
    std::int64_t unit = 0;
    bool released = false; ///< it was let go before
};

Unexpected notReleased(std::string_view deviceId, std::string_view why)
{
    return fail(Errc::InvalidArgument, Blame::Operator,
                concat("release unit ", deviceId, ": ", why));
}

Result<HeldRun> findHeldRun(Connection& db, const std::string& deviceId)
{
    const auto unit = TRY(detail::findUnit(db, deviceId));
    auto row = TRY(db.query("SELECT r.run_id, ifnull(r.verdict, ''), u.state FROM unit AS u JOIN "
                            "run AS r USING (unit_id) WHERE u.unit_id = ? "
                            "ORDER BY r.run_id DESC LIMIT 1",
                            {unit}));
    const bool found = TRY(row.step());
    const std::string verdict = found ? row.text(1) : std::string{};
    const std::string state = found ? row.text(2) : std::string{};
    if (verdict != "hold")
        return notReleased(deviceId,
                           concat("its last run ended in ", verdict.empty() ? "nothing" : verdict,
                                  ", not in HOLD; put it on the line again"));
    if (state != "hold" && state != "pass")
        return notReleased(deviceId, concat("its state is ", state, "; put it on the line again"));
    return HeldRun{.run = RunId{row.integer(0)}, .unit = unit, .released = state == "pass"};
}

/// The registration that the HOLD waited for was sent and answered, and nothing else waits.
Result<> requireConfirmation(Connection& db, const HeldRun& held, const std::string& deviceId)
{
    const auto waiting = TRY(db.integer("SELECT count(*) FROM outbox WHERE device_id = ? "
                                        "AND kind = 'registration' AND state = 'waiting'",
                                        {deviceId}));
    if (waiting > 0)
        return fail(Errc::Unavailable, Blame::Cloud,
                    concat("release unit ", deviceId,
                           ": the cloud has not confirmed its registration yet"));
    const auto sent = TRY(db.integer("SELECT count(*) FROM outbox WHERE run_id = ? AND "
                                     "device_id = ? AND kind = 'registration' AND state = 'sent'",
                                     {held.run.value, deviceId}));
    if (sent == 0)
        return notReleased(deviceId, "its HOLD does not wait for a registration");
    return {};
}

/// Withdrawn for its key: nothing that a cloud says of that key makes it good.
Result<> requireNewKey(Connection& db, const HeldRun& held, const std::string& deviceId)
{
    const auto withdrawn = TRY(
        db.integer("SELECT EXISTS (SELECT 1 FROM journal WHERE kind = 'withdraw' AND subject = ?1 "
                   "AND seq > ifnull((SELECT max(journal_seq) FROM unit_key WHERE unit_id = ?2), "
                   "0))",
                   {deviceId, held.unit}));
    return withdrawn == 0
               ? Result<>{}
               : notReleased(deviceId, "its key is shared; run it again, it gets a new one then");
}

/// Fingerprint of the unit's key; it must be the one that the cloud took.
Result<std::string> registeredKeyOf(Connection& db, const HeldRun& held,
                                    const std::string& deviceId)
{
    auto row = TRY(db.query("SELECT fingerprint, state FROM unit_key WHERE unit_id = ? AND state "
                            "NOT IN ('superseded', 'refused') ORDER BY journal_seq DESC LIMIT 1",
                            {held.unit}));
    const bool found = TRY(row.step());
    if (!found || row.text(1) != "registered")
        return notReleased(deviceId, "its latest key is not registered");
    return row.text(0);
}

} // namespace

Result<> Journal::releaseUnit(const std::string& deviceId, std::string_view evidence)
{
    return m_impl->write(concat("release unit ", deviceId), [&](Connection& db) -> Result<> {
        const HeldRun held = TRY(findHeldRun(db, deviceId));
        if (held.released)
            return {};
        TRY(requireNewKey(db, held, deviceId));
        TRY(requireConfirmation(db, held, deviceId));
        const std::string key = TRY(registeredKeyOf(db, held, deviceId));
        TRY(m_impl->append(db, held.run, "release", deviceId, concat(key, " ", evidence)));
        return db.execute("UPDATE unit SET state = 'pass' WHERE unit_id = ?", {held.unit});
    });
}

Result<std::optional<ReleaseRecord>> Journal::releaseOf(const std::string& deviceId)
{
    auto db = TRY(m_impl->reader());
    auto row = TRY(db.query("SELECT j.run_id, j.at_utc, j.payload FROM unit AS u JOIN run AS r "
                            "USING (unit_id) JOIN journal AS j USING (run_id) "
                            "WHERE u.device_id = ?1 AND u.state = 'pass' AND r.verdict = 'hold' "
                            "AND j.kind = 'release' AND NOT EXISTS (SELECT 1 FROM run AS later "
                            "WHERE later.unit_id = u.unit_id AND later.run_id > r.run_id "
                            "AND later.verdict IN ('pass', 'hold', 'fail')) "
                            "ORDER BY j.seq DESC LIMIT 1",
                            {deviceId}));
    const bool found = TRY(row.step());
    if (!found)
        return std::optional<ReleaseRecord>{};
    const std::string payload = row.text(2);
    const auto space = std::min(payload.find(' '), payload.size());
    return std::optional(
        ReleaseRecord{.run = RunId{row.integer(0)},
                      .atUtc = detail::utcText(row.integer(1)),
                      .fingerprint = payload.substr(0, space),
                      .evidence = payload.substr(std::min(space + 1, payload.size()))});
}

Result<> Journal::markSuperseded(std::int64_t id, std::string_view why)
{
    return m_impl->write(
        concat("mark outbox row ", id, " superseded"), [&](Connection& db) -> Result<> {
            auto row =
                TRY(db.query("SELECT run_id, idempotency_key FROM outbox WHERE outbox_id = ? "
                             "AND state = 'waiting'",
                             {id}));
            const bool found = TRY(row.step());
            if (!found)
                return fail(Errc::NotFound, Blame::Software,
                            concat("find the waiting outbox row ", id, ": none"));
            TRY(m_impl->append(db, RunId{row.integer(0)}, "superseded", row.text(1), why));
            return db.execute("UPDATE outbox SET state = 'superseded', last_error = ? "
                              "WHERE outbox_id = ?",
                              {why, id});
        });
}

} // namespace provost
