// A mutex that Clang's -Wthread-safety understands.
#pragma once

#include <mutex>

#if defined(__clang__)
#define PROVOST_THREAD_ATTRIBUTE(x) __attribute__((x))
#else
#define PROVOST_THREAD_ATTRIBUTE(x)
#endif
#define PROVOST_GUARDED_BY(x) PROVOST_THREAD_ATTRIBUTE(guarded_by(x))
#define PROVOST_REQUIRES(x) PROVOST_THREAD_ATTRIBUTE(requires_capability(x))

namespace provost {

class PROVOST_THREAD_ATTRIBUTE(capability("mutex")) Mutex {
public:
    void lock() PROVOST_THREAD_ATTRIBUTE(acquire_capability()) { m_mutex.lock(); }
    void unlock() PROVOST_THREAD_ATTRIBUTE(release_capability()) { m_mutex.unlock(); }

private:
    std::mutex m_mutex;
};

/// Holds a Mutex for a scope. BasicLockable, so that std::condition_variable_any can wait on it.
class PROVOST_THREAD_ATTRIBUTE(scoped_lockable) MutexLock {
public:
    explicit MutexLock(Mutex& mutex) PROVOST_THREAD_ATTRIBUTE(acquire_capability(mutex))
        : m_mutex(mutex)
    {
        m_mutex.lock();
    }
    ~MutexLock() PROVOST_THREAD_ATTRIBUTE(release_capability()) { m_mutex.unlock(); }
    MutexLock(const MutexLock&) = delete;
    MutexLock& operator=(const MutexLock&) = delete;
    void lock() PROVOST_THREAD_ATTRIBUTE(acquire_capability()) { m_mutex.lock(); }
    void unlock() PROVOST_THREAD_ATTRIBUTE(release_capability()) { m_mutex.unlock(); }

private:
    Mutex& m_mutex;
};

} // namespace provost
