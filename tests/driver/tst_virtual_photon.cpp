// The virtual Photon on USB: descriptors, DFU rules, configuration table, boot rules.
#include "support/test_program.h"
#include "virtual_rig.h"

#include "sim/stock.h"
#include "support/photon_facts.h"

using namespace provost;
using namespace provost::test;

namespace {

constexpr std::uint32_t kPart2 = 0x08060000;

Bytes pattern(std::size_t size, unsigned seed)
{
    Bytes bytes(size);
    for (std::size_t i = 0; i < size; ++i)
        bytes[i] = static_cast<std::byte>((i * 7 + seed) & 0xFF);
    return bytes;
}

std::string textOf(UsbDevice& device, std::uint8_t index)
{
    return sim::textOfString(must(device.descriptor(3, index)));
}

class TstVirtualPhoton : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void bootloader_hasTheDescriptorsOfThePhoton()
    {
        Rig rig(benchText("stock = \"1.5.2\"\ndevice_id = \"1f002a000547343233323032\""));
        const auto device = rig.openDfu();
        const Bytes descriptor = must(device->descriptor(1, 0));
        QCOMPARE(descriptor.size(), std::size_t{18});
        QCOMPARE(readLe16(descriptor, 2), std::uint16_t{0x0200});
        QCOMPARE(u8(descriptor[7]), std::uint8_t{64});
        QCOMPARE(readLe16(descriptor, 12), std::uint16_t{0x0250});
        const Bytes configuration = must(device->descriptor(2, 0));
        QCOMPARE(configuration.size(), std::size_t{36});
        QCOMPARE(toHex(ByteView(configuration).last(9)), std::string("09210bff0000101a01"));
        QCOMPARE(u8(configuration[7]), std::uint8_t{0xC0});
        QCOMPARE(textOf(*device, u8(configuration[17])),
                 std::string("@Internal Flash   /0x08000000/03*016Ka,01*016Kg,01*064Kg,07*128Kg"));
        QCOMPARE(textOf(*device, u8(configuration[26])),
                 std::string("@DCT Flash   /0x00000000/01*016Kg"));
        QCOMPARE(textOf(*device, u8(descriptor[15])), std::string("Photon DFU Mode"));
        QCOMPARE(device->info().serial, std::string("1f002a000547343233323032"));
        QVERIFY(device->info().simulated);
        const Bytes microsoft = must(device->descriptor(3, 0xEE));
        QCOMPARE(toHex(microsoft), std::string("12034d005300460054003100300030"
                                               "00ee00"));
    }

    void serialNumbers_followTheVersions_data()
    {
        QTest::addColumn<QString>("stock");
        QTest::addColumn<QString>("running");
        QTest::addColumn<QString>("bootloader");
        const QString lower = "1f002a000547343233323032";
        QTest::newRow("0.4.9") << "0.4.9" << "00000000050B" << "00000000010B";
        QTest::newRow("0.6.3") << "0.6.3" << "1F002A000547343233323032"
                               << "1F002A000547343233323032";
        QTest::newRow("1.5.2") << "1.5.2" << lower << lower;
    }
    void serialNumbers_followTheVersions()
    {
        QFETCH(QString, stock);
        Rig rig(benchText(concat("stock = \"", stock.toStdString(),
                                 "\"\ndevice_id = \"1f002a000547343233323032\"")));
        QTEST(QString::fromStdString(rig.waitFor(kCdc).serial), "running");
        QTEST(QString::fromStdString(rig.openDfu()->info().serial), "bootloader");
    }

    void upload_ofBlocks0And1()
    {
        Rig rig(benchText("stock = \"1.5.2\""));
        const auto device = rig.openDfu();
        RawDfu dfu(rig, *device);
        QCOMPARE(toHex(must(dfu.upload(0, 64))), std::string("002141"));
        QCOMPARE(dfu.state(), 2);
        QVERIFY(!dfu.upload(1, 64));
        QCOMPARE(dfu.state(), 10);
        dfu.clearStatus();
        QCOMPARE(dfu.state(), 2);
    }

    void clearStatus_outsideTheErrorStateMakesOne()
    {
        Rig rig(benchText("stock = \"1.5.2\""));
        const auto device = rig.openDfu();
        RawDfu dfu(rig, *device);
        dfu.clearStatus();
        const auto status = must(dfu.status());
        QCOMPARE(status.state, 10);
        QCOMPARE(status.status, 0x0E);
        dfu.abort(); // changes nothing here
        QCOMPARE(dfu.state(), 10);
        dfu.clearStatus();
        QCOMPARE(must(dfu.status()).status, 0);
    }

    void download_needsIdleOrDownloadIdle()
    {
        Rig rig(benchText("stock = \"1.5.2\""));
        const auto device = rig.openDfu();
        RawDfu dfu(rig, *device);
        must(dfu.upload(2, 64));
        QCOMPARE(dfu.state(), 9);
        QVERIFY(!dfu.download(2, pattern(4, 0)));
        QCOMPARE(dfu.state(), 10);
    }

    void flash_isWrittenByBlocksBehindThePointer()
    {
        Rig rig(benchText("stock = \"1.5.2\""));
        const auto device = rig.openDfu();
        RawDfu dfu(rig, *device);
        must(dfu.command(0x41, photon::kUserPart));
        const Bytes first = pattern(4096, 1);
        const Bytes second = pattern(1000, 2);
        must(dfu.command(0x21, photon::kUserPart));
        must(dfu.carryOut(2, first));
        must(dfu.carryOut(3, second));
        QVERIFY(rig.board().readFlash(photon::kUserPart, 4096) == first);
        QVERIFY(rig.board().readFlash(photon::kUserPart + 4096, 1000) == second);
        QVERIFY(dfu.read(photon::kUserPart + 4096, 1000) == second);
    }

    void flash_clearsBitsOnly()
    {
        Rig rig(benchText("stock = \"1.5.2\""));
        const auto device = rig.openDfu();
        RawDfu dfu(rig, *device);
        must(dfu.command(0x41, photon::kUserPart));
        must(dfu.write(photon::kUserPart, *fromHex("f0f0f0f0")));
        // Bootloaders from 11 on read back and notice.
        QVERIFY(!dfu.write(photon::kUserPart, *fromHex("0f0f0f0f")));
        QCOMPARE(toHex(rig.board().readFlash(photon::kUserPart, 4)), std::string("00000000"));
    }

    void flash_isWrittenBlindlyByBootloader7()
    {
        Rig rig(benchText("stock = \"0.4.9\""));
        const auto device = rig.openDfu();
        RawDfu dfu(rig, *device);
        must(dfu.command(0x41, photon::kUserPart));
        must(dfu.write(photon::kUserPart, *fromHex("f0f0f0f0")));
        must(dfu.write(photon::kUserPart, *fromHex("0f0f0f0f")));
        QCOMPARE(toHex(dfu.read(photon::kUserPart, 4)), std::string("00000000"));
    }

    void erase_belowTheSystemPartsFailsByAStalledGetStatus()
    {
        Rig rig(benchText("stock = \"1.5.2\""));
        const auto device = rig.openDfu();
        RawDfu dfu(rig, *device);
        for (const std::uint32_t address : {0x08000000U, 0x08004000U, 0x0800C000U, 0x08010000U}) {
            Bytes erase;
            ByteWriter(erase).u8(0x41).le32(address);
            must(dfu.download(0, erase));
            QCOMPARE(must(dfu.status()).state, 4);
            const auto stalled = dfu.status();
            QVERIFY(!stalled);
            QCOMPARE(stalled.error().code, Errc::Protocol);
            QCOMPARE(dfu.state(), 3);
            const auto status = must(dfu.status());
            QCOMPARE(status.state, 5);
            QCOMPARE(status.status, 0);
        }
        QVERIFY(!dfu.write(0x08008000, pattern(16, 0)));
        dfu.abort();
        QVERIFY(!dfu.read(0x08000000, 64).empty());
    }

    void unmappedRead_isStaleOrZeroByVersion()
    {
        Rig old(benchText("stock = \"0.6.3\""));
        const auto oldDevice = old.openDfu();
        RawDfu oldDfu(old, *oldDevice);
        const Bytes bootloader = oldDfu.read(0x08000000, 64);
        QVERIFY(oldDfu.read(0x20000000, 5).size() == 5);
        QVERIFY(!equalBytes(oldDfu.read(0x20000000, 64), Bytes(64)));
        Rig now(benchText("stock = \"1.5.2\""));
        const auto device = now.openDfu();
        RawDfu dfu(now, *device);
        QVERIFY(equalBytes(dfu.read(0x20000000, 64), Bytes(64)));
    }

    void dct_writeGoesToTheOtherCopyAndLeavesTheOldBytes()
    {
        Rig rig(benchText("stock = \"1.5.2\""));
        const auto device = rig.openDfu();
        RawDfu dfu(rig, *device);
        dfu.alternate(1);
        const int before = rig.board().currentDct();
        const Bytes stale = rig.board().physicalDct(before);
        const Bytes key = pattern(608, 9);
        must(dfu.command(0x41, 34)); // accepted, does nothing
        must(dfu.write(34, key));
        QCOMPARE(rig.board().currentDct(), 1 - before);
        const Bytes now = rig.board().physicalDct(1 - before);
        QVERIFY(equalBytes(ByteView(now).subspan(0x1D9E, 608), key));
        QCOMPARE(u8(now[8]), std::uint8_t{0});
        QCOMPARE(u8(now[9]), std::uint8_t{1});
        Bytes old = rig.board().physicalDct(before);
        QCOMPARE(u8(old[9]), std::uint8_t{0});
        old[9] = std::byte{1};
        QVERIFY(old == stale);
        QVERIFY(dfu.read(34, 608) == key);
        QCOMPARE(toText(dfu.read(2468, 15)), std::string("device.spark.io"));
        QVERIFY(!dfu.write(8390, pattern(8, 0))); // behind the end of the table
    }

    void dct_readsZerosAndRefusesWritesWithoutSystemParts()
    {
        Rig rig(benchText("stock = \"empty\""));
        const auto device = rig.openDfu();
        RawDfu dfu(rig, *device);
        dfu.alternate(1);
        QVERIFY(equalBytes(dfu.read(2082, 64), Bytes(64)));
        QVERIFY(!dfu.write(34, pattern(16, 0)));
        dfu.abort();
        // The entry points are looked up once: parts written in this session do not help it.
        Rig donor(benchText("stock = \"1.5.2\""));
        for (const std::uint32_t part : {0x08020000U, kPart2})
            rig.board().pokeFlash(part, donor.board().readFlash(part, 0x40000));
        QVERIFY(equalBytes(dfu.read(2082, 64), Bytes(64)));
        QCOMPARE(dfu.leave().state, 5);
        rig.waitFor(kCdc);
        const auto fresh = rig.openDfu();
        RawDfu again(rig, *fresh);
        again.alternate(1);
        QVERIFY(!equalBytes(again.read(2082, 64), Bytes(64)));
    }

    void leave_answersState5AndComesBackAsFirmware()
    {
        Rig rig(benchText("stock = \"1.5.2\""));
        const auto device = rig.openDfu();
        const std::uint32_t incarnation = device->info().incarnation;
        RawDfu dfu(rig, *device);
        QCOMPARE(dfu.leave().state, 5);
        const UsbDeviceInfo back = rig.waitFor(kCdc);
        QVERIFY(back.incarnation != incarnation);
        const auto gone = dfu.status();
        QVERIFY(!gone);
        QCOMPARE(gone.error().code, Errc::Disconnected);
    }

    void detach_disconnectsAndReconnectsAtOnce()
    {
        Rig rig(benchText("stock = \"1.5.2\""));
        const auto device = rig.openDfu();
        must(device->controlOut({.requestType = 0x21, .request = 0, .value = 1000}, {}, rig.op()));
        QVERIFY(rig.until([&] {
            const auto now = rig.bench().usb().waitFor(rig.port(), {}, rig.op());
            return now && now->id == kDfu && now->incarnation != device->info().incarnation;
        }));
    }

    void earlyGetStatus_isNotedAsAViolation()
    {
        Rig rig(benchText("stock = \"0.6.3\"", "", "demo"));
        const auto device = rig.openDfu();
        RawDfu dfu(rig, *device);
        Bytes set;
        ByteWriter(set).u8(0x21).le32(photon::kUserPart);
        must(dfu.download(0, set));
        QVERIFY(must(dfu.status()).poll > 0);
        must(dfu.status());
        QCOMPARE(rig.board().violations().size(), std::size_t{1});
        must(dfu.command(0x21, photon::kUserPart));
        QCOMPARE(rig.board().violations().size(), std::size_t{1});
    }

    void baud14400_entersTheBootloaderAndOldHandlesAnswerDisconnected()
    {
        Rig rig(benchText("stock = \"1.5.2\""));
        RawConsole console(rig);
        must(console.port().setBaud(14400));
        rig.waitFor(kDfu);
        Bytes bytes(1);
        const auto read = console.port().readSome(bytes, rig.op());
        QVERIFY(!read);
        QCOMPARE(read.error().code, Errc::Disconnected);
        QVERIFY(must(rig.bench().serial().enumerate()).empty());
    }

    void boot_followsWhatIsInFlash_data()
    {
        QTest::addColumn<QString>("stock");
        QTest::addColumn<quint32>("broken"); // address of a module whose CRC is spoilt; 0: none
        QTest::addColumn<int>("mode");
        QTest::newRow("complete") << "1.5.2" << 0U << int(sim::BoardMode::Listening);
        QTest::newRow("no modules") << "empty" << 0U << int(sim::BoardMode::Dfu);
        QTest::newRow("part 1 damaged") << "1.5.2" << 0x08020400U << int(sim::BoardMode::Dfu);
        QTest::newRow("part 2 damaged") << "1.5.2" << 0x08060400U << int(sim::BoardMode::Dfu);
        QTest::newRow("user damaged") << "1.5.2" << 0x080A0400U << int(sim::BoardMode::SafeMode);
    }
    void boot_followsWhatIsInFlash()
    {
        QFETCH(QString, stock);
        QFETCH(quint32, broken);
        QFETCH(int, mode);
        Rig rig(
            benchText(concat("stock = \"", stock.toStdString(), "\"\ncredentials = \"foreign\"")));
        if (mode == int(sim::BoardMode::Listening))
            mode = int(sim::BoardMode::Application);
        rig.waitFor(stock == "empty" ? kDfu : kCdc);
        if (broken != 0) {
            rig.board().pokeFlash(broken, *fromHex("00112233"));
            rig.board().reset();
            rig.until([&] { return int(rig.board().mode()) == mode; });
        }
        QVERIFY(rig.until([&] { return int(rig.board().mode()) == mode; }));
    }

    void boot_isInSafeModeWhenDependenciesAreNotMet()
    {
        Rig rig(benchText("stock = \"1.5.2\"\ncredentials = \"foreign\""));
        rig.waitFor(kCdc);
        // Bootloader 311 is below the 400 that 1.5.2 demands.
        const Bytes old = sim::buildModule({.start = 0x08000000,
                                            .length = 0x3C80,
                                            .version = 311,
                                            .function = sim::ModuleFunction::Bootloader});
        rig.board().pokeFlash(0x08000000, old);
        rig.board().reset();
        QVERIFY(rig.until([&] { return rig.board().mode() == sim::BoardMode::SafeMode; }));
    }

    void system063_putsItsOwnBootloaderBack()
    {
        Rig rig(benchText("stock = \"0.6.3\""));
        rig.waitFor(kCdc);
        const Bytes newer = sim::buildModule({.start = 0x08000000,
                                              .length = 0x3C80,
                                              .version = 101,
                                              .function = sim::ModuleFunction::Bootloader});
        rig.board().pokeFlash(0x08000000, newer);
        rig.board().reset();
        QVERIFY(rig.until(
            [&] { return readLe16(rig.board().readFlash(0x08000000 + 0x184 + 10, 2)) == 11; }));
    }

    void otaFlag_installsTheBootloaderInTheReceiveArea()
    {
        Rig rig(benchText("stock = \"1.5.2\""));
        const auto device = rig.openDfu();
        const Bytes bootloader = sim::buildModule({.start = 0x08000000,
                                                   .length = 0x3C80,
                                                   .version = 1006,
                                                   .function = sim::ModuleFunction::Bootloader});
        RawDfu dfu(rig, *device);
        must(dfu.command(0x41, 0x080C0000));
        must(dfu.command(0x21, 0x080C0000));
        for (std::uint16_t block = 0; std::size_t{block} * 4096 < bootloader.size(); ++block)
            must(dfu.carryOut(
                static_cast<std::uint16_t>(block + 2),
                ByteView(bootloader)
                    .subspan(std::size_t{block} * 4096,
                             std::min<std::size_t>(4096, bootloader.size() -
                                                             std::size_t{block} * 4096))));
        dfu.alternate(1);
        must(dfu.write(1753, *fromHex("a5")));
        dfu.leave();
        rig.waitFor(kCdc);
        QCOMPARE(readLe16(rig.board().readFlash(0x08000000 + 0x184 + 10, 2)), std::uint16_t{1006});
        const auto fresh = rig.openDfu();
        RawDfu again(rig, *fresh);
        again.alternate(1);
        QCOMPARE(toHex(again.read(1753, 1)), std::string("ff"));
    }

    void faults_hitTheTransferThatWasNamed()
    {
        Rig rig(benchText("stock = \"1.5.2\""));
        const auto device = rig.openDfu();
        RawDfu dfu(rig, *device);
        must(rig.bench().failTransfer(1, 2, sim::FaultKind::Stall));
        must(rig.bench().failTransfer(1, 3, sim::FaultKind::Timeout));
        must(rig.bench().failTransfer(1, 4, sim::FaultKind::Short));
        must(rig.bench().failTransfer(1, 5, sim::FaultKind::Unplug));
        QVERIFY(dfu.status());
        QCOMPARE(dfu.status().error().code, Errc::Protocol);
        QCOMPARE(dfu.status().error().code, Errc::Timeout);
        QCOMPARE(must(dfu.upload(0, 3)).size(), std::size_t{1});
        QCOMPARE(dfu.status().error().code, Errc::Disconnected);
        QVERIFY(rig.until([&] { return rig.board().mode() == sim::BoardMode::Off; }));
        must(rig.bench().setPower(1, true));
        rig.waitFor(kCdc);
    }

    void bench_endsWithItsSupply()
    {
        Rig rig(benchText("stock = \"1.5.2\"\nlabel = \"mislabelled\"\ncount = 2"));
        QVERIFY(rig.unit().label != rig.unit().deviceId);
        const std::string first = rig.unit().deviceId;
        const auto device = rig.openDfu();
        const auto second = must(rig.bench().insertNext(1));
        QVERIFY(second && second->deviceId != first);
        RawDfu dfu(rig, *device);
        QCOMPARE(dfu.status().error().code, Errc::Disconnected);
        QVERIFY(!must(rig.bench().insertNext(1)));
        QVERIFY(!rig.bench().present(1));
    }

    void benchFile_namesThePlaceOfAMistake_data()
    {
        QTest::addColumn<QString>("unit");
        QTest::addColumn<QString>("message");
        QTest::newRow("key") << "colour = 3" << "rig.toml:13:1: [slot.unit] unknown key \"colour\"";
        QTest::newRow("word") << "key = \"old\"" << "rig.toml:13:7: [slot.unit] key: one of";
        QTest::newRow("stock") << "stock = \"9.9\""
                               << "rig.toml:13:9: [slot.unit] no stock \"9.9\"";
    }
    void benchFile_namesThePlaceOfAMistake()
    {
        QFETCH(QString, unit);
        QFETCH(QString, message);
        const auto bench = sim::Bench::parse(benchText(unit.toStdString()), "rig.toml");
        QVERIFY(!bench);
        const QString said = QString::fromStdString(bench.error().message);
        QVERIFY2(said.startsWith(message), qPrintable(said));
    }
};

} // namespace

PROVOST_TEST("virtual_photon", TstVirtualPhoton)
#include "tst_virtual_photon.moc"
