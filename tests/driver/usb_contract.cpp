// What every UsbBus and every UsbDevice does.
#include "transport_contract.h"

#include <QRegularExpression>

using namespace provost;
using namespace provost::test;
using namespace std::chrono_literals;

namespace {

constexpr std::uint8_t kDataInterface = 1;
constexpr std::uint8_t kDataIn = 0x81;
constexpr std::uint8_t kDataOut = 0x01;
constexpr ControlSetup kGetStatus{.requestType = 0xA1, .request = 3};
constexpr ControlSetup kDownload{.requestType = 0x21, .request = 1};
constexpr ControlSetup kUploadCommands{.requestType = 0xA1, .request = 2};
constexpr ControlSetup kUnknownIn{.requestType = 0xA1, .request = 0x55};
constexpr ControlSetup kUnknownOut{.requestType = 0x21, .request = 0x55};

class TstUsbContract : public ContractSuite {
    Q_OBJECT

public:
    using ContractSuite::ContractSuite;

private Q_SLOTS:
    void init() { plugInBoth(); }

    void enumerate_tellsPortIdAndSerial();
    void enumerate_leavesOutWhatIsUnplugged();
    void open_refusesAnIncarnationThatLeft();
    void descriptor_isRaw();
    void descriptor_thatIsMissingIsProtocol();
    void claim_isExclusive();
    void claim_endsWithTheHandle();
    void selectAlternate_switchesTheMemory();
    void controlIn_returnsWhatTheDeviceSends();
    void controlOut_reachesTheDevice();
    void control_stallIsProtocol();
    void control_worksAgainBehindAStall();
    void controlIn_withoutAnswerIsTimeout();
    void bulk_carriesBytesBothWays();
    void bulkIn_withoutDataIsTimeout();
    void bulkIn_stopsWithin250Milliseconds();
    void bulkIn_ofUnpluggedUnitIsDisconnected();
    void everything_ofUnpluggedUnitIsDisconnected();
    void everything_withStopRequestedIsCancelled();
    void reset_keepsTheHandle();
    void waitFor_returnsAtOnceWhatIsThere();
    void waitFor_followsTheUnitToItsBootloaderAndBack();
    void waitFor_ofAbsentIdIsTimeout();
    void waitFor_stopsWithin250Milliseconds();

private:
    Result<std::unique_ptr<UsbDevice>> open(const UsbPortPath& port)
    {
        const UsbDeviceInfo info = TRY(m_rig.usb.waitFor(port, {}, op()));
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
    /// What becomes of the bootloader's next control transfer.
    Result<> failNext(const std::string& fault)
    {
        return m_rig.hands(concat("fail ", m_rig.dfuSlot, " 1 ", fault));
    }
};

void TstUsbContract::enumerate_tellsPortIdAndSerial()
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
        QVERIFY2(QRegularExpression("^[0-9a-f]{24}$").match(serial).hasMatch(), qPrintable(serial));
    }
    QCOMPARE(found, 2);
}

void TstUsbContract::enumerate_leavesOutWhatIsUnplugged()
{
    VERIFY_OK(setPower(m_rig.dfuSlot, false));
    awaitLeaving(m_rig.dfuPort);
    QVERIFY(listed(m_rig.cdcPort));
}

void TstUsbContract::open_refusesAnIncarnationThatLeft()
{
    const auto before = waitFor(m_rig.dfuPort, kPhotonDfu);
    VERIFY_OK(before);
    VERIFY_OK(setPower(m_rig.dfuSlot, false));
    awaitLeaving(m_rig.dfuPort);
    VERIFY_FAILS(m_rig.usb.open(*before), Errc::Disconnected);
    VERIFY_OK(setPower(m_rig.dfuSlot, true));
    const auto after = waitFor(m_rig.dfuPort, kPhotonDfu);
    VERIFY_OK(after);
    QVERIFY(after->incarnation != before->incarnation);
    VERIFY_FAILS(m_rig.usb.open(*before), Errc::Disconnected);
    VERIFY_OK(m_rig.usb.open(*after));
}

void TstUsbContract::descriptor_isRaw()
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

void TstUsbContract::descriptor_thatIsMissingIsProtocol()
{
    const auto device = openDfu();
    VERIFY_OK(device);
    VERIFY_FAILS((*device)->descriptor(3, 99), Errc::Protocol);
}

void TstUsbContract::claim_isExclusive()
{
    const auto first = openDfu();
    VERIFY_OK(first);
    VERIFY_OK((*first)->claim(0)); // again by its owner
    const auto second = open(m_rig.dfuPort);
    VERIFY_OK(second);
    VERIFY_FAILS((*second)->claim(0), Errc::Busy);
}

void TstUsbContract::claim_endsWithTheHandle()
{
    {
        const auto first = openDfu();
        VERIFY_OK(first);
    }
    const auto second = open(m_rig.dfuPort);
    VERIFY_OK(second);
    VERIFY_OK((*second)->claim(0));
}

void TstUsbContract::selectAlternate_switchesTheMemory()
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

void TstUsbContract::controlIn_returnsWhatTheDeviceSends()
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

void TstUsbContract::controlOut_reachesTheDevice()
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

void TstUsbContract::control_stallIsProtocol()
{
    const auto device = openDfu();
    VERIFY_OK(device);
    std::byte buffer[8];
    VERIFY_FAILS((*device)->controlIn(kUnknownIn, buffer, op()), Errc::Protocol);
    VERIFY_FAILS((*device)->controlOut(kUnknownOut, buffer, op()), Errc::Protocol);
    VERIFY_OK(failNext("stall"));
    VERIFY_FAILS((*device)->controlIn(kGetStatus, ByteSpan(buffer).first(6), op()), Errc::Protocol);
}

void TstUsbContract::control_worksAgainBehindAStall()
{
    const auto device = openDfu();
    VERIFY_OK(device);
    std::byte buffer[6];
    VERIFY_FAILS((*device)->controlIn(kUnknownIn, buffer, op()), Errc::Protocol);
    VERIFY_OK((*device)->controlIn(kGetStatus, buffer, op()));
}

void TstUsbContract::controlIn_withoutAnswerIsTimeout()
{
    const auto device = openDfu();
    VERIFY_OK(device);
    VERIFY_OK(failNext("timeout"));
    std::byte buffer[6];
    VERIFY_FAILS((*device)->controlIn(kGetStatus, buffer, op(300ms)), Errc::Timeout);
    VERIFY_OK((*device)->controlIn(kGetStatus, buffer, op()));
}

void TstUsbContract::bulk_carriesBytesBothWays()
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

void TstUsbContract::bulkIn_withoutDataIsTimeout()
{
    const auto device = openData();
    VERIFY_OK(device);
    std::byte buffer[64];
    Result<std::size_t> read = std::size_t{0};
    QVERIFY(timed([&] { read = (*device)->bulkIn(kDataIn, buffer, op(200ms)); }) >= 190ms);
    VERIFY_FAILS(read, Errc::Timeout);
}

void TstUsbContract::bulkIn_stopsWithin250Milliseconds()
{
    const auto device = openData();
    VERIFY_OK(device);
    std::byte buffer[64];
    Result<std::size_t> read = std::size_t{0};
    QVERIFY(onceWithin(kStopLimit, [&] {
        return stopped([&](const OpContext& op) { read = (*device)->bulkIn(kDataIn, buffer, op); });
    }));
    VERIFY_FAILS(read, Errc::Cancelled);
    // Nothing is lost by it: what comes next arrives.
    VERIFY_OK((*device)->bulkOut(kDataOut, viewOf("i"), op()));
    VERIFY_OK((*device)->bulkIn(kDataIn, buffer, op()));
}

void TstUsbContract::bulkIn_ofUnpluggedUnitIsDisconnected()
{
    const auto device = openData();
    VERIFY_OK(device);
    std::byte buffer[64];
    Result<std::size_t> read = std::size_t{0};
    interrupted([&](const OpContext& op) { read = (*device)->bulkIn(kDataIn, buffer, op); },
                [&] { static_cast<void>(setPower(m_rig.cdcSlot, false)); });
    VERIFY_FAILS(read, Errc::Disconnected);
    awaitLeaving(m_rig.cdcPort);
}

void TstUsbContract::everything_ofUnpluggedUnitIsDisconnected()
{
    const auto device = openDfu();
    VERIFY_OK(device);
    VERIFY_OK(setPower(m_rig.dfuSlot, false));
    awaitLeaving(m_rig.dfuPort);
    std::byte buffer[6];
    VERIFY_FAILS((*device)->controlIn(kGetStatus, buffer, op()), Errc::Disconnected);
    VERIFY_FAILS((*device)->controlOut(kDownload, buffer, op()), Errc::Disconnected);
    VERIFY_FAILS((*device)->claim(0), Errc::Disconnected);
    VERIFY_FAILS((*device)->selectAlternate(0, 0), Errc::Disconnected);
}

void TstUsbContract::everything_withStopRequestedIsCancelled()
{
    const auto device = openDfu();
    VERIFY_OK(device);
    std::stop_source stop;
    stop.request_stop();
    const OpContext stopped = op(kHangGuard, stop.get_token());
    std::byte buffer[6];
    VERIFY_FAILS((*device)->controlIn(kGetStatus, buffer, stopped), Errc::Cancelled);
    VERIFY_FAILS((*device)->controlOut(kDownload, buffer, stopped), Errc::Cancelled);
    VERIFY_FAILS(m_rig.usb.waitFor(m_rig.dfuPort, {}, stopped), Errc::Cancelled);
}

void TstUsbContract::reset_keepsTheHandle()
{
    const auto device = openDfu();
    VERIFY_OK(device);
    VERIFY_OK((*device)->reset());
    std::byte buffer[6];
    VERIFY_OK((*device)->controlIn(kGetStatus, buffer, op()));
    QCOMPARE(u8(buffer[4]), std::uint8_t{2});
}

void TstUsbContract::waitFor_returnsAtOnceWhatIsThere()
{
    const auto found = m_rig.usb.waitFor(m_rig.dfuPort, {}, op());
    VERIFY_OK(found);
    QVERIFY(found->id == kPhotonDfu);
    QVERIFY(found->port == m_rig.dfuPort);
}

void TstUsbContract::waitFor_followsTheUnitToItsBootloaderAndBack()
{
    const auto before = waitFor(m_rig.cdcPort, kPhotonFirmware);
    VERIFY_OK(before);
    {
        auto serial = m_rig.serial.open(serialPath());
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

void TstUsbContract::waitFor_ofAbsentIdIsTimeout()
{
    const UsbId nobody{.vendor = 0x1D50, .product = 0x607F};
    VERIFY_FAILS(m_rig.usb.waitFor(m_rig.dfuPort, std::span(&nobody, 1), op(200ms)), Errc::Timeout);
}

void TstUsbContract::waitFor_stopsWithin250Milliseconds()
{
    const UsbId nobody{.vendor = 0x1D50, .product = 0x607F};
    Result<UsbDeviceInfo> found;
    QVERIFY(onceWithin(kStopLimit, [&] {
        return stopped([&](const OpContext& op) {
            found = m_rig.usb.waitFor(m_rig.dfuPort, std::span(&nobody, 1), op);
        });
    }));
    VERIFY_FAILS(found, Errc::Cancelled);
}

} // namespace

std::unique_ptr<QObject> provost::test::makeUsbContract(const ContractRig& rig)
{
    return std::make_unique<TstUsbContract>(rig);
}

#include "usb_contract.moc"
