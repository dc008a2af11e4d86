// File descriptors that close themselves, and one to wake a poll() with.
#pragma once

#include <cstdint>
#include <sys/eventfd.h>
#include <unistd.h>
#include <utility>

namespace provost::sim {

class UniqueFd {
public:
    UniqueFd() = default;
    explicit UniqueFd(int fd) : m_fd(fd) {}
    UniqueFd(UniqueFd&& other) noexcept : m_fd(std::exchange(other.m_fd, -1)) {}
    UniqueFd& operator=(UniqueFd&& other) noexcept
    {
        std::swap(m_fd, other.m_fd);
        return *this;
    }
    ~UniqueFd() { reset(); }
    UniqueFd(const UniqueFd&) = delete;
    UniqueFd& operator=(const UniqueFd&) = delete;
    int get() const { return m_fd; }
    bool valid() const { return m_fd >= 0; }
    void reset()
    {
        if (m_fd >= 0)
            ::close(m_fd);
        m_fd = -1;
    }

private:
    int m_fd = -1;
};

/// Readable from raise() to clear(). raise() may be called by any thread.
class WakeUp {
public:
    WakeUp() : m_fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}
    bool valid() const { return m_fd.valid(); }
    int fd() const { return m_fd.get(); }
    void raise() const { static_cast<void>(::eventfd_write(m_fd.get(), 1)); }
    void clear() const
    {
        eventfd_t count = 0;
        static_cast<void>(::eventfd_read(m_fd.get(), &count));
    }

private:
    UniqueFd m_fd;
};

} // namespace provost::sim
