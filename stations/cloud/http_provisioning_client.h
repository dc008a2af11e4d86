// Registers units with a cloud over HTTP or HTTPS (particle-devices 9).
#pragma once

#include "crypto/secret_bytes.h"
#include "engine/ports.h"

#include <chrono>
#include <string>

namespace provost {

struct HttpClientConfig {
    std::string baseUrl{"https://api.particle.io"};
    SecretBytes token{};                           ///< bearer token without line end; may be empty
    std::chrono::milliseconds answerWithin{15000}; ///< for one request; the operation's deadline
                                                   ///< counts where it is earlier
    /// Send the token over plain http to another host. Loopback is always allowed.
    bool allowPlainHttp = false;
};

/// Thread-safe: every call has its own connection and its own event loop in the calling thread.
/// A QCoreApplication must exist. A stop is obeyed within 50 ms. Nothing is repeated.
class HttpProvisioningClient final : public ProvisioningClient {
public:
    explicit HttpProvisioningClient(HttpClientConfig config);
    /// Besides the errors of the interface:
    /// @returns Cancelled        what the cloud did with the request is not known
    ///          InvalidArgument  no device id, no usable base URL, or a token over plain http
    ///          Unavailable      also where something else than the cloud answers (redirect, page)
    Result<Registration> registerUnit(const UnitIdentity& unit, ByteView publicKeyDer,
                                      std::string_view idempotencyKey,
                                      const OpContext& op) override;
    Result<std::optional<RegisteredKey>> registeredKey(const UnitIdentity& unit,
                                                       const OpContext& op) override;
    /// How long the cloud takes to answer anything at all.
    /// @returns Unavailable, Denied, Cancelled as above
    Result<std::chrono::milliseconds> probe(const OpContext& op);

private:
    struct Answer;
    struct Request;
    Result<Answer> exchange(const Request& request, const OpContext& op) const;
    Result<> checkTransport(const std::string& attempt) const;

    HttpClientConfig m_config;
};

} // namespace provost
