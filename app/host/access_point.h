// Asking the access point of the test network whether it lives.
#pragma once

#include "engine/network_witness.h"

namespace provost {

/// A TCP connection to it within two seconds. One that is refused is an answer, too; silence, no
/// route and an unknown name are none.
NetworkWitness::Probe accessPointProbe(std::string host, std::uint16_t port);

} // namespace provost
