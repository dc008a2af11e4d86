// Who watches a cloud service at work.
#pragma once

#include "protocol/handshake_session.h"

#include <cstdint>
#include <optional>
#include <string>

namespace provost {

/// One connection to the handshake port.
struct ConnectionInfo {
    std::uint64_t number = 0; ///< counts up from 1
    std::string peer{};       ///< `127.0.0.1:40112`
    std::string deviceId{};   ///< empty until the unit has named itself
};

/// One answered REST request; without what it carried.
struct RestExchange {
    std::string method{};
    std::string path{};
    std::string peer{};
    int status = 0; ///< 0: hung up on without an answer
    double ms = 0;
};

/// Called from the threads of the connections, several at once; returns at once.
class CloudObserver {
public:
    virtual ~CloudObserver() = default;
    /// A key to accept for a unit of which the registry holds none.
    virtual std::optional<RsaPublicKey> keyFor(const std::string& /*deviceId*/) { return {}; }
    virtual void onMessage(const ConnectionInfo& /*connection*/,
                           const HandshakeMessage& /*message*/)
    {
    }
    virtual void onReport(const ConnectionInfo& /*connection*/, const HandshakeReport& /*report*/)
    {
    }
    /// A registration put another key on file than before.
    virtual void onKeyChanged(const std::string& /*deviceId*/, const std::string& /*fingerprint*/)
    {
    }
    virtual void onRequest(const RestExchange& /*exchange*/) {}
};

} // namespace provost
