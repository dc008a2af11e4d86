// UsbIpBus against servers that are slow, wrong or malicious: a defined error, in time, and nothing
// taken on trust.
#include "scripted_usbip_server.h"
#include "support/test_program.h"

#include "core/text.h"
#include "transport/usbip_link_p.h"
#include "transport/usbip_serial.h"

#include <QTest>
#include <future>

using namespace provost;
using namespace provost::test;
using namespace std::chrono_literals;

namespace {

// Vendor requests that the scripted device understands as the test says.
constexpr ControlSetup kAsk{.requestType = 0xC0, .request = 0x50};
constexpr ControlSetup kTell{.requestType = 0x40, .request = 0x51};

#define VERIFY_OK(attempt)                                                                         \
    do {                                                                                           \
        const auto& verified = (attempt);                                                          \
        QVERIFY2(verified.has_value(), verified ? "" : describe(verified.error()).c_str());        \
    } while (false)
#define VERIFY_FAILS(attempt, expected)                                                            \
    do {                                                                                           \
        const auto& verified = (attempt);                                                          \
        QVERIFY2(!verified.has_value() && verified.error().code == (expected),                     \
                 verified ? "succeeded" : describe(verified.error()).c_str());                     \
    } while (false)

struct Client {
    explicit Client(const ScriptedUsbIpServer& server)
        : bus(std::move(*UsbIpBus::create("127.0.0.1", server.port()))),
          port{.controller = concat("usbip:127.0.0.1:", server.port()), .ports = {1, 1}}
    {
    }
    OpContext op(std::chrono::milliseconds span = kHangGuard) const
    {
        return {.clock = clock, .deadline = {clock.now() + span}};
    }
    Result<std::unique_ptr<UsbDevice>> open() const
    {
        const auto info = TRY(bus->waitFor(port, {}, op()));
        return bus->open(info);
    }
    SystemClock clock{};
    std::unique_ptr<UsbIpBus> bus;
    UsbPortPath port;
};

class TstUsbIpHostile : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void wellBehavedServer_isUsed();
    void list_thatIsWrongIsRefused_data();
    void list_thatIsWrongIsRefused();
    void list_leavesOutWhatHasNoName();
    void list_ofSilentServerTimesOut();
    void list_ofSilentServerStopsWithin250Milliseconds();
    void import_thatIsWrongIsRefused_data();
    void import_thatIsWrongIsRefused();
    void import_ofDeviceThatSaysNothingTimesOut();
    void import_ofAnotherDeviceThanListedIsDisconnected();
    void transfer_answeredWronglyIsIoAndTheDeviceIsGone_data();
    void transfer_answeredWronglyIsIoAndTheDeviceIsGone();
    void transfer_statusBecomesAnError_data();
    void transfer_statusBecomesAnError();
    void transfer_cutOffInItsDataTimesOut();
    void transfers_areMatchedByNumberInAnyOrder();
    void lateAnswer_behindTheUnlinkIsTheNextOnesNobody();
    void answerThatOvertakesTheUnlink_counts();
    void serverThatNeverAnswers_isGivenUp();
    void partialBulkWrite_isIo();
    void hiddenImport_staysListedAndComesBackAsTheSame();
    void simulated_onlyWhereTheBenchIsOnThisComputer();
    void busIds_ofAnyFormMakeAddresses();
    void reset_ofLinuxServerAsksForAPortReset();
};

void TstUsbIpHostile::wellBehavedServer_isUsed()
{
    ScriptedUsbIpServer server;
    const Client client(server);
    const auto devices = client.bus->enumerate();
    VERIFY_OK(devices);
    QCOMPARE(devices->size(), std::size_t{1});
    QVERIFY(!devices->front().simulated);
    QCOMPARE(devices->front().serial, std::string());
    QVERIFY(UsbIpPorts(*client.bus).enumerate()->empty());
    const auto device = client.open();
    VERIFY_OK(device);
    VERIFY_OK((*device)->controlOut(kTell, {}, client.op()));
}

void TstUsbIpHostile::list_thatIsWrongIsRefused_data()
{
    QTest::addColumn<QByteArray>("reply");
    QTest::addColumn<int>("expected");
    const QByteArray head = QByteArray::fromHex("0111000500000000");
    const auto protocol = static_cast<int>(Errc::Protocol);
    const auto disconnected = static_cast<int>(Errc::Disconnected);
    QTest::newRow("version 1.0.6") << QByteArray::fromHex("010600050000000000000000") << protocol;
    QTest::newRow("code of an import")
        << QByteArray::fromHex("011100030000000000000000") << protocol;
    QTest::newRow("another protocol") << QByteArray("HTTP/1.1 400 Bad Request\r\n\r\n") << protocol;
    QTest::newRow("status") << QByteArray::fromHex("0111000500000001")
                            << static_cast<int>(Errc::Io);
    QTest::newRow("closed at once") << QByteArray() << disconnected;
    QTest::newRow("no count") << head << disconnected;
    QTest::newRow("absurd count") << head + QByteArray::fromHex("ffffffff") << protocol;
    QTest::newRow("short record") << head + QByteArray::fromHex("00000001") + QByteArray(200, 'x')
                                  << disconnected;
    QByteArray interfaces(312, '\0');
    interfaces[311] = static_cast<char>(0xFF);
    QTest::newRow("interfaces missing")
        << head + QByteArray::fromHex("00000001") + interfaces << disconnected;
}

void TstUsbIpHostile::list_thatIsWrongIsRefused()
{
    QFETCH(const QByteArray, reply);
    QFETCH(const int, expected);
    ScriptedUsbIpServer server;
    server.onList = [&](const ScriptedConnection& client) {
        client.write(
            std::as_bytes(std::span(reply.data(), static_cast<std::size_t>(reply.size()))));
    };
    const Client client(server);
    VERIFY_FAILS(client.bus->enumerate(), static_cast<Errc>(expected));
    VERIFY_FAILS(client.bus->waitFor(client.port, {}, client.op(120ms)),
                 static_cast<Errc>(expected));
}

void TstUsbIpHostile::list_leavesOutWhatHasNoName()
{
    ScriptedUsbIpServer server;
    server.onList = [&](const ScriptedConnection& client) {
        Bytes reply = ScriptedUsbIpServer::operation(0x0005, 0);
        ByteWriter(reply).be32(5);
        for (const char* const busId : {"", "1-1", "1-1", "../../etc", "1-1\x1B[2J"})
            ByteWriter(reply).raw(ScriptedDevice{.busId = busId}.listEntry());
        client.write(reply);
    };
    const Client client(server);
    const auto devices = client.bus->enumerate();
    VERIFY_OK(devices);
    QCOMPARE(devices->size(), std::size_t{1});
}

void TstUsbIpHostile::list_ofSilentServerTimesOut()
{
    ScriptedUsbIpServer server;
    server.onList = [](const ScriptedConnection& client) { client.beSilent(); };
    const Client client(server);
    VERIFY_FAILS(client.bus->enumerate(), Errc::Timeout);
    VERIFY_FAILS(client.bus->waitFor(client.port, {}, client.op(150ms)), Errc::Timeout);
}

void TstUsbIpHostile::list_ofSilentServerStopsWithin250Milliseconds()
{
    ScriptedUsbIpServer server;
    server.onList = [](const ScriptedConnection& client) { client.beSilent(); };
    const Client client(server);
    Result<UsbDeviceInfo> found;
    QVERIFY(onceWithin(250ms, [&] {
        return stopped(
            [&](const OpContext& op) { found = client.bus->waitFor(client.port, {}, op); });
    }));
    VERIFY_FAILS(found, Errc::Cancelled);
}

void TstUsbIpHostile::import_thatIsWrongIsRefused_data()
{
    QTest::addColumn<QByteArray>("reply");
    QTest::addColumn<int>("expected");
    const auto row = [](const char* name, const char* hex, Errc expected, int filling = 0) {
        QTest::newRow(name) << QByteArray::fromHex(hex) + QByteArray(filling, '\0')
                            << static_cast<int>(expected);
    };
    row("not available", "0111000300000001", Errc::Busy);
    row("busy", "0111000300000002", Errc::Busy);
    row("device error", "0111000300000003", Errc::Io);
    row("no device", "0111000300000004", Errc::Disconnected);
    row("error", "0111000300000005", Errc::Io);
    row("unknown status", "01110003ffffffff", Errc::Io);
    row("wrong version", "0100000300000000", Errc::Protocol, 312);
    row("code of a list", "0111000500000000", Errc::Protocol, 312);
    row("short record", "0111000300000000", Errc::Disconnected, 311);
    row("another bus id", "0111000300000000", Errc::Protocol, 312);
    row("closed at once", "", Errc::Disconnected);
}

void TstUsbIpHostile::import_thatIsWrongIsRefused()
{
    QFETCH(const QByteArray, reply);
    QFETCH(const int, expected);
    ScriptedUsbIpServer server;
    const Client client(server);
    const auto info = client.bus->waitFor(client.port, {}, client.op());
    VERIFY_OK(info);
    server.onImport = [&](const ScriptedConnection& connection) {
        connection.write(
            std::as_bytes(std::span(reply.data(), static_cast<std::size_t>(reply.size()))));
    };
    VERIFY_FAILS(client.bus->open(*info), static_cast<Errc>(expected));
}

void TstUsbIpHostile::import_ofDeviceThatSaysNothingTimesOut()
{
    ScriptedUsbIpServer server;
    const Client client(server);
    const auto info = client.bus->waitFor(client.port, {}, client.op());
    VERIFY_OK(info);
    server.onCommand = [](const ScriptedConnection&, const ScriptedCommand&) { return true; };
    VERIFY_FAILS(client.bus->open(*info), Errc::Timeout);
    // Nor does it hold up who only lists.
    server.device.number = 6;
    const auto listed = client.bus->enumerate();
    VERIFY_OK(listed);
    QVERIFY(listed->front().incarnation != info->incarnation);
    VERIFY_OK(client.bus->enumerate());
}

void TstUsbIpHostile::import_ofAnotherDeviceThanListedIsDisconnected()
{
    ScriptedUsbIpServer server;
    const Client client(server);
    const auto info = client.bus->waitFor(client.port, {}, client.op());
    VERIFY_OK(info);
    server.device.number = 6;
    VERIFY_FAILS(client.bus->open(*info), Errc::Disconnected);
    const auto now = client.bus->waitFor(client.port, {}, client.op());
    VERIFY_OK(now);
    QVERIFY(now->incarnation != info->incarnation);
    VERIFY_OK(client.bus->open(*now));
    // The record names one device, the descriptor another.
    server.onCommand = [](const ScriptedConnection& connection, const ScriptedCommand& command) {
        if (command.request != 6)
            return false;
        connection.submitted(command, ScriptedDevice{.product = 0x607D}.deviceDescriptor());
        return true;
    };
    VERIFY_FAILS(client.bus->open(*now), Errc::Protocol);
}

using Misdeed = std::function<void(const ScriptedConnection&, const ScriptedCommand&)>;
} // namespace
Q_DECLARE_METATYPE(Misdeed)
namespace {

void TstUsbIpHostile::transfer_answeredWronglyIsIoAndTheDeviceIsGone_data()
{
    QTest::addColumn<Misdeed>("misdeed");
    const auto row = [](const char* name, Misdeed misdeed) {
        QTest::newRow(name) << std::move(misdeed);
    };
    row("unknown number",
        [](const auto& to, const auto& command) { to.answer(3, command.sequence + 1000, 0, 0); });
    row("answered twice",
        [](const auto& to, const auto& command) { to.answer(3, command.sequence - 1, 0, 0); });
    row("more than asked", [](const auto& to, const auto& command) {
        to.answer(3, command.sequence, 0, command.length + 1, Bytes(command.length + 1));
    });
    row("absurd length",
        [](const auto& to, const auto& command) { to.answer(3, command.sequence, 0, 0xFFFFFFFF); });
    row("unknown kind",
        [](const auto& to, const auto& command) { to.answer(7, command.sequence, 0, 0); });
    row("a command",
        [](const auto& to, const auto& command) { to.answer(1, command.sequence, 0, 0); });
    row("unasked unlink",
        [](const auto& to, const auto& command) { to.answer(4, command.sequence, -104, 0); });
}

void TstUsbIpHostile::transfer_answeredWronglyIsIoAndTheDeviceIsGone()
{
    QFETCH(const Misdeed, misdeed);
    ScriptedUsbIpServer server;
    server.onCommand = [&](const ScriptedConnection& to, const ScriptedCommand& command) {
        if (command.request != kAsk.request)
            return false;
        misdeed(to, command);
        return true;
    };
    const Client client(server);
    const auto device = client.open();
    VERIFY_OK(device);
    std::byte buffer[16];
    VERIFY_FAILS((*device)->controlIn(kAsk, buffer, client.op()), Errc::Io);
    VERIFY_FAILS((*device)->claim(0), Errc::Disconnected);
    // The next import is a fresh start.
    VERIFY_OK(client.open());
}

void TstUsbIpHostile::transfer_statusBecomesAnError_data()
{
    QTest::addColumn<int>("status");
    QTest::addColumn<int>("expected");
    const auto row = [](const char* name, int status, Errc expected) {
        QTest::newRow(name) << status << static_cast<int>(expected);
    };
    row("EPIPE", -32, Errc::Protocol);
    row("EPROTO", -71, Errc::Io);
    row("EILSEQ", -84, Errc::Io);
    row("ETIME", -62, Errc::Io);
    row("EOVERFLOW", -75, Errc::Io);
    row("ETIMEDOUT", -110, Errc::Timeout);
    row("ENODEV", -19, Errc::Disconnected);
    row("ESHUTDOWN", -108, Errc::Disconnected);
    row("no error number", 0x7FFFFFFF, Errc::Io);
}

void TstUsbIpHostile::transfer_statusBecomesAnError()
{
    QFETCH(const int, status);
    QFETCH(const int, expected);
    ScriptedUsbIpServer server;
    server.onCommand = [&](const ScriptedConnection& to, const ScriptedCommand& command) {
        if (command.request != kAsk.request)
            return false;
        to.answer(3, command.sequence, status, 3, Bytes(3)); // data may come with it
        return true;
    };
    const Client client(server);
    const auto device = client.open();
    VERIFY_OK(device);
    std::byte buffer[16];
    VERIFY_FAILS((*device)->controlIn(kAsk, buffer, client.op()), static_cast<Errc>(expected));
    VERIFY_OK((*device)->controlOut(kTell, {}, client.op()));
}

void TstUsbIpHostile::transfer_cutOffInItsDataTimesOut()
{
    ScriptedUsbIpServer server;
    server.onCommand = [&](const ScriptedConnection& to, const ScriptedCommand& command) {
        if (command.request != kAsk.request)
            return false;
        to.answer(3, command.sequence, 0, 16, Bytes(5));
        to.beSilent();
    };
    const Client client(server);
    const auto device = client.open();
    VERIFY_OK(device);
    std::byte buffer[16];
    VERIFY_FAILS((*device)->controlIn(kAsk, buffer, client.op(100ms)), Errc::Timeout);
}

void TstUsbIpHostile::transfers_areMatchedByNumberInAnyOrder()
{
    ScriptedUsbIpServer server;
    std::vector<ScriptedCommand> waiting; // of the one connection that imports
    server.onCommand = [&](const ScriptedConnection& to, const ScriptedCommand& command) {
        if (command.request != kAsk.request)
            return false;
        waiting.push_back(command);
        if (waiting.size() < 4)
            return true;
        for (; !waiting.empty(); waiting.pop_back()) {
            const std::byte value{static_cast<unsigned char>(waiting.back().value)};
            to.submitted(waiting.back(), ByteView(&value, 1));
        }
        return true;
    };
    const Client client(server);
    const auto device = client.open();
    VERIFY_OK(device);
    std::vector<std::future<int>> askers;
    for (std::uint16_t value = 1; value <= 4; ++value)
        askers.push_back(std::async(std::launch::async, [&, value] {
            std::byte answer{};
            ControlSetup ask = kAsk;
            ask.value = value;
            const auto count = (*device)->controlIn(ask, ByteSpan(&answer, 1), client.op());
            return count && *count == 1 ? int{u8(answer)} : -1;
        }));
    for (int value = 1; value <= 4; ++value)
        QCOMPARE(askers[static_cast<std::size_t>(value - 1)].get(), value);
}

void TstUsbIpHostile::lateAnswer_behindTheUnlinkIsTheNextOnesNobody()
{
    ScriptedUsbIpServer server;
    std::uint32_t late = 0;
    server.onCommand = [&](const ScriptedConnection& to, const ScriptedCommand& command) {
        if (command.code == 2) {
            to.answer(4, command.sequence, 0, 0); // "answered already", but it comes only now
            to.answer(3, late, 0, 4, Bytes(4, std::byte{0xEE}));
            return true;
        }
        if (command.request == kAsk.request && late == 0) {
            late = command.sequence;
            return true;
        }
        if (command.request != kAsk.request)
            return false;
        to.submitted(command, Bytes(2, std::byte{0x11}));
        return true;
    };
    const Client client(server);
    const auto device = client.open();
    VERIFY_OK(device);
    std::byte buffer[16]{};
    VERIFY_FAILS((*device)->controlIn(kAsk, buffer, client.op(50ms)), Errc::Timeout);
    const auto next = (*device)->controlIn(kAsk, buffer, client.op());
    VERIFY_OK(next);
    QCOMPARE(*next, std::size_t{2});
    QCOMPARE(u8(buffer[0]), std::uint8_t{0x11});
}

void TstUsbIpHostile::answerThatOvertakesTheUnlink_counts()
{
    ScriptedUsbIpServer server;
    ScriptedCommand asked;
    server.onCommand = [&](const ScriptedConnection& to, const ScriptedCommand& command) {
        if (command.code == 1 && command.request == kAsk.request) {
            asked = command;
            return true;
        }
        if (command.code != 2)
            return false;
        to.submitted(asked, Bytes(2, std::byte{0x22}));
        to.answer(4, command.sequence, 0, 0);
        return true;
    };
    const Client client(server);
    const auto device = client.open();
    VERIFY_OK(device);
    std::byte buffer[16]{};
    const auto count = (*device)->controlIn(kAsk, buffer, client.op(50ms));
    VERIFY_OK(count);
    QCOMPARE(*count, std::size_t{2});
}

void TstUsbIpHostile::serverThatNeverAnswers_isGivenUp()
{
    ScriptedUsbIpServer server;
    server.onCommand = [](const ScriptedConnection&, const ScriptedCommand& command) {
        return command.code == 2 || command.request == kAsk.request;
    };
    const Client client(server);
    const auto device = client.open();
    VERIFY_OK(device);
    std::vector<std::future<Errc>> askers;
    for (int each = 0; each < 80; ++each)
        askers.push_back(std::async(std::launch::async, [&] {
            std::byte buffer[16];
            const auto count = (*device)->controlIn(kAsk, buffer, client.op(20ms));
            return count ? Errc::Internal : count.error().code;
        }));
    for (auto& asker : askers) {
        const Errc code = asker.get();
        QVERIFY(code == Errc::Timeout || code == Errc::Io || code == Errc::Disconnected);
    }
    VERIFY_FAILS((*device)->claim(0), Errc::Disconnected);
}

void TstUsbIpHostile::partialBulkWrite_isIo()
{
    ScriptedUsbIpServer server;
    server.onCommand = [&](const ScriptedConnection& to, const ScriptedCommand& command) {
        if (command.endpoint != 1)
            return false;
        to.answer(3, command.sequence, 0, command.length / 2);
        return true;
    };
    const Client client(server);
    const auto device = client.open();
    VERIFY_OK(device);
    VERIFY_FAILS((*device)->bulkOut(1, Bytes(64), client.op()), Errc::Io);
}

void TstUsbIpHostile::hiddenImport_staysListedAndComesBackAsTheSame()
{
    ScriptedUsbIpServer server;
    std::atomic<bool> hidden = false;
    server.onList = [&](const ScriptedConnection& client) {
        Bytes nothing = ScriptedUsbIpServer::operation(0x0005, 0);
        ByteWriter(nothing).be32(0);
        client.write(hidden ? nothing : server.goodList());
    };
    const Client client(server);
    const auto info = client.bus->waitFor(client.port, {}, client.op());
    VERIFY_OK(info);
    auto device = client.bus->open(*info);
    VERIFY_OK(device);
    hidden = true;
    auto listed = client.bus->enumerate();
    VERIFY_OK(listed);
    QCOMPARE(listed->size(), std::size_t{1});
    device->reset();
    // The server is still putting it back.
    listed = client.bus->enumerate();
    VERIFY_OK(listed);
    QCOMPARE(listed->size(), std::size_t{1});
    hidden = false;
    const auto again = client.bus->waitFor(client.port, {}, client.op());
    VERIFY_OK(again);
    QCOMPARE(again->incarnation, info->incarnation);
    hidden = true;
    QTRY_VERIFY(client.bus->enumerate()->empty()); // it does not come back: unplugged
}

void TstUsbIpHostile::simulated_onlyWhereTheBenchIsOnThisComputer()
{
    ScriptedUsbIpServer server;
    server.device.path = "/sys/devices/bench/usb1/1-1";
    const Client client(server);
    const auto devices = client.bus->enumerate();
    VERIFY_OK(devices);
    QVERIFY(devices->front().simulated);
    const usbip::DeviceRecord record{.path = "/sys/devices/bench/usb1/1-1"};
    QVERIFY(servedByOurBench(record, "127.0.0.1:3240"));
    QVERIFY(servedByOurBench(record, "[::1]:3240"));
    QVERIFY(!servedByOurBench(record, "192.0.2.1:3240"));
    QVERIFY(!servedByOurBench(record, "[2001:db8::1]:3240"));
    QVERIFY(!servedByOurBench({.path = "/sys/devices/pci0000:00/usb1/1-1"}, "127.0.0.1:3240"));
}

void TstUsbIpHostile::busIds_ofAnyFormMakeAddresses()
{
    for (const char* const busId : {"1-1", "1-2.3.4", "255-255", "3-0", "256-1", "1-01", "1", "1-",
                                    "usb1", "1-1:1.0", "0-1"}) {
        ScriptedUsbIpServer server;
        server.device.busId = busId;
        const Client client(server);
        const auto devices = client.bus->enumerate();
        VERIFY_OK(devices);
        QCOMPARE(toText(devices->front().port),
                 concat("usbip:127.0.0.1:", server.port(), "/", busId));
        const auto address = parseUsbIpAddress(toText(devices->front().port));
        VERIFY_OK(address);
        QVERIFY(portPathOf(*address) == devices->front().port);
        VERIFY_OK(client.bus->open(devices->front()));
    }
}

void TstUsbIpHostile::reset_ofLinuxServerAsksForAPortReset()
{
    ScriptedUsbIpServer server;
    std::mutex mutex;
    std::vector<int> requests;
    server.onCommand = [&](const ScriptedConnection&, const ScriptedCommand& command) {
        const std::lock_guard lock(mutex);
        requests.push_back(command.requestType << 8 | command.request);
        return false;
    };
    const Client client(server);
    const auto device = client.open();
    VERIFY_OK(device);
    VERIFY_OK((*device)->selectAlternate(0, 2));
    requests.clear();
    VERIFY_OK((*device)->reset());
    QCOMPARE(requests, (std::vector<int>{0x2303, 0x8006, 0x0009, 0x010B}));
}

} // namespace

PROVOST_TEST("usbip_hostile", TstUsbIpHostile)
#include "tst_usbip_hostile.moc"
