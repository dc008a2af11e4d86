// One run as the screens know it: folded from events while it goes on, or read from its record.
#pragma once

#include "engine/events.h"
#include "store/record.h"

#include <optional>
#include <string>
#include <vector>

namespace provost {

enum class StepStage : std::uint8_t { NotReached, Running, Done };

/// One try of a step, or a step that was not begun.
struct StepState {
    std::string name{};
    double typicalSeconds = 0; ///< 0: not known
    int planIndex = -1;        ///< in the plan; -1: teardown
    StepStage stage = StepStage::NotReached;
    Clock::Steady began{};  ///< while Running
    std::string activity{}; ///< what it is doing, while Running
    AttemptRecord record{}; ///< verdict, seconds and note once Done; measurements as they come
};

struct RunState {
    RunId id{};
    SlotId slot{};
    UnitIdentity unit{};
    std::string route{};
    std::string planId{}; ///< from the record only
    int planRevision = 0;
    bool simulated = false;
    Clock::Steady began{};    ///< while it goes on
    std::string startedUtc{}; ///< ISO 8601, UTC
    bool finished = false;
    bool stopping = false;
    double fraction = 0;   ///< of the whole run, never moves backwards
    bool critical = false; ///< DO NOT UNPLUG
    std::string criticalWhat{};
    std::string promptId{};
    std::string promptText{}; ///< empty: nothing is asked
    std::vector<PromptChoice> promptChoices{};
    Verdict verdict = Verdict::NotRun;
    std::string cause{};
    std::string error{};
    double seconds = 0; ///< once finished
    std::vector<StepState> steps{};
    std::vector<HandshakeArrow> handshake{};
};

/// The slot that an event is about; nullopt: the station.
std::optional<SlotId> slotOf(const StationEvent& event);
/// A run whose first event was just taken in.
RunState begunRun(const RunStarted& event, Clock::Steady now, std::string startedUtc);
/// A run that ended before it could begin: the journal refused it.
RunState refusedRun(const RunFinished& event, std::string startedUtc);
RunState runFromRecord(const RunRecord& record);
/// `live` with what its record adds: attempts of the teardown, exact times. Steps that were not
/// reached are known to `live` only and stay.
RunState withRecord(const RunState& live, const RunRecord& record);

/// Takes an event of this run in. @returns whether anything changed
bool fold(RunState& run, const StationEvent& event, Clock::Steady now);

/// The step that runs or comes next; nullptr once only the teardown is left.
const StepState* currentOrNextStep(const RunState& run);
/// Typical seconds of what is left, less those spent in the current step; at least 0.
/// Nothing where a step that is left was never timed: no guessing.
std::optional<double> remainingSeconds(const RunState& run, Clock::Steady now);
double elapsedSeconds(const RunState& run, Clock::Steady now);

} // namespace provost
