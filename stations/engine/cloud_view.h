// What a cloud lets the account of a station see of a unit, and what units publish there.
#pragma once

#include "core/op_context.h"
#include "store/record.h"

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace provost {

/// What a cloud says about a unit; nothing where it does not say it.
struct DeviceState {
    bool online = false;
    std::optional<bool> claimed{}; ///< by the account of the token
    std::optional<int> platformId{};
    std::optional<int> productId{};
};

/// One event of a unit (particle-devices 9): `spark/status` says online or offline.
struct CloudEvent {
    std::string name{};
    std::string data{};
    std::string deviceId{};
};

/// The events of one unit from the moment on that the stream was opened. Thread-safe.
class CloudEvents {
public:
    virtual ~CloudEvents() = default;
    /// So many have come: a mark for waitFor().
    virtual std::size_t count() const = 0;
    /// The first event behind the mark that `wanted` takes.
    /// @returns Timeout  none until op's deadline; Unavailable  the cloud ended the stream;
    ///          Cancelled
    virtual Result<CloudEvent> waitFor(std::size_t mark,
                                       const std::function<bool(const CloudEvent&)>& wanted,
                                       const OpContext& op) = 0;
};

/// Thread-safe. Errors besides those named: Unavailable, Denied and Cancelled as in
/// ProvisioningClient.
class CloudView {
public:
    virtual ~CloudView() = default;
    /// @returns NotFound  the cloud does not know the unit, or not as this account's
    virtual Result<DeviceState> deviceState(const UnitIdentity& unit, const OpContext& op) = 0;
    /// Whether it answers the cloud now; nullopt: the cloud does not say it.
    virtual Result<std::optional<bool>> ping(const UnitIdentity& unit, const OpContext& op) = 0;
    /// 63 characters for a unit to show, which makes it the account's.
    /// @returns InvalidData  the answer holds none
    virtual Result<std::string> claimCode(const OpContext& op) = 0;
    /// Gives up the account's claim and looks whether it is gone; done where there is none.
    /// @returns Mismatch  the cloud said yes and still calls it claimed; NotFound  it knows the
    ///          unit no more as this account's
    virtual Result<> unclaim(const UnitIdentity& unit, const OpContext& op) = 0;
    /// Returns when the stream is open.
    virtual Result<std::unique_ptr<CloudEvents>> events(const UnitIdentity& unit,
                                                        const OpContext& op) = 0;
};

} // namespace provost
