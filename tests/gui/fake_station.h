// A station that does nothing but remember what it was asked, and events as an engine posts them.
#pragma once

#include "models/station_commands.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace provost::test {

class FakeStation final : public StationCommands {
public:
    StationIdentity who{.planTitle = "Photon 2.3.1 \u2014 full provision",
                        .planLine = "Plan photon-full \u00b7 rev 14",
                        .planDigest = "3f9a1c2d" + std::string(56, '0'),
                        .stationName = "Line 2 \u00b7 Station A",
                        .operatorName = "anna",
                        .databasePath = "/var/lib/provost/station.db"};
    std::vector<std::pair<int, std::string>> starts{};
    int startAlls = 0;
    int stopAlls = 0;
    std::vector<int> stops{};
    std::vector<std::pair<std::int64_t, std::string>> answers{};
    std::vector<std::pair<int, bool>> switches{};
    std::map<std::int64_t, RunRecord> records{};
    std::vector<UnitRow> rows{};
    ShiftCounts figures{};

    StationIdentity identity() const override { return who; }
    void start(SlotId slot, const std::string& label) override
    {
        starts.emplace_back(slot.value, label);
    }
    void startAll() override { ++startAlls; }
    void stop(SlotId slot) override { stops.push_back(slot.value); }
    void stopAll() override { ++stopAlls; }
    void answer(RunId run, const std::string& reply) override
    {
        answers.emplace_back(run.value, reply);
    }
    void switchSlot(SlotId slot, bool on) override { switches.emplace_back(slot.value, on); }
    std::optional<RunRecord> run(RunId run) override
    {
        const auto found = records.find(run.value);
        return found != records.end() ? std::optional(found->second) : std::nullopt;
    }
    std::vector<UnitRow> units() override { return rows; }
    std::vector<RunRecord> runsOf(const std::string& deviceId) override
    {
        std::vector<RunRecord> runs;
        for (const auto& [id, record] : records) {
            if (record.start.unit.deviceId == deviceId)
                runs.insert(runs.begin(), record);
        }
        return runs;
    }
    ShiftCounts counts() override { return figures; }
};

inline std::vector<SlotId> slotsUpTo(int count)
{
    std::vector<SlotId> slots;
    for (int i = 1; i <= count; ++i)
        slots.push_back(SlotId{i});
    return slots;
}

inline std::vector<PlannedStep> photonSteps()
{
    return {{"Identify", 0.4},
            {"Back up", 0.9},
            {"Write system part 1", 14},
            {"Write system part 2", 15},
            {"Bring up bootloader", 6},
            {"Write application", 2},
            {"Keep the key of the unit", 0.2},
            {"Register", 0.1},
            {"Live handshake", 6},
            {"Shipping state", 1}};
}

inline RunStarted started(int run, int slot, std::string deviceId,
                          std::vector<PlannedStep> steps = photonSteps())
{
    return {.run = RunId{run},
            .slot = SlotId{slot},
            .unit = {.serial = "", .deviceId = std::move(deviceId)},
            .steps = std::move(steps)};
}

inline StepStarted stepStarted(int run, int slot, int index, std::string name, int attempt = 1)
{
    return {.run = RunId{run},
            .slot = SlotId{slot},
            .index = index,
            .name = std::move(name),
            .attempt = attempt};
}

inline AttemptRecord attempt(std::string name, double seconds, std::string note = {},
                             Verdict verdict = Verdict::Pass, std::string cause = {})
{
    return {.step = "any",
            .name = std::move(name),
            .verdict = verdict,
            .seconds = seconds,
            .note = std::move(note),
            .cause = std::move(cause)};
}

inline StepFinished stepFinished(int run, int slot, int index, AttemptRecord record)
{
    return {.run = RunId{run}, .slot = SlotId{slot}, .index = index, .attempt = std::move(record)};
}

inline ProgressMoved progress(int run, int slot, double fraction, std::string phase = {})
{
    return {
        .run = RunId{run}, .slot = SlotId{slot}, .phase = std::move(phase), .fraction = fraction};
}

inline RunFinished finished(int run, int slot, std::string deviceId, Verdict verdict,
                            std::string cause, double seconds)
{
    return {.run = RunId{run},
            .slot = SlotId{slot},
            .unit = {.serial = "", .deviceId = std::move(deviceId)},
            .verdict = verdict,
            .cause = std::move(cause),
            .seconds = seconds};
}

} // namespace provost::test
