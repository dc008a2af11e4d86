#include "cloud/cloud_service.h"

#include "cloud/handshake_loop_p.h"
#include "cloud/http_connection_p.h"
#include "cloud/rest_api_p.h"
#include "cloud/server_key_p.h"
#include "cloud/tcp_listener_p.h"
#include "cloud/tls_stream_p.h"
#include "core/text.h"

namespace provost {

namespace {

/// RFC 3986, 3.2.2: a colon in an address would start the port.
std::string urlHost(const std::string& literal)
{
    return literal.find(':') == std::string::npos ? literal : concat("[", literal, "]");
}

/// Beyond loopback everybody can ask, and everybody can listen.
Result<> checkExposure(const CloudServiceConfig& config, const BindAddress& rest)
{
    if (!config.rest || rest.loopback)
        return {};
    if (config.token.empty())
        return fail(Errc::Denied, Blame::Operator,
                    concat("serve REST on ", rest.literal,
                           ": beyond loopback a token is required, so that not everybody can "
                           "register keys; name a token file"));
    if (config.tlsCertificate.empty())
        return fail(Errc::Denied, Blame::Operator,
                    concat("serve REST on ", rest.literal,
                           ": beyond loopback TLS is required, so that nobody reads the token on "
                           "the way; name a certificate and its key"));
    return {};
}

} // namespace

struct CloudService::Impl {
    Impl(CloudServiceConfig&& settings, const Clock& clockIn, std::unique_ptr<Registry> keys,
         RsaPrivateKey key, std::optional<QSslConfiguration> tlsIn)
        : clock(clockIn), registry(std::move(keys)), serverKey(std::move(key)),
          hooks(std::move(settings.hooks)), handshakeTimeouts(settings.handshakeTimeouts),
          claims(registry->folder()), feed(clock),
          handshakes(clock, serverKey, *registry, observers, settings.handshakeTimeouts,
                     settings.keepSessions, hooks.connectionFault,
                     {.onStatus =
                          [this](const std::string& id, bool online) {
                              feed.publish("spark/status", online ? "online" : "offline", id);
                          },
                      .onEvent = [this](const std::string& id,
                                        const UnitEvent& event) { hear(id, event); },
                      .onPassed = hooks.unitOnline}),
          api(
              *registry, std::move(settings.token), settings.whenLocked,
              [this](const std::string& id) { return handshakes.presenceOf(id); },
              [this](const std::string& id, const std::string& fingerprint) {
                  const auto all = observers.all();
                  for (const auto& observer : *all)
                      observer->onKeyChanged(id, fingerprint);
              },
              claims, feed),
          requests(clock, HttpLimits{.whole = settings.requestTimeout}, std::move(tlsIn),
                   [this](const HttpRequest& request, std::stop_token stop) {
                       return answer(request, std::move(stop));
                   })
    {
    }

    void hear(const std::string& deviceId, const UnitEvent& event)
    {
        // A code that nobody gave out, or that was shown before, makes nobody its owner.
        if (event.name == "spark/device/claim/code")
            static_cast<void>(claims.redeem(event.data, deviceId));
        feed.publish(event.name, event.data, deviceId);
    }

    HttpAnswer answer(const HttpRequest& request, std::stop_token stop)
    {
        const auto from = clock.now();
        const auto serve = [this, request] { return api.handle(request); }; // may be called late
        HttpAnswer given =
            hooks.aroundRequest ? hooks.aroundRequest(request, serve, std::move(stop)) : serve();
        const bool sent = given.delivery == HttpAnswer::Delivery::Send;
        const std::chrono::duration<double, std::milli> took = clock.now() - from;
        const RestExchange exchange{.method = request.method,
                                    .path = request.path,
                                    .peer = request.peer,
                                    .status = sent ? given.status : 0,
                                    .ms = took.count()};
        const auto all = observers.all();
        for (const auto& observer : *all)
            observer->onRequest(exchange);
        return given;
    }

    const Clock& clock;
    std::unique_ptr<Registry> registry;
    RsaPrivateKey serverKey;
    CloudHooks hooks;
    ServerTimeouts handshakeTimeouts;
    ObserverList observers{};
    Claims claims;
    EventFeed feed;
    HandshakeConnections handshakes;
    RestApi api;
    HttpConnections requests;
    bool encrypted = false;
    std::string restHost{};
    std::string handshakeHost{};
    // Last: their connections use everything above.
    std::unique_ptr<HandshakeLoop> handshakeListener{};
    std::unique_ptr<TcpListener> restListener{};
};

Result<std::unique_ptr<CloudService>> CloudService::start(CloudServiceConfig config,
                                                          const Clock& clock,
                                                          std::shared_ptr<CloudObserver> observer)
{
    const BindAddress rest = TRY(resolveBindAddress(config.restHost));
    const BindAddress device = TRY(resolveBindAddress(config.handshakeHost));
    TRY(checkExposure(config, rest));
    std::optional<QSslConfiguration> tls;
    if (config.rest && !config.tlsCertificate.empty())
        tls = TRY(serverTls(config.tlsCertificate, config.tlsKey));
    const bool encrypted = tls.has_value();
    auto registry = TRY(Registry::open(config.folder));
    auto key = TRY(config.serverKeyFile.empty()
                       ? readOrMakeServerKey(config.folder, config.keyPassphrase)
                       : readServerKey(config.serverKeyFile, config.keyPassphrase));
    const TcpListener::Config restAt{
        .address = rest, .port = config.restPort, .maxConnections = config.maxRequests};
    const TcpListener::Config deviceAt{
        .address = device, .port = config.handshakePort, .maxConnections = config.maxHandshakes};
    const bool wantsRest = config.rest;
    const bool wantsHandshake = config.handshake;
    auto impl = std::make_unique<Impl>(std::move(config), clock, std::move(registry),
                                       std::move(key), std::move(tls));
    Impl& self = *impl;
    self.encrypted = encrypted;
    self.restHost = rest.literal;
    self.handshakeHost = device.literal;
    if (observer)
        self.observers.add(std::move(observer));
    if (wantsHandshake)
        self.handshakeListener =
            TRY(HandshakeLoop::start(deviceAt, self.handshakes, clock, self.handshakeTimeouts));
    if (wantsRest)
        self.restListener = TRY(TcpListener::start(restAt, [&self](int fd, std::stop_token stop) {
            self.requests.serve(fd, std::move(stop));
        }));
    return std::unique_ptr<CloudService>(new CloudService(std::move(impl)));
}

CloudService::CloudService(std::unique_ptr<Impl> impl) : m_impl(std::move(impl)) {}

CloudService::~CloudService() = default;

std::string CloudService::restHost() const
{
    return m_impl->restHost;
}

std::uint16_t CloudService::restPort() const
{
    return m_impl->restListener ? m_impl->restListener->port() : std::uint16_t{0};
}

std::string CloudService::baseUrl() const
{
    return concat(m_impl->encrypted ? "https://" : "http://", urlHost(m_impl->restHost), ":",
                  restPort());
}

std::string CloudService::handshakeHost() const
{
    return m_impl->handshakeHost;
}

std::uint16_t CloudService::handshakePort() const
{
    return m_impl->handshakeListener ? m_impl->handshakeListener->port() : std::uint16_t{0};
}

RsaPublicKey CloudService::serverKey() const
{
    return m_impl->serverKey.publicKey();
}

Registry& CloudService::registry()
{
    return *m_impl->registry;
}

Result<> CloudService::claim(std::string_view deviceId)
{
    return m_impl->claims.claim(deviceId);
}

void CloudService::addObserver(std::shared_ptr<CloudObserver> observer)
{
    m_impl->observers.add(std::move(observer));
}

void CloudService::removeObserver(const CloudObserver* observer)
{
    m_impl->observers.remove(observer);
}

} // namespace provost
