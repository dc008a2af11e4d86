// What a refused registration means for the unit and the station.
#pragma once

#include "core/result.h"

#include <string_view>

namespace provost {

/// The cause by what a ProvisioningClient reports: F220 the key is refused, C080 the station, C082
/// the address is wrong, H310 the cloud is away, H311 it is busy. Empty: the error has its own.
std::string_view causeOfRefusedRegistration(const Error& error);

} // namespace provost
