// A cloud service that misbehaves on demand.
#pragma once

#include "cloud/cloud_service.h"
#include "core/clock.h"

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

namespace provost {

/// What happens to a REST request.
enum class RequestFault : std::uint8_t {
    Answer429,     ///< too many requests; nothing is done
    Answer500,     ///< nothing is done
    Answer503,     ///< nothing is done
    Refuse,        ///< 400 `Key error …`; nothing is done
    Deny,          ///< 403 `Permission Denied`, as for a locked key; nothing is done
    OldToken,      ///< 400 `invalid_token`, as older clouds say it; nothing is done
    Forbidden,     ///< 403 in other words: the token may not do this; nothing is done
    NoSuchCall,    ///< 404, as where the address is wrong; nothing is done
    NoSuchPage,    ///< 404 as a web page, as of another server; nothing is done
    NotAllowed,    ///< 405; nothing is done
    TimeOutBefore, ///< nothing is done, nothing is answered
    TimeOutAfter,  ///< it is done, nothing is answered
    Duplicate,     ///< it is done twice, as when something on the way repeats it
    NoKeyBack,     ///< keys cannot be read back: 405 for GET /v1/provisioning/:id, else served
    NoEvents,      ///< event streams stay open and tell nothing; everything else is served
    KeepClaim,     ///< DELETE of a device: 200, and nothing is done; everything else is served
    Reorder,       ///< nothing is answered; it is done behind the next request that is served
    Page,          ///< 200 with a web page, as a captive portal gives; nothing is done
};

/// What happens to the next requests.
struct FaultOrder {
    std::optional<RequestFault> fault{}; ///< none: they are served
    int count = 1;
    std::chrono::seconds outage{}; ///< more than 0: nobody is answered for so long, instead
};

/// What happens to a connection of the device port.
enum class ConnectionFault : std::uint8_t {
    Silent,      ///< accepted, then not a byte
    Drop,        ///< hung up at a stage
    OtherSigner, ///< message 3 is signed with a key that is not the server's
};

struct VirtualCloudConfig {
    /// `folder` empty: a temporary one, removed at the end.
    CloudServiceConfig service{};
    /// How long a request that times out is held before it is hung up on.
    std::chrono::milliseconds holdFor{20000};
    double clockSpeed = 1; ///< how much faster than the clock outages pass
    /// POST `/v1/training/faults` with `faults=429:3,reorder` orders faults; with the service's
    /// token.
    bool trainingSwitch = false;
    std::string retryAfter{}; ///< of a 429: seconds or a date; empty: not said
};

/// CloudService plus faults, nothing else: what works here works there. Thread-safe.
class VirtualCloud {
public:
    /// The errors of CloudService::start().
    static Result<std::unique_ptr<VirtualCloud>>
    start(VirtualCloudConfig config, const Clock& clock,
          std::shared_ptr<CloudObserver> observer = nullptr);
    ~VirtualCloud();

    CloudService& service();
    std::filesystem::path folder() const;

    static constexpr int kUntilCleared = -1;
    /// The next `count` requests, in place of an earlier order.
    void failRequests(RequestFault fault, int count = kUntilCleared);
    /// One after the other, in place of an earlier order.
    void order(const std::vector<FaultOrder>& orders);
    /// Asked before each request, in place of an earlier order.
    void failRequestsBy(std::function<std::optional<RequestFault>()> choose);
    /// The next `count` connections, in place of an earlier order.
    /// @param at  for Drop: hung up on instead of the first byte of (Nonce), behind the reply of
    /// the
    ///            unit (DeviceReply), behind message 3 (Credentials), behind the unit's Hello
    ///            (Hello), or behind the server's (Session)
    void failConnections(ConnectionFault fault, int count = kUntilCleared,
                         HandshakeStage at = HandshakeStage::DeviceReply);
    /// Called with its id whenever a unit's session has been proved and stays open
    /// (CloudServiceConfig::keepSessions); in place of an earlier one. From the connections'
    /// threads.
    void whenOnline(std::function<void(const std::string& deviceId)> then);
    /// From now on units that come online are made the account's.
    void claimWhoComes(bool on);
    /// From now on nobody is answered until `span` has passed on the cloud's clock, or on one
    /// that runs `clockSpeed` times as fast.
    void beAway(std::chrono::milliseconds span);
    bool isAway() const;
    /// Back to normal; requests that wait to be done out of order are done, those that are held are
    /// hung up on at once.
    void clearFaults();
    /// Calls `then` once, behind the effect of the `count`th request from now on.
    void afterRequest(int count, std::function<void()> then);
    /// Requests and connections since the start, faulty ones included.
    int requests() const;
    int connections() const;

private:
    struct Impl;
    explicit VirtualCloud(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> m_impl;
};

} // namespace provost
