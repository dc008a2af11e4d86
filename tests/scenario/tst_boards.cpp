// The kin of the Photon, from delivery states to the verdict and its record.
#include "support/proven_unit.h"
#include "support/test_program.h"

#include "core/byte_io.h"
#include "core/text.h"
#include "device/dct.h"

#include <QTest>

namespace provost::test {

namespace {

StationSetup of(UnitWish unit)
{
    const std::string platform = unit.platform;
    auto setup = one(std::move(unit), platform == "core");
    setup.plan = platform + "-full";
    // A cellular unit dials at every start, before and behind the test: the names are at home.
    if (platform == "electron")
        setup.bench.hosts = {"$id.udp.particle.io", "device.demo.example"};
    return setup;
}

} // namespace

class TstBoards : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void stock_becomesAProvenUnit_data();
    void stock_becomesAProvenUnit();
    void electron_leavesOnTcpAndKeepsItsKeyInASecondRun();
    void core_losesForeignCredentialsByTheModeButtonOnly_data();
    void core_losesForeignCredentialsByTheModeButtonOnly();
    void planOfAnotherPlatform_refusesTheUnitBeforeAnyWrite();
    void faultOfTheBenchFile_endsInADefinedVerdict_data();
    void faultOfTheBenchFile_endsInADefinedVerdict();
};

void TstBoards::stock_becomesAProvenUnit_data()
{
    QTest::addColumn<QString>("platform");
    QTest::addColumn<QString>("stock");
    QTest::addColumn<QString>("key");
    QTest::addColumn<QString>("route");
    const auto add = [](const char* platform, const char* stock, const char* key,
                        const char* route) {
        QTest::addRow("%s %s %s", platform, stock, key) << platform << stock << key << route;
    };
    add("p1", "1.5.2", "none", "control-request");
    add("p1", "0.4.9", "self-made", "listening");
    add("p1", "2.3.1", "burnt", "control-request");
    add("p1", "empty", "none", "dfu-serial");
    add("electron", "2.3.1", "self-made", "control-request");
    add("electron", "empty", "none", "dfu-serial");
    add("core", "0.7.0", "none", "cdc-serial");
    add("core", "0.7.0", "burnt", "cdc-serial");
}

void TstBoards::stock_becomesAProvenUnit()
{
    QFETCH(const QString, platform);
    QFETCH(const QString, stock);
    QFETCH(const QString, key);
    QFETCH(const QString, route);
    auto station = Station::open(of({.platform = platform.toStdString(),
                                     .stock = stock.toStdString(),
                                     .key = key.toStdString()}));
    station->insert();
    const auto wrong = runAndProve(*station, route.toStdString());
    QVERIFY2(wrong.empty(), wrong.c_str());
    for (const auto& module : station->plan().shipping->modules) {
        const auto image =
            station->images().find(platform.toStdString(), module.role, module.version);
        QVERIFY(image);
        const Bytes found =
            station->board().readFlash((*image)->module.start, (*image)->module.moduleSize);
        QVERIFY2(equalBytes(found, ByteView((*image)->file).first(found.size())),
                 module.role.c_str());
    }
}

void TstBoards::electron_leavesOnTcpAndKeepsItsKeyInASecondRun()
{
    auto station = Station::open(of({.platform = "electron"}));
    const auto first = station->runNext();
    QVERIFY2(first.verdict == Verdict::Pass, told(first).c_str());
    const auto& board = station->board();
    QCOMPARE(toHex(board.readFlash(inCurrentDct(board, 2977), 1)), std::string("00"));
    // Header fields (particle-devices 6.1): the part with index 3 has no vector table.
    QCOMPARE(u8(board.readFlash(0x08060000 + 15, 1)[0]), std::uint8_t{3});
    QCOMPARE(u8(board.readFlash(0x08020000 + 0x184 + 15, 1)[0]), std::uint8_t{1});
    QCOMPARE(u8(board.readFlash(0x08040000 + 0x184 + 15, 1)[0]), std::uint8_t{2});
    QVERIFY(station->cloud().service().registry().find(board.deviceId()).value());

    const Bytes key = privateSlot(board);
    const auto second = station->run();
    QVERIFY2(second.verdict == Verdict::Pass, told(second).c_str());
    QVERIFY(privateSlot(board) == key);
    QVERIFY(station->attempt(second.run, "device-key").note.starts_with("kept"));
}

void TstBoards::core_losesForeignCredentialsByTheModeButtonOnly_data()
{
    QTest::addColumn<bool>("modeButton");
    QTest::newRow("the fixture holds it") << true;
    QTest::newRow("the fixture has none: CHECK") << false;
}

void TstBoards::core_losesForeignCredentialsByTheModeButtonOnly()
{
    QFETCH(const bool, modeButton);
    auto setup = of({.platform = "core", .stock = "0.7.0", .credentials = "foreign"});
    setup.bench.modeButton = modeButton;
    auto station = Station::open(std::move(setup));
    station->insert();
    if (modeButton) {
        const auto wrong = runAndProve(*station, "cdc-serial");
        QVERIFY2(wrong.empty(), wrong.c_str());
        return;
    }
    const auto run = station->run();
    QCOMPARE(run.verdict, Verdict::Error);
    QCOMPARE(run.cause, std::string("C060"));
    QVERIFY(station->board().hasCredentials());
    QCOMPARE(station->meddling().downloads.load(), 0);
}

void TstBoards::planOfAnotherPlatform_refusesTheUnitBeforeAnyWrite()
{
    auto setup = of({.platform = "p1"});
    setup.plan = "photon-full";
    auto station = Station::open(std::move(setup));
    const auto run = station->runNext();
    QCOMPARE(run.verdict, Verdict::Error);
    QCOMPARE(run.cause, std::string("C013"));
    QCOMPARE(station->meddling().downloads.load(), 0);
}

void TstBoards::faultOfTheBenchFile_endsInADefinedVerdict_data()
{
    QTest::addColumn<QString>("fault");
    QTest::addColumn<QString>("verdict"); // as the engine names it
    const auto add = [](const char* name, const char* fault, const char* verdict) {
        QTest::newRow(name) << QStringLiteral("[[slot.unit.fault]]\n%1").arg(fault) << verdict;
    };
    add("unplugged at 40 % of part 2", "kind = \"unplug\"\npercent = 40\nof = \"system-2\"",
        "error");
    add("unplugged at transfer 30", "kind = \"unplug\"\ntransfer = 30", "error");
    add("supply dips in the third erase", "kind = \"brown-out\"\nerase = 3", "error");
    add("busy for ever", "kind = \"stuck-busy\"\nwork = 7", "error");
    // A lie costs time only.
    add("wrong poll time", "kind = \"lying-poll\"\npoll_ms = 1", "pass");
}

void TstBoards::faultOfTheBenchFile_endsInADefinedVerdict()
{
    QFETCH(const QString, fault);
    QFETCH(const QString, verdict);
    auto setup = of({.faults = fault.toStdString()});
    setup.bench.supplies.front().push_back({}); // a good one behind it
    auto station = Station::open(std::move(setup));
    const auto run = station->runNext();
    QVERIFY2(std::string(name(run.verdict)) == verdict.toStdString(), told(run).c_str());
    QVERIFY(run.verdict == Verdict::Pass || !run.cause.empty());
    // The slot works: the next unit passes.
    const auto next = station->runNext();
    QVERIFY2(next.verdict == Verdict::Pass, told(next).c_str());
}

} // namespace provost::test

PROVOST_TEST("boards", provost::test::TstBoards)
#include "tst_boards.moc"
