#include "transport/termios_port.h"

#include "core/text.h"
#include "transport/fd_io_p.h"

// Not <termios.h>: rates outside its table (14400, 28800) need termios2 and BOTHER.
#include <asm/termbits.h>
#include <cerrno>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <unistd.h>

namespace provost {

namespace {

Unexpected openFailed(const std::string& path, int error)
{
    Errc code = Errc::Io;
    if (error == ENOENT || error == ENODEV || error == ENXIO)
        code = Errc::NotFound;
    else if (error == EACCES || error == EPERM)
        code = Errc::Denied;
    else if (error == EBUSY || error == EWOULDBLOCK)
        code = Errc::Busy;
    return fail(code, Blame::Station, concat("open ", path, ": ", systemMessage(error)), error);
}

void makeRaw(termios2& settings)
{
    settings.c_iflag &= ~static_cast<tcflag_t>(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR |
                                               ICRNL | IXON | IXOFF | INPCK);
    settings.c_oflag &= ~static_cast<tcflag_t>(OPOST);
    settings.c_lflag &= ~static_cast<tcflag_t>(ECHO | ECHONL | ICANON | ISIG | IEXTEN);
    settings.c_cflag &= ~static_cast<tcflag_t>(CSIZE | PARENB | CSTOPB | HUPCL | CRTSCTS);
    settings.c_cflag |= static_cast<tcflag_t>(CS8 | CREAD | CLOCAL);
    settings.c_cc[VMIN] = 0;
    settings.c_cc[VTIME] = 0;
}

void setSpeed(termios2& settings, int bitsPerSecond)
{
    constexpr auto kRates = static_cast<tcflag_t>(CBAUD | (CBAUD << IBSHIFT));
    settings.c_cflag &= ~kRates;
    settings.c_cflag |= static_cast<tcflag_t>(BOTHER | (BOTHER << IBSHIFT));
    settings.c_ispeed = static_cast<speed_t>(bitsPerSecond);
    settings.c_ospeed = static_cast<speed_t>(bitsPerSecond);
}

} // namespace

struct TermiosPort::Impl {
    FdIo io{};
};

Result<std::unique_ptr<TermiosPort>> TermiosPort::open(const std::string& path)
{
    const int fd = ::open(path.c_str(), O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return openFailed(path, errno);
    FdIo io(fd, FdKind::Terminal, path);
    if (::flock(fd, LOCK_EX | LOCK_NB) != 0)
        return openFailed(path, errno);
    termios2 settings{};
    if (::ioctl(fd, TCGETS2, &settings) != 0)
        return openFailed(path, errno);
    makeRaw(settings);
    if (::ioctl(fd, TCSETS2, &settings) != 0)
        return openFailed(path, errno);
    ::ioctl(fd, TIOCEXCL);
    auto impl = std::make_unique<Impl>();
    impl->io = std::move(io);
    return std::unique_ptr<TermiosPort>(new TermiosPort(std::move(impl)));
}

TermiosPort::TermiosPort(std::unique_ptr<Impl> impl) : m_impl(std::move(impl)) {}

TermiosPort::~TermiosPort()
{
    // The mark stays with a terminal that somebody else keeps open.
    ::ioctl(m_impl->io.fd(), TIOCNXCL);
}

Result<std::size_t> TermiosPort::readSome(ByteSpan to, const OpContext& op)
{
    return m_impl->io.readSome(to, op);
}

Result<> TermiosPort::writeAll(ByteView data, const OpContext& op)
{
    return m_impl->io.writeAll(data, op);
}

Result<> TermiosPort::discardInput()
{
    if (::ioctl(m_impl->io.fd(), TCFLSH, TCIFLUSH) != 0)
        return m_impl->io.broken("discard input of", errno);
    return {};
}

Result<> TermiosPort::setBaud(int bitsPerSecond)
{
    const int fd = m_impl->io.fd();
    termios2 settings{};
    if (::ioctl(fd, TCGETS2, &settings) != 0)
        return m_impl->io.broken("read the rate of", errno);
    // cdc_acm tells the unit only of a change, and the change is the command (sheet 6.4).
    if (settings.c_ospeed == static_cast<speed_t>(bitsPerSecond)) {
        setSpeed(settings, bitsPerSecond == 9600 ? 19200 : 9600);
        if (::ioctl(fd, TCSETS2, &settings) != 0)
            return m_impl->io.broken("set another rate on", errno);
    }
    setSpeed(settings, bitsPerSecond);
    if (::ioctl(fd, TCSETS2, &settings) != 0)
        return m_impl->io.broken(concat("set ", bitsPerSecond, " bit/s on"), errno);
    return {};
}

Result<> TermiosPort::setDtr(bool asserted)
{
    const int line = TIOCM_DTR;
    if (::ioctl(m_impl->io.fd(), asserted ? TIOCMBIS : TIOCMBIC, &line) != 0) {
        if (errno == ENOTTY || errno == EINVAL)
            return {};
        return m_impl->io.broken("set DTR of", errno);
    }
    return {};
}

} // namespace provost
