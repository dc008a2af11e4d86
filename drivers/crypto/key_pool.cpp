#include "crypto/key_pool.h"

#include "core/mutex.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <thread>
#include <vector>

namespace provost {

struct KeyPool::Impl {
    explicit Impl(KeyPoolConfig theConfig) : config(std::move(theConfig)) {}

    using Steady = std::chrono::steady_clock;

    Result<BurnKey> make(const KeyRules& rules) const
    {
        return config.make ? config.make(rules) : generateKeyFor(rules);
    }

    bool wantsOne() const PROVOST_REQUIRES(mutex)
    {
        return !asleep && keys.size() + making < config.size;
    }

    void work(const std::stop_token& stop)
    {
        while (!stop.stop_requested()) {
            bool idle = false;
            std::uint64_t began = 0;
            {
                MutexLock lock(mutex);
                const auto act = [this]() PROVOST_REQUIRES(mutex) { return wantsOne(); };
                if (asleep)
                    changed.wait(lock, stop, act);
                else if (!wantsOne())
                    idle = !changed.wait_until(lock, stop, lastTaken + config.idle, act) &&
                           !stop.stop_requested() && Steady::now() >= lastTaken + config.idle;
                if (idle)
                    drop();
                began = wiped;
                if (!idle && !wantsOne())
                    continue;
                making += idle ? 0 : 1;
            }
            if (!idle)
                addOne(began);
            tell();
        }
    }

    /// Outside the lock: it takes a while.
    void addOne(std::uint64_t began)
    {
        auto key = make(config.rules);
        const MutexLock lock(mutex);
        --making;
        if (!key)
            asleep = true; // whoever takes the next one makes it himself and learns why
        else if (wiped == began && keys.size() < config.size)
            keys.push_back(std::move(*key));
    }

    void drop() PROVOST_REQUIRES(mutex)
    {
        keys.clear();
        asleep = true;
        ++wiped;
    }

    void tell()
    {
        std::size_t count = 0;
        {
            const MutexLock lock(mutex);
            count = keys.size();
        }
        if (config.onChange)
            config.onChange(count);
    }

    const KeyPoolConfig config;
    Mutex mutex;
    std::condition_variable_any changed{};
    std::deque<BurnKey> keys PROVOST_GUARDED_BY(mutex);
    bool asleep PROVOST_GUARDED_BY(mutex) = false;
    std::uint64_t wiped PROVOST_GUARDED_BY(mutex) = 0; ///< a key begun before is not kept
    Steady::time_point lastTaken PROVOST_GUARDED_BY(mutex) = Steady::now();
    std::size_t making PROVOST_GUARDED_BY(mutex) = 0;
    std::vector<std::jthread> threads{};
};

KeyPool::KeyPool(KeyPoolConfig config) : m_impl(std::make_unique<Impl>(std::move(config)))
{
    for (std::size_t i = 0; i < std::max<std::size_t>(1, m_impl->config.threads); ++i)
        m_impl->threads.emplace_back(
            [impl = m_impl.get()](const std::stop_token& stop) { impl->work(stop); });
}

KeyPool::~KeyPool()
{
    for (auto& thread : m_impl->threads)
        thread.request_stop();
    m_impl->threads.clear(); // waits for them, then the keys go
}

Result<BurnKey> KeyPool::take(const KeyRules& rules)
{
    const auto& own = m_impl->config.rules;
    std::optional<BurnKey> ready;
    {
        const MutexLock lock(m_impl->mutex);
        m_impl->lastTaken = Impl::Steady::now();
        m_impl->asleep = false;
        if (rules.kind == own.kind && !m_impl->keys.empty()) {
            ready = std::move(m_impl->keys.front());
            m_impl->keys.pop_front();
        }
    }
    m_impl->changed.notify_all();
    if (ready)
        return std::move(*ready);
    return m_impl->make(rules);
}

void KeyPool::wipe()
{
    {
        const MutexLock lock(m_impl->mutex);
        m_impl->drop();
    }
    m_impl->changed.notify_all();
}

std::size_t KeyPool::waiting() const
{
    const MutexLock lock(m_impl->mutex);
    return m_impl->keys.size();
}

} // namespace provost
