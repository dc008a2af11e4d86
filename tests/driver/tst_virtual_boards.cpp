// What the Photon's kin do otherwise: the Core's bootloader, the Electron's table and console, the
// P1.
#include "support/test_program.h"
#include "virtual_rig.h"

#include "core/crc.h"

using namespace provost;
using namespace provost::test;
using namespace std::chrono_literals;

namespace {

constexpr const char* kCoreUnit = "platform = \"core\"\nstock = \"0.7.0\"";
constexpr const char* kElectronUnit = "platform = \"electron\"\nstock = \"1.5.2\"";
constexpr const char* kElectronHosts = "[network.hosts]\n\"$id.udp.particle.io\" = \"127.0.0.1\"\n";
constexpr std::uint32_t kFirmware = 0x08005000;

/// In dfuIDLE: behind the plug-in error.
RawDfu ready(Rig& rig, UsbDevice& device)
{
    RawDfu dfu(rig, device);
    dfu.clearStatus();
    return dfu;
}

class TstVirtualBoards : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void core_startsInTheErrorState()
    {
        Rig rig(benchText(kCoreUnit));
        const auto device = rig.openDfu();
        RawDfu dfu(rig, *device);
        const auto status = must(dfu.status());
        QCOMPARE(status.state, 10);
        QCOMPARE(status.status, 0x0A);
        // ABORT there succeeds and changes nothing; a download stalls.
        dfu.abort();
        QCOMPARE(dfu.state(), 10);
        QVERIFY(!dfu.download(0, *fromHex("2100500008")));
        dfu.clearStatus();
        QCOMPARE(dfu.state(), 2);
        dfu.clearStatus(); // outside of the error state it makes one
        QCOMPARE(must(dfu.status()).status, 0x0E);
    }

    void core_hasDescriptorsWithTrailingNuls()
    {
        Rig rig(benchText(kCoreUnit));
        const auto device = rig.openDfu();
        const Bytes descriptor = must(device->descriptor(1, 0));
        QCOMPARE(readLe16(descriptor, 2), std::uint16_t{0x0100});
        const Bytes configuration = must(device->descriptor(2, 0));
        QCOMPARE(toHex(ByteView(configuration).last(9)), std::string("09210bff0000041a01"));
        for (const std::size_t at : {std::size_t{17}, std::size_t{26}})
            QCOMPARE(must(device->descriptor(3, u8(configuration[at]))).size(), std::size_t{98});
        QVERIFY(!device->descriptor(3, 0xEE)); // no Microsoft descriptors (1.3)
        QCOMPARE(device->info().serial.size(), std::size_t{24});
    }

    void core_announcesItsPollTimes_data()
    {
        QTest::addColumn<quint32>("pointer");
        QTest::addColumn<int>("erase");
        QTest::addColumn<int>("write");
        QTest::newRow("internal flash") << kFirmware << 50 << 50;
        QTest::newRow("SPI flash") << 0x00080000U << 20 << 30;
    }
    void core_announcesItsPollTimes()
    {
        QFETCH(quint32, pointer);
        QFETCH(int, erase);
        QFETCH(int, write);
        // At the speed of the real one; the waits are short.
        Rig rig(benchText(kCoreUnit, "", "timed"));
        const auto device = rig.openDfu();
        RawDfu dfu = ready(rig, *device);
        must(dfu.command(0x21, pointer));
        Bytes command;
        ByteWriter(command).u8(0x41).le32(pointer);
        must(dfu.download(0, command));
        QCOMPARE(must(dfu.status()).poll, static_cast<unsigned>(erase));
        std::this_thread::sleep_for(std::chrono::milliseconds(erase));
        QCOMPARE(must(dfu.status()).poll, 0U);
        must(dfu.download(2, Bytes(1024, std::byte{1})));
        QCOMPARE(must(dfu.status()).poll, static_cast<unsigned>(write));
        std::this_thread::sleep_for(std::chrono::milliseconds(write));
        QCOMPARE(must(dfu.status()).poll, 0U);
        QCOMPARE(rig.board().violations(), std::vector<std::string>());
    }

    void core_neverReportsAFailure()
    {
        Rig rig(benchText(kCoreUnit));
        const auto device = rig.openDfu();
        RawDfu dfu = ready(rig, *device);
        // Write protected pages: accepted, nothing happens.
        const Bytes before = rig.board().readFlash(0x08000000, 0x4000);
        must(dfu.command(0x41, 0x08000000));
        must(dfu.write(0x08000000, Bytes(1024)));
        QVERIFY(rig.board().readFlash(0x08000000, 0x4000) == before);
        // F103: what is not FFFF takes 0000 only.
        must(dfu.command(0x41, kFirmware));
        must(dfu.write(kFirmware, *fromHex("f0f0ffff")));
        must(dfu.write(kFirmware, *fromHex("ff000000")));
        QCOMPARE(toHex(rig.board().readFlash(kFirmware, 4)), std::string("f0f00000"));
        must(dfu.command(0x92, 0));
        QCOMPARE(dfu.state(), 5);
    }

    void core_choosesTheMemoryByTheAddress()
    {
        Rig rig(benchText(std::string(kCoreUnit) + "\nkey = \"burnt\""));
        const auto device = rig.openDfu();
        RawDfu dfu = ready(rig, *device);
        dfu.alternate(0); // of the internal flash
        QVERIFY(dfu.read(0x2000, 612) == rig.board().readExternal(0x2000, 612));
        QCOMPARE(toHex(ByteView(dfu.read(0x2000, 2))), std::string("3082"));
    }

    void core_isUpsetByAnUploadOfBlock1()
    {
        Rig rig(benchText(kCoreUnit));
        const auto device = rig.openDfu();
        RawDfu dfu = ready(rig, *device);
        QVERIFY(!dfu.upload(1, 64));
        QCOMPARE(dfu.state(), 15);
    }

    void core_leavesWithState5AndStartsItsFirmware()
    {
        Rig rig(benchText(kCoreUnit));
        const auto device = rig.openDfu();
        RawDfu dfu = ready(rig, *device);
        QCOMPARE(dfu.leave().state, 5);
        const UsbId core{.vendor = 0x1D50, .product = 0x607D};
        QCOMPARE(rig.waitFor(core).serial.size(), std::size_t{24});
        QVERIFY(rig.until([&] { return rig.board().mode() == sim::BoardMode::Listening; }));
    }

    void core_saysWhoItIs()
    {
        Rig rig(benchText(kCoreUnit));
        QVERIFY(rig.until([&] { return rig.board().mode() == sim::BoardMode::Listening; }));
        RawConsole console(rig);
        QCOMPARE(console.command('i', "\r\n"),
                 concat("Your core id is ", rig.unit().deviceId, "\r\n"));
        QCOMPARE(console.command('f', "\r\n"),
                 std::string("Firmware update using this terminal is not supported!\r\n"));
        const auto report = console.command('s', "}\r\n");
        QVERIFY2(report.starts_with("{\"p\":0,\"m\":["), report.c_str());
        QVERIFY2(report.find("\"f\":\"m\"") != std::string::npos, report.c_str());
    }

    void electron_saysWhoItIsWithModemAndSim()
    {
        Rig rig(benchText(kElectronUnit, kElectronHosts));
        QVERIFY(rig.until([&] { return rig.board().mode() == sim::BoardMode::Application; }));
        rig.setBaud(28800);
        QVERIFY(rig.until([&] { return rig.board().mode() == sim::BoardMode::Listening; }));
        RawConsole console(rig);
        const auto id = console.command('i', "\r\n");
        QCOMPARE(id, concat("Device ID: ", rig.unit().deviceId, "\r\n"));
        QVERIFY(console.readUntil("\r\n").starts_with("IMEI: "));
        QVERIFY(console.readUntil("\r\n").starts_with("ICCID: "));
        const auto report = console.command('s', "}\r\n");
        QVERIFY2(report.find("\"imei\":\"") != std::string::npos, report.c_str());
        QVERIFY2(report.find("\"n\":\"3\"") != std::string::npos, report.c_str());
    }

    void electron_sealsTheCopyThatItWrites()
    {
        Rig rig(benchText(kElectronUnit, kElectronHosts));
        const auto device = rig.openDfu();
        RawDfu dfu(rig, *device);
        dfu.alternate(1);
        const int before = rig.board().currentDct();
        must(dfu.write(34, *fromHex("01020304")));
        QCOMPARE(rig.board().currentDct(), 1 - before);
        const Bytes now = rig.board().physicalDct(1 - before);
        const Bytes former = rig.board().physicalDct(before);
        // particle-devices 3.2, byte by byte.
        QCOMPARE(toHex(ByteView(now).first(8)), std::string("9a271c1e005ea1ed"));
        QCOMPARE(toHex(ByteView(former).subspan(4, 4)), std::string("000ca069"));
        QCOMPARE(toHex(ByteView(now).subspan(8 + 34, 4)), std::string("01020304"));
        QCOMPARE(readLe32(now, 0x3FFC), crc32(ByteView(now).first(0x3FFC).subspan(8)));
        QVERIFY(dfu.read(34, 4) == *fromHex("01020304"));
        // Another write turns back and counts the generation on.
        must(dfu.write(34, *fromHex("05060708")));
        QCOMPARE(rig.board().currentDct(), before);
        const auto generation = [](const Bytes& sector) { return readLe32(sector, 0x3FF0) & 3U; };
        QCOMPARE(generation(rig.board().physicalDct(before)), (generation(now) + 1) & 3U);
    }

    void electron_withADamagedCopyFallsBackOnTheOther()
    {
        Rig rig(benchText(kElectronUnit, kElectronHosts));
        const auto device = rig.openDfu();
        RawDfu dfu(rig, *device);
        dfu.alternate(1);
        const int before = rig.board().currentDct();
        must(dfu.write(34, *fromHex("01020304")));
        rig.board().pokeFlash(0x08004000U + 0x4000U * static_cast<std::uint32_t>(1 - before) + 2000,
                              *fromHex("00"));
        QCOMPARE(rig.board().currentDct(), before);
    }

    void p1_hasSerialFlashWithSectorsOf4Kilobytes()
    {
        Rig rig(benchText("platform = \"p1\"\nstock = \"1.5.2\""));
        const auto device = rig.openDfu();
        RawDfu dfu(rig, *device);
        dfu.alternate(2);
        must(dfu.write(0x0FFC, Bytes(8, std::byte{0x11})));
        QCOMPARE(toHex(rig.board().readExternal(0x0FFC, 8)), std::string("1111111111111111"));
        must(dfu.command(0x41, 0x1000));
        QCOMPARE(toHex(rig.board().readExternal(0x0FFC, 8)), std::string("11111111ffffffff"));
    }
};

} // namespace

PROVOST_TEST("virtual_boards", TstVirtualBoards)
#include "tst_virtual_boards.moc"
