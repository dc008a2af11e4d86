// Registers units with a cloud over HTTP or HTTPS (particle-devices 9).
#pragma once

#include "crypto/secret_bytes.h"
#include "engine/ports.h"

#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

namespace provost {

class RequestGate;

struct HttpClientConfig {
    std::string baseUrl{"https://api.particle.io"};
    SecretBytes token{};                           ///< bearer token without line end; may be empty
    std::chrono::milliseconds answerWithin{15000}; ///< for one request; the operation's deadline
                                                   ///< counts where it is earlier
    /// Send the token over plain http to another host. Loopback is always allowed.
    bool allowPlainHttp = false;
    /// PEM certificates that are trusted besides the system's; for a site's own authority.
    std::filesystem::path caFile{};
    double requestsPerSecond = 10; ///< in the long run; the public cloud does not tell its limit
};

/// What a cloud says about a unit; nothing where it does not say it.
struct DeviceState {
    bool online = false;
    std::optional<bool> claimed{}; ///< by the account of the token
    std::optional<int> platformId{};
    std::optional<int> productId{};
};

/// What became of a unit that was to be a product's (particle-devices 9).
enum class ImportOutcome : std::uint8_t {
    Added,
    Already, ///< it is there: told so, or nothing was updated and nothing is wrong
    Foreign, ///< of another account
    Refused, ///< wrong platform, or not known
};

/// Thread-safe: every call has its own connection and its own event loop in the calling thread.
/// A QCoreApplication must exist. A stop is obeyed within 50 ms. Nothing is repeated.
/// Behind a 429 nothing is sent until Retry-After has passed; behind the third 401 or 403 in a row
/// nothing at all. Certificates and host names are verified; there is no way around it.
class HttpProvisioningClient final : public ProvisioningClient {
public:
    explicit HttpProvisioningClient(HttpClientConfig config);
    ~HttpProvisioningClient() override;
    /// Besides the errors of the interface:
    /// @returns Cancelled        what the cloud did with the request is not known
    ///          InvalidArgument  no device id, no usable base URL, or a token over plain http
    ///          Unavailable      also where something else than the cloud answers (redirect, page)
    Result<Registration> registerUnit(const UnitIdentity& unit, ByteView publicKeyDer,
                                      std::string_view idempotencyKey,
                                      const OpContext& op) override;
    Result<std::optional<RegisteredKey>> registeredKey(const UnitIdentity& unit,
                                                       const OpContext& op) override;
    /// 63 characters for a unit to show, which makes it the account's.
    /// @returns InvalidData  the answer holds none
    Result<std::string> claimCode(const OpContext& op);
    Result<ImportOutcome> importIntoProduct(const std::string& product, const UnitIdentity& unit,
                                            const OpContext& op);
    /// @returns NotFound  the cloud does not know the unit
    Result<DeviceState> deviceState(const UnitIdentity& unit, const OpContext& op);
    /// Gives up the account's claim; done where there is none.
    Result<> unclaim(const UnitIdentity& unit, const OpContext& op);
    /// How long the cloud takes to answer anything at all.
    /// @returns Unavailable, Denied, Cancelled as above
    Result<std::chrono::milliseconds> probe(const OpContext& op);

private:
    struct Answer;
    struct Request;
    Result<Answer> exchange(const Request& request, const OpContext& op) const;
    Result<> checkTransport(const std::string& attempt) const;

    HttpClientConfig m_config;
    std::unique_ptr<RequestGate> m_gate;
};

} // namespace provost
