#include "core/text.h"
#include "sim/pty_p.h"

#include <asm/termbits.h> // termios2; not together with <termios.h>
#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>

namespace provost::sim {

namespace {

constexpr unsigned kFreshRate = 9600;

} // namespace

PtyMaster::PtyMaster(UniqueFd fd, std::string slavePath)
    : m_fd(std::move(fd)), m_slavePath(std::move(slavePath))
{
}

Result<PtyMaster> PtyMaster::open()
{
    UniqueFd fd(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK));
    char path[64] = {};
    if (!fd.valid() || ::grantpt(fd.get()) != 0 || ::unlockpt(fd.get()) != 0 ||
        ::ptsname_r(fd.get(), path, sizeof path) != 0) {
        const int error = errno;
        return fail(Errc::Io, Blame::Station,
                    concat("open a pseudo-terminal: ", systemMessage(error)), error);
    }
    PtyMaster master(std::move(fd), path);
    master.freshen();
    // Only once it has been opened and closed does the master tell whether it is in use.
    static_cast<void>(master.unlock());
    return master;
}

bool PtyMaster::inUse() const
{
    pollfd fds{.fd = m_fd.get(), .events = POLLIN, .revents = 0};
    return ::poll(&fds, 1, 0) >= 0 && (fds.revents & POLLHUP) == 0;
}

int PtyMaster::rate() const
{
    termios2 settings{};
    if (::ioctl(m_fd.get(), TCGETS2, &settings) != 0)
        return 0;
    return static_cast<int>(settings.c_ospeed);
}

void PtyMaster::freshen()
{
    termios2 settings{};
    settings.c_cflag = B9600 | CS8 | CREAD | HUPCL | CLOCAL;
    settings.c_ispeed = settings.c_ospeed = kFreshRate;
    settings.c_cc[VMIN] = 1;
    static_cast<void>(::ioctl(m_fd.get(), TCSETS2, &settings));
}

bool PtyMaster::unlock()
{
    const UniqueFd slave(::open(m_slavePath.c_str(), O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK));
    return slave.valid() && ::ioctl(slave.get(), TIOCNXCL) == 0;
}

std::size_t PtyMaster::read(ByteSpan to)
{
    const ssize_t count = ::read(m_fd.get(), to.data(), to.size());
    return count > 0 ? static_cast<std::size_t>(count) : 0; // EIO: nobody has it open
}

std::size_t PtyMaster::write(ByteView data)
{
    const ssize_t count = ::write(m_fd.get(), data.data(), data.size());
    return count > 0 ? static_cast<std::size_t>(count) : 0;
}

} // namespace provost::sim
