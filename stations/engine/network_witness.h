// What the station knows of its test network: whom to blame for a unit that never connects.
#pragma once

#include "core/mutex.h"
#include "core/op_context.h"

#include <functional>
#include <map>
#include <string>

namespace provost {

/// Thread-safe. Begins with the program, as the credentials do: they are read once, and no digest
/// of a password is kept on disk.
class NetworkWitness {
public:
    /// Whether the access point answers; where nobody can tell, the function is empty.
    using Probe = std::function<Result<bool>(const OpContext& op)>;
    explicit NetworkWitness(Probe probe = {}) : m_probe(std::move(probe)) {}

    enum class Standing : std::uint8_t {
        Dead,        ///< the access point was asked and does not answer
        NeverJoined, ///< no unit ever joined with these credentials
        NotProven,   ///< units did, none since this one fell silent
        Works,       ///< it answers now, or another unit joined since this one fell silent
    };

    /// A unit named itself at the handshake endpoint: it has joined.
    void joined(const std::string& deviceId, Clock::Steady at);
    /// A unit did not, between `began` and now: how the network stands without it. Its silence
    /// counts from the first time on that it was silent and had not joined since.
    /// @returns Cancelled
    Result<Standing> standingFor(const std::string& deviceId, Clock::Steady began,
                                 const OpContext& op);

private:
    Standing known(const std::string& deviceId, Clock::Steady began, bool answers);

    const Probe m_probe;
    Mutex m_mutex;
    std::map<std::string, Clock::Steady> m_joined PROVOST_GUARDED_BY(m_mutex);
    std::map<std::string, Clock::Steady> m_silentSince PROVOST_GUARDED_BY(m_mutex);
};

} // namespace provost
