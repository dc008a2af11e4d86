// The REST calls of particle-devices 9 that a closed site needs, as a function from request to
// answer.
#pragma once

#include "cloud/claims_p.h"
#include "cloud/event_feed_p.h"
#include "cloud/http_message.h"
#include "cloud/registry.h"
#include "core/clock.h"
#include "crypto/secret_bytes.h"

#include <functional>
#include <map>
#include <optional>
#include <string>

namespace provost {

/// What the handshake listener knows of a unit.
struct UnitPresence {
    bool connected = false;
    std::optional<Clock::Utc> lastHandshake{};
    std::optional<int> platformId{};
    std::optional<int> productId{};
};

/// Thread-safe.
class RestApi {
public:
    using PresenceOf = std::function<UnitPresence(const std::string& deviceId)>;
    using KeyChanged =
        std::function<void(const std::string& deviceId, const std::string& fingerprint)>;
    /// @param token  empty: none is asked for
    RestApi(Registry& registry, SecretBytes token, Registry::WhenLocked whenLocked,
            PresenceOf presenceOf, KeyChanged keyChanged, Claims& claims, EventFeed& feed);
    HttpAnswer handle(const HttpRequest& request);

private:
    struct EventFilter {
        std::string deviceId{}; ///< empty: any
        std::string prefix{};
    };
    using Fields = std::map<std::string, std::string>;
    HttpAnswer route(const HttpRequest& request, const Fields& fields);
    HttpAnswer provision(const std::string& pathId, const Fields& fields);
    HttpAnswer keyOnFile(const std::string& pathId);
    HttpAnswer device(const std::string& pathId);
    HttpAnswer devices();
    std::optional<HttpAnswer> account(const HttpRequest& request, const Fields& fields);
    HttpAnswer claimDevice(const Fields& fields);
    HttpAnswer unclaimDevice(const std::string& pathId);
    HttpAnswer claimCode();
    HttpAnswer ping(const std::string& pathId);
    HttpAnswer import(const std::string& product, const Fields& fields);
    std::string_view importOne(const std::string& product, const std::string& deviceId);
    HttpAnswer changeDevice(const std::string& pathId, const Fields& fields);
    HttpAnswer events(EventFilter filter);
    HttpAnswer issueToken(const Fields& fields);
    bool authorized(const HttpRequest& request, const Fields& fields) const;
    bool isToken(std::string_view offered) const;

    Registry& m_registry;
    SecretBytes m_token;
    Registry::WhenLocked m_whenLocked;
    PresenceOf m_presenceOf;
    KeyChanged m_keyChanged;
    Claims& m_claims;
    EventFeed& m_feed;
};

} // namespace provost
