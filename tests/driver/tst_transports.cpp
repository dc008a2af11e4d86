// TcpStream, TermiosPort and LibserialportPorts on loopback and pseudo-terminals.
#include "core/byte_io.h"
#include "core/text.h"
#include "support/test_program.h"
#include "transport/libserialport_ports.h"
#include "transport/libusb_bus.h"
#include "transport/tcp_stream.h"
#include "transport/termios_port.h"

#include <QTest>

#include <arpa/inet.h>
#include <array>
#include <asm/termbits.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

using namespace provost;
using namespace provost::test;
using namespace std::chrono_literals;

namespace {

const SystemClock kClock;

OpContext op(std::chrono::milliseconds limit = kHangGuard, std::stop_token stop = {})
{
    return {.clock = kClock, .stop = std::move(stop), .deadline = {kClock.now() + limit}};
}

/// A terminal whose other end the test holds.
struct Terminal {
    Terminal() : master(posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC))
    {
        std::array<char, 64> name{};
        if (grantpt(master) == 0 && unlockpt(master) == 0 &&
            ptsname_r(master, name.data(), name.size()) == 0)
            path = name.data();
    }
    ~Terminal() { hangUp(); }
    Terminal(const Terminal&) = delete;
    Terminal& operator=(const Terminal&) = delete;
    void say(std::string_view text) const
    {
        QCOMPARE(write(master, text.data(), text.size()), static_cast<ssize_t>(text.size()));
    }
    int speed() const
    {
        termios2 settings{};
        return ioctl(master, TCGETS2, &settings) == 0 ? static_cast<int>(settings.c_ospeed) : -1;
    }
    void hangUp()
    {
        if (master >= 0)
            close(std::exchange(master, -1));
    }
    int master = -1;
    std::string path{};
};

/// A listening socket on a free port of the loopback.
struct Listener {
    Listener() : fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0))
    {
        sockaddr_in address{.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
        socklen_t size = sizeof address;
        auto* const generic = static_cast<sockaddr*>(static_cast<void*>(&address));
        if (bind(fd, generic, size) == 0 && listen(fd, 4) == 0 &&
            getsockname(fd, generic, &size) == 0)
            port = ntohs(address.sin_port);
    }
    ~Listener() { close(fd); }
    Listener(const Listener&) = delete;
    Listener& operator=(const Listener&) = delete;
    int fd;
    std::uint16_t port = 0;
};

std::string readText(ByteStream& stream, std::size_t size)
{
    std::string text;
    while (text.size() < size) {
        std::array<std::byte, 64> buffer{};
        const auto count = stream.readSome(buffer, op());
        if (!count)
            return text + "<" + std::string(name(count.error().code)) + ">";
        text += toText(ByteView(buffer).first(*count));
    }
    return text;
}

Errc errorOfRead(ByteStream& stream, const OpContext& context)
{
    std::array<std::byte, 8> buffer{};
    const auto count = stream.readSome(buffer, context);
    return count ? Errc::Internal : count.error().code;
}

class TstTransports : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void tcp_carriesBytesBothWays();
    void tcp_reportsTheEndOfTheStream();
    void tcp_refusedConnectionIsUnavailable();
    void tcp_writeStopsAtTheDeadline();
    void terminal_carriesBytesBothWays();
    void terminal_setsOddRates();
    void terminal_leavesAnEqualRateFirst();
    void terminal_isExclusive();
    void terminal_reportsHangUpBehindTheLastBytes();
    void terminal_namesWhatIsMissing();
    void read_endsAtTheDeadlineAndOnStop();
    void ports_openTerminalsAndServersByName();
    void usb_busEndsCleanly();
};

void TstTransports::tcp_carriesBytesBothWays()
{
    const Listener listener;
    auto client = TcpStream::connect("127.0.0.1", listener.port, op());
    QVERIFY2(client.has_value(), client ? "" : client.error().message.c_str());
    TcpStream server(accept(listener.fd, nullptr, nullptr));
    QVERIFY(server.peer().starts_with("127.0.0.1:"));
    QCOMPARE((*client)->peer(), concat("127.0.0.1:", listener.port));
    QVERIFY((*client)->writeAll(viewOf("hello"), op()).has_value());
    QCOMPARE(readText(server, 5), std::string("hello"));
    QVERIFY(server.writeAll(viewOf("a"), op()).has_value());
    QCOMPARE(readText(**client, 1), std::string("a"));
    // More than any socket buffer.
    const Bytes large(4 * 1024 * 1024, std::byte{0x42});
    std::jthread writer([&] { QVERIFY(server.writeAll(large, op()).has_value()); });
    QCOMPARE(readText(**client, large.size()).size(), large.size());
}

void TstTransports::tcp_reportsTheEndOfTheStream()
{
    const Listener listener;
    auto client = TcpStream::connect("127.0.0.1", listener.port, op());
    QVERIFY(client.has_value());
    {
        TcpStream server(accept(listener.fd, nullptr, nullptr));
        QVERIFY(server.writeAll(viewOf("bye"), op()).has_value());
    }
    QCOMPARE(readText(**client, 3), std::string("bye"));
    QCOMPARE(errorOfRead(**client, op()), Errc::Disconnected);
    Result<> written;
    for (int i = 0; i < 100 && written; ++i)
        written = (*client)->writeAll(viewOf("anybody?"), op());
    QVERIFY(!written.has_value());
    QCOMPARE(written.error().code, Errc::Disconnected);
}

void TstTransports::tcp_refusedConnectionIsUnavailable()
{
    std::uint16_t port = 0;
    {
        const Listener listener;
        port = listener.port;
    }
    const auto client = TcpStream::connect("127.0.0.1", port, op());
    QVERIFY(!client.has_value());
    QCOMPARE(client.error().code, Errc::Unavailable);
    const auto unknown = TcpStream::connect("no.such.host.invalid", 1, op());
    QVERIFY(!unknown.has_value());
    QCOMPARE(unknown.error().code, Errc::NotFound);
}

void TstTransports::tcp_writeStopsAtTheDeadline()
{
    const Listener listener;
    auto client = TcpStream::connect("127.0.0.1", listener.port, op());
    QVERIFY(client.has_value());
    const Bytes large(64 * 1024 * 1024);
    const auto written = (*client)->writeAll(large, op(100ms));
    QVERIFY(!written.has_value());
    QCOMPARE(written.error().code, Errc::Timeout);
}

void TstTransports::terminal_carriesBytesBothWays()
{
    const Terminal terminal;
    auto port = TermiosPort::open(terminal.path);
    QVERIFY2(port.has_value(), port ? "" : port.error().message.c_str());
    // Raw: nothing is echoed, translated or held back until a line ends.
    terminal.say("a\r\n\x03\x11\x13");
    QCOMPARE(readText(**port, 6), std::string("a\r\n\x03\x11\x13"));
    QVERIFY((*port)->writeAll(viewOf("x\r\ny\n"), op()).has_value());
    std::array<char, 16> buffer{};
    QCOMPARE(read(terminal.master, buffer.data(), buffer.size()), ssize_t{5});
    QCOMPARE(std::string(buffer.data()), std::string("x\r\ny\n"));
    terminal.say("stale");
    QCOMPARE(readText(**port, 5), std::string("stale"));
    terminal.say("stale again");
    QVERIFY((*port)->discardInput().has_value());
    QCOMPARE(errorOfRead(**port, op(60ms)), Errc::Timeout);
    QVERIFY((*port)->setDtr(true).has_value());
}

void TstTransports::terminal_setsOddRates()
{
    const Terminal terminal;
    auto port = TermiosPort::open(terminal.path);
    QVERIFY(port.has_value());
    for (const int rate : {14400, 28800, 9600, 115200, 921600}) {
        QVERIFY((*port)->setBaud(rate).has_value());
        QCOMPARE(terminal.speed(), rate);
    }
}

void TstTransports::terminal_leavesAnEqualRateFirst()
{
    const Terminal terminal;
    auto port = TermiosPort::open(terminal.path);
    QVERIFY(port.has_value());
    QVERIFY((*port)->setBaud(14400).has_value());
    QVERIFY((*port)->setBaud(14400).has_value());
    QCOMPARE(terminal.speed(), 14400);
}

void TstTransports::terminal_isExclusive()
{
    const Terminal terminal;
    {
        auto port = TermiosPort::open(terminal.path);
        QVERIFY(port.has_value());
        const auto second = TermiosPort::open(terminal.path);
        QVERIFY(!second.has_value());
        QCOMPARE(second.error().code, Errc::Busy);
    }
    QVERIFY(TermiosPort::open(terminal.path).has_value());
}

void TstTransports::terminal_reportsHangUpBehindTheLastBytes()
{
    Terminal terminal;
    auto port = TermiosPort::open(terminal.path);
    QVERIFY(port.has_value());
    terminal.hangUp();
    QCOMPARE(errorOfRead(**port, op()), Errc::Disconnected);
    const auto written = (*port)->writeAll(viewOf("x"), op());
    QVERIFY(!written.has_value());
    QCOMPARE(written.error().code, Errc::Disconnected);
    const auto rate = (*port)->setBaud(14400);
    QVERIFY(!rate.has_value());
    QCOMPARE(rate.error().code, Errc::Disconnected);
}

void TstTransports::terminal_namesWhatIsMissing()
{
    const auto port = TermiosPort::open("/dev/no-such-terminal");
    QVERIFY(!port.has_value());
    QCOMPARE(port.error().code, Errc::NotFound);
    QVERIFY(port.error().message.find("/dev/no-such-terminal") != std::string::npos);
}

void TstTransports::read_endsAtTheDeadlineAndOnStop()
{
    const Terminal terminal;
    auto port = TermiosPort::open(terminal.path);
    QVERIFY(port.has_value());
    Errc error{};
    QVERIFY(timed([&] { error = errorOfRead(**port, op(120ms)); }) >= 120ms);
    QCOMPARE(error, Errc::Timeout);
    QVERIFY(onceWithin(250ms, [&] {
        return stopped([&](const OpContext& op) { error = errorOfRead(**port, op); });
    }));
    QCOMPARE(error, Errc::Cancelled);
}

void TstTransports::ports_openTerminalsAndServersByName()
{
    LibserialportPorts ports;
    QVERIFY(ports.enumerate().has_value());
    const Terminal terminal;
    auto port = ports.open(terminal.path);
    QVERIFY2(port.has_value(), port ? "" : port.error().message.c_str());
    terminal.say("hi");
    QCOMPARE(readText(**port, 2), std::string("hi"));

    const Listener listener;
    auto remote = ports.open(concat("tcp:127.0.0.1:", listener.port));
    QVERIFY2(remote.has_value(), remote ? "" : remote.error().message.c_str());
    TcpStream server(accept(listener.fd, nullptr, nullptr));
    QVERIFY((*remote)->writeAll(viewOf("ok"), op()).has_value());
    QCOMPARE(readText(server, 2), std::string("ok"));
    QCOMPARE((*remote)->setBaud(9600).error().code, Errc::Unsupported);

    for (const std::string bad : {"tcp:", "tcp:host", "tcp::1", "tcp:host:0", "tcp:host:99999"})
        QCOMPARE(ports.open(bad).error().code, Errc::InvalidArgument);
    QCOMPARE(ports.open("/dev/ttyNoSuchPort").error().code, Errc::NotFound);
}

void TstTransports::usb_busEndsCleanly()
{
    auto bus = LibusbBus::create();
    QVERIFY2(bus.has_value(), bus ? "" : bus.error().message.c_str()); // USB or not
    const auto found = (*bus)->waitFor({.controller = "usb99", .ports = {1}}, {}, op(150ms));
    QVERIFY(!found.has_value());
    QCOMPARE(found.error().code, Errc::Timeout);
    const auto gone = (*bus)->open({.port = {.controller = "usb99", .ports = {1}}});
    QVERIFY(!gone.has_value());
    QCOMPARE(gone.error().code, Errc::Disconnected);
    bus->reset();
}

} // namespace

PROVOST_TEST("transports", TstTransports)
#include "tst_transports.moc"
