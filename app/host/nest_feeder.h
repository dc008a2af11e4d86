// Starts whatever hands put into real nests, one run a unit, until enough is done.
#pragma once

#include "core/mutex.h"
#include "engine/events.h"

#include <functional>
#include <map>
#include <stop_token>
#include <vector>

namespace provost {

struct NestFeederConfig {
    std::vector<SlotId> slots{};
    std::function<bool(SlotId)> occupied{};
    std::function<Result<>(SlotId)> start{};
    /// How many units are still to be done; asked after each verdict.
    std::function<int()> remaining{};
    /// A nest waits for a unit: said once each time.
    std::function<void(SlotId)> onReady{};
};

/// Listens to the station's events; a nest takes its next unit when the last one has left it:
/// another one is seen there (UnitRemoved), or it stays empty for longer than a unit is away that
/// restarts. Never more runs at once than units remain.
class NestFeeder final : public EventSink {
public:
    explicit NestFeeder(NestFeederConfig config) : m_config(std::move(config)) {}
    void post(StationEvent event) override;
    /// Until nothing remains, or `stop`; then waits for the runs that are under way.
    void feed(const Clock& clock, const std::stop_token& stop);

private:
    enum class Nest : std::uint8_t { Ready, Told, Busy, Done };
    bool startNext(SlotId slot, Clock::Steady now);
    void lookWhetherEmpty(SlotId slot, Clock::Steady now);

    const NestFeederConfig m_config;
    Mutex m_mutex;
    std::map<SlotId, Nest> m_nests PROVOST_GUARDED_BY(m_mutex);
    std::map<SlotId, Clock::Steady> m_emptySince{}; ///< of nests whose unit is done
    int m_running PROVOST_GUARDED_BY(m_mutex) = 0;
};

} // namespace provost
