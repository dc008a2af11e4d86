// Our loaders and flash routines against virtual chips that keep the rules of PM0075 and PM0059.
#include "core/crc.h"
#include "device/probe_target.h"
#include "probe_rig.h"
#include "protocol/loaders/loader_words_p.h"
#include "protocol/stm32_flash.h"
#include "support/test_program.h"

#include <QElapsedTimer>
#include <QFile>
#include <QProcess>
#include <QTemporaryDir>

using namespace provost;
using namespace provost::test;
using namespace std::chrono_literals;

namespace {

constexpr std::uint32_t kBase = 0x08000000;

Bytes flashOf(ProbeRig& rig)
{
    return rig.withChip([](sim::Stm32Chip& chip) { return toBytes(chip.flash().array()); });
}

Bytes part(const Bytes& all, std::uint32_t address, std::size_t size)
{
    return toBytes(ByteView(all).subspan(address - kBase, size));
}

void fillFlash(ProbeRig& rig, const Bytes& bytes)
{
    rig.withChip([&](sim::Stm32Chip& chip) { chip.pokeFlash(0, bytes); });
}

/// A chip with noise in its flash, and everything to work on it.
struct Workbench {
    explicit Workbench(std::string_view model = "v2-1", std::string_view chip = "f103",
                       std::string_view more = "")
        : rig(model, chip, more), probe(rig.connect()),
          flash(taken(Stm32Flash::attach(probe, rig.op())))
    {
    }
    sim::FlashController::Counters counters()
    {
        return rig.withChip([](sim::Stm32Chip& chip) { return chip.flash().counters(); });
    }
    ProbeRig rig;
    StLinkProbe probe;
    Stm32Flash flash;
};

class TstStm32Flash : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void loaders_areWhatTheAssemblerMakesOfThem_data()
    {
        QTest::addColumn<QString>("source");
        QTest::addColumn<QByteArray>("words");
        const auto bytes = [](std::span<const std::uint16_t> words) {
            QByteArray out;
            for (const std::uint16_t word : words)
                out.append(static_cast<char>(word & 0xFF)).append(static_cast<char>(word >> 8));
            return out;
        };
        QTest::newRow("flash_fifo") << "flash_fifo.s" << bytes(kFlashFifoCode);
        QTest::newRow("crc32") << "crc32.s" << bytes(kCrc32Code);
    }
    void loaders_areWhatTheAssemblerMakesOfThem()
    {
        QFETCH(QString, source);
        QTemporaryDir directory;
        const QString object = directory.filePath("loader.o");
        const QString binary = directory.filePath("loader.bin");
        const QString path =
            QStringLiteral(PROVOST_SOURCE_DIR "/drivers/protocol/loaders/") + source;
        QCOMPARE(QProcess::execute("arm-none-eabi-as", {"-o", object, path}), 0);
        QCOMPARE(QProcess::execute("arm-none-eabi-objcopy", {"-O", "binary", object, binary}), 0);
        QFile file(binary);
        QVERIFY(file.open(QIODevice::ReadOnly));
        QTEST(file.readAll(), "words");
    }

    void attach_readsWhatTheChipIs()
    {
        Workbench core;
        QCOMPARE(core.flash.part().family, Stm32Part::Family::F1);
        QCOMPARE(core.flash.part().flashBytes, 128U * 1024);
        QCOMPARE(toHex(core.flash.part().uniqueId), std::string("33ff6f064d50363012570843"));
        QCOMPARE(core.flash.regions().size(), std::size_t{1});
        Workbench photon("v3", "f205");
        QCOMPARE(photon.flash.part().family, Stm32Part::Family::F2);
        QCOMPARE(photon.flash.part().flashBytes, 1024U * 1024);
        QCOMPARE(photon.flash.regions().size(), std::size_t{3});
        QCOMPARE(photon.flash.regions()[2].sectorSize, 128U * 1024);
        QVERIFY(taken(photon.probe.coreStatus(photon.rig.op())).halted);
    }

    void crcs_areThoseOfTheBytes()
    {
        Workbench bench("v2-1", "f205");
        const Bytes noise = pseudoNoise(64 * 1024);
        fillFlash(bench.rig, noise);
        for (const std::uint32_t size : {1U, 2U, 9U, 1024U, 16384U}) {
            const std::uint32_t count = size == 16384 ? 3 : 1;
            const auto sums = taken(bench.flash.crcs(kBase + 5, size, count, bench.rig.op()));
            for (std::uint32_t i = 0; i < count; ++i)
                QCOMPARE(sums.at(i), crc32(ByteView(noise).subspan(5 + i * size, size)));
        }
    }

    void program_putsAnyBlockIntoErasedFlash_data()
    {
        QTest::addColumn<QString>("chip");
        QTest::addColumn<double>("voltage");
        QTest::addColumn<unsigned>("offset");
        QTest::addColumn<unsigned>("size");
        QTest::newRow("F103, one byte") << "f103" << 3.3 << 0U << 1U;
        QTest::newRow("F103, odd ends") << "f103" << 3.3 << 1025U << 2222U;
        QTest::newRow("F103, more than the ring") << "f103" << 3.3 << 0U << 60000U;
        QTest::newRow("F205, one byte") << "f205" << 3.3 << 0x20003U << 1U;
        QTest::newRow("F205, odd ends") << "f205" << 3.3 << 0x20001U << 5551U;
        QTest::newRow("F205, more than the ring") << "f205" << 3.3 << 0x20000U << 200000U;
        QTest::newRow("F205 at 2.4 V") << "f205" << 2.4 << 0x20002U << 20001U;
        QTest::newRow("F205 at 1.9 V") << "f205" << 1.9 << 0x20001U << 20001U;
    }
    void program_putsAnyBlockIntoErasedFlash()
    {
        QFETCH(QString, chip);
        QFETCH(double, voltage);
        QFETCH(unsigned, offset);
        QFETCH(unsigned, size);
        Workbench bench("v2-1", chip.toStdString(), concat("voltage = ", fixed(voltage, 1)));
        const Bytes image = pseudoNoise(size);
        taken(bench.flash.program({.address = kBase + offset, .bytes = image}, bench.rig.op()));
        Bytes expected(flashOf(bench.rig).size(), std::byte{0xFF});
        std::copy(image.begin(), image.end(), expected.begin() + offset);
        QVERIFY(flashOf(bench.rig) == expected);
        QCOMPARE(bench.counters().refusals, 0U);
    }

    void program_leavesOutWhatIsBlank()
    {
        Workbench bench;
        Bytes image(64 * 1024, std::byte{0xFF});
        image.front() = image.back() = std::byte{0x12};
        taken(bench.flash.program({.address = kBase, .bytes = image}, bench.rig.op()));
        QVERIFY(part(flashOf(bench.rig), kBase, image.size()) == image);
        QCOMPARE(bench.counters().programs, 1024U); // two runs of 1 KiB in half-words
    }

    void program_stopsAtTheFirstWordThatIsNotErased()
    {
        Workbench bench;
        Bytes before = flashOf(bench.rig);
        before[1000] = std::byte{0x55};
        fillFlash(bench.rig, before);
        const auto refused =
            bench.flash.program({.address = kBase, .bytes = pseudoNoise(4096)}, bench.rig.op());
        QVERIFY(!refused);
        QCOMPARE(refused.error().code, Errc::Io);
        QVERIFY2(refused.error().message.find("0x080003e8") != std::string::npos,
                 refused.error().message.c_str());
    }

    void program_outsideIsRefusedBeforeAnythingGoes()
    {
        Workbench bench;
        const auto refused = bench.flash.program(
            {.address = kBase + 127 * 1024, .bytes = pseudoNoise(1025)}, bench.rig.op());
        QVERIFY(!refused);
        QCOMPARE(refused.error().code, Errc::InvalidArgument);
        QVERIFY(!bench.flash.erase(kBase + 127 * 1024, 1025, bench.rig.op()));
        QCOMPARE(bench.counters().programs + bench.counters().erases, 0U);
    }

    void erase_takesExactlyTheSectorsItTouches_data()
    {
        QTest::addColumn<QString>("chip");
        QTest::addColumn<unsigned>("offset");
        QTest::addColumn<unsigned>("size");
        QTest::addColumn<unsigned>("goneFrom");
        QTest::addColumn<unsigned>("goneTo");
        QTest::newRow("F103 page") << "f103" << 1024U << 1024U << 1024U << 2048U;
        QTest::newRow("F103 across") << "f103" << 1023U << 2U << 0U << 2048U;
        QTest::newRow("F205 sector 3") << "f205" << 0xC001U << 1U << 0xC000U << 0x10000U;
        QTest::newRow("F205 3 to 5") << "f205" << 0xFFFFU << 0x10002U << 0xC000U << 0x40000U;
        QTest::newRow("F205 last") << "f205" << 0xFFFFFU << 1U << 0xE0000U << 0x100000U;
    }
    void erase_takesExactlyTheSectorsItTouches()
    {
        QFETCH(QString, chip);
        QFETCH(unsigned, offset);
        QFETCH(unsigned, size);
        QFETCH(unsigned, goneFrom);
        QFETCH(unsigned, goneTo);
        Workbench bench("v2-1", chip.toStdString());
        Bytes expected = pseudoNoise(flashOf(bench.rig).size());
        fillFlash(bench.rig, expected);
        taken(bench.flash.erase(kBase + offset, size, bench.rig.op()));
        std::fill(expected.begin() + goneFrom, expected.begin() + goneTo, std::byte{0xFF});
        QVERIFY(flashOf(bench.rig) == expected);
    }

    void massErase_takesAll()
    {
        for (const std::string_view chip : {"f103", "f205"}) {
            Workbench bench("v3", chip);
            fillFlash(bench.rig, pseudoNoise(flashOf(bench.rig).size()));
            taken(bench.flash.massErase(bench.rig.op()));
            QVERIFY(flashOf(bench.rig) == Bytes(flashOf(bench.rig).size(), std::byte{0xFF}));
            QCOMPARE(bench.counters().massErases, 1U);
        }
    }

    void writeVerified_leavesAloneWhatIsThere()
    {
        Workbench bench;
        Bytes image = pseudoNoise(10 * 1024);
        fillFlash(bench.rig, image);
        const auto same = taken(
            bench.flash.writeVerified({.address = kBase, .bytes = image}, false, bench.rig.op()));
        QCOMPARE(same.written, 0U);
        QCOMPARE(same.skipped, 10U * 1024);
        QCOMPARE(bench.counters().erases, 0U);
        image[3000] ^= std::byte{1};
        image[9000] ^= std::byte{1};
        const auto two = taken(
            bench.flash.writeVerified({.address = kBase, .bytes = image}, false, bench.rig.op()));
        QCOMPARE(two.written, 2U * 1024);
        QCOMPARE(bench.counters().erases, 2U);
        QVERIFY(part(flashOf(bench.rig), kBase, image.size()) == image);
    }

    void probeTarget_isMemoryLikeAnyOther()
    {
        Workbench bench("v2-1", "f205");
        fillFlash(bench.rig, pseudoNoise(1024 * 1024, 3));
        ProbeTarget target(bench.flash);
        const Bytes image = pseudoNoise(20000);
        const MemoryBlock block{.address = kBase + 0x4000, .bytes = image};
        const auto first = taken(programAndVerify(target, block, bench.rig.op()));
        QCOMPARE(first.sectors, 2);
        QVERIFY(part(flashOf(bench.rig), kBase + 0x4000, image.size()) == image);
        const auto again = taken(programAndVerify(target, block, bench.rig.op()));
        QCOMPARE(again.skipped, 20000U);
    }

    void writeVerified_ofTheWholeDeviceErasesItAtOnce()
    {
        Workbench bench;
        fillFlash(bench.rig, pseudoNoise(128 * 1024, 9));
        const Bytes image = pseudoNoise(128 * 1024);
        taken(bench.flash.writeVerified({.address = kBase, .bytes = image}, false, bench.rig.op()));
        QVERIFY(flashOf(bench.rig) == image);
        QCOMPARE(bench.counters().massErases, 1U);
        QCOMPARE(bench.counters().erases, 0U);
    }

    void writeVerified_liftsProtectionAndPutsItBack_data() { chips(); }
    void writeVerified_liftsProtectionAndPutsItBack()
    {
        QFETCH(QString, chip);
        Workbench bench("v2-1", chip.toStdString());
        const OpContext op = bench.rig.op();
        taken(bench.flash.setWriteProtection(0x3, op));
        const Bytes image = pseudoNoise(2000);
        const MemoryBlock block{.address = kBase, .bytes = image};
        const auto refused = bench.flash.writeVerified(block, false, op);
        QVERIFY(!refused);
        QCOMPARE(refused.error().code, Errc::Protected);
        QCOMPARE(bench.counters().programs + bench.counters().erases, 0U);
        const auto direct = bench.flash.erase(kBase, 1, op);
        QVERIFY(!direct);
        QCOMPARE(direct.error().code, Errc::Protected);
        const auto outcome = taken(bench.flash.writeVerified(block, true, op));
        QVERIFY(outcome.protectionLifted);
        QVERIFY(part(flashOf(bench.rig), kBase, image.size()) == image);
        QCOMPARE(taken(bench.flash.protection(op)).writeProtected, 0x3U);
        QVERIFY(!taken(bench.flash.protection(op)).readProtected);
    }

    void writeVerified_putsProtectionBackAlsoWhenItFails_data() { chips(); }
    void writeVerified_putsProtectionBackAlsoWhenItFails()
    {
        QFETCH(QString, chip);
        Workbench bench("v2-1", chip.toStdString());
        taken(bench.flash.setWriteProtection(0x3, bench.rig.op()));
        const MemoryBlock block{.address = kBase, .bytes = pseudoNoise(2000)};
        const auto before = bench.counters().erases;
        OpContext op = bench.rig.op();
        struct StopAtErase final : ProgressSink {
            void report(std::string_view phase, double) override
            {
                if (phase == "writing")
                    stop.request_stop();
            }
            std::stop_source stop{};
        } sink;
        op.progress.sink = &sink;
        op.stop = sink.stop.get_token();
        const auto cancelled = bench.flash.writeVerified(block, true, op);
        QVERIFY(!cancelled);
        QCOMPARE(cancelled.error().code, Errc::Cancelled);
        QVERIFY(bench.counters().erases > before);
        QCOMPARE(taken(bench.flash.protection(bench.rig.op())).writeProtected, 0x3U);
    }

    void readProtection_isNeverTouched()
    {
        Workbench bench("v2-1", "f205");
        for (const std::uint32_t units : {0x001U, 0xFFFU, 0x0U, 0x0CCU}) {
            taken(bench.flash.setWriteProtection(units, bench.rig.op()));
            const auto options = bench.rig.withChip(
                [](sim::Stm32Chip& chip) { return toBytes(chip.flash().options()); });
            QCOMPARE(u8(options[1]), std::uint8_t{0xAA});
            QVERIFY(
                !bench.rig.withChip([](sim::Stm32Chip& chip) { return chip.flash().debugDead(); }));
        }
    }

    void readProtectedChip_saysSoAndIsNotWritten()
    {
        ProbeRig rig("v2-1", "f205");
        // Level 1, as somebody else set it.
        rig.withChip([](sim::Stm32Chip& chip) {
            sim::FlashController& flash = chip.flash();
            flash.store(0x08, 0x08192A3B);
            flash.store(0x08, 0x4C5D6E7F);
            flash.store(0x14, 0x0FFF55EC);
            flash.store(0x14, 0x0FFF55EE);
            chip.systemReset();
        });
        StLinkProbe probe = rig.connect();
        Stm32Flash flash = taken(Stm32Flash::attach(probe, rig.op()));
        const auto read = flash.read(kBase, 16, rig.op());
        QVERIFY(!read);
        QCOMPARE(read.error().code, Errc::Protected);
        QVERIFY(read.error().message.find("read protection is on") != std::string::npos);
        const auto written =
            flash.writeVerified({.address = kBase, .bytes = pseudoNoise(4)}, true, rig.op());
        QVERIFY(!written);
        QCOMPARE(written.error().code, Errc::Protected);
        QVERIFY(!flash.setWriteProtection(1, rig.op()));
    }

    void leave_startsTheFirmware()
    {
        Workbench bench;
        const std::uint16_t forEver = 0xE7FE;
        Bytes image;
        ByteWriter(image).le32(0x20001000).le32(kBase + 9).le16(forEver);
        taken(bench.flash.writeVerified({.address = kBase, .bytes = image}, false, bench.rig.op()));
        taken(bench.flash.leave(bench.rig.op()));
        QCOMPARE(bench.rig.withChip([](sim::Stm32Chip& chip) { return chip.debug().state(); }),
                 sim::CortexDebug::State::Running);
    }

    /// Prints what a timed target takes beside what physics asks for; judges the bytes only.
    void timedWrite_printsItsCost_data()
    {
        QTest::addColumn<QString>("chip");
        QTest::addColumn<unsigned>("size");
        QTest::addColumn<double>("erase");   // s, DS5319, DS6329
        QTest::addColumn<double>("program"); // s
        QTest::newRow("F103") << "f103" << 32U * 1024 << 32 * 0.020 << 16384 * 52e-6;
        QTest::newRow("F205") << "f205" << 128U * 1024 << 1.0 << 32768 * 16e-6;
    }
    void timedWrite_printsItsCost()
    {
        QFETCH(QString, chip);
        QFETCH(unsigned, size);
        QFETCH(double, erase);
        QFETCH(double, program);
        const bool isF1 = chip == "f103";
        ProbeRig rig(isF1 ? "v2-1" : "v3", chip.toStdString(), "", "timed");
        const std::uint32_t offset = isF1 ? 0 : 0x20000;
        const Bytes image = pseudoNoise(size);
        StLinkProbe probe = rig.open();
        QElapsedTimer timer;
        timer.start();
        taken(probe.connect({.kilohertz = isF1 ? 4000U : 24000U}, rig.op()));
        Stm32Flash flash = taken(Stm32Flash::attach(probe, rig.op()));
        const double connect = static_cast<double>(timer.nsecsElapsed()) / 1e9;
        const MemoryBlock block{.address = kBase + offset, .bytes = image};
        taken(flash.writeVerified(block, false, rig.op()));
        const double whole = static_cast<double>(timer.nsecsElapsed()) / 1e9;
        QVERIFY(part(flashOf(rig), kBase + offset, size) == image);
        timer.restart();
        taken(flash.crcs(kBase + offset, size, 1, rig.op()));
        const double sum = static_cast<double>(timer.nsecsElapsed()) / 1e9;
        const double wire = size / 4 * 46.0 / (isF1 ? 4000e3 : 24000e3);
        const double model = erase + std::max(program, wire) + connect;
        qInfo("%u KiB: %.2f s, erase + max(program, SWD) + connect %.2f s, ratio %.2f; one sum on "
              "the target %.3f s (emulated)",
              size / 1024, whole, model, whole / model, sum);
    }

private:
    static void chips()
    {
        QTest::addColumn<QString>("chip");
        QTest::newRow("F103") << "f103";
        QTest::newRow("F205") << "f205";
    }
};

} // namespace

PROVOST_TEST("stm32_flash", TstStm32Flash)
#include "tst_stm32_flash.moc"
