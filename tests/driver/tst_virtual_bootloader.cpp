// The virtual bootloader looks at MODE during a reset (particle-devices 8).
#include "support/photon_facts.h"
#include "support/test_program.h"
#include "virtual_rig.h"

#include "sim/stock.h"

#include <algorithm>

using namespace provost;
using namespace provost::test;
using namespace std::chrono_literals;

namespace {

constexpr std::uint32_t kFactoryPart = 0x080E0000;
constexpr std::uint32_t kReceiveArea = 0x080C0000;
const std::string kNewUnit = "stock = \"1.5.2\"\ncredentials = \"foreign\"";

constexpr sim::Led kArmsSafeMode{sim::LedColour::Magenta, sim::LedPattern::Blink, 200};
constexpr sim::Led kShowsDfu{sim::LedColour::Yellow, sim::LedPattern::Blink, 200};
constexpr sim::Led kRestores{sim::LedColour::Green, sim::LedPattern::Blink, 100};
constexpr sim::Led kResetsAll{sim::LedColour::White, sim::LedPattern::Blink, 100};

Bytes factoryApplication(std::uint16_t version = 9)
{
    return sim::buildModule({.start = photon::kUserPart,
                             .length = 0x2000,
                             .version = version,
                             .function = sim::ModuleFunction::UserPart,
                             .index = 1});
}

/// What the light has shown since the reset, of the stages of MODE.
std::vector<sim::Led> stagesSince(Rig& rig, std::size_t before)
{
    const auto history = rig.board().ledHistory();
    std::vector<sim::Led> stages;
    for (std::size_t at = before; at < history.size(); ++at)
        for (const sim::Led& stage : {kArmsSafeMode, kShowsDfu, kRestores, kResetsAll})
            if (history[at] == stage && (stages.empty() || stages.back() != stage))
                stages.push_back(stage);
    return stages;
}

bool runsFirmware(Rig& rig)
{
    const auto mode = rig.board().mode();
    return mode == sim::BoardMode::Application || mode == sim::BoardMode::Listening ||
           mode == sim::BoardMode::SafeMode;
}

/// The number of LED states before the button was touched.
std::size_t holdThroughReset(Rig& rig, std::chrono::milliseconds span)
{
    rig.waitFor(kCdc);
    const std::size_t before = rig.board().ledHistory().size();
    rig.board().resetHoldingMode(span);
    return before;
}

class TstVirtualBootloader : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void modeHeld_decidesByTheMomentItIsLetGo_data()
    {
        QTest::addColumn<int>("held");
        QTest::addColumn<int>("mode");
        QTest::addColumn<int>("stages");
        using M = sim::BoardMode;
        QTest::newRow("not at all") << 0 << int(M::Application) << 0;
        QTest::newRow("under 1 s") << 900 << int(M::Application) << 0;
        QTest::newRow("1 s") << 1000 << int(M::SafeMode) << 1;
        QTest::newRow("under 3 s") << 2900 << int(M::SafeMode) << 1;
        QTest::newRow("3 s") << 3000 << int(M::Dfu) << 2;
        QTest::newRow("under 6.5 s") << 6400 << int(M::Dfu) << 2;
    }
    void modeHeld_decidesByTheMomentItIsLetGo()
    {
        QFETCH(int, held);
        QFETCH(int, mode);
        QFETCH(int, stages);
        Rig rig(benchText(kNewUnit));
        rig.board().pokeFlash(kFactoryPart, factoryApplication());
        const auto before = holdThroughReset(rig, std::chrono::milliseconds(held));
        QVERIFY(rig.until([&] {
            return int(rig.board().mode()) == mode && rig.board().ledHistory().size() > before;
        }));
        QCOMPARE(stagesSince(rig, before).size(), std::size_t(stages));
        QVERIFY(rig.board().hasCredentials());
    }

    void stages_comeInTheirOrderOnTheBenchClock()
    {
        Rig rig(benchText(kNewUnit, "", "demo"));
        rig.board().pokeFlash(kFactoryPart, factoryApplication());
        const auto before = holdThroughReset(rig, 11s);
        const std::vector<sim::Led> expected{kArmsSafeMode, kShowsDfu, kRestores, kResetsAll};
        QVERIFY(rig.until([&] { return stagesSince(rig, before) == expected; }));
        QVERIFY(rig.until([&] { return !rig.board().hasCredentials(); }));
    }

    void dfu_byHandIsTheSameDfu()
    {
        Rig rig(benchText(kNewUnit));
        holdThroughReset(rig, 3500ms);
        const auto device = rig.open(kDfu);
        RawDfu dfu(rig, *device);
        QCOMPARE(dfu.state(), 2);
        dfu.leave();
        rig.waitFor(kCdc);
        QVERIFY(rig.until([&] { return rig.board().mode() == sim::BoardMode::Application; }));
    }

    void restore_copiesTheFactoryApplicationAndKeepsCredentials()
    {
        Rig rig(benchText(kNewUnit));
        const Bytes image = factoryApplication();
        rig.board().pokeFlash(kFactoryPart, image);
        QVERIFY(rig.board().readFlash(photon::kUserPart, image.size()) != image);
        holdThroughReset(rig, 7s);
        QVERIFY(rig.until(
            [&] { return rig.board().readFlash(photon::kUserPart, image.size()) == image; }));
        QVERIFY(rig.until([&] { return rig.board().mode() == sim::BoardMode::Application; }));
        QVERIFY(rig.board().hasCredentials());
    }

    void fullReset_clearsCredentialsToo()
    {
        Rig rig(benchText(kNewUnit));
        const Bytes image = factoryApplication();
        rig.board().pokeFlash(kFactoryPart, image);
        holdThroughReset(rig, 10s);
        QVERIFY(rig.until([&] { return rig.board().mode() == sim::BoardMode::Listening; }));
        QVERIFY(rig.board().readFlash(photon::kUserPart, image.size()) == image);
        QVERIFY(!rig.board().hasCredentials());
    }

    void restore_readsSlot0OfThePendingModulesFirst()
    {
        Rig rig(benchText(kNewUnit));
        const Bytes image = factoryApplication(17);
        rig.board().pokeFlash(kFactoryPart, factoryApplication(9));
        rig.board().pokeFlash(kReceiveArea, image);
        Bytes slot;
        ByteWriter(slot).le16(0x0FAC).u8(0).u8(0).le32(kReceiveArea).le32(photon::kUserPart);
        ByteWriter(slot).le32(static_cast<std::uint32_t>(image.size())).u8(0).u8(5).le16(0xFFFF);
        rig.board().pokeDct(2852, slot);
        holdThroughReset(rig, 7s);
        QVERIFY(rig.until(
            [&] { return rig.board().readFlash(photon::kUserPart, image.size()) == image; }));
    }

    void nothingToRestore_leavesDfuUnderTheFinger_data()
    {
        QTest::addColumn<bool>("damaged");
        QTest::newRow("blank") << false;
        QTest::newRow("damaged") << true;
    }
    void nothingToRestore_leavesDfuUnderTheFinger()
    {
        QFETCH(bool, damaged);
        Rig rig(benchText(kNewUnit));
        if (damaged) {
            Bytes image = factoryApplication();
            image[700] ^= std::byte{1};
            rig.board().pokeFlash(kFactoryPart, image);
        }
        const Bytes user = rig.board().readFlash(photon::kUserPart, 64);
        const auto before = holdThroughReset(rig, 11s);
        rig.waitFor(kDfu);
        const std::vector<sim::Led> expected{kArmsSafeMode, kShowsDfu};
        QVERIFY(stagesSince(rig, before) == expected);
        QVERIFY(rig.board().readFlash(photon::kUserPart, 64) == user);
        QVERIFY(rig.board().hasCredentials());
    }

    void modeHeld_countsForOneResetOnly()
    {
        Rig rig(benchText(kNewUnit));
        holdThroughReset(rig, 3500ms);
        rig.waitFor(kDfu);
        rig.board().reset();
        rig.waitFor(kCdc);
        QVERIFY(rig.until([&] { return rig.board().mode() == sim::BoardMode::Application; }));
    }

    void safeMode_getsPastAnApplicationThatCrashes()
    {
        Rig rig(benchText(kNewUnit + "\ncrash_code = 10"));
        const sim::Led sos{sim::LedColour::Red, sim::LedPattern::Sos, 0, 10};
        const auto crashes = [&] {
            const auto history = rig.board().ledHistory();
            return std::count(history.begin(), history.end(), sos);
        };
        QVERIFY(rig.until([&] { return crashes() > 1; })); // again and again
        rig.board().resetHoldingMode(1500ms);
        QVERIFY(rig.until([&] { return rig.board().mode() == sim::BoardMode::SafeMode; }));
    }

    void deafApplication_ignoresBaudCommandsUntilItIsReplaced()
    {
        Rig rig(benchText(kNewUnit + "\nbaud_commands = false"));
        QVERIFY(rig.until([&] { return runsFirmware(rig); }));
        {
            RawConsole console(rig);
            rig.setBaud(28800);
            console.send("i");
            QCOMPARE(console.answer(200ms), -1);
        }
        rig.setBaud(14400);
        QVERIFY(!rig.bench().usb().waitFor(rig.port(), std::span(&kDfu, 1), rig.op(200ms)));
        rig.board().pokeFlash(kFactoryPart, factoryApplication());
        rig.board().resetHoldingMode(7s);
        QVERIFY(rig.until([&] {
            return rig.board().readFlash(photon::kUserPart, 16) ==
                       rig.board().readFlash(kFactoryPart, 16) &&
                   runsFirmware(rig);
        }));
        rig.setBaud(14400);
        rig.waitFor(kDfu);
    }

    void core_restoresFromItsExternalFlash()
    {
        Rig rig(benchText("platform = \"core\"\nstock = \"0.7.0\"\ncredentials = \"foreign\""));
        const Bytes image = sim::buildModule({.start = 0x08005000,
                                              .length = 0x7FC,
                                              .version = 206,
                                              .function = sim::ModuleFunction::Monolithic,
                                              .platform = 0,
                                              .vectorTable = 0x10C});
        QCOMPARE(image.size(), std::size_t{0x800});
        {
            const auto device = rig.openDfu();
            RawDfu dfu(rig, *device);
            dfu.clearStatus(); // the Core starts in dfuERROR (1.5)
            dfu.alternate(1);
            must(dfu.command(0x41, 0x20000));
            for (std::uint32_t at = 0; at < image.size(); at += 1024)
                must(dfu.write(0x20000 + at, ByteView(image).subspan(at, 1024)));
        }
        QCOMPARE(rig.board().readExternal(0x20000, image.size()), image);
        rig.board().resetHoldingMode(7s);
        QVERIFY(
            rig.until([&] { return rig.board().readFlash(0x08005000, image.size()) == image; }));
        rig.waitFor(rig.board().profile().cdc.id);
    }

    void pendingModule_waitsWhileTheBoardStaysInDfu()
    {
        Rig rig(benchText(kNewUnit));
        const Bytes image = factoryApplication(21);
        rig.waitFor(kCdc);
        rig.board().pokeFlash(kReceiveArea, image);
        Bytes slot;
        ByteWriter(slot).le16(0xABCD).u8(0).u8(0).le32(kReceiveArea).le32(photon::kUserPart);
        ByteWriter(slot).le32(static_cast<std::uint32_t>(image.size())).u8(0).u8(5).le16(0xFFFF);
        rig.board().pokeDct(2852 + 20, slot);
        holdThroughReset(rig, 3500ms);
        rig.waitFor(kDfu);
        QVERIFY(rig.board().readFlash(photon::kUserPart, image.size()) != image);
        const auto before = rig.board().ledHistory().size();
        rig.board().reset();
        QVERIFY(rig.until(
            [&] { return rig.board().readFlash(photon::kUserPart, image.size()) == image; }));
        QVERIFY(rig.until([&] { return runsFirmware(rig); }));
        const auto history = rig.board().ledHistory();
        const sim::Led update{sim::LedColour::Magenta, sim::LedPattern::Blink, 100};
        QVERIFY(std::find(history.begin() + static_cast<std::ptrdiff_t>(before), history.end(),
                          update) != history.end());
    }
};

} // namespace

PROVOST_TEST("virtual_bootloader", TstVirtualBootloader)
#include "tst_virtual_bootloader.moc"
