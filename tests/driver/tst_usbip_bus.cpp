// UsbIpBus and UsbIpPorts against the bench's own server, with a virtual Photon at the other end.
#include "support/test_program.h"
#include "virtual_rig.h"

#include "protocol/control_requests.h"
#include "protocol/dfu_device.h"
#include "protocol/listening_console.h"
#include "sim/usbip_server.h"
#include "support/photon_facts.h"
#include "transport/usbip_serial.h"

#include <future>

using namespace provost;
using namespace provost::test;
using namespace std::chrono_literals;

namespace {

constexpr std::uint32_t kDctBase = 0x08004000;
constexpr std::size_t kKeyInSector = 0x1D7C + photon::kPrivateKey;
constexpr std::uint8_t kDataIn = 0x81;
constexpr std::string_view kVersionLine = "system firmware version: 1.5.2\n\r\n";
constexpr ControlSetup kGetStatus{.requestType = 0xA1, .request = 3};

template <class T>
Errc codeOf(const Result<T>& result)
{
    return result ? Errc::Internal : result.error().code;
}

#define VERIFY_FAILS(attempt, expected)                                                            \
    do {                                                                                           \
        const auto& verified = (attempt);                                                          \
        QVERIFY2(!verified.has_value() && verified.error().code == (expected),                     \
                 verified ? "succeeded" : describe(verified.error()).c_str());                     \
    } while (false)

/// A bench of one unit, served over USB/IP, and a client of it.
struct Served {
    explicit Served(std::string_view unit = "stock = \"1.5.2\"\nkey = \"burnt\"")
        : rig(benchText(unit)), server(must(sim::UsbIpServer::start(rig.bench().ports(), {}))),
          bus(client()), ports(*bus)
    {
    }
    std::unique_ptr<UsbIpBus> client() const
    {
        return must(UsbIpBus::create("127.0.0.1", server->port()));
    }
    UsbPortPath port() const
    {
        return {.controller = concat("usbip:127.0.0.1:", server->port()), .ports = {1, 1}};
    }
    UsbDeviceInfo waitFor(UsbId id)
    {
        return must(bus->waitFor(port(), std::span(&id, 1), rig.op()));
    }
    std::unique_ptr<SerialPort> openSerial()
    {
        waitFor(kCdc);
        return must(ports.open(toText(port())));
    }
    DfuDevice openDfu()
    {
        static_cast<void>(openSerial()->setBaud(14400)); // it may leave while it obeys
        return must(DfuDevice::open(must(bus->open(waitFor(kDfu))), rig.op()));
    }

    Rig rig;
    std::unique_ptr<sim::UsbIpServer> server;
    std::unique_ptr<UsbIpBus> bus;
    UsbIpPorts ports;
};

class TstUsbIpBus : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void parseAddress_takesHostPortAndBusId();
    void parseAddress_refusesOtherForms();
    void create_refusesWhatIsNoServer();
    void enumerate_tellsAddressIdSerialAndThatABenchServes();
    void enumerate_ofNobodyIsUnavailable();
    void enumerate_keepsTheIncarnationOfAUnitThatStays();
    void open_givesTheDeviceBackWhenTheLastHandleCloses();
    void open_bySecondClientIsBusy();
    void secondClient_stillSeesTheUnit();
    void dfu_uploadsTheKeySlot();
    void dfu_uploadsBothDctSectors();
    void dfu_writesWhatIsReadBack();
    void console_answers();
    void console_andControlRequestsShareOneImport();
    void console_closedAndOpenedAgainLosesNothing();
    void console_keepsWhatArrivedBeforeTheUnitLeft();
    void baudCommand_leadsToTheBootloaderAndLeavingBack();
    void unplug_duringAPendingReadIsDisconnected();
    void unplug_duringAnUploadIsDisconnected();
    void stop_endsAPendingReadWithin250Milliseconds();
    void stop_endsAnUnansweredRequestWithin250Milliseconds();
    void deadline_endsAnUnansweredRequestAndTheNextOneWorks();
    void handles_outliveTheBus();
    void serverThatEnds_isDisconnected();

private:
    static std::string keptOfALine();
};

void TstUsbIpBus::parseAddress_takesHostPortAndBusId()
{
    const auto full = must(parseUsbIpAddress("usbip:bench.example:3241/1-2.3"));
    QCOMPARE(full.host, std::string("bench.example"));
    QCOMPARE(full.port, std::uint16_t{3241});
    QCOMPARE(full.busId, std::string("1-2.3"));
    const auto literal = must(parseUsbIpAddress("usbip:[2001:db8::1]:3242/3-1"));
    QCOMPARE(literal.host, std::string("2001:db8::1"));
    QCOMPARE(literal.port, std::uint16_t{3242});
    QCOMPARE(must(parseUsbIpAddress("usbip:192.0.2.7/1-1")).port, std::uint16_t{3240});
    QCOMPARE(must(parseUsbIpAddress("usbip:192.0.2.7:99")).busId, std::string());
}

void TstUsbIpBus::parseAddress_refusesOtherForms()
{
    for (const char* const text : {"usb:1-2", "usbip:", "usbip:/1-1", "usbip:host:/1-1",
                                   "usbip:host:0/1-1", "usbip:host:70000/1-1", "usbip:host:12x/1-1",
                                   "usbip:host:3240/", "usbip:[::1/1-1", "usbip:[::1]x/1-1"})
        QVERIFY2(codeOf(parseUsbIpAddress(text)) == Errc::InvalidArgument, text);
}

void TstUsbIpBus::create_refusesWhatIsNoServer()
{
    VERIFY_FAILS(UsbIpBus::create("", 3240), Errc::InvalidArgument);
    VERIFY_FAILS(UsbIpBus::create("127.0.0.1", 0), Errc::InvalidArgument);
}

void TstUsbIpBus::enumerate_tellsAddressIdSerialAndThatABenchServes()
{
    Served served;
    served.rig.waitFor(kCdc);
    const auto devices = must(served.bus->enumerate());
    QCOMPARE(devices.size(), std::size_t{1});
    QCOMPARE(toText(devices[0].port), concat("usbip:127.0.0.1:", served.server->port(), "/1-1"));
    QVERIFY(devices[0].port == served.port());
    QVERIFY(devices[0].id == kCdc);
    QCOMPARE(devices[0].serial, served.rig.unit().deviceId);
    QVERIFY(devices[0].simulated);
    const auto ports = must(served.ports.enumerate());
    QCOMPARE(ports.size(), std::size_t{1});
    QCOMPARE(ports[0].path, toText(served.port()));
    QVERIFY(ports[0].usb == served.port());
    QVERIFY(ports[0].simulated);
}

void TstUsbIpBus::enumerate_ofNobodyIsUnavailable()
{
    Served served;
    const auto bus = served.client();
    served.server.reset();
    VERIFY_FAILS(bus->enumerate(), Errc::Unavailable);
    VERIFY_FAILS(bus->waitFor(served.rig.port(), {}, served.rig.op(100ms)), Errc::Unavailable);
}

void TstUsbIpBus::enumerate_keepsTheIncarnationOfAUnitThatStays()
{
    Served served;
    const auto first = served.waitFor(kCdc);
    {
        const auto device = must(served.bus->open(first));
        QCOMPARE(must(served.bus->enumerate()).at(0).incarnation, first.incarnation);
    }
    QCOMPARE(must(served.bus->enumerate()).at(0).incarnation, first.incarnation);
    must(served.rig.bench().setPower(1, false));
    QTRY_VERIFY(must(served.bus->enumerate()).empty());
    VERIFY_FAILS(served.bus->open(first), Errc::Disconnected);
    must(served.rig.bench().setPower(1, true));
    QVERIFY(served.waitFor(kCdc).incarnation != first.incarnation);
}

void TstUsbIpBus::open_givesTheDeviceBackWhenTheLastHandleCloses()
{
    Served served;
    const auto info = served.waitFor(kCdc);
    const auto other = served.client();
    auto first = must(served.bus->open(info));
    auto second = must(served.bus->open(info));
    first.reset();
    VERIFY_FAILS(other->open(must(other->enumerate()).at(0)), Errc::Busy);
    QCOMPARE(must(second->descriptor(1, 0)).size(), std::size_t{18});
    second.reset();
    QVERIFY(other->open(must(other->enumerate()).at(0)).has_value());
}

void TstUsbIpBus::open_bySecondClientIsBusy()
{
    Served served;
    const auto device = must(served.bus->open(served.waitFor(kCdc)));
    const auto other = served.client();
    const auto seen = must(other->enumerate()).at(0);
    VERIFY_FAILS(other->open(seen), Errc::Busy);
    UsbIpPorts ports(*other);
    VERIFY_FAILS(ports.open(toText(seen.port)), Errc::Busy);
}

void TstUsbIpBus::secondClient_stillSeesTheUnit()
{
    Served served;
    auto device = must(served.bus->open(served.waitFor(kCdc)));
    const auto other = served.client();
    const auto hidden = must(other->enumerate()).at(0);
    QVERIFY(hidden.id == kCdc);
    QCOMPARE(hidden.serial, std::string()); // only the one who imports it can ask
    device.reset();
    QTRY_COMPARE(must(other->enumerate()).at(0).serial, served.rig.unit().deviceId);
    QCOMPARE(must(other->enumerate()).at(0).incarnation, hidden.incarnation);
}

void TstUsbIpBus::dfu_uploadsTheKeySlot()
{
    Served served;
    auto dfu = served.openDfu();
    must(dfu.select(1, served.rig.op()));
    const auto key =
        must(dfu.uploadSecret(photon::kPrivateKey, photon::kPrivateKeyBytes, served.rig.op()));
    const Bytes sector = served.rig.board().physicalDct(served.rig.board().currentDct());
    QVERIFY(
        equalBytes(key.reveal(), ByteView(sector).subspan(kKeyInSector, photon::kPrivateKeyBytes)));
}

void TstUsbIpBus::dfu_uploadsBothDctSectors()
{
    Served served;
    auto dfu = served.openDfu();
    const Bytes sectors = must(dfu.upload(kDctBase, 32768, served.rig.op()));
    Bytes expected = served.rig.board().physicalDct(0);
    const Bytes second = served.rig.board().physicalDct(1);
    expected.insert(expected.end(), second.begin(), second.end());
    QVERIFY(sectors == expected);
}

void TstUsbIpBus::dfu_writesWhatIsReadBack()
{
    Served served;
    auto dfu = served.openDfu();
    Bytes content(20001);
    for (std::size_t at = 0; at < content.size(); ++at)
        content[at] = static_cast<std::byte>(at * 7 + (at >> 8));
    const auto size = static_cast<std::uint32_t>(content.size());
    must(dfu.erase(photon::kUserPart, size, served.rig.op()));
    must(dfu.download({.address = photon::kUserPart, .bytes = content}, served.rig.op()));
    QVERIFY(must(dfu.upload(photon::kUserPart, size, served.rig.op())) == content);
    QVERIFY(served.rig.board().readFlash(photon::kUserPart, content.size()) == content);
    QVERIFY(served.rig.board().violations().empty());
}

void TstUsbIpBus::console_answers()
{
    Served served;
    const auto port = served.openSerial();
    must(port->setBaud(9600));
    ListeningConsole console(*port);
    QCOMPARE(must(console.deviceId(served.rig.op())), served.rig.unit().deviceId);
    QCOMPARE(must(console.systemVersion(served.rig.op())), std::string("1.5.2"));
    QVERIFY(!must(console.modules(served.rig.op())).modules.empty());
}

void TstUsbIpBus::console_andControlRequestsShareOneImport()
{
    Served served;
    const auto port = served.openSerial();
    const auto device = must(served.bus->open(served.waitFor(kCdc)));
    ListeningConsole console(*port);
    ControlRequests requests(*device);
    auto asking = std::async(std::launch::async, [&] {
        for (int round = 0; round < 20; ++round)
            if (must(requests.deviceId(served.rig.op())) != served.rig.unit().deviceId)
                return false;
        return true;
    });
    for (int round = 0; round < 20; ++round)
        QCOMPARE(must(console.systemVersion(served.rig.op())), std::string("1.5.2"));
    QVERIFY(asking.get());
    VERIFY_FAILS(served.ports.open(toText(served.port())), Errc::Busy);
    VERIFY_FAILS(device->claim(1), Errc::Busy); // the port's data interface
}

void TstUsbIpBus::console_closedAndOpenedAgainLosesNothing()
{
    Served served;
    const auto keepsTheImport = must(served.bus->open(served.waitFor(kCdc)));
    for (int round = 0; round < 20; ++round) {
        const auto port = served.openSerial();
        ListeningConsole console(*port);
        QCOMPARE(must(console.deviceId(served.rig.op())), served.rig.unit().deviceId);
    }
}

void TstUsbIpBus::console_keepsWhatArrivedBeforeTheUnitLeft()
{
    // Nothing tells when the whole line has arrived: once it had, all of it is kept.
    std::string kept;
    QTRY_VERIFY(kept == kVersionLine || (kept = keptOfALine()) == kVersionLine);
}

/// What can still be read of an answer after its unit has left.
std::string TstUsbIpBus::keptOfALine()
{
    Served served;
    const auto port = served.openSerial();
    must(port->writeAll(viewOf("v"), served.rig.op()));
    std::byte one{};
    must(port->readSome(ByteSpan(&one, 1), served.rig.op()));
    std::this_thread::sleep_for(20ms);
    must(served.rig.bench().setPower(1, false));
    std::string text(1, static_cast<char>(one));
    Result<std::size_t> count = std::size_t{0};
    std::byte buffer[16];
    while ((count = port->readSome(buffer, served.rig.op())))
        text += toText(ByteView(buffer).first(*count));
    const bool gone = codeOf(count) == Errc::Disconnected &&
                      codeOf(port->writeAll(viewOf("v"), served.rig.op())) == Errc::Disconnected &&
                      codeOf(port->discardInput()) == Errc::Disconnected;
    return gone ? text : "the port is still there";
}

void TstUsbIpBus::baudCommand_leadsToTheBootloaderAndLeavingBack()
{
    Served served;
    const auto before = served.waitFor(kCdc);
    const auto stale = must(served.bus->open(before));
    {
        auto dfu = served.openDfu();
        QVERIFY(dfu.usb().incarnation != before.incarnation);
        QCOMPARE(dfu.usb().serial, before.serial);
        QVERIFY(dfu.usb().port == before.port);
        std::byte buffer[6];
        VERIFY_FAILS(stale->controlIn(kGetStatus, buffer, served.rig.op()), Errc::Disconnected);
        QVERIFY(must(served.ports.enumerate()).empty());
        must(dfu.leave(0x080A0000, served.rig.op()));
    }
    const auto after = served.waitFor(kCdc);
    QVERIFY(after.incarnation != before.incarnation);
    const auto port = served.openSerial();
    QCOMPARE(must(ListeningConsole(*port).deviceId(served.rig.op())), served.rig.unit().deviceId);
}

void TstUsbIpBus::unplug_duringAPendingReadIsDisconnected()
{
    Served served;
    const auto device = must(served.bus->open(served.waitFor(kCdc)));
    must(device->claim(1));
    std::byte buffer[64];
    Result<std::size_t> read = std::size_t{0};
    interrupted([&](const OpContext& op) { read = device->bulkIn(kDataIn, buffer, op); },
                [&] { must(served.rig.bench().setPower(1, false)); });
    VERIFY_FAILS(read, Errc::Disconnected);
    VERIFY_FAILS(device->claim(0), Errc::Disconnected);
    VERIFY_FAILS(device->descriptor(1, 0), Errc::Disconnected);
}

void TstUsbIpBus::unplug_duringAnUploadIsDisconnected()
{
    Served served;
    auto dfu = served.openDfu();
    must(served.rig.bench().failTransfer(1, 12, sim::FaultKind::Unplug));
    VERIFY_FAILS(dfu.upload(photon::kUserPart, 65536, served.rig.op()), Errc::Disconnected);
    must(served.rig.bench().setPower(1, true));
    QVERIFY(served.waitFor(kCdc).serial == served.rig.unit().deviceId);
}

void TstUsbIpBus::stop_endsAPendingReadWithin250Milliseconds()
{
    Served served;
    const auto device = must(served.bus->open(served.waitFor(kCdc)));
    must(device->claim(1));
    std::byte buffer[64];
    Result<std::size_t> read = std::size_t{0};
    QVERIFY(onceWithin(250ms, [&] {
        return stopped([&](const OpContext& op) { read = device->bulkIn(kDataIn, buffer, op); });
    }));
    VERIFY_FAILS(read, Errc::Cancelled);
}

void TstUsbIpBus::stop_endsAnUnansweredRequestWithin250Milliseconds()
{
    Served served;
    const auto device = must(served.bus->open(served.waitFor(kCdc)));
    Result<std::string> id = std::string();
    QVERIFY(onceWithin(250ms, [&] {
        must(served.rig.bench().failTransfer(1, 1, sim::FaultKind::Timeout));
        return stopped([&](const OpContext& op) { id = ControlRequests(*device).deviceId(op); });
    }));
    VERIFY_FAILS(id, Errc::Cancelled);
}

void TstUsbIpBus::deadline_endsAnUnansweredRequestAndTheNextOneWorks()
{
    Served served;
    const auto device = must(served.bus->open(served.waitFor(kCdc)));
    must(served.rig.bench().failTransfer(1, 1, sim::FaultKind::Timeout));
    ControlRequests requests(*device);
    VERIFY_FAILS(requests.deviceId(served.rig.op(150ms)), Errc::Timeout);
    QCOMPARE(must(requests.deviceId(served.rig.op())), served.rig.unit().deviceId);
}

void TstUsbIpBus::handles_outliveTheBus()
{
    Served served;
    const auto port = served.openSerial();
    const auto device = must(served.bus->open(served.waitFor(kCdc)));
    served.bus.reset();
    QCOMPARE(must(ListeningConsole(*port).deviceId(served.rig.op())), served.rig.unit().deviceId);
    QCOMPARE(must(device->descriptor(1, 0)).size(), std::size_t{18});
}

void TstUsbIpBus::serverThatEnds_isDisconnected()
{
    Served served;
    const auto device = must(served.bus->open(served.waitFor(kCdc)));
    served.server.reset();
    std::byte buffer[6];
    VERIFY_FAILS(device->controlIn(kGetStatus, buffer, served.rig.op()), Errc::Disconnected);
}

} // namespace

PROVOST_TEST("usbip_bus", TstUsbIpBus)
#include "tst_usbip_bus.moc"
