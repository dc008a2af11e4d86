#include "engine/network_witness.h"

namespace provost {

void NetworkWitness::joined(const std::string& deviceId, Clock::Steady at)
{
    const MutexLock lock(m_mutex);
    m_joined[deviceId] = at;
    m_silentSince.erase(deviceId);
}

Result<NetworkWitness::Standing>
NetworkWitness::standingFor(const std::string& deviceId, Clock::Steady began, const OpContext& op)
{
    bool answers = false;
    if (m_probe) {
        const auto probed = m_probe(op);
        if (!probed && probed.error().code == Errc::Cancelled)
            return Unexpected(probed.error());
        answers = probed && *probed;
        if (!answers)
            return Standing::Dead;
    }
    return known(deviceId, began, answers);
}

NetworkWitness::Standing NetworkWitness::known(const std::string& deviceId, Clock::Steady began,
                                               bool answers)
{
    const MutexLock lock(m_mutex);
    const auto since = m_silentSince.try_emplace(deviceId, began).first->second;
    Standing standing = Standing::NeverJoined;
    for (const auto& [other, at] : m_joined) {
        if (other == deviceId)
            continue; // its own word proves nothing of the others
        if (answers || at > since)
            return Standing::Works;
        standing = Standing::NotProven;
    }
    return standing;
}

} // namespace provost
