// A plan as data: the recipe of one run.
#pragma once

#include "device/dct.h"
#include "protocol/listening_console.h"
#include "store/record.h"

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace provost {

using ParameterValue = std::variant<std::string, std::int64_t, double, bool>;

/// One line of the recipe.
struct StepSpec {
    std::string use{};  ///< id of the step's code
    std::string name{}; ///< what the operator reads
    std::chrono::milliseconds timeout{60000};
    int retries = 0;
    double typicalSeconds = 1; ///< before there are records of earlier runs
    std::map<std::string, ParameterValue> parameters{};
    std::map<std::string, Limit> limits{};
    std::string where{};                         ///< file:line:column
    std::map<std::string, std::string> places{}; ///< of keys, where known

    std::string placeOf(const std::string& key) const;

    /// @returns InvalidArgument  missing or of another type; names file, line and column
    Result<std::string> text(std::string_view key) const;
    std::string textOr(std::string_view key, std::string_view fallback) const;
    std::int64_t integerOr(std::string_view key, std::int64_t fallback) const;
};

struct ShippedModule {
    std::string role{};    ///< as in the catalogue
    std::string version{}; ///< release
    std::string where{};   ///< file:line:column
};

/// What a unit must hold, field by field, when it leaves: a reviewed file per product.
struct ShippingState {
    std::string id{};
    std::string digest{}; ///< hex SHA-256 of the file and the key file
    std::string mode{"listening"};
    Bytes serverKeyDer{};
    ServerAddress address{};
    bool claimCodeBlank = true;
    bool unclaimed = true;
    bool updateFlagClear = true;
    bool noPendingModules = true;
    bool staticAddressBlank = true;
    bool nameServersBlank = true;
    std::vector<ShippedModule> modules{};
};

/// How units of a plan are reached: by USB, or by a debug probe and Serial1.
enum class Carrier : std::uint8_t { Usb, Swd };

/// What a unit is when it passed.
enum class PlanKind : std::uint8_t {
    Product,      ///< provisioned, proved, in its shipping state
    KeyInjection, ///< it has its own key, proved and registered, and nothing else
};

struct TestPlan {
    PlanKind kind = PlanKind::Product;
    std::string id{};
    Carrier carrier = Carrier::Usb;
    int revision = 0;
    std::string title{};
    std::string release{}; ///< of the images it installs
    std::string digest{};  ///< hex SHA-256 of plan, platform and shipping state
    bool demo = false;     ///< names demo images: virtual units only
    /// PASS only where this run registered the unit, saw its handshake and proved its shipping
    /// state. Every plan that is loaded from a file demands it.
    bool demandsProofs = false;
    PlatformSpec platform{};
    std::shared_ptr<const ShippingState> shipping{};
    std::vector<StepSpec> steps{};
    std::vector<StepSpec> teardown{}; ///< always runs, shielded, in order
};

/// How long a unit waits for its cloud before it gives up and dials again: by default as its
/// firmware does (particle-devices 5.6), shorter on a bench that runs faster.
struct CloudWaits {
    std::chrono::milliseconds connect{8000};
    std::chrono::milliseconds read{20000}; ///< blocking, each: nonce, session key
    std::chrono::milliseconds hello{4000}; ///< the server's
    std::chrono::milliseconds backOff{1000};
};

/// Network that units join for the handshake.
struct TestNetwork {
    std::string ssid{};
    SecretBytes password{};
    /// Wi-Fi part of a golden unit's table that knows it, for units without USB; empty: none.
    SecretBytes storedPart{};
    WifiSecurity security = WifiSecurity::Wpa2;
    /// From the restart to an address, where this network is quicker than plans allow; 0: the
    /// plan's
    std::chrono::milliseconds joinLimit{0};
    CloudWaits waits{};
};

/// What the station knows that no plan says.
struct StationSettings {
    std::string name{"Station A"};
    TestNetwork network{};
    /// Somebody is there to do by hand what the fixture has no actuator for. Without, such a unit
    /// ends as CHECK at once.
    bool operatorAnswers = false;
    std::chrono::milliseconds operatorPatience{600000}; ///< serves other slots, too
    Bytes escrowCertificate{}; ///< PEM; empty: backups keep fingerprints only
    std::string backupFolder{};
    std::optional<std::int64_t> keyBatch{}; ///< the batch that the runs belong to
    bool training = false;                  ///< not in production: the runs are marked
};

} // namespace provost
