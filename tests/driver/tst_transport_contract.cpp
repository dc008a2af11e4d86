// What every UsbBus and every SerialPorts does, whoever implements it. The suite runs twice: in
// process against the virtual bench's own, and in a child behind umock-bridge against LibusbBus and
// LibserialportPorts, with the same units at the other end.
#include "support/served_bench.h"

#include "core/byte_io.h"
#include "core/text.h"
#include "transport/libserialport_ports.h"
#include "transport/libusb_bus.h"

#include <QRegularExpression>
#include <QTest>

#include <functional>
#include <future>
#include <iostream>

using namespace provost;
using namespace provost::test;
using namespace std::chrono_literals;

namespace {

// Slot 1 stays in its bootloader, slot 2 in listening mode.
constexpr auto kBench = R"(
[bench]
name = "contract"
speed = "instant"

[network]
ssid = "plant"
password = "line-four"
security = 3

[[slot]]
number = 1
[[slot.unit]]
stock = "empty"

[[slot]]
number = 2
[[slot.unit]]
stock = "1.5.2"
)";

constexpr std::uint8_t kDataInterface = 1;
constexpr std::uint8_t kDataIn = 0x81;
constexpr std::uint8_t kDataOut = 0x01;
constexpr auto kStopLimit = 250ms; ///< from the request to the return

constexpr ControlSetup kGetStatus{.requestType = 0xA1, .request = 3};
constexpr ControlSetup kDownload{.requestType = 0x21, .request = 1};
constexpr ControlSetup kUploadCommands{.requestType = 0xA1, .request = 2};
constexpr ControlSetup kUnknownIn{.requestType = 0xA1, .request = 0x55};
constexpr ControlSetup kUnknownOut{.requestType = 0x21, .request = 0x55};

/// What the suite runs against.
struct ContractRig {
    UsbBus& usb;
    SerialPorts& serial;
    UsbPortPath dfuPort{};
    UsbPortPath cdcPort{};
    std::function<Result<>(const std::string&)> hands{}; ///< commands of bench_control.h
};

template <class T>
QByteArray problem(const Result<T>& result)
{
    return result ? QByteArray("succeeded") : QByteArray::fromStdString(describe(result.error()));
}

#define VERIFY_OK(attempt)                                                                         \
    do {                                                                                           \
        const auto& verified = (attempt);                                                          \
        QVERIFY2(verified.has_value(), (#attempt ": " + problem(verified)).constData());           \
    } while (false)
#define VERIFY_FAILS(attempt, expected)                                                            \
    do {                                                                                           \
        const auto& verified = (attempt);                                                          \
        QVERIFY2(!verified.has_value() && verified.error().code == (expected),                     \
                 (#attempt " should be " #expected ": " + problem(verified)).constData());         \
    } while (false)

class TstTransportContract : public QObject
{
    Q_OBJECT

public:
    explicit TstTransportContract(ContractRig rig) : m_rig(std::move(rig)) {}

private Q_SLOTS:
    void init();

    void usb_enumerate_tellsPortIdAndSerial();
    void usb_enumerate_leavesOutWhatIsUnplugged();
    void usb_open_refusesAnIncarnationThatLeft();
    void usb_descriptor_isRaw();
    void usb_descriptor_thatIsMissingIsProtocol();
    void usb_claim_isExclusive();
    void usb_claim_endsWithTheHandle();
    void usb_selectAlternate_switchesTheMemory();
    void usb_controlIn_returnsWhatTheDeviceSends();
    void usb_controlOut_reachesTheDevice();
    void usb_control_stallIsProtocol();
    void usb_control_worksAgainBehindAStall();
    void usb_controlIn_withoutAnswerIsTimeout();
    void usb_bulk_carriesBytesBothWays();
    void usb_bulkIn_withoutDataIsTimeout();
    void usb_bulkIn_stopsWithin250Milliseconds();
    void usb_bulkIn_ofUnpluggedUnitIsDisconnected();
    void usb_everything_ofUnpluggedUnitIsDisconnected();
    void usb_everything_withStopRequestedIsCancelled();
    void usb_reset_keepsTheHandle();
    void usb_waitFor_returnsAtOnceWhatIsThere();
    void usb_waitFor_followsTheUnitToItsBootloaderAndBack();
    void usb_waitFor_ofAbsentIdIsTimeout();
    void usb_waitFor_stopsWithin250Milliseconds();

    void serial_enumerate_tellsTheUsbPort();
    void serial_open_ofUnknownPathIsNotFound();
    void serial_open_isExclusive();
    void serial_open_worksAgainAfterClosing();
    void serial_readSome_returnsTheAnswerToAWrite();
    void serial_writeAll_takesMoreThanABufferful();
    void serial_readSome_withoutDataIsTimeout();
    void serial_readSome_stopsWithin250Milliseconds();
    void serial_readSome_ofUnpluggedUnitIsDisconnected();
    void serial_writeAll_toUnpluggedUnitIsDisconnected();
    void serial_discardInput_forgetsWhatHasArrived();
    void serial_setBaudAndDtr_areTaken();

private:
    OpContext op(std::chrono::milliseconds span = 5s, std::stop_token stop = {}) const
    {
        return {.clock = m_clock, .stop = std::move(stop), .deadline = {m_clock.now() + span}};
    }
    Result<UsbDeviceInfo> waitFor(const UsbPortPath& port, UsbId id)
    {
        return m_rig.usb.waitFor(port, std::span(&id, 1), op(10s));
    }
    Result<std::unique_ptr<UsbDevice>> open(const UsbPortPath& port)
    {
        const UsbDeviceInfo info = TRY(m_rig.usb.waitFor(port, {}, op(10s)));
        return m_rig.usb.open(info);
    }
    Result<std::unique_ptr<UsbDevice>> openDfu()
    {
        auto device = TRY(open(m_rig.dfuPort));
        TRY(device->claim(0));
        return device;
    }
    Result<std::unique_ptr<UsbDevice>> openData()
    {
        auto device = TRY(open(m_rig.cdcPort));
        TRY(device->claim(kDataInterface));
        return device;
    }
    bool listed(const UsbPortPath& port);
    std::string serialPath();
    Result<std::unique_ptr<SerialPort>> openSerial() { return m_rig.serial.open(serialPath()); }
    Result<std::string> readLine(ByteStream& stream);
    /// Runs `wait` and has `during` happen meanwhile; how long it took from then on.
    template <class Wait, class During>
    std::chrono::milliseconds interrupted(Wait wait, During during);

    const SystemClock m_clock{};
    ContractRig m_rig;
};

void TstTransportContract::init()
{
    VERIFY_OK(m_rig.hands("power 1 on"));
    VERIFY_OK(m_rig.hands("power 2 on"));
    VERIFY_OK(waitFor(m_rig.dfuPort, kPhotonDfu));
    VERIFY_OK(waitFor(m_rig.cdcPort, kPhotonFirmware));
    QTRY_VERIFY(!serialPath().empty());
}

bool TstTransportContract::listed(const UsbPortPath& port)
{
    const auto devices = m_rig.usb.enumerate();
    return devices && std::any_of(devices->begin(), devices->end(),
                                  [&](const auto& each) { return each.port == port; });
}

std::string TstTransportContract::serialPath()
{
    const auto ports = m_rig.serial.enumerate();
    if (ports)
        for (const SerialPortInfo& each : *ports)
            if (each.usb == m_rig.cdcPort)
                return each.path;
    return {};
}

Result<std::string> TstTransportContract::readLine(ByteStream& stream)
{
    std::string line;
    while (line.empty() || line.back() != '\n') {
        std::byte buffer[64];
        const std::size_t count = TRY(stream.readSome(buffer, op()));
        line += toText(ByteView(buffer).first(count));
    }
    return line;
}

template <class Wait, class During>
std::chrono::milliseconds TstTransportContract::interrupted(Wait wait, During during)
{
    std::chrono::steady_clock::time_point since;
    const auto meanwhile = std::async(std::launch::async, [&] {
        QTest::qSleep(80);
        since = std::chrono::steady_clock::now();
        during();
    });
    wait();
    const auto until = std::chrono::steady_clock::now();
    meanwhile.wait();
    return std::chrono::duration_cast<std::chrono::milliseconds>(until - since);
}

void TstTransportContract::usb_enumerate_tellsPortIdAndSerial()
{
    const auto devices = m_rig.usb.enumerate();
    VERIFY_OK(devices);
    int found = 0;
    for (const UsbDeviceInfo& each : *devices) {
        if (each.port != m_rig.dfuPort && each.port != m_rig.cdcPort)
            continue;
        ++found;
        QCOMPARE(each.id == kPhotonDfu, each.port == m_rig.dfuPort);
        const QString serial = QString::fromStdString(each.serial);
        QVERIFY2(QRegularExpression("^[0-9a-f]{24}$").match(serial).hasMatch(),
                 qPrintable(serial));
    }
    QCOMPARE(found, 2);
}

void TstTransportContract::usb_enumerate_leavesOutWhatIsUnplugged()
{
    VERIFY_OK(m_rig.hands("power 1 off"));
    QTRY_VERIFY(!listed(m_rig.dfuPort));
    QVERIFY(listed(m_rig.cdcPort));
}

void TstTransportContract::usb_open_refusesAnIncarnationThatLeft()
{
    const auto before = waitFor(m_rig.dfuPort, kPhotonDfu);
    VERIFY_OK(before);
    VERIFY_OK(m_rig.hands("power 1 off"));
    QTRY_VERIFY(!listed(m_rig.dfuPort));
    VERIFY_FAILS(m_rig.usb.open(*before), Errc::Disconnected);
    VERIFY_OK(m_rig.hands("power 1 on"));
    const auto after = waitFor(m_rig.dfuPort, kPhotonDfu);
    VERIFY_OK(after);
    QVERIFY(after->incarnation != before->incarnation);
    VERIFY_FAILS(m_rig.usb.open(*before), Errc::Disconnected);
    VERIFY_OK(m_rig.usb.open(*after));
}

void TstTransportContract::usb_descriptor_isRaw()
{
    const auto device = openDfu();
    VERIFY_OK(device);
    const auto own = (*device)->descriptor(1, 0);
    VERIFY_OK(own);
    QCOMPARE(own->size(), std::size_t{18});
    QCOMPARE(readLe16(*own, 8), kPhotonDfu.vendor);
    const auto configuration = (*device)->descriptor(2, 0);
    VERIFY_OK(configuration);
    QCOMPARE(configuration->size(), std::size_t{readLe16(*configuration, 2)});
    const auto product = (*device)->descriptor(3, u8((*own)[15]));
    VERIFY_OK(product);
    QCOMPARE(product->size(), std::size_t{2 + 2 * 15}); // "Photon DFU Mode", UTF-16
    QCOMPARE(u8((*product)[0]), std::uint8_t{32});
    QCOMPARE(u8((*product)[1]), std::uint8_t{3});
    QCOMPARE(readLe16(*product, 2), std::uint16_t{'P'});
}

void TstTransportContract::usb_descriptor_thatIsMissingIsProtocol()
{
    const auto device = openDfu();
    VERIFY_OK(device);
    VERIFY_FAILS((*device)->descriptor(3, 99), Errc::Protocol);
}

void TstTransportContract::usb_claim_isExclusive()
{
    const auto first = openDfu();
    VERIFY_OK(first);
    VERIFY_OK((*first)->claim(0)); // again by its owner
    const auto second = open(m_rig.dfuPort);
    VERIFY_OK(second);
    VERIFY_FAILS((*second)->claim(0), Errc::Busy);
}

void TstTransportContract::usb_claim_endsWithTheHandle()
{
    {
        const auto first = openDfu();
        VERIFY_OK(first);
    }
    const auto second = open(m_rig.dfuPort);
    VERIFY_OK(second);
    VERIFY_OK((*second)->claim(0));
}

void TstTransportContract::usb_selectAlternate_switchesTheMemory()
{
    const auto device = openDfu();
    VERIFY_OK(device);
    constexpr ControlSetup getInterface{.requestType = 0x81, .request = 10};
    for (const std::uint8_t alternate : {std::uint8_t{1}, std::uint8_t{0}}) {
        VERIFY_OK((*device)->selectAlternate(0, alternate));
        std::byte now{0xFF};
        VERIFY_OK((*device)->controlIn(getInterface, ByteSpan(&now, 1), op()));
        QCOMPARE(u8(now), alternate);
    }
}

void TstTransportContract::usb_controlIn_returnsWhatTheDeviceSends()
{
    const auto device = openDfu();
    VERIFY_OK(device);
    std::byte buffer[64];
    const auto status = (*device)->controlIn(kGetStatus, ByteSpan(buffer).first(6), op());
    VERIFY_OK(status);
    QCOMPARE(*status, std::size_t{6});
    QCOMPARE(u8(buffer[4]), std::uint8_t{2}); // dfuIDLE
    const auto commands = (*device)->controlIn(kUploadCommands, buffer, op());
    VERIFY_OK(commands);
    QCOMPARE(toHex(ByteView(buffer).first(*commands)), std::string("002141")); // shorter than asked
}

void TstTransportContract::usb_controlOut_reachesTheDevice()
{
    const auto device = openDfu();
    VERIFY_OK(device);
    Bytes setAddress;
    ByteWriter(setAddress).u8(0x21).le32(0x080A0000);
    VERIFY_OK((*device)->controlOut(kDownload, setAddress, op()));
    std::byte status[6];
    VERIFY_OK((*device)->controlIn(kGetStatus, status, op()));
    QCOMPARE(u8(status[4]), std::uint8_t{4}); // dfuDNBUSY
    VERIFY_OK((*device)->controlIn(kGetStatus, status, op()));
    QCOMPARE(u8(status[4]), std::uint8_t{5}); // dfuDNLOAD-IDLE
    VERIFY_OK((*device)->controlOut({.requestType = 0x21, .request = 6}, {}, op())); // ABORT
}

void TstTransportContract::usb_control_stallIsProtocol()
{
    const auto device = openDfu();
    VERIFY_OK(device);
    std::byte buffer[8];
    VERIFY_FAILS((*device)->controlIn(kUnknownIn, buffer, op()), Errc::Protocol);
    VERIFY_FAILS((*device)->controlOut(kUnknownOut, buffer, op()), Errc::Protocol);
    VERIFY_OK(m_rig.hands("fail 1 1 stall"));
    VERIFY_FAILS((*device)->controlIn(kGetStatus, ByteSpan(buffer).first(6), op()), Errc::Protocol);
}

void TstTransportContract::usb_control_worksAgainBehindAStall()
{
    const auto device = openDfu();
    VERIFY_OK(device);
    std::byte buffer[6];
    VERIFY_FAILS((*device)->controlIn(kUnknownIn, buffer, op()), Errc::Protocol);
    VERIFY_OK((*device)->controlIn(kGetStatus, buffer, op()));
}

void TstTransportContract::usb_controlIn_withoutAnswerIsTimeout()
{
    const auto device = openDfu();
    VERIFY_OK(device);
    VERIFY_OK(m_rig.hands("fail 1 1 timeout"));
    std::byte buffer[6];
    const auto since = std::chrono::steady_clock::now();
    VERIFY_FAILS((*device)->controlIn(kGetStatus, buffer, op(300ms)), Errc::Timeout);
    QVERIFY(std::chrono::steady_clock::now() - since < 1s);
    VERIFY_OK((*device)->controlIn(kGetStatus, buffer, op()));
}

void TstTransportContract::usb_bulk_carriesBytesBothWays()
{
    const auto device = openData();
    VERIFY_OK(device);
    VERIFY_OK((*device)->bulkOut(kDataOut, viewOf("i"), op()));
    std::string text;
    while (text.find('\n') == std::string::npos) {
        std::byte buffer[64];
        const auto count = (*device)->bulkIn(kDataIn, buffer, op());
        VERIFY_OK(count);
        QVERIFY(*count > 0);
        text += toText(ByteView(buffer).first(*count));
    }
    QVERIFY2(text.starts_with("Your device id is "), text.c_str());
}

void TstTransportContract::usb_bulkIn_withoutDataIsTimeout()
{
    const auto device = openData();
    VERIFY_OK(device);
    std::byte buffer[64];
    const auto since = std::chrono::steady_clock::now();
    VERIFY_FAILS((*device)->bulkIn(kDataIn, buffer, op(200ms)), Errc::Timeout);
    const auto took = std::chrono::steady_clock::now() - since;
    QVERIFY(took >= 190ms && took < 700ms);
}

void TstTransportContract::usb_bulkIn_stopsWithin250Milliseconds()
{
    const auto device = openData();
    VERIFY_OK(device);
    std::stop_source stop;
    const OpContext stoppable = op(10s, stop.get_token());
    std::byte buffer[64];
    Result<std::size_t> read = std::size_t{0};
    const auto took =
        interrupted([&] { read = (*device)->bulkIn(kDataIn, buffer, stoppable); },
                    [&] { stop.request_stop(); });
    VERIFY_FAILS(read, Errc::Cancelled);
    QVERIFY2(took < kStopLimit, QByteArray::number(static_cast<qlonglong>(took.count())));
    // Nothing is lost by it: what comes next arrives.
    VERIFY_OK((*device)->bulkOut(kDataOut, viewOf("i"), op()));
    VERIFY_OK((*device)->bulkIn(kDataIn, buffer, op()));
}

void TstTransportContract::usb_bulkIn_ofUnpluggedUnitIsDisconnected()
{
    const auto device = openData();
    VERIFY_OK(device);
    std::byte buffer[64];
    Result<std::size_t> read = std::size_t{0};
    const auto took = interrupted([&] { read = (*device)->bulkIn(kDataIn, buffer, op(10s)); },
                                  [&] { static_cast<void>(m_rig.hands("power 2 off")); });
    VERIFY_FAILS(read, Errc::Disconnected);
    QVERIFY(took < 2s);
}

void TstTransportContract::usb_everything_ofUnpluggedUnitIsDisconnected()
{
    const auto device = openDfu();
    VERIFY_OK(device);
    VERIFY_OK(m_rig.hands("power 1 off"));
    QTRY_VERIFY(!listed(m_rig.dfuPort));
    std::byte buffer[6];
    VERIFY_FAILS((*device)->controlIn(kGetStatus, buffer, op()), Errc::Disconnected);
    VERIFY_FAILS((*device)->controlOut(kDownload, buffer, op()), Errc::Disconnected);
    VERIFY_FAILS((*device)->claim(0), Errc::Disconnected);
    VERIFY_FAILS((*device)->selectAlternate(0, 0), Errc::Disconnected);
}

void TstTransportContract::usb_everything_withStopRequestedIsCancelled()
{
    const auto device = openDfu();
    VERIFY_OK(device);
    std::stop_source stop;
    stop.request_stop();
    const OpContext stopped = op(5s, stop.get_token());
    std::byte buffer[6];
    VERIFY_FAILS((*device)->controlIn(kGetStatus, buffer, stopped), Errc::Cancelled);
    VERIFY_FAILS((*device)->controlOut(kDownload, buffer, stopped), Errc::Cancelled);
    VERIFY_FAILS(m_rig.usb.waitFor(m_rig.dfuPort, {}, stopped), Errc::Cancelled);
}

void TstTransportContract::usb_reset_keepsTheHandle()
{
    const auto device = openDfu();
    VERIFY_OK(device);
    VERIFY_OK((*device)->reset());
    std::byte buffer[6];
    VERIFY_OK((*device)->controlIn(kGetStatus, buffer, op()));
    QCOMPARE(u8(buffer[4]), std::uint8_t{2});
}

void TstTransportContract::usb_waitFor_returnsAtOnceWhatIsThere()
{
    const auto found = m_rig.usb.waitFor(m_rig.dfuPort, {}, op(50ms));
    VERIFY_OK(found);
    QVERIFY(found->id == kPhotonDfu);
    QVERIFY(found->port == m_rig.dfuPort);
}

void TstTransportContract::usb_waitFor_followsTheUnitToItsBootloaderAndBack()
{
    const auto before = waitFor(m_rig.cdcPort, kPhotonFirmware);
    VERIFY_OK(before);
    {
        auto serial = openSerial();
        VERIFY_OK(serial);
        const auto told = (*serial)->setBaud(14400);
        QVERIFY2(told || told.error().code == Errc::Disconnected, problem(told));
        // A driver may still be telling the unit when setBaud() returns.
        const auto dfu = waitFor(m_rig.cdcPort, kPhotonDfu);
        VERIFY_OK(dfu);
        QVERIFY(dfu->incarnation != before->incarnation);
        QVERIFY(dfu->port == before->port);
        QCOMPARE(dfu->serial, before->serial);
    }
    const auto device = open(m_rig.cdcPort);
    VERIFY_OK(device);
    VERIFY_OK((*device)->claim(0));
    VERIFY_OK((*device)->controlOut(kDownload, {}, op())); // leave
    std::byte status[6];
    VERIFY_OK((*device)->controlIn(kGetStatus, status, op()));
    const auto after = waitFor(m_rig.cdcPort, kPhotonFirmware);
    VERIFY_OK(after);
    QVERIFY(after->incarnation != before->incarnation);
}

void TstTransportContract::usb_waitFor_ofAbsentIdIsTimeout()
{
    const UsbId nobody{.vendor = 0x1D50, .product = 0x607F};
    const auto since = std::chrono::steady_clock::now();
    VERIFY_FAILS(m_rig.usb.waitFor(m_rig.dfuPort, std::span(&nobody, 1), op(200ms)), Errc::Timeout);
    QVERIFY(std::chrono::steady_clock::now() - since < 700ms);
}

void TstTransportContract::usb_waitFor_stopsWithin250Milliseconds()
{
    const UsbId nobody{.vendor = 0x1D50, .product = 0x607F};
    std::stop_source stop;
    const OpContext stoppable = op(10s, stop.get_token());
    Result<UsbDeviceInfo> found = UsbDeviceInfo{};
    const auto took = interrupted(
        [&] {
            found = m_rig.usb.waitFor(m_rig.dfuPort, std::span(&nobody, 1),
                                      stoppable);
        },
        [&] { stop.request_stop(); });
    VERIFY_FAILS(found, Errc::Cancelled);
    QVERIFY2(took < kStopLimit, QByteArray::number(static_cast<qlonglong>(took.count())));
}

void TstTransportContract::serial_enumerate_tellsTheUsbPort()
{
    const auto ports = m_rig.serial.enumerate();
    VERIFY_OK(ports);
    const auto behind = [&](const UsbPortPath& usb) {
        return std::count_if(ports->begin(), ports->end(),
                             [&](const SerialPortInfo& each) { return each.usb == usb; });
    };
    QCOMPARE(behind(m_rig.cdcPort), 1);
    QCOMPARE(behind(m_rig.dfuPort), 0);
}

void TstTransportContract::serial_open_ofUnknownPathIsNotFound()
{
    VERIFY_FAILS(m_rig.serial.open("/dev/ttyACM77"), Errc::NotFound);
    const std::string path = serialPath();
    VERIFY_OK(m_rig.hands("power 2 off"));
    QTRY_VERIFY(serialPath().empty());
    VERIFY_FAILS(m_rig.serial.open(path), Errc::NotFound);
}

void TstTransportContract::serial_open_isExclusive()
{
    const auto first = openSerial();
    VERIFY_OK(first);
    VERIFY_FAILS(openSerial(), Errc::Busy);
}

void TstTransportContract::serial_open_worksAgainAfterClosing()
{
    for (int round = 0; round < 3; ++round) {
        const auto port = openSerial();
        VERIFY_OK(port);
        VERIFY_OK((*port)->writeAll(viewOf("i"), op()));
        const auto line = readLine(**port);
        VERIFY_OK(line);
        QVERIFY2(line->starts_with("Your device id is "), line->c_str());
    }
}

void TstTransportContract::serial_readSome_returnsTheAnswerToAWrite()
{
    const auto port = openSerial();
    VERIFY_OK(port);
    VERIFY_OK((*port)->writeAll(viewOf("v"), op()));
    std::byte one{};
    const auto first = (*port)->readSome(ByteSpan(&one, 1), op());
    VERIFY_OK(first);
    QCOMPARE(*first, std::size_t{1}); // at most what fits
    const auto rest = readLine(**port);
    VERIFY_OK(rest);
    QCOMPARE(static_cast<char>(one) + *rest, std::string("system firmware version: 1.5.2\n"));
}

void TstTransportContract::serial_writeAll_takesMoreThanABufferful()
{
    const auto port = openSerial();
    VERIFY_OK(port);
    const std::string many(20000, '?'); // no command of the console
    VERIFY_OK((*port)->writeAll(viewOf(many + "v"), op(10s)));
    const auto line = readLine(**port);
    VERIFY_OK(line);
    QVERIFY2(line->starts_with("system firmware version"), line->c_str());
}

void TstTransportContract::serial_readSome_withoutDataIsTimeout()
{
    const auto port = openSerial();
    VERIFY_OK(port);
    std::byte buffer[16];
    const auto since = std::chrono::steady_clock::now();
    VERIFY_FAILS((*port)->readSome(buffer, op(200ms)), Errc::Timeout);
    const auto took = std::chrono::steady_clock::now() - since;
    QVERIFY(took >= 190ms && took < 700ms);
}

void TstTransportContract::serial_readSome_stopsWithin250Milliseconds()
{
    const auto port = openSerial();
    VERIFY_OK(port);
    std::stop_source stop;
    const OpContext stoppable = op(10s, stop.get_token());
    std::byte buffer[16];
    Result<std::size_t> read = std::size_t{0};
    const auto took =
        interrupted([&] { read = (*port)->readSome(buffer, stoppable); },
                    [&] { stop.request_stop(); });
    VERIFY_FAILS(read, Errc::Cancelled);
    QVERIFY2(took < kStopLimit, QByteArray::number(static_cast<qlonglong>(took.count())));
}

void TstTransportContract::serial_readSome_ofUnpluggedUnitIsDisconnected()
{
    const auto port = openSerial();
    VERIFY_OK(port);
    std::byte buffer[16];
    Result<std::size_t> read = std::size_t{0};
    const auto took = interrupted([&] { read = (*port)->readSome(buffer, op(10s)); },
                                  [&] { static_cast<void>(m_rig.hands("power 2 off")); });
    VERIFY_FAILS(read, Errc::Disconnected);
    QVERIFY(took < 2s);
}

void TstTransportContract::serial_writeAll_toUnpluggedUnitIsDisconnected()
{
    const auto port = openSerial();
    VERIFY_OK(port);
    VERIFY_OK(m_rig.hands("power 2 off"));
    QTRY_VERIFY(serialPath().empty());
    VERIFY_FAILS((*port)->writeAll(viewOf("i"), op()), Errc::Disconnected);
}

void TstTransportContract::serial_discardInput_forgetsWhatHasArrived()
{
    const auto port = openSerial();
    VERIFY_OK(port);
    VERIFY_OK((*port)->writeAll(viewOf("i"), op()));
    std::byte buffer[16];
    VERIFY_OK((*port)->readSome(ByteSpan(buffer).first(1), op()));
    QTest::qWait(200); // the rest of the line is on its way
    VERIFY_OK((*port)->discardInput());
    VERIFY_FAILS((*port)->readSome(buffer, op(200ms)), Errc::Timeout);
}

void TstTransportContract::serial_setBaudAndDtr_areTaken()
{
    const auto port = openSerial();
    VERIFY_OK(port);
    for (const int rate : {9600, 115200, 115200, 921600})
        VERIFY_OK((*port)->setBaud(rate));
    VERIFY_OK((*port)->setDtr(false));
    VERIFY_OK((*port)->setDtr(true));
    VERIFY_OK((*port)->writeAll(viewOf("v"), op()));
    VERIFY_OK(readLine(**port));
}

class TstBehindBridge : public QObject
{
    Q_OBJECT

public:
    explicit TstBehindBridge(const ServedBench& bench) : m_bench(bench) {}

private Q_SLOTS:
    void libusbAndLibserialport_keepTheSameContract()
    {
        const ProgramEnd end = m_bench.runAtBench(
            {.program = QCoreApplication::applicationFilePath(),
             .arguments = {"--behind-bridge", QString::number(m_bench.controlPort())},
             .patience = 100s});
        std::cout << end.output.toStdString() << std::flush;
        QCOMPARE(end.exitCode, 0);
    }

private:
    const ServedBench& m_bench;
};

int runInProcess(ServedBench& served)
{
    TstTransportContract suite({.usb = served.bench().usb(),
                                .serial = served.bench().serial(),
                                .dfuPort = served.port(1),
                                .cdcPort = served.port(2),
                                .hands = [&](const std::string& command) {
                                    return obey(served.bench(), command);
                                }});
    return QTest::qExec(&suite, QCoreApplication::arguments());
}

/// Where the bridge has put the unit with that id.
UsbPortPath portOf(UsbBus& usb, UsbId id)
{
    for (int attempt = 0; attempt < 100; ++attempt) {
        if (const auto devices = usb.enumerate())
            for (const UsbDeviceInfo& each : *devices)
                if (each.id == id)
                    return each.port;
        QTest::qSleep(50);
    }
    return {};
}

int runBehindBridge(std::uint16_t controlPort)
{
    const auto usb = LibusbBus::create();
    if (!usb) {
        qWarning() << problem(usb).constData();
        return 70;
    }
    LibserialportPorts serial;
    TstTransportContract suite({.usb = **usb,
                                .serial = serial,
                                .dfuPort = portOf(**usb, kPhotonDfu),
                                .cdcPort = portOf(**usb, kPhotonFirmware),
                                .hands = [controlPort](const std::string& text) {
                                    return command(controlPort, text);
                                }});
    return QTest::qExec(&suite, {"libusb and libserialport"});
}

} // namespace

int main(int argc, char** argv)
{
    QCoreApplication application(argc, argv);
    const QStringList arguments = QCoreApplication::arguments();
    if (arguments.size() == 3 && arguments[1] == "--behind-bridge")
        return runBehindBridge(arguments[2].toUShort());
    ServedBench served(kBench);
    served.insertUnit(1, kPhotonDfu);
    served.insertUnit(2, kPhotonFirmware);
    const int inProcess = runInProcess(served);
    TstBehindBridge behind(served);
    return inProcess + QTest::qExec(&behind, {arguments[0]});
}

#include "tst_transport_contract.moc"
