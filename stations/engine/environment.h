// What an engine and its runs need from outside.
#pragma once

#include "engine/cloud_view.h"
#include "engine/events.h"
#include "engine/network_witness.h"
#include "engine/step.h"

namespace provost {

/// All of it outlives the engine.
struct EngineEnvironment {
    const Clock& clock;
    Journal& journal;
    ImageCatalog& images;
    ProvisioningClient& cloud;
    CloudView& view;
    HandshakeServer& handshakes;
    const StepRegistry& steps;
    const StationSettings& station;
    NetworkWitness& network;
    EventSink& events;
    /// A new UnitUnderTest for whatever is in the slot.
    std::function<std::unique_ptr<UnitUnderTest>(SlotId)> unitIn;
    /// The last transfers with that unit; may be empty where none are kept.
    std::function<std::optional<TraceRecord>(SlotId)> traceOf{};
};

} // namespace provost
