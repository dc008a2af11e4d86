// Do the station's record and the cloud agree about every unit's key?
#pragma once

#include "core/op_context.h"
#include "engine/ports.h"
#include "store/journal.h"

#include <string>
#include <vector>

namespace provost {

struct Difference {
    std::string deviceId{};
    std::string reason{}; ///< "the cloud holds no key …", with fingerprints where there are two
};

struct Reconciliation {
    std::size_t units = 0;                 ///< with a proved key
    std::size_t equal = 0;                 ///< the cloud holds that very key
    std::size_t waiting = 0;               ///< not told yet: the registration is in the outbox
    std::vector<Difference> differences{}; ///< lost, older, or twice
};

/// Asks the cloud about each unit on record, one after the other.
/// @returns Unavailable, Denied, Cancelled  the cloud could not be asked about all of them
Result<Reconciliation> reconcile(Journal& journal, ProvisioningClient& cloud, const OpContext& op);

} // namespace provost
