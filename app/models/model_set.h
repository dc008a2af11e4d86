// All models of one window, fed from one stream of events.
#pragma once

#include "models/counters_model.h"
#include "models/engine_bridge.h"
#include "models/liveness.h"
#include "models/run_model.h"
#include "models/scan_router.h"
#include "models/slot_model.h"
#include "models/station_model.h"
#include "models/unit_model.h"

#include <QTimer>

namespace provost {

/// `commands` and `bridge` outlive it.
class ModelSet final : public QObject {
    Q_OBJECT

public:
    /// @param staleAfter  see Liveness
    ModelSet(StationCommands& commands, EngineBridge& bridge, std::shared_ptr<const Clock> clock,
             std::chrono::milliseconds staleAfter = {}, QObject* parent = nullptr);

    StationModel& station() { return m_station; }
    SlotModel& slotModel() { return m_slots; }
    CountersModel& counters() { return m_counters; }
    UnitModel& units() { return m_units; }
    UnitSearch& unitSearch() { return m_unitSearch; }
    ScanRouter& scans() { return m_scans; }
    RunModel& run() { return m_run; }
    Liveness& liveness() { return m_liveness; }

    /// Reads the table of units again.
    void refreshUnits();

Q_SIGNALS:
    /// About once a second.
    void ticked();

private:
    void apply(const StationEvent& event);
    void tick();

    StationCommands& m_commands;
    StationModel m_station;
    SlotModel m_slots;
    CountersModel m_counters;
    UnitModel m_units;
    UnitSearch m_unitSearch;
    ScanRouter m_scans;
    RunModel m_run;
    Liveness m_liveness;
    QTimer m_second;
    QTimer m_looksForBeats;
    int m_secondsToCounts = 0;
};

} // namespace provost
