// Faults that a bench file asks for, and the times that the flash of each board takes.
#include "sim/probe_bench.h"
#include "support/test_program.h"
#include "virtual_rig.h"

#include "protocol/ymodem_sender.h"
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

bool allAre(ByteView bytes, int value)
{
    return std::ranges::all_of(bytes, [value](std::byte each) { return each == std::byte(value); });
}

/// Into the console of a unit that listens, as the sheet spells it for a unit.
Result<> sendByYModem(Rig& rig, ByteView module)
{
    rig.waitFor(kCdc);
    const auto port = TRY(rig.bench().serial().open("sim:rig#1"));
    TRY(port->writeAll(viewOf("f"), rig.op()));
    YModemSender sender(*port, {.flavour = YModemFlavour::Unit});
    TRY(sender.send("user.bin", module, rig.op()));
    return sender.finish(rig.op());
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

    void bulkTransfer_goesWrongOnce_data() { transfer_goesWrongOnce_data(); }
    void bulkTransfer_goesWrongOnce()
    {
        QFETCH(QString, kind);
        QFETCH(int, error);
        // Transfer 1 is the question, 2 its answer.
        Rig rig(with(concat("kind = \"", kind.toStdString(), "\"\ntransfer = 2\npipe = \"bulk\"")));
        rig.waitFor(kCdc);
        QVERIFY(rig.until([&] { return rig.board().mode() == sim::BoardMode::Listening; }));
        auto port = must(rig.bench().serial().open("sim:rig#1"));
        const std::string right = concat("Your device id is ", rig.unit().deviceId, "\r\n");
        const auto ask = [&]() -> Result<std::string> {
            TRY(port->writeAll(viewOf("i"), rig.op()));
            std::string text;
            Bytes bytes(256);
            while (text.size() < right.size()) {
                const auto more = port->readSome(bytes, rig.op(text.empty() ? kHangGuard : 100ms));
                if (!more && !text.empty() && more.error().code == Errc::Timeout)
                    return text;
                text += toText(ByteView(bytes).first(TRY(Result<std::size_t>(more))));
            }
            return text;
        };
        const auto wrong = ask();
        if (error >= 0) {
            QVERIFY(!wrong);
            QCOMPARE(static_cast<int>(wrong.error().code), error);
        } else {
            QVERIFY(wrong && *wrong != right);
        }
        if (kind == "unplug")
            return;
        must(port->discardInput());
        QCOMPARE(must(ask()), right);
    }

    void bulkOut_goesWrongOnce()
    {
        Rig rig(with("kind = \"stall\"\ntransfer = 1\npipe = \"bulk\""));
        rig.waitFor(kCdc);
        auto port = must(rig.bench().serial().open("sim:rig#1"));
        const auto wrong = port->writeAll(viewOf("i"), rig.op());
        QVERIFY(!wrong);
        QCOMPARE(wrong.error().code, Errc::Protocol);
        must(port->writeAll(viewOf("i"), rig.op()));
    }

    void probesTransfer_goesWrongOnce_data() { transfer_goesWrongOnce_data(); }
    void probesTransfer_goesWrongOnce()
    {
        QFETCH(QString, kind);
        QFETCH(int, error);
        // Transfer 1 is the command, 2 its answer.
        const auto bench = must(sim::ProbeBench::parse(
            concat("[bench]\nname = \"p\"\nspeed = \"instant\"\n[[probe]]\nnumber = 1\n"
                   "[[probe.fault]]\nkind = \"",
                   kind.toStdString(), "\"\ntransfer = 2\n"),
            "p.toml", sim::standingCores()));
        const auto device = must(bench->usb().open(must(bench->usb().enumerate()).at(0)));
        const SystemClock clock;
        const OpContext op{.clock = clock, .deadline = {clock.now() + kHangGuard}};
        const auto askVersion = [&]() -> Result<Bytes> {
            Bytes command(16);
            command[0] = std::byte{0xF1};
            TRY(device->bulkOut(0x01, command, op));
            Bytes answer(6);
            answer.resize(TRY(device->bulkIn(0x81, answer, op)));
            return answer;
        };
        const auto wrong = askVersion();
        if (error >= 0) {
            QVERIFY(!wrong);
            QCOMPARE(static_cast<int>(wrong.error().code), error);
        }
        if (kind == "unplug")
            return;
        const Bytes right = must(askVersion());
        QCOMPARE(right.size(), std::size_t{6});
        QVERIFY(error >= 0 || (wrong && *wrong != right));
    }

    void probesFault_isCheckedInTheFile_data()
    {
        QTest::addColumn<QByteArray>("fault");
        QTest::addColumn<QByteArray>("says");
        QTest::newRow("no kind") << QByteArray("transfer = 1") << QByteArray("kind: is needed");
        QTest::newRow("of a board")
            << QByteArray("kind = \"brown-out\"\ntransfer = 1") << QByteArray("kind: one of stall");
        QTest::newRow("never") << QByteArray("kind = \"stall\"\ntransfer = 0")
                               << QByteArray("counted from 1");
        QTest::newRow("no number")
            << QByteArray("kind = \"stall\"") << QByteArray("transfer: 0 to");
        QTest::newRow("pipe") << QByteArray("kind = \"stall\"\ntransfer = 1\npipe = \"iso\"")
                              << QByteArray("pipe: one of control, bulk");
    }
    void probesFault_isCheckedInTheFile()
    {
        QFETCH(QByteArray, fault);
        QFETCH(QByteArray, says);
        const auto wrong = sim::ProbeBench::parse(
            concat("[bench]\nname = \"p\"\n[[probe]]\nnumber = 1\n[[probe.fault]]\n",
                   fault.toStdString(), "\n"),
            "p.toml", sim::standingCores());
        QVERIFY(!wrong);
        QVERIFY2(wrong.error().message.find(says.toStdString()) != std::string::npos,
                 wrong.error().message.c_str());
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

    void brownOut_whileYModemErases()
    {
        Rig rig(with("kind = \"brown-out\"\nerase = 2\nof = \"ymodem\""));
        const std::uint32_t area = rig.board().profile().received.address;
        const Bytes module = sim::buildModule({.start = 0x08020000,
                                               .length = 0x30000, // two sectors of that area
                                               .version = 2302,
                                               .function = sim::ModuleFunction::SystemPart,
                                               .index = 1});
        rig.board().pokeFlash(area, Bytes(2 * kSector, std::byte{0}));
        const auto before = rig.waitFor(kCdc).incarnation;
        const auto cut = sendByYModem(rig, module);
        QVERIFY(!cut);
        QCOMPARE(cut.error().code, Errc::Disconnected);
        QVERIFY(rig.until([&] { return rig.waitFor(kCdc).incarnation != before; }));
        const Bytes found = rig.board().readFlash(area, 2 * kSector);
        QVERIFY(allAre(ByteView(found).first(kSector + kSector / 2), 0xFF));
        QVERIFY(allAre(ByteView(found).subspan(kSector + kSector / 2), 0xA5));
        const auto again = sendByYModem(rig, module);
        QVERIFY2(again.has_value(), again ? "" : describe(again.error()).c_str());
        QVERIFY(
            rig.until([&] { return rig.board().readFlash(0x08020000, module.size()) == module; }));
    }

    void brownOut_whileTheTableChanges()
    {
        Rig rig(with("kind = \"brown-out\"\nerase = 1\nof = \"table\""));
        const auto device = rig.openDfu();
        RawDfu dfu(rig, *device);
        const int current = rig.board().currentDct();
        const Bytes good = rig.board().physicalDct(current);
        rig.board().pokeFlash(0x08004000 + (current == 0 ? 0x4000 : 0), Bytes(0x4000));
        const Bytes address(16, std::byte{0x5C});
        dfu.alternate(1);
        const auto cut = dfu.write(1634, address);
        QVERIFY(!cut);
        QCOMPARE(cut.error().code, Errc::Disconnected);
        rig.waitFor(kCdc);
        // The copy that counts is whole; of the other one half is erased and nothing programmed.
        QCOMPARE(rig.board().currentDct(), current);
        QVERIFY(rig.board().physicalDct(current) == good);
        const Bytes half = rig.board().physicalDct(1 - current);
        QVERIFY(allAre(ByteView(half).first(0x2000), 0xFF));
        QVERIFY(allAre(ByteView(half).subspan(0x2000), 0xA5));
        const auto anew = rig.openDfu();
        RawDfu second(rig, *anew);
        second.alternate(1);
        QVERIFY(second.write(1634, address).has_value());
        QCOMPARE(rig.board().currentDct(), 1 - current);
        QVERIFY(second.read(1634, address.size()) == address);
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
        QTest::newRow("nobody erases so")
            << "kind = \"brown-out\"\nerase = 1\nof = \"swd\"" << "of: one of";
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
