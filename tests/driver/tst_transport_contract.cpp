// What every UsbBus and every SerialPorts does, whoever implements it. The suite runs three times,
// with the same units at the other end: in process against the virtual bench's own, over USB/IP
// against UsbIpBus and UsbIpPorts, and in a child behind umock-bridge against LibusbBus and
// LibserialportPorts.
#include "transport_contract.h"

#include "transport/libserialport_ports.h"
#include "transport/libusb_bus.h"
#include "transport/usbip_bus.h"
#include "transport/usbip_serial.h"

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

int run(const ContractRig& rig, const QStringList& arguments)
{
    const auto usb = makeUsbContract(rig);
    const auto serial = makeSerialContract(rig);
    return QTest::qExec(usb.get(), arguments) + QTest::qExec(serial.get(), arguments);
}

class TstBehindBridge : public QObject {
    Q_OBJECT

public:
    explicit TstBehindBridge(const ServedBench& bench) : m_bench(bench) {}

private Q_SLOTS:
    void libusbAndLibserialport_keepTheSameContract()
    {
        const ProgramEnd end = m_bench.runAtBench(
            {.program = QCoreApplication::applicationFilePath(),
             .arguments = {"--behind-bridge", QString::number(m_bench.controlPort())},
             .patience = 240s});
        std::cout << end.output.toStdString() << std::flush;
        QCOMPARE(end.exitCode, 0);
    }

private:
    const ServedBench& m_bench;
};

int runInProcess(ServedBench& served)
{
    const ContractRig rig{
        .usb = served.bench().usb(),
        .serial = served.bench().serial(),
        .dfuPort = served.port(1),
        .cdcPort = served.port(2),
        .hands = [&](const std::string& command) { return obey(served.bench(), command); }};
    return run(rig, {"virtual bench"});
}

int runOverUsbIp(ServedBench& served)
{
    const auto usb = UsbIpBus::create("127.0.0.1", served.usbIpPort());
    if (!usb) {
        qWarning() << problem(usb).constData();
        return 70;
    }
    UsbIpPorts serial(**usb);
    const std::string server = concat("usbip:127.0.0.1:", served.usbIpPort());
    const ContractRig rig{
        .usb = **usb,
        .serial = serial,
        .dfuPort = {.controller = server, .ports = {1, 1}},
        .cdcPort = {.controller = server, .ports = {1, 2}},
        .hands = [&](const std::string& command) { return obey(served.bench(), command); }};
    return run(rig, {"UsbIpBus and UsbIpPorts"});
}

/// Where the bridge has put the unit with that id.
UsbPortPath portOf(UsbBus& usb, UsbId id)
{
    UsbPortPath port;
    const auto found = [&] {
        const auto devices = usb.enumerate();
        if (!devices)
            return false;
        const auto unit = std::ranges::find(*devices, id, &UsbDeviceInfo::id);
        if (unit != devices->end())
            port = unit->port;
        return unit != devices->end();
    };
    static_cast<void>(QTest::qWaitFor(found, static_cast<int>(kHangGuard.count())));
    return port;
}

int runBehindBridge(std::uint16_t controlPort)
{
    const auto usb = LibusbBus::create();
    if (!usb) {
        qWarning() << problem(usb).constData();
        return 70;
    }
    LibserialportPorts serial;
    const ContractRig rig{
        .usb = **usb,
        .serial = serial,
        .dfuPort = portOf(**usb, kPhotonDfu),
        .cdcPort = portOf(**usb, kPhotonFirmware),
        .hands = [controlPort](const std::string& text) { return command(controlPort, text); }};
    return run(rig, {"libusb and libserialport", "-nocrashhandler"});
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
    const int here = runInProcess(served) + runOverUsbIp(served);
    TstBehindBridge behind(served);
    return here + QTest::qExec(&behind, {arguments[0]});
}

#include "tst_transport_contract.moc"
