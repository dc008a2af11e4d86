// A cloud on your own premises: key registry, provisioning REST and the device port.
#pragma once

#include "cloud/cloud_observer.h"
#include "cloud/http_message.h"
#include "cloud/registry.h"
#include "core/clock.h"
#include "crypto/secret_bytes.h"
#include "protocol/handshake_session.h"

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <stop_token>

namespace provost {

/// What a virtual cloud puts between the wire and the service. Called from connections' threads.
struct CloudHooks {
    using Serve = std::function<HttpAnswer()>;
    std::function<HttpAnswer(const HttpRequest&, const Serve&, std::stop_token)> aroundRequest{};
    using Wrap = std::function<std::unique_ptr<ByteStream>(std::unique_ptr<ByteStream>)>;
    /// Asked once a connection: what to put around its stream; nothing where that is empty.
    std::function<Wrap()> connectionFault{};
    /// A unit's session has met the end-of-line criterion and stays open.
    std::function<void(const std::string& deviceId)> unitOnline{};
};

struct CloudServiceConfig {
    /// Holds the registry, and server-key.pem unless `serverKeyFile` names another.
    std::filesystem::path folder{};
    std::filesystem::path serverKeyFile{};
    /// The server key lies under it; empty: in the clear, for tests and keys brought so.
    SecretBytes keyPassphrase{};

    bool rest = true;
    std::string restHost{"127.0.0.1"}; ///< literal address, localhost, or an interface's name
    std::uint16_t restPort = 0;        ///< 0: any free one
    bool handshake = true;
    std::string handshakeHost{"127.0.0.1"};
    std::uint16_t handshakePort = 0;

    SecretBytes token{};                    ///< empty: none is asked for, loopback only
    std::filesystem::path tlsCertificate{}; ///< PEM chain; empty: plain HTTP, loopback only
    std::filesystem::path tlsKey{};         ///< PEM, of the certificate
    /// A key that a unit has connected with is replaced by a further registration (the owner's
    /// `keys send`), or that is refused with 403.
    Registry::WhenLocked whenLocked = Registry::WhenLocked::Replace;
    ServerTimeouts handshakeTimeouts{};
    /// Units stay connected, as with any cloud; else they are hung up on when they are proved.
    bool keepSessions = false;
    std::chrono::milliseconds requestTimeout{15000};
    std::size_t maxRequests = 32; ///< connections at once; further ones wait in the backlog
    std::size_t maxHandshakes = 2000;
    CloudHooks hooks{};
};

/// Listens from start() until it is destroyed, which ends every connection within 100 ms.
/// Thread-safe.
class CloudService {
public:
    /// @param clock  must outlive the service
    /// @returns InvalidArgument  no such address; Busy  port is taken; Denied  REST beyond
    ///          loopback without a token or without TLS; Io, InvalidData  folder or server key
    static Result<std::unique_ptr<CloudService>>
    start(CloudServiceConfig config, const Clock& clock,
          std::shared_ptr<CloudObserver> observer = nullptr);
    ~CloudService();

    std::string restHost() const;
    std::uint16_t restPort() const;    ///< 0: no REST
    std::string baseUrl() const;       ///< `http://127.0.0.1:40123`
    std::string handshakeHost() const; ///< where units must dial
    std::uint16_t handshakePort() const;
    RsaPublicKey serverKey() const;
    Registry& registry();
    /// Makes the unit the account's, as POST /v1/devices does.
    Result<> claim(std::string_view deviceId);

    void addObserver(std::shared_ptr<CloudObserver> observer);
    /// Calls that are under way may still come.
    void removeObserver(const CloudObserver* observer);

private:
    struct Impl;
    explicit CloudService(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> m_impl;
};

} // namespace provost
