// Registers units with a cloud over HTTP or HTTPS (particle-devices 9).
#pragma once

#include "crypto/secret_bytes.h"
#include "engine/cloud_view.h"
#include "engine/ports.h"

#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

class QNetworkRequest;

namespace provost {

class RequestGate;
class WipedHeader;

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
class HttpProvisioningClient final : public ProvisioningClient, public CloudView {
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
    Result<ImportOutcome> importIntoProduct(const std::string& product, const UnitIdentity& unit,
                                            const OpContext& op);
    Result<DeviceState> deviceState(const UnitIdentity& unit, const OpContext& op) override;
    Result<std::optional<bool>> ping(const UnitIdentity& unit, const OpContext& op) override;
    Result<std::string> claimCode(const OpContext& op) override;
    Result<> unclaim(const UnitIdentity& unit, const OpContext& op) override;
    /// Has a thread of its own; the client must outlive what it returns.
    Result<std::unique_ptr<CloudEvents>> events(const UnitIdentity& unit,
                                                const OpContext& op) override;
    /// How long the cloud takes to answer anything at all.
    /// @returns Unavailable, Denied, Cancelled as above
    Result<std::chrono::milliseconds> probe(const OpContext& op);

private:
    struct Answer;
    struct Request;
    Result<Answer> exchange(const Request& request, const OpContext& op) const;
    Result<> checkTransport(const std::string& attempt) const;
    Result<QNetworkRequest> messageFor(const Request& request,
                                       const WipedHeader& authorization) const;

    HttpClientConfig m_config;
    std::unique_ptr<RequestGate> m_gate;
};

} // namespace provost
