// Journal: what people decided about the station itself.
#include "store/journal_p.h"

namespace provost {

using sqlite::Connection;

Result<SlotAct> Journal::recordSlotAct(SlotAct act)
{
    const auto now = m_impl->now();
    TRY(m_impl->write(concat("record that slot ", act.slot, " is switched ", act.on ? "on" : "off"),
                      [&](Connection& db) -> Result<> {
                          return db.execute(
                              "INSERT INTO station_act (at_utc, kind, slot, simulated, actor, why) "
                              "VALUES (?, ?, ?, ?, ?, ?)",
                              {now, act.on ? "slot-on" : "slot-off", act.slot,
                               act.simulated ? 1 : 0, act.actor, act.why});
                      }));
    act.atUtc = detail::utcText(now);
    return act;
}

Result<std::vector<SlotAct>> Journal::slotActs(bool simulated)
{
    auto db = TRY(m_impl->reader());
    auto rows = TRY(db.query("SELECT slot, kind = 'slot-on', actor, why, at_utc FROM station_act "
                             "WHERE simulated = ? ORDER BY station_act_id",
                             {simulated ? 1 : 0}));
    std::vector<SlotAct> acts;
    while (TRY(rows.step()))
        acts.push_back({.slot = static_cast<int>(rows.integer(0)),
                        .on = rows.integer(1) != 0,
                        .simulated = simulated,
                        .actor = rows.text(2),
                        .why = rows.text(3),
                        .atUtc = detail::utcText(rows.integer(4))});
    return acts;
}

} // namespace provost
