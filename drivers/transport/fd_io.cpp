#include "transport/fd_io_p.h"

#include "core/text.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

namespace provost {

namespace {
// An abort is seen at most one slice later (architecture 5).
constexpr std::chrono::milliseconds kSlice{50};
} // namespace

FdIo::FdIo(int fd, FdKind kind, std::string name) : m_fd(fd), m_kind(kind), m_name(std::move(name))
{
    makeNonBlocking(fd);
}

FdIo::FdIo(FdIo&& other) noexcept
    : m_fd(std::exchange(other.m_fd, -1)), m_kind(other.m_kind), m_name(std::move(other.m_name))
{
}

FdIo& FdIo::operator=(FdIo&& other) noexcept
{
    std::swap(m_fd, other.m_fd);
    std::swap(m_kind, other.m_kind);
    std::swap(m_name, other.m_name);
    return *this;
}

FdIo::~FdIo()
{
    if (m_fd >= 0)
        ::close(m_fd);
}

int FdIo::release()
{
    return std::exchange(m_fd, -1);
}

Result<std::size_t> FdIo::readSome(ByteSpan to, const OpContext& op) const
{
    ENSURE(!to.empty());
    bool hungUp = false;
    // A line is mostly silent when somebody begins to listen, a connection mostly is not. What has
    // arrived is read even where no time is left.
    bool looks = m_kind == FdKind::Socket || !op.checkpoint();
    while (true) {
        const ssize_t count = looks ? ::read(m_fd, to.data(), to.size()) : -1;
        const int error = looks ? errno : EAGAIN;
        looks = true;
        if (count > 0)
            return static_cast<std::size_t>(count);
        if (count < 0 && error == EINTR)
            continue;
        if (count < 0 && error != EAGAIN)
            return broken("read from", error);
        if (count == 0 && m_kind == FdKind::Socket)
            return fail(Errc::Disconnected, Blame::Fixture,
                        concat("read from ", m_name, ": the other side closed the connection"));
        // A terminal with VMIN = 0 reads 0 both while it is silent and after it has gone; what
        // arrived before it went is still read.
        if (hungUp)
            return fail(Errc::Disconnected, Blame::Fixture,
                        concat("read from ", m_name, ": it left the bus"));
        const short events = TRY(waitFor(POLLIN, op));
        hungUp = (events & (POLLHUP | POLLERR | POLLNVAL)) != 0;
    }
}

Result<> FdIo::writeAll(ByteView data, const OpContext& op) const
{
    while (!data.empty()) {
        TRY(op.checkpoint());
        const ssize_t count = writePiece(data);
        if (count > 0) {
            data = data.subspan(static_cast<std::size_t>(count));
            continue;
        }
        const int error = errno;
        if (count < 0 && error == EINTR)
            continue;
        if (count < 0 && error != EAGAIN)
            return broken("write to", error);
        const short events = TRY(waitFor(POLLOUT, op));
        if ((events & POLLOUT) == 0)
            return fail(Errc::Disconnected, Blame::Fixture,
                        concat("write to ", m_name, ": it left the bus"));
    }
    return {};
}

Result<short> FdIo::waitFor(short events, const OpContext& op) const
{
    while (true) {
        TRY(op.checkpoint());
        pollfd item{.fd = m_fd, .events = events, .revents = 0};
        const auto slice = std::clamp(op.remaining(), std::chrono::milliseconds(1), kSlice);
        const int count = ::poll(&item, 1, static_cast<int>(slice.count()));
        if (count > 0)
            return item.revents;
        if (count < 0 && errno != EINTR)
            return broken("wait for", errno);
    }
}

Unexpected FdIo::broken(std::string_view attempt, int error) const
{
    // EIO and ENXIO are what a tty says whose device was unplugged (protocol sheet 6.5).
    const bool gone = error == EIO || error == ENODEV || error == ENXIO || error == EPIPE ||
                      error == ECONNRESET || error == ESHUTDOWN;
    return fail(gone ? Errc::Disconnected : Errc::Io, Blame::Fixture,
                concat(attempt, " ", m_name, ": ", systemMessage(error)), error);
}

ssize_t FdIo::writePiece(ByteView data) const
{
    if (m_kind == FdKind::Socket)
        return ::send(m_fd, data.data(), data.size(), MSG_NOSIGNAL);
    return ::write(m_fd, data.data(), data.size());
}

void makeNonBlocking(int fd)
{
    const int flags = ::fcntl(fd, F_GETFL);
    if (flags >= 0 && (flags & O_NONBLOCK) == 0)
        ::fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

} // namespace provost
