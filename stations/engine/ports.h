// What the engine needs from the world: owned here, implemented elsewhere, real or virtual.
#pragma once

#include "crypto/rsa_key.h"
#include "protocol/handshake_session.h"
#include "store/record.h"

#include <compare>
#include <functional>
#include <limits>
#include <memory>

namespace provost {

struct SlotId {
    int value = 0;
    auto operator<=>(const SlotId&) const = default;
};

struct Registration {
    std::string cloudId{};
    int httpStatus = 0;
};

/// What a cloud says that it holds for a unit. Texts are empty where it does not say them.
struct RegisteredKey {
    std::string deviceId{};
    std::string algorithm{};   ///< rsa, ecc
    std::string fingerprint{}; ///< hex SHA-256 of the key, by the cloud's own reckoning
    Bytes publicDer{};         ///< SubjectPublicKeyInfo; empty: it says that it holds none
};

/// Thread-safe.
class ProvisioningClient {
public:
    virtual ~ProvisioningClient() = default;
    /// POST /v1/provisioning/:id, 2xx demanded.
    /// @returns Unavailable  no answer, 5xx or 429: may be sent later (native = HTTP status, 0:
    /// none)
    ///          Denied       401, `invalid_token`, 403: the token is at fault
    ///          InvalidData  400, 409, 422, `Permission Denied`: the cloud refuses this key
    ///          NotFound     404, 405, any other 4xx: the address of the cloud is wrong
    virtual Result<Registration> registerUnit(const UnitIdentity& unit, ByteView publicKeyDer,
                                              std::string_view idempotencyKey,
                                              const OpContext& op) = 0;
    /// What the cloud says that it holds for the unit; nullopt where it cannot say.
    /// @returns InvalidData  the answer holds no public key
    virtual Result<std::optional<RegisteredKey>> registeredKey(const UnitIdentity& unit,
                                                               const OpContext& op) = 0;
};

/// A message of one of the unit's connections, which count up.
using HandshakeListener =
    std::function<void(std::uint64_t connection, const HandshakeMessage& message)>;
/// Of a unit that did not name itself: nobody knew whose it was while it lasted.
constexpr std::uint64_t kNamelessConnection = std::numeric_limits<std::uint64_t>::max();

/// One listener for all slots: announce whom to expect, restart the unit, wait. Thread-safe.
class HandshakeServer {
public:
    class Expectation {
    public:
        virtual ~Expectation() = default;
        /// The first connection of this unit since expect() that passed; else, when the deadline
        /// comes, the report of the last one that failed, or NotFound where none came.
        virtual Result<HandshakeReport> wait(const OpContext& op) = 0;
    };
    virtual ~HandshakeServer() = default;
    /// Where units must dial.
    virtual std::string host() const = 0;
    virtual std::uint16_t port() const = 0;
    virtual RsaPublicKey serverKey() const = 0;
    /// @param publicKeyDer  the key that was read back from the unit; accepted although no
    ///                      registry holds one yet, never instead of a registered one
    /// @param onMessage     called from the listener's threads as messages come, from the moment
    ///                      on that the unit has named itself; not after the expectation is gone
    virtual Result<std::unique_ptr<Expectation>>
    expect(const UnitIdentity& unit, Bytes publicKeyDer, HandshakeListener onMessage) = 0;
};

} // namespace provost
