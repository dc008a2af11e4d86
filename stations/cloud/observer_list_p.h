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
    void add(std::shared_ptr<CloudObserver> observer)
    {
        const MutexLock lock(m_mutex);
        m_observers.push_back(std::move(observer));
    }
    void remove(const CloudObserver* observer)
    {
        const MutexLock lock(m_mutex);
        std::erase_if(m_observers, [&](const auto& item) { return item.get() == observer; });
    }
    std::vector<std::shared_ptr<CloudObserver>> all() const
    {
        const MutexLock lock(m_mutex);
        return m_observers;
    }

private:
    mutable Mutex m_mutex;
    std::vector<std::shared_ptr<CloudObserver>> m_observers PROVOST_GUARDED_BY(m_mutex){};
};

} // namespace provost
