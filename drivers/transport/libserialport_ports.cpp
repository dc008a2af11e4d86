#include "transport/libserialport_ports.h"

#include "core/text.h"
#include "transport/fd_io_p.h"
#include "transport/tcp_stream.h"
#include "transport/termios_port.h"
#include "transport/usb_sysfs_p.h"

#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <fcntl.h>
#include <libserialport.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <utility>

namespace provost {

namespace {

constexpr std::chrono::seconds kConnectLimit{5};

struct PortDeleter {
    void operator()(sp_port* port) const
    {
        sp_close(port);
        sp_free_port(port);
    }
};
using PortHandle = std::unique_ptr<sp_port, PortDeleter>;

std::string nameOf(const std::string& path)
{
    return path.substr(path.rfind('/') + 1);
}

/// libserialport leaves errno in sp_last_error_code().
Unexpected openFailed(const std::string& path, sp_return code)
{
    const int error = code == SP_ERR_FAIL ? sp_last_error_code() : 0;
    Errc errc = Errc::Io;
    if (error == ENOENT || error == ENODEV || error == ENXIO || code == SP_ERR_ARG)
        errc = Errc::NotFound;
    else if (error == EACCES || error == EPERM)
        errc = Errc::Denied;
    else if (error == EBUSY || error == EWOULDBLOCK)
        errc = Errc::Busy;
    return fail(errc, Blame::Station,
                concat("open ", path, ": libserialport error ", static_cast<int>(code)), error);
}

class LibserialportPort final : public SerialPort {
public:
    LibserialportPort(PortHandle port, FdIo io) : m_port(std::move(port)), m_io(std::move(io)) {}

    Result<std::size_t> readSome(ByteSpan to, const OpContext& op) override
    {
        return m_io.readSome(to, op);
    }
    Result<> writeAll(ByteView data, const OpContext& op) override
    {
        return m_io.writeAll(data, op);
    }
    Result<> discardInput() override
    {
        return check(sp_flush(m_port.get(), SP_BUF_INPUT), "flush");
    }
    Result<> setBaud(int bitsPerSecond) override
    {
        // cdc_acm tells the unit only of a change, and the change is the command (sheet 6.4).
        if (currentBaud() == bitsPerSecond)
            TRY(check(sp_set_baudrate(m_port.get(), bitsPerSecond == 9600 ? 19200 : 9600),
                      "set another rate on"));
        return check(sp_set_baudrate(m_port.get(), bitsPerSecond),
                     concat("set ", bitsPerSecond, " bit/s on"));
    }
    Result<> setDtr(bool asserted) override
    {
        return check(sp_set_dtr(m_port.get(), asserted ? SP_DTR_ON : SP_DTR_OFF), "set DTR of");
    }

private:
    int currentBaud() const
    {
        sp_port_config* config = nullptr;
        int baud = 0;
        if (sp_new_config(&config) != SP_OK)
            return 0;
        if (sp_get_config(m_port.get(), config) == SP_OK)
            sp_get_config_baudrate(config, &baud);
        sp_free_config(config);
        return baud;
    }
    Result<> check(sp_return code, std::string_view attempt) const
    {
        if (code == SP_OK)
            return {};
        return m_io.broken(attempt, code == SP_ERR_FAIL ? sp_last_error_code() : EINVAL);
    }

    PortHandle m_port;
    FdIo m_io;
};

/// The serial server owns the line's settings; this end can only move bytes.
class TcpSerialPort final : public SerialPort {
public:
    explicit TcpSerialPort(std::unique_ptr<TcpStream> stream) : m_stream(std::move(stream)) {}
    Result<std::size_t> readSome(ByteSpan to, const OpContext& op) override
    {
        return m_stream->readSome(to, op);
    }
    Result<> writeAll(ByteView data, const OpContext& op) override
    {
        return m_stream->writeAll(data, op);
    }
    Result<> discardInput() override { return m_stream->discardInput(); }
    Result<> setBaud(int bitsPerSecond) override
    {
        return fail(Errc::Unsupported, Blame::Station,
                    concat("set ", bitsPerSecond, " bit/s: the serial server at ", m_stream->peer(),
                           " sets its own rate"));
    }
    Result<> setDtr(bool /*on*/) override
    {
        return fail(
            Errc::Unsupported, Blame::Station,
            concat("set DTR: the serial server at ", m_stream->peer(), " has no such line"));
    }

private:
    std::unique_ptr<TcpStream> m_stream;
};

Result<std::unique_ptr<SerialPort>> openTcp(const std::string& path)
{
    const std::string target = path.substr(4);
    const auto colon = target.rfind(':');
    std::uint16_t port = 0;
    const char* const end = target.data() + target.size();
    if (colon == std::string::npos || colon == 0 ||
        std::from_chars(target.data() + colon + 1, end, port).ptr != end || port == 0)
        return fail(Errc::InvalidArgument, Blame::Operator,
                    concat("open ", path, ": the form is tcp:HOST:PORT"));
    const SystemClock clock;
    const OpContext op{.clock = clock, .deadline = {clock.now() + kConnectLimit}};
    auto stream = TRY(TcpStream::connect(target.substr(0, colon), port, op));
    return std::make_unique<TcpSerialPort>(std::move(stream));
}

Result<std::unique_ptr<SerialPort>> openListed(const std::string& path)
{
    sp_port* raw = nullptr;
    if (const sp_return code = sp_get_port_by_name(path.c_str(), &raw); code != SP_OK)
        return openFailed(path, code);
    std::unique_ptr<sp_port, decltype(&sp_free_port)> unopened(raw, &sp_free_port);
    if (const sp_return code = sp_open(raw, SP_MODE_READ_WRITE); code != SP_OK)
        return openFailed(path, code);
    PortHandle port(unopened.release());
    int fd = -1;
    if (sp_get_port_handle(port.get(), &fd) != SP_OK)
        return openFailed(path, SP_ERR_SUPP);
    // libserialport 0.1.1 of Debian shares the port with everybody.
    if (::flock(fd, LOCK_EX | LOCK_NB) != 0)
        return fail(Errc::Busy, Blame::Station, concat("open ", path, ": another program holds it"),
                    errno);
    ::ioctl(fd, TIOCEXCL);
    // Its own descriptor, so that closing stays with libserialport.
    FdIo io(::fcntl(fd, F_DUPFD_CLOEXEC, 0), FdKind::Terminal, path);
    sp_set_bits(port.get(), 8);
    sp_set_parity(port.get(), SP_PARITY_NONE);
    sp_set_stopbits(port.get(), 1);
    sp_set_flowcontrol(port.get(), SP_FLOWCONTROL_NONE);
    return std::make_unique<LibserialportPort>(std::move(port), std::move(io));
}

} // namespace

Result<std::vector<SerialPortInfo>> LibserialportPorts::enumerate()
{
    sp_port** list = nullptr;
    if (const sp_return code = sp_list_ports(&list); code != SP_OK)
        return fail(Errc::Io, Blame::Station,
                    concat("list serial ports: libserialport error ", static_cast<int>(code)));
    std::vector<SerialPortInfo> found;
    for (sp_port** item = list; *item != nullptr; ++item) {
        const std::string path = sp_get_port_name(*item);
        found.push_back({.path = path, .usb = sysfs::portOfTty(nameOf(path))});
    }
    sp_free_port_list(list);
    return found;
}

Result<std::unique_ptr<SerialPort>> LibserialportPorts::open(const std::string& path)
{
    if (path.starts_with("tcp:"))
        return openTcp(path);
    if (path == concat("/dev/", nameOf(path)) && sysfs::hasTty(nameOf(path)))
        return openListed(path);
    // A link such as /dev/serial/by-path/… leads to a listed port as well.
    const std::unique_ptr<char, decltype(&std::free)> real(::realpath(path.c_str(), nullptr),
                                                           &std::free);
    const std::string target = real ? real.get() : path;
    if (target == concat("/dev/", nameOf(target)) && sysfs::hasTty(nameOf(target)))
        return openListed(target);
    auto port = TRY(TermiosPort::open(path));
    return std::unique_ptr<SerialPort>(std::move(port));
}

} // namespace provost
