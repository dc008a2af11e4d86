// What the screens ask, done by the host.
#pragma once

#include "host/bench_operator.h"
#include "host/host.h"
#include "models/station_commands.h"

#include <memory>

namespace provost::gui {

/// How long the hands at a virtual bench take, so that people can watch them.
struct BenchPace {
    std::chrono::milliseconds lookAtVerdict{4000};
    std::chrono::milliseconds betweenSlots{1500};
    std::chrono::milliseconds atPrompt{5000};
};

/// Thread-safe where Host is; called from the GUI thread.
class HostCommands final : public StationCommands {
public:
    /// On a virtual bench an operator of its own inserts and scans. `host` outlives this.
    explicit HostCommands(Host& host, BenchPace pace = {});
    ~HostCommands() override;

    StationIdentity identity() const override;
    void start(SlotId slot, const std::string& label) override;
    void startAll() override;
    void stop(SlotId slot) override;
    void stopAll() override;
    void switchSlot(SlotId slot, bool on) override;
    void answer(RunId run, const std::string& reply) override;
    std::optional<RunRecord> run(RunId run) override;
    std::vector<UnitRow> units() override;
    std::vector<RunRecord> runsOf(const std::string& deviceId) override;
    ShiftCounts counts() override;

private:
    /// What went wrong is shown to whoever asked.
    void tell(const Result<>& done);

    Host& m_host;
    std::unique_ptr<BenchOperator> m_operator;
    bool m_begun = false;
};

} // namespace provost::gui
