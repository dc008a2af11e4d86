// Faults that a bench file asks for, and the times that the flash of each board takes.
#include "support/test_program.h"
#include "virtual_rig.h"

#include "sim/stock.h"
#include "support/photon_facts.h"

using namespace provost;
using namespace provost::test;
using namespace std::chrono_literals;

namespace {

constexpr std::uint32_t kSector = 0x20000;
constexpr std::size_t kBlock = 4096;

std::string with(std::string_view fault, std::string_view unit = "stock = \"1.5.2\"")
{
    return benchText(concat(unit, "\n[[slot.unit.fault]]\n", fault));
}

Bytes userModule(std::uint32_t size)
{
    return sim::buildModule({.start = photon::kUserPart,
                             .length = size - 4,
                             .version = 7,
                             .function = sim::ModuleFunction::UserPart,
                             .index = 1});
}

/// Erases the sector and writes block by block until something fails.
Result<> writeUser(RawDfu& dfu, ByteView module)
{
    TRY(dfu.command(0x41, photon::kUserPart));
    for (std::size_t at = 0; at < module.size(); at += kBlock)
        TRY(dfu.write(static_cast<std::uint32_t>(photon::kUserPart + at),
                      module.subspan(at, std::min(kBlock, module.size() - at))));
    return {};
}

class TstBenchFaults : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void transfer_goesWrongOnce_data()
    {
        QTest::addColumn<QString>("kind");
        QTest::addColumn<int>("error"); // -1: none, but other bytes
        QTest::newRow("stall") << "stall" << static_cast<int>(Errc::Protocol);
        QTest::newRow("timeout") << "timeout" << static_cast<int>(Errc::Timeout);
        QTest::newRow("short") << "short" << -1;
        QTest::newRow("bit-flip") << "bit-flip" << -1;
        QTest::newRow("unplug") << "unplug" << static_cast<int>(Errc::Disconnected);
    }
    void transfer_goesWrongOnce()
    {
        QFETCH(QString, kind);
        QFETCH(int, error);
        Rig rig(with(concat("kind = \"", kind.toStdString(), "\"\ntransfer = 2")));
        const auto device = must(rig.bench().usb().open(rig.waitFor(kCdc)));
        const auto ask = [&] { return device->descriptor(1, 0); };
        const Bytes right = must(ask());
        const auto wrong = ask();
        if (error >= 0) {
            QVERIFY(!wrong);
            QCOMPARE(static_cast<int>(wrong.error().code), error);
        } else {
            QVERIFY(wrong && *wrong != right);
        }
        if (kind != "unplug")
            QVERIFY(must(ask()) == right);
    }

    void unplug_atAShareOfTheModule()
    {
        Rig rig(with("kind = \"unplug\"\npercent = 40\nof = \"user\""));
        const auto device = rig.openDfu();
        RawDfu dfu(rig, *device);
        const Bytes module = userModule(100000);
        const auto written = writeUser(dfu, module);
        QVERIFY(!written);
        QCOMPARE(written.error().code, Errc::Disconnected);
        // Byte 40000 lies in the block from 36864 on, of which half was programmed.
        const Bytes found = rig.board().readFlash(photon::kUserPart, module.size());
        QVERIFY(equalBytes(ByteView(found).first(36864 + kBlock / 2),
                           ByteView(module).first(36864 + kBlock / 2)));
        QVERIFY(toHex(ByteView(found).subspan(36864 + kBlock / 2, 8)) == "ffffffffffffffff");
        QVERIFY(rig.until([&] { return rig.board().mode() == sim::BoardMode::Off; }));
        must(rig.bench().setPower(1, true));
        rig.waitFor(kCdc);
        // Without its application the unit runs in safe mode; once is enough.
        const auto again = rig.openDfu();
        RawDfu second(rig, *again);
        QVERIFY(writeUser(second, module).has_value());
        QVERIFY(rig.board().readFlash(photon::kUserPart, module.size()) == module);
    }

    void brownOut_leavesASectorHalfErased()
    {
        Rig rig(with("kind = \"brown-out\"\nerase = 2"));
        const auto device = rig.openDfu();
        RawDfu dfu(rig, *device);
        const auto before = rig.waitFor(kDfu).incarnation;
        const Bytes former = rig.board().readFlash(photon::kUserPart, kSector);
        must(dfu.command(0x41, photon::kUserPart + kSector)); // 0x080C0000
        const auto second = dfu.command(0x41, photon::kUserPart);
        QVERIFY(!second);
        QCOMPARE(second.error().code, Errc::Disconnected);
        QVERIFY(rig.waitFor(kCdc).incarnation != before);
        const Bytes found = rig.board().readFlash(photon::kUserPart, kSector);
        QCOMPARE(toHex(ByteView(found).first(16)), std::string(32, 'f'));
        Bytes half(former.begin() + kSector / 2, former.end());
        for (std::byte& byte : half)
            byte |= std::byte{0xA5};
        QVERIFY(equalBytes(ByteView(found).subspan(kSector / 2), half));
    }

    void stuckBusy_saysSoForEver()
    {
        Rig rig(with("kind = \"stuck-busy\"\nwork = 2"));
        const auto device = rig.openDfu();
        RawDfu dfu(rig, *device);
        must(dfu.command(0x41, photon::kUserPart));
        must(dfu.download(0, *fromHex("2100000a08")));
        for (int ask = 0; ask < 20; ++ask)
            QCOMPARE(must(dfu.status()).state, 4);
        must(device->reset());
        QCOMPARE(must(dfu.status()).state, 2);
    }

    void lyingPoll_announcesWhatTheFileSays()
    {
        Rig rig(with("kind = \"lying-poll\"\npoll_ms = 4321"));
        const auto device = rig.openDfu();
        RawDfu dfu(rig, *device);
        must(dfu.download(0, *fromHex("4100000a08")));
        QCOMPARE(must(dfu.status()).poll, 4321U);
    }

    void equalSerials_nameNoUnit()
    {
        const auto text = benchText("stock = \"2.3.1\"");
        const auto at = text.find("mode_button");
        Rig rig(text.substr(0, at) + "equal_serials = true\n" + text.substr(at));
        QCOMPARE(rig.waitFor(kCdc).serial, std::string("00000000050B"));
        QCOMPARE(rig.openDfu()->info().serial, std::string("00000000010B"));
    }

    void shuffledBus_listsInAnotherOrderAfterEachArrival()
    {
        auto text = benchText("stock = \"1.5.2\"");
        const auto at = text.find("mode_button");
        text = text.substr(0, at) + "shuffled_bus = true\n" + text.substr(at);
        for (const int slot : {2, 3})
            text += concat("[[slot]]\nnumber = ", slot, "\n[[slot.unit]]\nstock = \"1.5.2\"\n");
        Rig rig(text);
        must(rig.bench().insertNext(2));
        must(rig.bench().insertNext(3));
        const auto listed = [&] {
            std::vector<std::string> ports;
            for (const auto& info : must(rig.bench().usb().enumerate()))
                ports.push_back(toText(info.port));
            return ports;
        };
        QVERIFY(rig.until([&] { return listed().size() == 3; }));
        const auto before = listed();
        rig.openDfu(); // one unit comes back
        const auto after = listed();
        QCOMPARE(after.size(), std::size_t{3});
        QVERIFY(after != before);
        QVERIFY(std::is_permutation(after.begin(), after.end(), before.begin()));
    }

    void faults_areOfOneUnitOnly()
    {
        Rig rig(with("kind = \"stall\"\ntransfer = 1000", "stock = \"1.5.2\"\ncount = 2"));
        must(rig.bench().removeUnit(1));
        must(rig.bench().failTransfer(1, 1, sim::FaultKind::Stall));
        must(rig.bench().insertNext(1));
        const auto device = must(rig.bench().usb().open(rig.waitFor(kCdc)));
        QVERIFY(device->descriptor(1, 0).has_value());
    }

    void benchFile_refusesWhatItDoesNotKnow_data()
    {
        QTest::addColumn<QString>("fault");
        QTest::addColumn<QString>("what");
        QTest::newRow("no kind") << "transfer = 1" << "kind: is needed";
        QTest::newRow("unknown kind") << "kind = \"explode\"\ntransfer = 1" << "kind: one of";
        QTest::newRow("no number") << "kind = \"stall\"" << "transfer: 0 to";
        QTest::newRow("from 0") << "kind = \"stall\"\ntransfer = 0" << "counted from 1";
        QTest::newRow("beyond 100 %")
            << "kind = \"unplug\"\npercent = 101\nof = \"user\"" << "percent: 0 to 100";
        QTest::newRow("no such module")
            << "kind = \"unplug\"\npercent = 10\nof = \"system-3\"" << "is no module of a Photon";
        QTest::newRow("other key") << "kind = \"brown-out\"\nerase = 1\nsector = 5"
                                   << "unknown key";
    }
    void benchFile_refusesWhatItDoesNotKnow()
    {
        QFETCH(QString, fault);
        QFETCH(QString, what);
        const auto bench = sim::Bench::parse(with(fault.toStdString()), "bench.toml");
        QVERIFY(!bench);
        QVERIFY2(QString::fromStdString(bench.error().message).contains(what),
                 bench.error().message.c_str());
        QVERIFY2(bench.error().message.starts_with("bench.toml:"), bench.error().message.c_str());
    }

    void flash_takesTheTimesOfTheSheets_data()
    {
        QTest::addColumn<QString>("platform");
        QTest::addColumn<quint32>("address");
        QTest::addColumn<int>("alternate");
        QTest::addColumn<int>("erase");   // ms
        QTest::addColumn<int>("program"); // us for 1024 bytes
        // Protocol sheet 3.5, typical.
        QTest::newRow("F205, 128 KB sector")
            << "photon" << photon::kUserPart << 0 << 1000 << 256 * 16;
        QTest::newRow("Electron, the same chip")
            << "electron" << 0x08080000U << 0 << 1000 << 256 * 16;
        QTest::newRow("F103, 1 KB page") << "core" << 0x08006000U << 0 << 20 << 512 * 105 / 2;
    }
    void flash_takesTheTimesOfTheSheets()
    {
        QFETCH(QString, platform);
        QFETCH(quint32, address);
        QFETCH(int, erase);
        QFETCH(int, program);
        const auto name = platform.toStdString();
        Rig rig(benchText(concat("platform = \"", name, "\"\nstock = \"",
                                 name == "core" ? "0.7.0" : "1.5.2", "\"")));
        const auto device = rig.openDfu();
        RawDfu dfu(rig, *device);
        if (must(dfu.status()).state == 10)
            dfu.clearStatus();
        must(dfu.command(0x41, address));
        QCOMPARE(rig.board().flashTime(), std::chrono::microseconds(1000LL * erase));
        must(dfu.write(address, Bytes(1024, std::byte{0x5A})));
        QCOMPARE(rig.board().flashTime(), std::chrono::microseconds(1000LL * erase + program));
    }

    void transfer_costsWhatTheFileSays()
    {
        const sim::Pace timed{.speed = sim::Speed::Timed};
        QCOMPARE(timed.usbTime(true, 1000), std::chrono::microseconds(1300));
        QCOMPARE(timed.usbTime(false, 1000), std::chrono::microseconds(1000));
        const sim::Pace own{.speed = sim::Speed::Timed, .usbTransfer = 1000us, .usbKilobytes = 500};
        QCOMPARE(own.usbTime(true, 4096), std::chrono::microseconds(1000 + 8192));
        const sim::Pace instant{};
        QCOMPARE(instant.usbTime(true, 4096), 0us);
    }
};

} // namespace

PROVOST_TEST("bench_faults", TstBenchFaults)
#include "tst_bench_faults.moc"
