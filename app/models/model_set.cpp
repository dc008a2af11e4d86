#include "models/model_set.h"

#include "models/display_text.h"

namespace provost {

using namespace std::chrono_literals;

namespace {

/// Units per hour sink on their own, without any event.
constexpr int kSecondsBetweenCounts = 30;

} // namespace

ModelSet::ModelSet(StationCommands& commands, EngineBridge& bridge,
                   std::shared_ptr<const Clock> clock, std::chrono::milliseconds staleAfter,
                   QObject* parent)
    : QObject(parent), m_commands(commands), m_station(commands.identity()),
      m_slots(commands.identity().slots, commands.identity().simulated, clock),
      m_unitSearch(m_units), m_scans(m_slots, commands, clock), m_run(m_slots, commands, clock),
      m_liveness(staleAfter, clock)
{
    connect(&bridge, &EngineBridge::arrived, this, &ModelSet::apply);
    connect(&m_second, &QTimer::timeout, this, &ModelSet::tick);
    m_counters.show(m_commands.counts());
    m_secondsToCounts = kSecondsBetweenCounts;
    m_second.start(1s);
    connect(&m_looksForBeats, &QTimer::timeout, &m_liveness, &Liveness::tick);
    if (staleAfter > 0ms)
        m_looksForBeats.start(200ms);
}

void ModelSet::apply(const StationEvent& event)
{
    m_liveness.apply(event);
    m_station.apply(event);
    m_slots.apply(event);
    m_run.apply(event);
    const auto* notice = std::get_if<StationNotice>(&event);
    if (notice && notice->subject == "station" && !notice->good)
        m_scans.warn(display::text(notice->text));
    if (std::holds_alternative<RunFinished>(event))
        m_counters.show(m_commands.counts());
}

void ModelSet::refreshUnits()
{
    m_units.show(m_commands.units());
}

void ModelSet::tick()
{
    m_slots.tick();
    m_scans.tick();
    m_run.tick();
    if (--m_secondsToCounts <= 0) {
        m_secondsToCounts = kSecondsBetweenCounts;
        m_counters.show(m_commands.counts());
    }
    Q_EMIT ticked();
}

} // namespace provost
