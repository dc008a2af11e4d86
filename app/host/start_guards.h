// What keeps a station from starting: keys that nobody protects, an escrow key at hand, a plan that
// it cannot run.
#pragma once

#include "config/load_station.h"
#include "crypto/key_token.h"
#include "host/host.h"
#include "host/nests.h"

#include <filesystem>
#include <string>
#include <vector>

namespace provost {

/// In production nothing that guards keys can be overridden; that somebody tried is on record in
/// the database. @returns Denied
Result<> refuseTraining(const HostOptions& options, const StationConfig& station,
                        const std::filesystem::path& database, const Clock& clock);

/// Protects the memory of this program.
/// @returns what this computer lacks and training may do without; C055: it may not
Result<std::vector<std::string>> protectKeys(const HostOptions& options,
                                             const StationConfig& station);

/// Escrow is for whoever is not at this station: what it seals it must not be able to open.
/// @returns C053
Result<> refuseOwnEscrow(const HostOptions& options, const StationConfig& station,
                         const std::filesystem::path& database);

/// The station logs in to its token: what lies there it can use.
/// @returns C053
Result<> refuseOwnEscrowInToken(const Bytes& certificate, KeyToken& token);

/// A line makes products, a key-injection station puts keys into units, and neither does the other.
/// @returns Denied
Result<> checkKind(const HostOptions& options, const StationConfig& station, const TestPlan& plan);

/// What this plan needs and this station has not is said before the first unit is touched.
/// @param switches  slots that are off need nothing
/// @returns C042
Result<> checkRoutes(const TestPlan& plan, const StationSettings& settings, const Nests& nests,
                     const SlotSwitches& switches);

/// The station's own cloud is not the product's: units would dial past it.
/// @returns C042  the plan has units contact a cloud, and the station names none
Result<> checkContact(const TestPlan& plan, const StationConfig& station);

} // namespace provost
