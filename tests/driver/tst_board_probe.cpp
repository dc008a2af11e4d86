// A probe on the chip of a virtual board: what SWD writes the board boots, what DFU wrote SWD
// reads.
#include "config/load_plan.h"
#include "core/crc.h"
#include "device/dct_memory.h"
#include "device/dfu_target.h"
#include "device/probe_target.h"
#include "device/swd_unit.h"
#include "probe_rig.h"
#include "support/must.h"
#include "support/test_program.h"
#include "virtual_rig.h"

using namespace provost;
using namespace provost::test;
using namespace std::chrono_literals;

namespace {

PlatformSpec platformNamed(const std::string& name)
{
    return must(loadPlatform(concat(PROVOST_SOURCE_DIR, "/stations/platforms/", name, ".toml")));
}

std::string wiredBench(std::string_view unit)
{
    return concat(benchText(unit), "[[probe]]\nnumber = 1\nmodel = \"v3\"\nslot = 1\n");
}

std::string unitOf(std::string_view platform, std::string_view stock)
{
    return concat("platform = \"", platform, "\"\nstock = \"", stock, "\"");
}

/// A board with a probe on its chip, and our driver at the probe's other end.
class WiredRig : public Rig {
public:
    WiredRig(std::string_view platform, std::string_view stock,
             sim::CoreExecutorMaker cores = sim::unicornCores())
        : Rig(wiredBench(unitOf(platform, stock)), std::move(cores)),
          m_platform(platformNamed(std::string(platform)))
    {
    }
    const PlatformSpec& platform() const { return m_platform; }
    StLinkProbe connect()
    {
        const auto info = must(bench().usb().waitFor(*bench().slots().front().probe, {}, op()));
        StLinkProbe probe = must(StLinkProbe::open(must(bench().usb().open(info)), op()));
        must(probe.connect({.kilohertz = 24000}, op()));
        return probe;
    }
    /// One session: halted, worked on, let go again.
    template <class Use>
    void withFlash(Use use)
    {
        StLinkProbe probe = connect();
        Stm32Flash flash = must(Stm32Flash::attach(probe, op()));
        use(flash);
        must(flash.leave(op()));
    }
    template <class Use>
    void withTable(Use use)
    {
        withFlash([&](Stm32Flash& flash) {
            ProbeTarget target(flash);
            ProbeDct table(target, m_platform.dct);
            use(table);
        });
    }
    bool comesTo(sim::BoardMode mode)
    {
        return until([&] { return board().mode() == mode; });
    }
    /// On its feet, whatever it has to say.
    void awaitBoot()
    {
        QVERIFY(until([&] {
            return board().mode() != sim::BoardMode::Off &&
                   board().mode() != sim::BoardMode::Booting;
        }));
    }
    DfuDevice dfuSession() { return must(DfuDevice::open(openDfu(), op())); }

private:
    PlatformSpec m_platform;
};

const SecretBytes& claimText()
{
    static const SecretBytes text(
        viewOf("123456789012345678901234567890123456789012345678901234567890123"));
    return text;
}

void putClaim(DctMemory& table, const PlatformSpec& platform, const OpContext& op)
{
    must(table.writeSecret(platform.dct.claimCode.offset, claimText(), op));
}

bool holdsClaim(DctMemory& table, const PlatformSpec& platform, const OpContext& op)
{
    const auto& field = platform.dct.claimCode;
    return equalBytes(must(table.readSecret(field.offset, field.size, op)).reveal(),
                      claimText().reveal());
}

/// Flash that loses its supply in front of the n-th change.
class CutOffMemory final : public MemoryTarget {
public:
    CutOffMemory(MemoryTarget& real, int changes) : m_real(real), m_left(changes) {}
    std::span<const MemoryRegion> regions() const override { return m_real.regions(); }
    Result<> erase(std::uint32_t address, std::uint32_t size, const OpContext& op) override
    {
        return m_left-- > 0 ? m_real.erase(address, size, op) : gone();
    }
    Result<> program(const MemoryBlock& block, const OpContext& op) override
    {
        return m_left-- > 0 ? m_real.program(block, op) : gone();
    }
    Result<Bytes> read(std::uint32_t address, std::uint32_t size, const OpContext& op) override
    {
        return m_real.read(address, size, op);
    }

private:
    static Result<> gone() { return fail(Errc::Disconnected, Blame::Fixture, "cut off"); }
    MemoryTarget& m_real;
    int m_left;
};

class TstBoardProbe : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void identity_isThatOfTheUnitInTheSlot_data() { boards(); }
    void identity_isThatOfTheUnitInTheSlot()
    {
        WiredRig rig = fromRow();
        rig.withFlash([&](Stm32Flash& flash) {
            QCOMPARE(toHex(flash.part().uniqueId), rig.unit().deviceId);
            QCOMPARE(flash.part().family == Stm32Part::Family::F1, rig.platform().name == "core");
        });
    }

    void flashWrittenBySwd_isWhatTheBoardBoots_data() { boards(); }
    void flashWrittenBySwd_isWhatTheBoardBoots()
    {
        WiredRig rig = fromRow();
        rig.awaitBoot();
        QVERIFY(rig.board().mode() != sim::BoardMode::Dfu);
        const auto& home = rig.board().profile().systemRegion();
        const Bytes system = rig.board().readFlash(home.address, home.size);
        rig.withFlash(
            [&](Stm32Flash& flash) { must(flash.erase(home.address, home.size, rig.op())); });
        QVERIFY(rig.comesTo(sim::BoardMode::Dfu)); // nothing to boot
        rig.withFlash([&](Stm32Flash& flash) {
            const MemoryBlock block{.address = home.address, .bytes = system};
            const auto outcome = must(flash.writeVerified(block, false, rig.op()));
            QVERIFY(outcome.written > 0);
        });
        rig.awaitBoot();
        QVERIFY(rig.until([&] { return rig.board().mode() != sim::BoardMode::Dfu; }));
        QVERIFY(rig.board().readFlash(home.address, home.size) == system);
    }

    void flashWrittenByDfu_isWhatSwdReads_data() { boards(); }
    void flashWrittenByDfu_isWhatSwdReads()
    {
        WiredRig rig = fromRow();
        const std::uint32_t address = rig.board().profile().systemRegion().address;
        const Bytes image = pseudoNoise(3000, 5);
        {
            DfuDevice device = rig.dfuSession();
            must(device.select(0, rig.op()));
            DfuTarget target(device);
            must(programAndVerify(target, {.address = address, .bytes = image}, rig.op()));
        }
        StLinkProbe probe = rig.connect();
        QVERIFY(must(probe.read(address, 3000, rig.op())) == image);
        must(probe.disconnect(rig.op()));
    }

    void unitHeldInReset_isOffTheBusUntilItIsLetGo()
    {
        WiredRig rig("photon", "0.6.3");
        rig.waitFor(kCdc);
        StLinkProbe probe = rig.connect();
        must(probe.resetAndHalt(rig.op()));
        QVERIFY(rig.comesTo(sim::BoardMode::Off));
        QVERIFY(rig.until([&] { return must(rig.bench().usb().enumerate()).size() == 1; }));
        must(probe.run(false, rig.op()));
        const auto before = rig.waitFor(kCdc).incarnation;
        must(probe.reset(rig.op()));
        QVERIFY(rig.until([&] {
            const auto devices = must(rig.bench().usb().enumerate());
            return devices.size() == 2 && rig.waitFor(kCdc).incarnation != before;
        }));
    }

    void lookingOn_leavesTheFirmwareRunning()
    {
        WiredRig rig("photon", "0.6.3");
        const auto before = rig.waitFor(kCdc).incarnation;
        StLinkProbe probe = rig.connect();
        QVERIFY(!must(probe.coreStatus(rig.op())).halted);
        QCOMPARE(toHex(must(probe.read(0x1FFF7A10, 12, rig.op()))), rig.unit().deviceId);
        must(probe.disconnect(rig.op()));
        QCOMPARE(rig.waitFor(kCdc).incarnation, before);
    }

    void unitWithoutSupply_hasNoTarget()
    {
        WiredRig rig("photon", "0.6.3");
        rig.waitFor(kCdc);
        must(rig.bench().setPower(1, false));
        const auto port = *rig.bench().slots().front().probe;
        StLinkProbe probe = must(StLinkProbe::open(
            must(rig.bench().usb().open(must(rig.bench().usb().waitFor(port, {}, rig.op())))),
            rig.op()));
        const auto off = probe.connect({}, rig.op());
        QVERIFY(!off);
        QCOMPARE(off.error().code, Errc::Unavailable);
        must(rig.bench().setPower(1, true));
        must(probe.connect({}, rig.op()));
        must(rig.bench().removeUnit(1));
        QVERIFY(!probe.connect({}, rig.op()));
    }

    void bootloaderProtection_isOneForBothSides_data() { boards(); }
    void bootloaderProtection_isOneForBothSides()
    {
        WiredRig rig = fromRow();
        const Bytes boot = rig.board().readFlash(0x08000000, 0x4000);
        rig.withFlash([&](Stm32Flash& flash) {
            const std::uint32_t units = flash.part().family == Stm32Part::Family::F1 ? 0xF : 0x1;
            QCOMPARE(must(flash.protection(rig.op())).writeProtected, units);
            Bytes other = boot;
            other[0x2000] ^= std::byte{0xFF};
            const auto refused =
                flash.writeVerified({.address = 0x08000000, .bytes = other}, false, rig.op());
            QVERIFY(!refused);
            QCOMPARE(refused.error().code, Errc::Protected);
            must(flash.writeVerified({.address = 0x08000000, .bytes = other}, true, rig.op()));
            QVERIFY(must(flash.read(0x08000000, 0x4000, rig.op())) == other);
            must(flash.writeVerified({.address = 0x08000000, .bytes = boot}, true, rig.op()));
            must(flash.setWriteProtection(0, rig.op()));
        });
        rig.awaitBoot(); // the firmware protects it again (particle-devices 2.4)
        rig.withFlash([&](Stm32Flash& flash) {
            QVERIFY(must(flash.protection(rig.op())).writeProtected != 0);
        });
    }

    void withoutACore_thePortDoesTheWork_data() { boards(); }
    void withoutACore_thePortDoesTheWork()
    {
        WiredRig rig = fromRow(sim::standingCores());
        const auto& home = rig.board().profile().systemRegion();
        const Bytes image = pseudoNoise(20001, 3);
        rig.withFlash([&](Stm32Flash& flash) {
            const MemoryBlock block{.address = home.address, .bytes = image};
            must(flash.writeVerified(block, false, rig.op()));
            QCOMPARE(must(flash.writeVerified(block, false, rig.op())).written, 0U);
        });
        QVERIFY(rig.board().readFlash(home.address, image.size()) == image);
    }

    void tablePatchedBySwd_isWhatTheUnitReads_data() { tables(); }
    void tablePatchedBySwd_isWhatTheUnitReads()
    {
        WiredRig rig = fromRow();
        const int before = rig.board().currentDct();
        rig.withTable([&](ProbeDct& table) {
            putClaim(table, rig.platform(), rig.op());
            QVERIFY(holdsClaim(table, rig.platform(), rig.op()));
            const auto dct = must(table.snapshot(rig.op()));
            QCOMPARE(dct.current(), std::optional(1 - before));
        });
        QCOMPARE(rig.board().currentDct(), 1 - before);
        rig.awaitBoot();
        {
            DfuDevice device = rig.dfuSession();
            const auto table = must(DfuDct::open(device, rig.platform().dct, rig.op()));
            QVERIFY(holdsClaim(*table, rig.platform(), rig.op()));
        }
        // And back into the first copy.
        rig.withTable([&](ProbeDct& table) { putClaim(table, rig.platform(), rig.op()); });
        QCOMPARE(rig.board().currentDct(), before);
    }

    void tableWrittenByDfu_isWhatSwdReads_data() { tables(); }
    void tableWrittenByDfu_isWhatSwdReads()
    {
        WiredRig rig = fromRow();
        {
            DfuDevice device = rig.dfuSession();
            const auto table = must(DfuDct::open(device, rig.platform().dct, rig.op()));
            putClaim(*table, rig.platform(), rig.op());
        }
        rig.withTable([&](ProbeDct& table) {
            QVERIFY(holdsClaim(table, rig.platform(), rig.op()));
            // On what DFU left, an Electron's footer included, a patch works again.
            must(table.writeSecret(rig.platform().dct.claimed.offset, SecretBytes(viewOf("1")),
                                   rig.op()));
        });
        DfuDevice device = rig.dfuSession();
        const auto table = must(DfuDct::open(device, rig.platform().dct, rig.op()));
        QVERIFY(holdsClaim(*table, rig.platform(), rig.op()));
        QCOMPARE(u8(must(table->read(rig.platform().dct.claimed.offset, 1, rig.op()))[0]),
                 std::uint8_t{'1'});
    }

    void electronsFooter_isSummedAnew()
    {
        WiredRig rig("electron", "2.3.1");
        {
            DfuDevice device = rig.dfuSession();
            const auto table = must(DfuDct::open(device, rig.platform().dct, rig.op()));
            putClaim(*table, rig.platform(), rig.op()); // from here on there is a footer
        }
        rig.withTable([&](ProbeDct& table) {
            must(table.writeSecret(rig.platform().dct.claimed.offset, SecretBytes(viewOf("1")),
                                   rig.op()));
        });
        const Bytes copy = rig.board().physicalDct(rig.board().currentDct());
        // particle-devices 3.2: CRC-32 from +8 up to the CRC field, in the last four bytes.
        QCOMPARE(readLe32(copy, 0x3FFC), crc32(ByteView(copy).first(0x3FFC).subspan(8)));
        const Bytes stale = rig.board().physicalDct(1 - rig.board().currentDct());
        QCOMPARE(toHex(ByteView(stale).subspan(4, 4)), std::string("000ca069"));
    }

    void anyCut_leavesOneCopyThatCounts_data() { tables(); }
    void anyCut_leavesOneCopyThatCounts()
    {
        for (int changes = 0; changes < 4; ++changes) {
            WiredRig rig = fromRow();
            rig.withFlash([&](Stm32Flash& flash) {
                ProbeTarget target(flash);
                CutOffMemory cut(target, changes);
                ProbeDct table(cut, rig.platform().dct);
                const auto& field = rig.platform().dct.claimCode;
                const auto written = table.writeSecret(field.offset, claimText(), rig.op());
                QVERIFY(!written);
                const auto dct = must(table.snapshot(rig.op()));
                const bool both = dct.isCurrent(0) && dct.isCurrent(1);
                QVERIFY2(dct.current() || both, qPrintable(QString::number(changes)));
            });
            rig.awaitBoot();
            // The unit still reads a table, the old one or the new one.
            DfuDevice device = rig.dfuSession();
            QVERIFY(DfuDct::open(device, rig.platform().dct, rig.op()).has_value());
        }
    }

    void trailerOfNewFirmware_isRefusedUnlessBothSectorsAreRestored()
    {
        WiredRig rig("photon", "1.5.2");
        SecretBytes both;
        rig.withTable([&](ProbeDct& table) {
            const auto dct = must(table.snapshot(rig.op()));
            QVERIFY(dct.hasTrailer(*dct.current()));
            both = SecretBytes(2 * dct.sector(0).size());
            std::ranges::copy(dct.sector(0), both.writable().begin());
            std::ranges::copy(dct.sector(1), both.writable().begin() + 0x4000);
            const auto refused =
                table.writeSecret(rig.platform().dct.claimCode.offset, claimText(), rig.op());
            QVERIFY(!refused);
            QCOMPARE(refused.error().code, Errc::Denied);
            QCOMPARE(refused.error().cause, std::string("C063"));
            QVERIFY(refused.error().message.find("both sectors") != std::string::npos);
        });
        QVERIFY(equalBytes(rig.board().readFlash(0x08004000, 0x8000), both.reveal()));
        {
            DfuDevice device = rig.dfuSession();
            const auto table = must(DfuDct::open(device, rig.platform().dct, rig.op()));
            putClaim(*table, rig.platform(), rig.op());
        }
        rig.withTable([&](ProbeDct& table) {
            must(table.restore(both, rig.op()));
            const SecretBytes none(std::size_t{0x8000});
            QVERIFY(!table.restore(none, rig.op()));
        });
        QVERIFY(equalBytes(rig.board().readFlash(0x08004000, 0x8000), both.reveal()));
        rig.awaitBoot();
        DfuDevice device = rig.dfuSession();
        const auto table = must(DfuDct::open(device, rig.platform().dct, rig.op()));
        QVERIFY(!holdsClaim(*table, rig.platform(), rig.op()));
    }

    void unitOfAnotherPlatform_isRefused_data() { boards(); }
    void unitOfAnotherPlatform_isRefused()
    {
        WiredRig rig = fromRow();
        for (const char* name : {"photon", "p1", "electron"}) {
            const auto platform = platformNamed(name);
            SwdUnit unit({.usb = rig.bench().usb(),
                          .serial = rig.bench().serial(),
                          .probe = *rig.bench().slots().front().probe},
                         platform);
            const auto identified = unit.identify(rig.op());
            QCOMPARE(identified.has_value(), platform.name == rig.platform().name);
            if (!identified)
                QCOMPARE(identified.error().cause, std::string("C013"));
        }
    }

    void coresKeys_areOutOfReach()
    {
        WiredRig rig("core", "0.7.0");
        rig.withTable([&](ProbeDct& table) {
            const auto refused = table.readSecret(0, 4, rig.op());
            QVERIFY(!refused);
            QCOMPARE(refused.error().code, Errc::Unsupported);
        });
    }

    void probeOfASlot_isCheckedInTheFile_data()
    {
        QTest::addColumn<QByteArray>("probe");
        QTest::addColumn<QByteArray>("says");
        QTest::newRow("no such slot") << QByteArray("slot = 2") << QByteArray("no slot 2");
        QTest::newRow("its own chip") << QByteArray("slot = 1\nchip = \"f103\"")
                                      << QByteArray("chip: is that of the unit in the slot");
        QTest::newRow("two") << QByteArray("slot = 1\n[[probe]]\nnumber = 2\nslot = 1")
                             << QByteArray("slot 1 has two probes");
    }
    void probeOfASlot_isCheckedInTheFile()
    {
        QFETCH(QByteArray, probe);
        QFETCH(QByteArray, says);
        const auto wrong =
            sim::Bench::parse(concat(benchText(unitOf("photon", "0.6.3")),
                                     "[[probe]]\nnumber = 1\n", probe.toStdString(), "\n"),
                              "wrong.toml");
        QVERIFY(!wrong);
        QVERIFY2(wrong.error().message.find(says.toStdString()) != std::string::npos,
                 wrong.error().message.c_str());
    }

private:
    static WiredRig fromRow(sim::CoreExecutorMaker cores = sim::unicornCores())
    {
        const QString row = QTest::currentDataTag();
        return WiredRig(row.section(' ', 0, 0).toStdString(), row.section(' ', 1, 1).toStdString(),
                        std::move(cores));
    }
    static void rows(std::initializer_list<const char*> names)
    {
        QTest::addColumn<int>("row");
        int row = 0;
        for (const char* name : names)
            QTest::newRow(name) << row++;
    }
    static void boards() { rows({"core 0.7.0", "photon 0.6.3", "p1 0.4.9", "electron 2.3.1"}); }
    static void tables() { rows({"photon 0.6.3", "p1 0.4.9", "electron 2.3.1"}); }
};

} // namespace

PROVOST_TEST("board_probe", TstBoardProbe)
#include "tst_board_probe.moc"
