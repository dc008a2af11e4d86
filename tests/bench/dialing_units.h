// Many units of one process that dial a device port at once, from one event loop: each is at its
// own point of the handshake, and none has a thread that the port would have to wake up.
#pragma once

#include "protocol/handshake_session.h"

#include <cstdint>
#include <memory>
#include <vector>

namespace provost::test {

/// What a unit that dials knows.
struct DialingUnit {
    std::array<std::byte, 12> deviceId{};
    const RsaPrivateKey* key = nullptr; ///< outlives the dialling
};

class DialingUnits {
public:
    /// All are connected when it returns; none has read anything.
    /// @returns nullptr  not all could connect; errno says why
    static std::unique_ptr<DialingUnits> connect(const std::vector<DialingUnit>& units,
                                                 std::uint16_t port, const RsaPublicKey& server);
    ~DialingUnits();
    DialingUnits(const DialingUnits&) = delete;
    DialingUnits& operator=(const DialingUnits&) = delete;

    /// Answers nonces, checks signatures, says hello, pings, until every unit is through or was
    /// hung up on.
    /// @returns how many had their ping answered
    std::size_t finish();

private:
    struct Impl;
    explicit DialingUnits(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> m_impl;
};

} // namespace provost::test
