// The observers of one service: told from any thread, without a lock held.
#pragma once

#include "cloud/cloud_observer.h"
#include "core/mutex.h"

#include <algorithm>
#include <memory>
#include <vector>

namespace provost {

/// Thread-safe.
class ObserverList {
public:
    using Observers = std::vector<std::shared_ptr<CloudObserver>>;

    void add(std::shared_ptr<CloudObserver> observer)
    {
        const MutexLock lock(m_mutex);
        Observers observers = *m_observers;
        observers.push_back(std::move(observer));
        m_observers = std::make_shared<const Observers>(std::move(observers));
    }
    void remove(const CloudObserver* observer)
    {
        const MutexLock lock(m_mutex);
        Observers observers = *m_observers;
        std::erase_if(observers, [&](const auto& item) { return item.get() == observer; });
        m_observers = std::make_shared<const Observers>(std::move(observers));
    }
    /// As they are now: the list is replaced, never changed.
    std::shared_ptr<const Observers> all() const
    {
        const MutexLock lock(m_mutex);
        return m_observers;
    }

private:
    mutable Mutex m_mutex;
    std::shared_ptr<const Observers>
        m_observers PROVOST_GUARDED_BY(m_mutex) = std::make_shared<const Observers>();
};

} // namespace provost
