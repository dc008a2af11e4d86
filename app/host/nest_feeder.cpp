#include "host/nest_feeder.h"

namespace provost {

namespace {
constexpr std::chrono::milliseconds kLookAtNests{100};
constexpr std::chrono::milliseconds kEmptyFor{1500};
} // namespace

void NestFeeder::post(StationEvent event)
{
    const MutexLock lock(m_mutex);
    if (const auto* finished = std::get_if<RunFinished>(&event)) {
        m_nests[finished->slot] = Nest::Done;
        --m_running;
    } else if (const auto* removed = std::get_if<UnitRemoved>(&event)) {
        auto& nest = m_nests[removed->slot];
        nest = nest == Nest::Done ? Nest::Ready : nest;
    }
}

void NestFeeder::lookWhetherEmpty(SlotId slot, Clock::Steady now)
{
    const bool occupied = m_config.occupied(slot);
    const auto since = m_emptySince.try_emplace(slot, now).first->second;
    if (!occupied && now - since < kEmptyFor)
        return;
    m_emptySince.erase(slot);
    const MutexLock lock(m_mutex);
    auto& nest = m_nests[slot];
    if (!occupied && nest == Nest::Done)
        nest = Nest::Ready;
}

bool NestFeeder::startNext(SlotId slot, Clock::Steady now)
{
    bool tell = false;
    bool done = false;
    {
        const MutexLock lock(m_mutex);
        done = m_nests[slot] == Nest::Done;
    }
    if (done)
        lookWhetherEmpty(slot, now);
    {
        const MutexLock lock(m_mutex);
        auto& nest = m_nests[slot];
        if (nest == Nest::Busy || nest == Nest::Done)
            return false;
        tell = nest == Nest::Ready;
        nest = Nest::Told;
    }
    const bool occupied = m_config.occupied(slot);
    if (tell && !occupied)
        m_config.onReady(slot);
    if (!occupied)
        return false;
    {
        const MutexLock lock(m_mutex);
        m_nests[slot] = Nest::Busy;
        ++m_running;
    }
    const auto started = m_config.start(slot);
    if (started)
        return true;
    const MutexLock lock(m_mutex);
    // The slot that has just told its verdict is free a moment later.
    m_nests[slot] = started.error().code == Errc::Busy ? Nest::Told : Nest::Done;
    --m_running;
    return false;
}

void NestFeeder::feed(const Clock& clock, const std::stop_token& stop)
{
    const auto running = [this] {
        const MutexLock lock(m_mutex);
        return m_running;
    };
    while (true) {
        // Read before `remaining`: a run that ends in between is counted twice, never missed.
        const int atWork = running();
        const int remaining = m_config.remaining();
        if ((remaining <= 0 || stop.stop_requested()) && atWork == 0)
            return;
        int free = stop.stop_requested() ? 0 : remaining - atWork;
        for (const auto slot : m_config.slots) {
            if (free <= 0)
                break;
            free -= startNext(slot, clock.now()) ? 1 : 0;
        }
        static_cast<void>(clock.sleepUntil(clock.now() + kLookAtNests, {}));
    }
}

} // namespace provost
