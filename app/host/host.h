// The composition root: real or virtual hardware, cloud and engine are chosen here only.
#pragma once

#include "crypto/signing_key.h"
#include "engine/station_engine.h"
#include "host/event_hub.h"
#include "host/folders.h"
#include "host/key_batch.h"
#include "host/slot_switches.h"
#include "sim/bench.h"

#include <filesystem>
#include <memory>
#include <optional>

namespace provost {

struct HostOptions {
    std::string
        plan{}; ///< id or path; empty: PLATFORM-full of the bench's first unit, or photon-full
    std::optional<std::filesystem::path> station{}; ///< station.toml of a real line
    std::string bench{};                            ///< id or path; empty: real hardware
    std::optional<sim::Speed> speed{};
    std::filesystem::path database{}; ///< empty: the user's state folder
    bool operatorAnswers = false;     ///< somebody is there to do by hand what is asked
    /// Keys are for practice: what the computer lacks to protect them is told, not refused. A
    /// virtual bench is practice always.
    bool training = false;
    std::optional<KeyBatchOrder> batch{}; ///< key injection instead of a line
};

/// @returns InvalidArgument  not instant, demo or timed
Result<sim::Speed> speedNamed(std::string_view word);

/// Thread-safe once it is created.
class Host {
public:
    /// @returns every error that keeps the station from working, with its cause
    static Result<std::unique_ptr<Host>> create(const HostOptions& options);
    ~Host(); ///< stops every run and waits for its verdict

    EventHub& events();
    StationEngine& engine();
    Journal& journal();
    sim::Bench* bench(); ///< null on real hardware
    const Clock& clock() const;
    const StationSettings& settings() const;
    std::shared_ptr<const TestPlan> plan() const;
    std::filesystem::path database() const;
    std::vector<SlotId> slots() const;
    /// Without those that are switched off, in station.toml or by switchSlot().
    std::vector<SlotId> slotsInUse() const;
    /// nullopt: the slot is in use.
    std::optional<SlotOff> whyOff(SlotId slot) const;
    /// @returns Denied  the slot is off; what the engine's start() returns
    Result<> start(SlotId slot, const std::string& label);
    /// Switches a slot off, or on again: on record with who did it before it holds, said as
    /// SlotChanged, and so until somebody does the opposite. Switching to what is so does nothing.
    ///
    /// @param why  the reason that the tile says; empty: none is given
    /// @returns Busy             its unit is in work
    ///          Denied           off in station.toml
    ///          InvalidArgument  no such slot
    Result<> switchSlot(SlotId slot, bool on, const std::string& why = {});
    /// What this computer lacks to protect keys, overridden for training; empty: nothing.
    const std::vector<std::string>& overridden() const;
    /// The batch of key injection that the runs belong to; nullopt: a line.
    const std::optional<KeyBatch>& batch() const;
    /// Of manifests and records: as the station's file says, else beside the database.
    const SigningKey& signingKey() const;
    /// A unit of the plan's platform is in the slot's nest now.
    bool occupied(SlotId slot);
    /// Destroys the keys that were made ahead: the screen was locked, the operator went.
    void wipeKeys();
    /// From here on says which slots are off and when a unit leaves its nest; for screens.
    void watchSlots();

private:
    struct Impl;
    explicit Host(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> m_impl;
};

} // namespace provost
