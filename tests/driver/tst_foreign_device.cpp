// A DFU device of another maker on the bus: nothing here writes to it, resets it or claims it.
#include "config/load_plan.h"
#include "core/byte_io.h"
#include "core/text.h"
#include "device/particle_unit.h"
#include "device/swd_unit.h"
#include "driver/virtual_rig.h"
#include "sim/usbip_server.h"
#include "support/command_line.h"
#include "support/must.h"
#include "support/test_program.h"

using namespace provost;
using namespace provost::test;
using namespace std::chrono_literals;

namespace {

constexpr UsbId kForeign{.vendor = 0x0483, .product = 0xDF11};

/// DfuSe as AN3156 has it, in a state that must not be disturbed. It keeps what it was asked.
class ForeignDfu final : public sim::Chapter9Function {
public:
    ForeignDfu(std::uint8_t state, std::uint8_t status) : m_state(state), m_status(status) {}

    Bytes deviceDescriptor() const override
    {
        Bytes bytes;
        ByteWriter(bytes).u8(18).u8(1).le16(0x0200).u8(0).u8(0).u8(0).u8(64);
        ByteWriter(bytes).le16(kForeign.vendor).le16(kForeign.product).le16(0x2200);
        ByteWriter(bytes).u8(0).u8(2).u8(0).u8(1);
        return bytes;
    }
    Bytes configurationDescriptor() const override
    {
        Bytes bytes;
        ByteWriter(bytes).u8(9).u8(2).le16(27).u8(1).u8(1).u8(0).u8(0xC0).u8(50);
        ByteWriter(bytes).u8(9).u8(4).u8(0).u8(0).u8(0).u8(0xFE).u8(1).u8(2).u8(4);
        ByteWriter(bytes).u8(9).u8(0x21).u8(0x0B).le16(255).le16(2048).le16(0x011A);
        return bytes;
    }
    Bytes stringDescriptor(std::uint8_t index) const override
    {
        if (index == 4)
            return sim::stringDescriptorOf("@Internal Flash  /0x08000000/16*064Kg");
        return index == 2 ? sim::stringDescriptorOf("Another bootloader") : Bytes{};
    }
    void busReset() override { ++resets; }
    sim::UsbReply bulkOut(std::uint8_t, ByteView) override
    {
        ++outRequests;
        return sim::UsbReply::stall();
    }

    std::atomic<int> outRequests = 0;
    std::atomic<int> resets = 0;

private:
    using UsbReply = sim::UsbReply;
    UsbReply classRequest(const sim::UsbSetup& setup, ByteView) override
    {
        if (!setup.isIn()) {
            ++outRequests;
            return {};
        }
        Bytes answer{std::byte{m_status}, {}, {}, {}, std::byte{m_state}, {}};
        return setup.request == 3 ? UsbReply::with(std::move(answer)) : UsbReply::stall();
    }
    UsbReply vendorRequest(const sim::UsbSetup& setup, ByteView) override
    {
        outRequests += setup.isIn() ? 0 : 1;
        return UsbReply::stall();
    }
    bool alternateSelected(std::uint8_t, std::uint8_t) override
    {
        ++outRequests;
        return true;
    }
    const std::uint8_t m_state;
    const std::uint8_t m_status;
};

/// On a port of this process, and served over USB/IP.
class ForeignBus {
public:
    ForeignBus(std::uint8_t state, std::uint8_t status)
        : device(std::make_shared<ForeignDfu>(state, status)),
          port(std::make_shared<sim::VirtualPort>(
              UsbPortPath{.controller = "sim:foreign", .ports = {1}})),
          usb({port}, {}), serial({port}, {}), server(must(sim::UsbIpServer::start({port}, {})))
    {
        port->attach(device);
    }
    QString address() const { return QString("usbip:127.0.0.1:%1").arg(server->port()); }
    bool untouched() const { return device->outRequests == 0 && device->resets == 0; }

    std::shared_ptr<ForeignDfu> device;
    std::shared_ptr<sim::VirtualPort> port;
    sim::VirtualUsbBus usb;
    sim::VirtualSerialPorts serial;
    std::unique_ptr<sim::UsbIpServer> server;
};

class TstForeignDevice : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void list_doesNotTouchIt_data() { states(); }
    void list_doesNotTouchIt()
    {
        const ForeignBus bus = fromRow();
        const CommandFolder folder;
        for (const char* command : {"dfu", "stlink", "serial"}) {
            const auto ran = folder.json({command, "list", bus.address()});
            QVERIFY2(ran.exitCode == 0, ran.err);
            QCOMPARE(ran.last()["count"], QJsonValue(0));
        }
        QVERIFY(bus.untouched());
    }

    void commands_refuseIt_data() { states(); }
    void commands_refuseIt()
    {
        const ForeignBus bus = fromRow();
        const CommandFolder folder;
        QVERIFY(folder.write("a.bin", QByteArray(16, 'a')));
        const QString device = bus.address() + "/1-1";
        const QStringList place{"--alt", "0", "--address", "08010000"};
        const QStringList length{"--length", "16"};
        const QStringList swdRange{"--address", "08010000", "--length", "16"};
        const QStringList out{"-o", "new"};
        const QStringList platform{"--platform", "photon"};
        const std::vector<QStringList> calls{
            QStringList{"dfu", "read", device} + place + length + out,
            QStringList{"dfu", "write", device, "a.bin"} + place,
            QStringList{"dfu", "write", device, "a.bin"} + place + QStringList{"--no-verify"},
            QStringList{"dfu", "erase", device} + place + length,
            {"serial", "identify", device},
            {"serial", "dfu", device},
            {"ymodem", "send", "a.bin", "--port", device},
            {"ymodem", "receive", ".", "--port", device},
            {"stlink", "info", device},
            QStringList{"stlink", "read", device} + swdRange + out,
            QStringList{"stlink", "write", device, "a.bin", "--address", "08010000"},
            {"stlink", "reset", device},
        };
        for (const auto& call : calls) {
            const auto ran = folder.json(call);
            QVERIFY2(ran.exitCode == 4, qPrintable(call.join(' ') + ": " + ran.err));
            QVERIFY2(ran.err.contains("0483:df11"), ran.err);
        }
        QVERIFY(bus.untouched());
        QVERIFY(!folder.exists("new"));
    }

    void units_refuseIt_data() { states(); }
    void units_refuseIt()
    {
        ForeignBus bus = fromRow();
        const SystemClock clock;
        const OpContext op{.clock = clock, .deadline = {clock.now() + 60s}};
        const auto photon =
            must(loadPlatform(PROVOST_SOURCE_DIR "/stations/platforms/photon.toml"));
        const UnitTiming brief{.arrival = 100ms, .boot = 100ms};
        ParticleUnit unit(
            {.usb = bus.usb, .serial = bus.serial, .port = bus.port->path(), .timing = brief},
            photon);
        QVERIFY(unit.look());
        QVERIFY(!unit.identify(op));
        QVERIFY(!unit.mode(op));
        for (const UnitMode mode : {UnitMode::Dfu, UnitMode::Listening, UnitMode::Application})
            QVERIFY(!unit.bringTo(mode, op));
        QVERIFY(!unit.reboot(op));
        QVERIFY(!unit.restart(op));
        QVERIFY(!unit.dfu(op));
        QVERIFY(!unit.table(op));
        QVERIFY(!unit.memory(0, op));
        QVERIFY(!unit.readDct(op));
        QVERIFY(!unit.clearCredentials(op));
        QVERIFY(!unit.openConsole(op));
        QVERIFY(!unit.openControl(op));
        SwdUnit bySwd({.usb = bus.usb, .serial = bus.serial, .probe = bus.port->path()}, photon);
        QVERIFY(!bySwd.identify(op));
        QVERIFY(!bySwd.memory(0, op));
        QVERIFY(bus.untouched());
    }

    void consoleOfAnotherBoard_isNotOpened()
    {
        Rig rig(benchText("platform = \"electron\"\nstock = \"2.3.1\""));
        rig.waitFor(rig.board().profile().cdc.id);
        const auto photon =
            must(loadPlatform(PROVOST_SOURCE_DIR "/stations/platforms/photon.toml"));
        ParticleUnit unit(
            {.usb = rig.bench().usb(), .serial = rig.bench().serial(), .port = rig.port()}, photon);
        const auto opened = unit.openConsole(rig.op());
        QVERIFY(!opened);
        QCOMPARE(opened.error().cause, std::string("C013"));
    }

private:
    static void states()
    {
        QTest::addColumn<int>("state");
        QTest::addColumn<int>("status");
        QTest::newRow("dfuDNLOAD-IDLE") << 5 << 0;
        QTest::newRow("dfuERROR") << 10 << 0x0E;
    }
    static ForeignBus fromRow()
    {
        QFETCH(const int, state);
        QFETCH(const int, status);
        return {static_cast<std::uint8_t>(state), static_cast<std::uint8_t>(status)};
    }
};

} // namespace

PROVOST_TEST("foreign_device", TstForeignDevice)
#include "tst_foreign_device.moc"
