// ListeningConsole and Serial1Tester against the virtual boards, stock version by stock version:
// both readings of particle-devices 7.1 and 7.6 meet.
#include "protocol/listening_console.h"
#include "protocol/serial1_tester.h"
#include "support/test_program.h"
#include "support/verify.h"
#include "virtual_rig.h"

using namespace provost;
using namespace provost::test;
using namespace std::chrono_literals;

namespace {

constexpr UsbId kTesterAdapter{.vendor = 0x1209, .product = 0x0001};
constexpr auto kSilence = 100ms; // an instant unit has answered long before

/// A unit in listening mode, and its console at our end.
struct ListeningUnit {
    ListeningUnit(std::string_view platform, std::string_view stock)
        : rig(benchText(concat("platform = \"", platform, "\"\nstock = \"", stock, "\"")))
    {
        rig.waitFor(rig.board().profile().cdc.id);
        // Stock units without credentials listen by themselves; an Electron is sent there.
        if (platform == "electron")
            rig.setBaud(28800);
        QVERIFY(rig.until([&] { return rig.board().mode() == sim::BoardMode::Listening; }));
        port = must(rig.bench().serial().open("sim:rig#1"));
        must(port->setBaud(9600));
    }
    ListeningConsole console() { return ListeningConsole(*port); }
    Rig rig;
    std::unique_ptr<SerialPort> port;
};

/// A P1 whose tester greets, on the fixture's line.
struct TesterUnit {
    explicit TesterUnit(std::string_view stock)
        : rig(benchText(concat("platform = \"p1\"\nstock = \"", stock, "\"\nusb = false",
                               stock == "0.4.9" ? "" : "\nserial_tester = true")))
    {
        rig.waitFor(kTesterAdapter);
        port = must(rig.bench().serial().open("sim:rig#1"));
        must(port->setBaud(9600));
        QVERIFY(rig.until([&] { return rig.board().mode() == sim::BoardMode::Listening; }));
        must(tester().wake(rig.op()));
    }
    Serial1Tester tester() { return Serial1Tester(*port); }
    Rig rig;
    std::unique_ptr<SerialPort> port;
};

class TstUnitConsole : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void keys_answerFromTheirVersionOn_data();
    void keys_answerFromTheirVersionOn();
    void claimCode_isRefusedBeforeItIsTyped();
    void claimCode_leavesNoQuestionOpen();
    void safeMode_isWhereTheUnitListensAgain_data();
    void safeMode_isWhereTheUnitListensAgain();
    void tester_doesAllThatTheSheetNames_data();
    void tester_doesAllThatTheSheetNames();
    void tester_refusesWhatWouldBeAnotherCommand();
};

void TstUnitConsole::keys_answerFromTheirVersionOn_data()
{
    QTest::addColumn<QString>("platform");
    QTest::addColumn<QString>("stock");
    QTest::addColumn<bool>("claims");      ///< c, C: from 0.6.0 on
    QTest::addColumn<bool>("diagnostics"); ///< d: from 0.8.0 on
    QTest::addColumn<bool>("cellular");
    QTest::newRow("Photon 0.4.9") << "photon" << "0.4.9" << false << false << false;
    QTest::newRow("Photon 0.6.3") << "photon" << "0.6.3" << true << false << false;
    QTest::newRow("Photon 1.5.2") << "photon" << "1.5.2" << true << true << false;
    QTest::newRow("Photon 2.3.1") << "photon" << "2.3.1" << true << true << false;
    QTest::newRow("P1 0.4.9") << "p1" << "0.4.9" << false << false << false;
    QTest::newRow("Electron 1.5.2") << "electron" << "1.5.2" << true << true << true;
    QTest::newRow("Electron 2.3.1") << "electron" << "2.3.1" << true << true << true;
}

void TstUnitConsole::keys_answerFromTheirVersionOn()
{
    QFETCH(const QString, platform);
    QFETCH(const QString, stock);
    QFETCH(const bool, claims);
    QFETCH(const bool, diagnostics);
    QFETCH(const bool, cellular);
    ListeningUnit unit(platform.toStdString(), stock.toStdString());
    auto console = unit.console();
    QCOMPARE(must(console.deviceId(unit.rig.op())), unit.rig.unit().deviceId);
    const auto brief = [&] { return unit.rig.op(kSilence); };
    const std::string code(63, 'k');
    if (claims) {
        QVERIFY(!must(console.claimed(unit.rig.op())));
        VERIFY_OK(console.setClaimCode(code, unit.rig.op()));
        const Bytes sector = unit.rig.board().physicalDct(unit.rig.board().currentDct());
        const std::string stored = toText(sector);
        QVERIFY(stored.find(code) != std::string::npos);
    } else {
        VERIFY_FAILS(console.claimed(brief()), Errc::Timeout);
        VERIFY_FAILS(console.setClaimCode(code, brief()), Errc::Timeout);
    }
    if (diagnostics)
        QVERIFY(must(console.diagnostics(unit.rig.op())).starts_with("{"));
    else
        VERIFY_FAILS(console.diagnostics(brief()), Errc::Timeout);
    if (cellular) {
        const auto identity = must(console.cellularIdentity(unit.rig.op()));
        QCOMPARE(identity.imei.size(), std::size_t{15});
        QVERIFY(identity.iccid.starts_with("89"));
    } else {
        VERIFY_FAILS(console.cellularIdentity(brief()), Errc::Timeout);
    }
    QCOMPARE(must(console.deviceId(unit.rig.op())), unit.rig.unit().deviceId);
}

void TstUnitConsole::claimCode_isRefusedBeforeItIsTyped()
{
    ListeningUnit unit("photon", "1.5.2");
    auto console = unit.console();
    VERIFY_FAILS(console.setClaimCode(std::string(62, 'k'), unit.rig.op()), Errc::InvalidArgument);
    VERIFY_FAILS(console.setClaimCode(std::string(62, 'k') + "\n", unit.rig.op()),
                 Errc::InvalidArgument);
}

/// Stopped behind the prompt, the next command is still a command.
void TstUnitConsole::claimCode_leavesNoQuestionOpen()
{
    ListeningUnit unit("photon", "1.5.2");
    auto console = unit.console();
    must(unit.port->writeAll(viewOf("C"), unit.rig.op()));
    must(unit.port->writeAll(viewOf("\r"), unit.rig.op()));
    QCOMPARE(must(console.deviceId(unit.rig.op())), unit.rig.unit().deviceId);
    QVERIFY(!must(console.claimed(unit.rig.op())));
}

void TstUnitConsole::safeMode_isWhereTheUnitListensAgain_data()
{
    QTest::addColumn<QString>("stock");
    QTest::addColumn<bool>("restarts"); ///< from 0.5.0 on
    QTest::newRow("0.4.9") << "0.4.9" << false;
    QTest::newRow("0.6.3") << "0.6.3" << true;
    QTest::newRow("1.5.2") << "1.5.2" << true;
    QTest::newRow("2.3.1") << "2.3.1" << true;
}

void TstUnitConsole::safeMode_isWhereTheUnitListensAgain()
{
    QFETCH(const QString, stock);
    QFETCH(const bool, restarts);
    ListeningUnit unit("photon", stock.toStdString());
    const UsbId id = unit.rig.board().profile().cdc.id;
    const auto before = unit.rig.waitFor(id).incarnation;
    VERIFY_OK(unit.console().restartInSafeMode(unit.rig.op()));
    if (!restarts) {
        QCOMPARE(must(unit.console().deviceId(unit.rig.op())), unit.rig.unit().deviceId);
        QCOMPARE(unit.rig.waitFor(id).incarnation, before);
        return;
    }
    QVERIFY(unit.rig.until([&] { return unit.rig.waitFor(id).incarnation != before; }));
    QVERIFY(unit.rig.until([&] { return unit.rig.board().mode() == sim::BoardMode::Listening; }));
}

void TstUnitConsole::tester_doesAllThatTheSheetNames_data()
{
    QTest::addColumn<QString>("stock");
    for (const char* stock : {"0.4.9", "1.5.2", "2.3.1"})
        QTest::newRow(stock) << stock;
}

void TstUnitConsole::tester_doesAllThatTheSheetNames()
{
    QFETCH(const QString, stock);
    TesterUnit unit(stock.toStdString());
    auto tester = unit.tester();
    const auto op = unit.rig.op();
    QCOMPARE(must(tester.info(op)).deviceId, unit.rig.unit().deviceId);
    const auto networks = must(tester.scan(op));
    QCOMPARE(networks.size(), std::size_t{2});
    QCOMPARE(networks[0].ssid, std::string("plant"));
    QVERIFY(networks[0].rssi < 0);
    QCOMPARE(must(tester.testAntennas(op)).size(), std::size_t{4});
    VERIFY_OK(tester.selectAntenna("INTERNAL", op));
    VERIFY_OK(tester.setPin("D5", true, op));
    QVERIFY(unit.rig.board().pinHigh("D5"));
    VERIFY_OK(tester.setPin("ALL", false, op));
    QVERIFY(!unit.rig.board().pinHigh("D5"));
    VERIFY_OK(tester.setProduct(4711, op));
    VERIFY_OK(tester.lockBootloader(false, op));
    VERIFY_OK(tester.lockBootloader(true, op));
    VERIFY_OK(tester.clearCredentials(op));
    QVERIFY(!unit.rig.board().hasCredentials());
    VERIFY_OK(tester.toDfu(op));
    QVERIFY(unit.rig.until([&] { return unit.rig.board().mode() == sim::BoardMode::Dfu; }));
}

void TstUnitConsole::tester_refusesWhatWouldBeAnotherCommand()
{
    TesterUnit unit("0.4.9");
    auto tester = unit.tester();
    const auto op = unit.rig.op();
    for (const char* pin : {"", "D8", "B0", "D1;DFU:", "all"})
        VERIFY_FAILS(tester.setPin(pin, true, op), Errc::InvalidArgument);
    for (const char* name : {"", "a;DFU:", "a:b"})
        VERIFY_FAILS(tester.selectAntenna(name, op), Errc::InvalidArgument);
    QCOMPARE(unit.rig.board().mode(), sim::BoardMode::Listening);
}

} // namespace

PROVOST_TEST("unit_console", TstUnitConsole)
#include "tst_unit_console.moc"
