// Everything that happens at a station, as values. GUI, CLI, log and tests are the listeners.
#pragma once

#include "engine/ports.h"

#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace provost {

/// What a tile shows while no run is on: why a slot cannot be used, or that it can.
enum class SlotAvailability : std::uint8_t { Off, Ready };

struct PlannedStep {
    std::string name{};        ///< as the plan calls it
    double typicalSeconds = 0; ///< from earlier runs, else from the plan; for remaining time
};

struct SlotChanged {
    SlotId slot;
    SlotAvailability availability{};
    std::string why{};   ///< empty: nobody gave a reason
    std::string actor{}; ///< who switched it off; empty: the station's file did
    std::string atUtc{}; ///< when; empty: not on record
};
struct RunStarted {
    RunId run;
    SlotId slot;
    UnitIdentity unit;
    bool simulated = false;
    std::vector<PlannedStep> steps{};
};
struct UnitIdentified {
    RunId run;
    SlotId slot;
    UnitIdentity unit;
    std::string route{};
};
struct StepStarted {
    RunId run;
    SlotId slot;
    int index = 0;
    std::string name{};
    int attempt = 1;
};
struct StepFinished {
    RunId run;
    SlotId slot;
    int index = 0;
    AttemptRecord attempt{};
};
struct Measured {
    RunId run;
    SlotId slot;
    Measurement measurement{};
};
/// `fraction` of the whole run.
struct ProgressMoved {
    RunId run;
    SlotId slot;
    std::string phase{};
    double fraction = 0;
};
/// A bootloader or DCT is being written: DO NOT UNPLUG while `on`.
struct CriticalWrite {
    RunId run;
    SlotId slot;
    bool on = false;
    std::string what{};
};
struct HandshakeSeen {
    RunId run;
    SlotId slot;
    HandshakeArrow arrow{};
};
struct PromptChoice {
    std::string reply{};
    std::string title{}; ///< on the button
    bool operator==(const PromptChoice&) const = default;
};
/// The run waits until the operator has done something, or says that it cannot be done.
struct PromptRaised {
    RunId run;
    SlotId slot;
    std::string promptId{};
    std::string text{};
    std::vector<PromptChoice> choices{};
};
/// Answered, or nobody waits for an answer any more.
struct PromptAnswered {
    RunId run;
    SlotId slot;
};
/// The operator asked to stop; the step ends at its next safe point.
struct StopRequested {
    RunId run;
    SlotId slot;
};
/// Comes only when the verdict is on disk and was read back.
struct RunFinished {
    RunId run;
    SlotId slot;
    UnitIdentity unit;
    Verdict verdict{};
    std::string cause{};
    std::string error{};
    double seconds = 0;
    bool simulated = false;
};
/// The unit was taken out of the nest.
struct UnitRemoved {
    SlotId slot;
};
/// Something of the station, not of a slot: the cloud's state and delay, waiting rows.
struct StationNotice {
    std::string subject{}; ///< "cloud", "outbox"
    bool good = true;
    std::string text{};
};
/// The engine answered then; without these, what a screen shows is of yesterday.
struct Heartbeat {
    Clock::Steady at{};
};

using StationEvent =
    std::variant<SlotChanged, RunStarted, UnitIdentified, StepStarted, StepFinished, Measured,
                 ProgressMoved, CriticalWrite, HandshakeSeen, PromptRaised, PromptAnswered,
                 StopRequested, RunFinished, UnitRemoved, StationNotice, Heartbeat>;

/// Called from any thread; hands the event over and returns at once.
class EventSink {
public:
    virtual ~EventSink() = default;
    virtual void post(StationEvent event) = 0;
};

} // namespace provost
