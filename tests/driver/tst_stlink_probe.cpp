// Our ST-Link driver against the virtual probes, status by status. A fault at every transfer: see
// tst_fault_matrix.
#include "probe_rig.h"
#include "support/test_program.h"

using namespace provost;
using namespace provost::test;
using namespace std::chrono_literals;

namespace {

constexpr std::uint32_t kSram = 0x20000000;

/// movs r0,#42; adds r1,r0,#1; bkpt
constexpr std::uint16_t kThreeInstructions[] = {0x202A, 0x1C41, 0xBE00};

Bytes codeOf(std::span<const std::uint16_t> words)
{
    Bytes bytes;
    for (const std::uint16_t word : words)
        ByteWriter(bytes).le16(word);
    return bytes;
}

constexpr std::uint32_t kOptionWord = 0x40023C14; // FLASH_OPTCR of an F205
constexpr std::uint32_t kForEver = 0x0FFFCCEF;    // level 2, started at once

struct RouteToOptions {
    const char* name;
    std::function<Result<>(StLinkProbe&, const OpContext&)> write;
};

Bytes wordOf(std::uint32_t value)
{
    Bytes bytes;
    ByteWriter(bytes).le32(value);
    return bytes;
}

const std::vector<RouteToOptions>& routesToOptions()
{
    using Op = OpContext;
    static const std::vector<RouteToOptions> kRoutes{
        {"word",
         [](StLinkProbe& p, const Op& op) { return p.writeWord(kOptionWord, kForEver, op); }},
        {"word, not started",
         [](StLinkProbe& p, const Op& op) { return p.writeWord(kOptionWord, 0x0FFFCCEC, op); }},
        {"block of a word",
         [](StLinkProbe& p, const Op& op) { return p.write(kOptionWord, wordOf(kForEver), op); }},
        {"in the middle of a block",
         [](StLinkProbe& p, const Op& op) {
             return p.write(kOptionWord - 8, Bytes(16, std::byte{0xCC}), op);
         }},
        {"end of an odd block",
         [](StLinkProbe& p, const Op& op) {
             return p.write(kOptionWord - 3, Bytes(5, std::byte{0xCC}), op);
         }},
        {"its byte",
         [](StLinkProbe& p, const Op& op) {
             return p.write(kOptionWord + 1, Bytes(1, std::byte{0xCC}), op);
         }},
        {"bytes by units",
         [](StLinkProbe& p, const Op& op) {
             return p.writeUnits(kOptionWord, wordOf(kForEver), 1, op);
         }},
        {"a byte by units",
         [](StLinkProbe& p, const Op& op) {
             return p.writeUnits(kOptionWord + 1, Bytes(1, std::byte{0xCC}), 1, op);
         }},
        {"a half-word by units",
         [](StLinkProbe& p, const Op& op) {
             return p.writeUnits(kOptionWord, Bytes(2, std::byte{0xCC}), 2, op);
         }},
        {"words by units",
         [](StLinkProbe& p, const Op& op) {
             return p.writeUnits(kOptionWord - 4, Bytes(8, std::byte{0xCC}), 4, op);
         }},
        {"bit-band alias",
         [](StLinkProbe& p, const Op& op) { return p.writeWord(0x42478280 + 10 * 4, 1, op); }},
        {"bit-band alias, a byte",
         [](StLinkProbe& p, const Op& op) {
             return p.write(0x42478280 + 15 * 4, Bytes(1, std::byte{1}), op);
         }},
        {"raw data register",
         [](StLinkProbe& p, const Op& op) -> Result<> {
             taken(p.writeDap(0, 0x00, 0x23000012, op));
             taken(p.writeDap(0, 0x04, kOptionWord, op));
             return p.writeDap(0, 0x0C, kForEver, op);
         }},
        {"raw data register that counted on",
         [](StLinkProbe& p, const Op& op) -> Result<> {
             taken(p.writeDap(0, 0x00, 0x23000012, op));
             taken(p.writeDap(0, 0x04, kOptionWord - 4, op));
             taken(p.readDap(0, 0x0C, op));
             return p.writeDap(0, 0x0C, kForEver, op);
         }},
        {"raw data register, half-words",
         [](StLinkProbe& p, const Op& op) -> Result<> {
             taken(p.writeDap(0, 0x00, 0x23000001, op));
             taken(p.writeDap(0, 0x04, kOptionWord, op));
             return p.writeDap(0, 0x0C, kForEver, op);
         }},
        {"raw banked register",
         [](StLinkProbe& p, const Op& op) -> Result<> {
             taken(p.writeDap(0, 0x00, 0x23000002, op));
             taken(p.writeDap(0, 0x04, kOptionWord - 4, op));
             return p.writeDap(0, 0x14, kForEver, op);
         }},
        {"raw data register at the alias",
         [](StLinkProbe& p, const Op& op) -> Result<> {
             taken(p.writeDap(0, 0x04, 0x42478280 + 10 * 4, op));
             return p.writeDap(0, 0x0C, 1, op);
         }},
        {"another bank behind the probe's back",
         [](StLinkProbe& p, const Op& op) {
             return p.writeDap(StLinkProbe::kDebugPort, 0x08, 0x10, op);
         }},
    };
    return kRoutes;
}

class TstStLinkProbe : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void open_identifiesTheProbe_data()
    {
        QTest::addColumn<QString>("model");
        QTest::addColumn<QString>("version");
        QTest::newRow("V2") << "v2" << "V2J37S7";
        QTest::newRow("V2-1") << "v2-1" << "V2J37M27";
        QTest::newRow("V3") << "v3" << "V3J7M3";
    }
    void open_identifiesTheProbe()
    {
        QFETCH(QString, model);
        ProbeRig rig(model.toStdString());
        QTEST(QString::fromStdString(toText(rig.open().version())), "version");
    }

    void open_refusesWhatIsNoProbe()
    {
        QVERIFY(!isStLink({.vendor = 0x2B04, .product = 0xD006}));
        QVERIFY(!isStLink({.vendor = 0x0483, .product = 0xDF11}));
        QVERIFY(!isStLink({.vendor = 0x0483, .product = 0x3744})); // V1
    }

    void serial_isReadInBothItsForms()
    {
        QCOMPARE(stlinkSerial(sim::stringDescriptorOf("066aff495087534867164834")),
                 std::string("066AFF495087534867164834"));
        Bytes raw;
        ByteWriter out(raw);
        out.u8(26).u8(3);
        for (const unsigned each :
             {0x51U, 0xFFU, 0x6FU, 0x06U, 0x48U, 0x82U, 0x48U, 0x52U, 0x28U, 0x53U, 0x04U, 0x87U})
            out.le16(each);
        QCOMPARE(stlinkSerial(raw), std::string("51FF6F064882485228530487"));
    }

    void connect_namesTheTarget_data()
    {
        QTest::addColumn<QString>("model");
        QTest::addColumn<QString>("chip");
        QTest::addColumn<unsigned>("dpidr");
        QTest::addColumn<unsigned>("kilohertz");
        QTest::newRow("V2, F103") << "v2" << "f103" << 0x1BA01477U << 1800U;
        QTest::newRow("V2-1, F205") << "v2-1" << "f205" << 0x2BA01477U << 1800U;
        QTest::newRow("V3, F205") << "v3" << "f205" << 0x2BA01477U << 1000U;
    }
    void connect_namesTheTarget()
    {
        QFETCH(QString, model);
        QFETCH(QString, chip);
        ProbeRig rig(model.toStdString(), chip.toStdString());
        StLinkProbe probe = rig.open();
        const SwdTarget target = taken(probe.connect({.kilohertz = 2000}, rig.op()));
        QTEST(target.dpidr, "dpidr");
        QTEST(target.kilohertz, "kilohertz");
        QCOMPARE(rig.virtualProbe().kilohertz(), target.kilohertz);
        QVERIFY(!taken(probe.coreStatus(rig.op())).halted);
    }

    void connect_refusesATooSlowClock()
    {
        ProbeRig rig;
        StLinkProbe probe = rig.open();
        const auto refused = probe.connect({.kilohertz = 3}, rig.op());
        QVERIFY(!refused);
        QCOMPARE(refused.error().code, Errc::InvalidArgument);
    }

    void connect_sendsNothingToATargetWithoutSupply()
    {
        ProbeRig rig("v2-1", "f103", "voltage = 0.4");
        StLinkProbe probe = rig.open();
        const auto refused = probe.connect({}, rig.op());
        QVERIFY(!refused);
        QCOMPARE(refused.error().code, Errc::Unavailable);
        QVERIFY(refused.error().message.find("0.40 V") != std::string::npos);
        QVERIFY(rig.virtualProbe().accesses().empty());
    }

    void targetVoltage_isMeasured()
    {
        ProbeRig rig("v3", "f205", "voltage = 2.5");
        StLinkProbe probe = rig.open();
        const auto volts = taken(probe.targetVoltage(rig.op()));
        QVERIFY(volts && std::abs(*volts - 2.5) < 0.01);
    }

    void connect_saysThatNoTargetAnswers()
    {
        ProbeRig rig;
        rig.virtualProbe().setWiring({.connected = false});
        StLinkProbe probe = rig.open();
        const auto refused = probe.connect({}, rig.op());
        QVERIFY(!refused);
        QCOMPARE(refused.error().code, Errc::NotFound);
        QCOMPARE(refused.error().blame, Blame::Fixture);
        QCOMPARE(refused.error().native, std::optional<int>(0x05));
        rig.virtualProbe().setWiring({});
        QVERIFY(probe.connect({}, rig.op()).has_value());
    }

    void connect_underResetReachesATargetThatUsesItsSwdPins()
    {
        ProbeRig rig;
        rig.virtualProbe().setWiring({.pinsReused = true});
        StLinkProbe probe = rig.open();
        const auto refused = probe.connect({}, rig.op());
        QVERIFY(!refused);
        QCOMPARE(refused.error().native, std::optional<int>(0x09));
        QVERIFY(refused.error().message.find("under reset") != std::string::npos);
        taken(probe.connect({.underReset = true}, rig.op()));
        QVERIFY(taken(probe.coreStatus(rig.op())).halted);
        QVERIFY(probe.read(kSram, 4, rig.op()).has_value());
        // Without the NRST wire nothing helps.
        ProbeRig unwired;
        unwired.virtualProbe().setWiring({.resetWired = false, .pinsReused = true});
        StLinkProbe other = unwired.open();
        QVERIFY(!other.connect({.underReset = true}, unwired.op()));
    }

    void connect_leavesNobodyInResetWhenItFails()
    {
        ProbeRig rig;
        StLinkProbe probe = rig.open();
        rig.virtualProbe().failCommand(0x31, 0x12);
        QVERIFY(!probe.connect({.underReset = true}, rig.op()));
        QVERIFY(!rig.withChip([](sim::Stm32Chip& chip) { return chip.inReset(); }));
    }

    void connect_takesOverASessionThatWasNeverClosed()
    {
        ProbeRig rig;
        {
            const StLinkProbe left = rig.connect();
        }
        StLinkProbe probe = rig.connect();
        QCOMPARE(taken(probe.read(0x1FFFF7E0, 2, rig.op())),
                 (Bytes{std::byte{0x80}, std::byte{0}}));
    }

    void enter_leavesAnotherModeOnce()
    {
        ProbeRig rig;
        StLinkProbe probe = rig.open();
        rig.virtualProbe().failCommand(0x30, 0x0E);
        QVERIFY(probe.connect({}, rig.op()).has_value());
        rig.virtualProbe().failCommand(0x30, 0x0E, 2);
        QVERIFY(!probe.connect({}, rig.op()));
    }

    void memory_ofAnyRangeGoesThereAndBack_data()
    {
        QTest::addColumn<QString>("model");
        QTest::newRow("V2") << "v2";
        QTest::newRow("V3") << "v3";
    }
    void memory_ofAnyRangeGoesThereAndBack()
    {
        QFETCH(QString, model);
        ProbeRig rig(model.toStdString());
        StLinkProbe probe = rig.connect();
        const std::uint32_t offsets[] = {0, 1, 2, 3, 1021, 1023, 4094};
        const std::size_t sizes[] = {1, 2, 3, 4, 5, 63, 64, 65, 130, 1027, 6150};
        std::uint32_t seed = 1;
        for (const std::uint32_t offset : offsets)
            for (const std::size_t size : sizes) {
                const Bytes pattern = pseudoNoise(size, ++seed);
                taken(probe.write(kSram + offset, pattern, rig.op()));
                const auto back =
                    taken(probe.read(kSram + offset, static_cast<std::uint32_t>(size), rig.op()));
                QVERIFY2(back == pattern, qPrintable(QString("%1+%2").arg(offset).arg(size)));
            }
        const bool isV3 = model == "v3";
        for (const sim::ProbeAccess& each : rig.virtualProbe().accesses()) {
            QVERIFY(each.address % each.width == 0 && each.size % each.width == 0);
            QVERIFY(each.width != 1 || each.size <= (isV3 ? 512U : 64U));
            // The counter of a Cortex-M3 runs inside 4 KiB.
            QCOMPARE(each.address / 4096, (each.address + each.size - 1) / 4096);
        }
    }

    void memory_outsideIsReportedByTheStatusBehindIt()
    {
        ProbeRig rig;
        StLinkProbe probe = rig.connect();
        const auto read = probe.read(0x30000000, 64, rig.op());
        QVERIFY(!read);
        QCOMPARE(read.error().code, Errc::Protected);
        QCOMPARE(read.error().native, std::optional<int>(0x11));
        QVERIFY(read.error().message.find("read 64 bytes at 0x30000000") != std::string::npos);
        QVERIFY(!probe.write(0x30000000, pseudoNoise(4), rig.op()));
        QVERIFY(!probe.readWord(0x30000000, rig.op()));
        // Asking has cleared it.
        QVERIFY(probe.read(kSram, 4, rig.op()).has_value());
    }

    void memory_isTriedAgainWhileTheTargetIsBusy_data()
    {
        QTest::addColumn<int>("command");
        QTest::addColumn<int>("status");
        for (const int status : {0x07, 0x10, 0x14})
            for (const int command : {0x07, 0x08, 0x36, 0x35, 0x33, 0x34})
                QTest::addRow("%02x to F2 %02x", status, command) << command << status;
    }
    void memory_isTriedAgainWhileTheTargetIsBusy()
    {
        QFETCH(int, command);
        QFETCH(int, status);
        ProbeRig rig;
        StLinkProbe probe = rig.connectHalted();
        const auto attempt = [&]() -> Result<> {
            TRY(probe.write(kSram, pseudoNoise(16), rig.op()));
            TRY(probe.read(kSram, 16, rig.op()));
            TRY(probe.writeWord(kSram, 1, rig.op()));
            TRY(probe.readWord(kSram, rig.op()));
            TRY(probe.writeRegister(CoreRegister::R0, 7, rig.op()));
            TRY(probe.readRegister(CoreRegister::R0, rig.op()));
            return {};
        };
        const auto code = static_cast<std::uint8_t>(command);
        const auto busy = static_cast<std::uint8_t>(status);
        rig.virtualProbe().failCommand(code, busy, 3);
        QVERIFY(attempt().has_value());
        rig.virtualProbe().failCommand(code, busy, 100);
        const auto gaveUp = attempt();
        QVERIFY(!gaveUp);
        QCOMPARE(gaveUp.error().code, Errc::Busy);
        rig.virtualProbe().failCommand(code, busy, 0);
        QVERIFY(attempt().has_value());
    }

    void everyStatus_isAnErrorThatSaysWhatToDo_data()
    {
        QTest::addColumn<int>("status");
        QTest::addColumn<int>("code");
        const auto row = [](int status, Errc code) {
            QTest::addRow("%02x", status) << status << static_cast<int>(code);
        };
        for (const int status :
             {0x01, 0x02, 0x03, 0x06, 0x0C, 0x12, 0x13, 0x15, 0x16, 0x17, 0x18, 0x19, 0x1A, 0x81})
            row(status, Errc::Io);
        row(0x04, Errc::NotFound);
        row(0x05, Errc::NotFound);
        row(0x08, Errc::Protocol);
        row(0x09, Errc::NotFound);
        row(0x0A, Errc::Internal);
        row(0x0B, Errc::Unavailable);
        row(0x0E, Errc::Busy);
        row(0x11, Errc::Protected);
        row(0x1D, Errc::Unsupported);
        row(0x20, Errc::Unsupported);
        row(0x41, Errc::Unsupported);
        row(0x42, Errc::Unsupported);
        row(0x77, Errc::Protocol); // which no document names
    }
    void everyStatus_isAnErrorThatSaysWhatToDo()
    {
        QFETCH(int, status);
        QFETCH(int, code);
        ProbeRig rig;
        StLinkProbe probe = rig.connectHalted();
        rig.virtualProbe().failCommand(0x07, static_cast<std::uint8_t>(status));
        const auto memory = probe.read(kSram, 4, rig.op());
        QVERIFY(!memory);
        QCOMPARE(static_cast<int>(memory.error().code), code);
        QCOMPARE(memory.error().native, std::optional<int>(status));
        rig.virtualProbe().failCommand(0x36, static_cast<std::uint8_t>(status));
        const auto word = probe.readWord(kSram, rig.op());
        QVERIFY(!word);
        QCOMPARE(static_cast<int>(word.error().code), code);
        QVERIFY(word.error().message.size() > 40);
        QVERIFY(probe.read(kSram, 4, rig.op()).has_value());
    }

    void writeVerifyStatus_isLeftToTheVerification()
    {
        ProbeRig rig;
        StLinkProbe probe = rig.connect();
        rig.virtualProbe().failCommand(0x36, 0x0D); // as OpenOCD sees it
        QVERIFY(probe.readWord(kSram, rig.op()).has_value());
    }

    void core_runsWhatLiesInSram()
    {
        ProbeRig rig;
        StLinkProbe probe = rig.connectHalted();
        taken(probe.write(kSram + 0x100, codeOf(kThreeInstructions), rig.op()));
        taken(probe.writeRegister(CoreRegister::Pc, kSram + 0x100, rig.op()));
        taken(probe.step(rig.op()));
        QCOMPARE(taken(probe.readRegister(CoreRegister::Pc, rig.op())), kSram + 0x102);
        QCOMPARE(taken(probe.readRegister(CoreRegister::R0, rig.op())), 42U);
        taken(probe.run(true, rig.op()));
        taken(probe.waitForHalt(1ms, rig.op()));
        QCOMPARE(taken(probe.readRegister(CoreRegister::R1, rig.op())), 43U);
        QCOMPARE(taken(probe.readRegister(CoreRegister::Pc, rig.op())), kSram + 0x104);
    }

    void core_codeThatReplacesOtherCodeIsWhatRuns()
    {
        ProbeRig rig;
        StLinkProbe probe = rig.connectHalted();
        for (const std::uint16_t value : {std::uint16_t{1}, std::uint16_t{2}}) {
            const std::uint16_t code[] = {static_cast<std::uint16_t>(0x2000 | value), 0xBE00};
            taken(probe.write(kSram, codeOf(code), rig.op()));
            taken(probe.writeRegister(CoreRegister::Pc, kSram, rig.op()));
            taken(probe.run(true, rig.op()));
            taken(probe.waitForHalt(1ms, rig.op()));
            QCOMPARE(taken(probe.readRegister(CoreRegister::R0, rig.op())), std::uint32_t{value});
        }
    }

    void core_thatRunsAwayIsReportedAndCanBeHalted()
    {
        ProbeRig rig;
        StLinkProbe probe = rig.connectHalted();
        const std::uint16_t forEver[] = {0xE7FE};
        taken(probe.write(kSram, codeOf(forEver), rig.op()));
        taken(probe.writeRegister(CoreRegister::Pc, kSram, rig.op()));
        taken(probe.run(true, rig.op()));
        const auto late = probe.waitForHalt(1ms, rig.op(50ms));
        QVERIFY(!late);
        QCOMPARE(late.error().code, Errc::Timeout);
        taken(probe.halt(rig.op()));
        QCOMPARE(taken(probe.readRegister(CoreRegister::Pc, rig.op())), kSram);
    }

    void core_thatFaultsIsReportedAsLockedUp()
    {
        ProbeRig rig;
        StLinkProbe probe = rig.connectHalted();
        taken(probe.writeRegister(CoreRegister::Pc, 0x60000000, rig.op()));
        taken(probe.run(true, rig.op()));
        const auto locked = probe.waitForHalt(1ms, rig.op());
        QVERIFY(!locked);
        QVERIFY(locked.error().message.find("locked up") != std::string::npos);
    }

    void core_resetUnderTheDebuggerIsNoticed()
    {
        ProbeRig rig;
        StLinkProbe probe = rig.connectHalted();
        const std::uint16_t forEver[] = {0xE7FE};
        taken(probe.write(kSram, codeOf(forEver), rig.op()));
        taken(probe.writeRegister(CoreRegister::Pc, kSram, rig.op()));
        taken(probe.run(true, rig.op()));
        rig.withChip([](sim::Stm32Chip& chip) { chip.systemReset(); });
        const auto noticed = probe.waitForHalt(1ms, rig.op());
        QVERIFY(!noticed);
        QVERIFY(noticed.error().message.find("was reset") != std::string::npos);
    }

    void registers_ofARunningCoreAreRefused()
    {
        ProbeRig rig;
        StLinkProbe probe = rig.connectHalted();
        const std::uint16_t forEver[] = {0xE7FE};
        taken(probe.write(kSram, codeOf(forEver), rig.op()));
        taken(probe.writeRegister(CoreRegister::Pc, kSram, rig.op()));
        taken(probe.run(true, rig.op()));
        QVERIFY(!probe.readRegister(CoreRegister::Pc, rig.op()));
    }

    void disconnect_letsTheFirmwareRun()
    {
        ProbeRig rig;
        const std::uint16_t forEver[] = {0xE7FE};
        rig.withChip([&](sim::Stm32Chip& chip) {
            Bytes start;
            ByteWriter(start).le32(0x20001000).le32(0x08000009).raw(codeOf(forEver));
            chip.pokeFlash(0, start);
        });
        StLinkProbe probe = rig.connectHalted();
        QCOMPARE(taken(probe.readRegister(CoreRegister::Pc, rig.op())), 0x08000008U);
        QCOMPARE(taken(probe.readRegister(CoreRegister::Sp, rig.op())), 0x20001000U);
        taken(probe.disconnect(rig.op()));
        QCOMPARE(rig.withChip([](sim::Stm32Chip& chip) { return chip.debug().state(); }),
                 sim::CortexDebug::State::Running);
    }

    void readProtectionForEver_isWrittenByNoRoute_data()
    {
        QTest::addColumn<int>("route");
        for (int i = 0; i < static_cast<int>(routesToOptions().size()); ++i)
            QTest::newRow(routesToOptions()[static_cast<std::size_t>(i)].name) << i;
    }
    void readProtectionForEver_isWrittenByNoRoute()
    {
        QFETCH(const int, route);
        ProbeRig rig("v3", "f205");
        StLinkProbe probe = rig.connectHalted();
        // Unlocked: nothing but the driver stands between the value and the chip.
        taken(probe.writeWord(0x40023C08, 0x08192A3B, rig.op()));
        taken(probe.writeWord(0x40023C08, 0x4C5D6E7F, rig.op()));
        const std::uint32_t before = taken(probe.readWord(kOptionWord, rig.op()));
        const auto refused =
            routesToOptions()[static_cast<std::size_t>(route)].write(probe, rig.op());
        QVERIFY(!refused);
        QCOMPARE(refused.error().code, Errc::Denied);
        QVERIFY(rig.withChip([](sim::Stm32Chip& chip) { return chip.debugPortAnswers(); }));
        QCOMPARE(taken(probe.readWord(kOptionWord, rig.op())), before);
    }

    void optionWord_takesEveryOtherLevel()
    {
        ProbeRig rig("v3", "f205");
        StLinkProbe probe = rig.connectHalted();
        taken(probe.writeWord(0x40023C08, 0x08192A3B, rig.op()));
        taken(probe.writeWord(0x40023C08, 0x4C5D6E7F, rig.op()));
        const std::uint32_t wanted = 0x0FFEAAEC;
        taken(probe.writeWord(kOptionWord, wanted, rig.op()));
        QCOMPARE(taken(probe.readWord(kOptionWord, rig.op())) & 0x0FFFFFFC, wanted);
        // And what lies beside it is nobody's business.
        taken(probe.write(kSram, Bytes(64, std::byte{0xCC}), rig.op()));
        taken(probe.writeDap(0, 0x04, kSram, rig.op()));
        taken(probe.writeDap(0, 0x0C, 0xCCCCCCCC, rig.op()));
        QCOMPARE(taken(probe.readWord(kSram, rig.op())), 0xCCCCCCCCU);
    }

    void unpluggedProbe_isReportedAsGone()
    {
        ProbeRig rig;
        StLinkProbe probe = rig.connect();
        rig.bench().unplug(0);
        const auto gone = probe.read(kSram, 64, rig.op());
        QVERIFY(!gone);
        QCOMPARE(gone.error().code, Errc::Disconnected);
        rig.bench().plug(0);
        StLinkProbe again = rig.connect();
        QVERIFY(again.read(kSram, 64, rig.op()).has_value());
    }

    void unfetchedAnswer_doesNotBecomeTheNextOne()
    {
        ProbeRig rig;
        StLinkProbe probe = rig.connect();
        taken(probe.write(kSram, pseudoNoise(64, 5), rig.op()));
        rig.script().at = rig.script().transfers + 1; // the data of the next read
        rig.script().fault = TransferFault::Timeout;
        QVERIFY(!probe.read(kSram, 64, rig.op()));
        QVERIFY(taken(probe.read(kSram, 64, rig.op())) == pseudoNoise(64, 5));
    }
};

} // namespace

PROVOST_TEST("stlink_probe", TstStLinkProbe)
#include "tst_stlink_probe.moc"
