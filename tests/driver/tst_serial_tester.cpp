// A P1 without USB: the production tester on Serial1, through the fixture's adapter.
#include "protocol/serial1_tester.h"
#include "support/test_program.h"
#include "virtual_rig.h"

using namespace provost;
using namespace provost::test;
using namespace std::chrono_literals;

namespace {

constexpr const char* kNoUsb = "platform = \"p1\"\nstock = \"0.4.9\"\nusb = false";
constexpr const char* kGreeting = "GOOD DAY, WIFI TESTER AT YOUR SERVICE!!!\r\n";
constexpr UsbId kAdapter{.vendor = 0x1209, .product = 0x0001};

/// The fixture's end of Serial1.
class Line {
public:
    explicit Line(Rig& rig) : m_rig(rig)
    {
        rig.waitFor(kAdapter);
        m_port = must(rig.bench().serial().open("sim:rig#1"));
        must(m_port->setBaud(9600));
    }
    SerialPort& port() { return *m_port; }
    /// Waits until the unit listens, then says the wake-up.
    void wake()
    {
        QVERIFY(m_rig.until([this] { return m_rig.board().mode() == sim::BoardMode::Listening; }));
        send(*fromHex("e163573fe787c2a68520a56ce3049ea0"));
    }
    void send(ByteView bytes) { must(m_port->writeAll(bytes, m_rig.op())); }
    void send(std::string_view text) { send(viewOf(text)); }
    std::string until(std::string_view end, std::chrono::milliseconds patience = 5s)
    {
        std::string text;
        while (!text.ends_with(end)) {
            Bytes bytes(64);
            const auto count = m_port->readSome(bytes, m_rig.op(patience));
            if (!count)
                break;
            text += toText(ByteView(bytes).first(*count));
        }
        return text;
    }
    std::string command(std::string_view text, std::string_view end)
    {
        send(text);
        return until(end);
    }

private:
    Rig& m_rig;
    std::unique_ptr<SerialPort> m_port;
};

/// What the tester says to one command.
std::string answer(std::string_view command, std::string_view lines)
{
    return concat("checking command: ", command, "\r\n", lines);
}

class TstSerialTester : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void slot_showsTheAdapterAndNoBoard()
    {
        Rig rig(benchText(kNoUsb));
        const auto info = rig.waitFor(kAdapter);
        const auto incarnation = info.incarnation;
        rig.board().reset();
        QVERIFY(rig.until([&] { return rig.board().mode() == sim::BoardMode::Listening; }));
        QCOMPARE(rig.waitFor(kAdapter).incarnation, incarnation);
    }

    void wakeUp_isGreetedInListeningMode()
    {
        Rig rig(benchText(kNoUsb));
        Line line(rig);
        line.wake();
        QCOMPARE(line.until("!!!\r\n"), std::string(kGreeting));
        QVERIFY(!rig.board().pinHigh("D2"));
        const auto info = line.command("INFO:;", "RSSI: 2\r\n");
        QVERIFY2(info.starts_with(answer(
                     "INFO:", concat("DeviceID: ", rig.unit().deviceId, "\r\nSerial: \r\nMAC: "))),
                 info.c_str());
        QVERIFY2(info.ends_with("\r\nSSID: \r\nRSSI: 2\r\n"), info.c_str());
    }

    void commands_areAnswered_data()
    {
        QTest::addColumn<QString>("command");
        QTest::addColumn<QString>("lines");
        QTest::newRow("scan") << "WIFI_SCAN:"
                              << "SCAN_START\r\nplant,-48\r\nwarehouse,-71\r\nSCAN_STOP\r\n";
        QTest::newRow("antenna") << "ANT:U.FL" << "Selected antenna U.FL\r\n";
        QTest::newRow("pin") << "SET_PIN:D7:HIGH" << "PIN:D7: IS HIGH\r\n";
        QTest::newRow("product") << "SET_PRODUCT:1234" << "PRODUCT_ID IS NOW 1234\r\n";
        QTest::newRow("unlock") << "UNLOCK:" << "... Done unlocking! ...\r\n";
        QTest::newRow("lock") << "LOCK:" << "... Done locking! ...\r\n";
        // Matched as a substring anywhere in it.
        QTest::newRow("in the middle") << "xx SET_PIN:A0:LOW" << "PIN:A0: IS LOW\r\n";
    }
    void commands_areAnswered()
    {
        QFETCH(QString, command);
        QFETCH(QString, lines);
        Rig rig(benchText(kNoUsb));
        Line line(rig);
        line.wake();
        line.until("!!!\r\n");
        const auto text = command.toStdString();
        QCOMPARE(line.command(text + ";", lines.toStdString()), answer(text, lines.toStdString()));
    }

    void connect_joinsAndRaisesD2_data()
    {
        QTest::addColumn<QString>("command");
        QTest::addColumn<bool>("joins");
        QTest::newRow("right password") << "CONNECT:plant:line-four" << true;
        QTest::newRow("wrong password") << "CONNECT:plant:line-five" << false;
        QTest::newRow("another network") << "CONNECT:office:line-four" << false;
    }
    void connect_joinsAndRaisesD2()
    {
        QFETCH(QString, command);
        QFETCH(bool, joins);
        Rig rig(benchText(kNoUsb));
        Line line(rig);
        line.wake();
        line.until("!!!\r\n");
        // The next command proves that everything of this one was said.
        line.send(command.toStdString() + ";");
        const auto said = line.command("ANT:x;", "Selected antenna x\r\n");
        QVERIFY(said.find("tokenizing...\r\nparts...\r\n") != std::string::npos);
        QVERIFY(said.find("connecting...\r\n  WIFI Connected?    \r\n") != std::string::npos);
        QCOMPARE(said.find("DHCP DHCP DHCP !") != std::string::npos, joins);
        QCOMPARE(rig.board().pinHigh("D2"), joins);
        // They are not kept.
        QVERIFY(!rig.board().hasCredentials());
    }

    void malformedPin_isSilent()
    {
        Rig rig(benchText(kNoUsb));
        Line line(rig);
        line.wake();
        line.until("!!!\r\n");
        line.send("SET_PIN:D9:HIGH;");
        QCOMPARE(line.command("ANT:x;", "Selected antenna x\r\n"),
                 answer("SET_PIN:D9:HIGH", "") + answer("ANT:x", "Selected antenna x\r\n"));
    }

    void clear_forgetsTheCredentials()
    {
        Rig rig(benchText(std::string(kNoUsb) + "\ncredentials = \"foreign\""));
        QVERIFY(rig.until([&] { return rig.board().mode() == sim::BoardMode::Application; }));
        must(rig.bench().holdMode(1, 3s));
        Line line(rig);
        line.wake();
        line.until("!!!\r\n");
        QVERIFY(rig.board().hasCredentials());
        line.send("CLEAR:;");
        QVERIFY(rig.until([&] { return !rig.board().hasCredentials(); }));
    }

    void dfu_restartsIntoABootloaderThatNobodySees()
    {
        Rig rig(benchText(kNoUsb));
        Line line(rig);
        line.wake();
        line.until("!!!\r\n");
        QCOMPARE(line.command("DFU:;", "mode!\r\n"),
                 answer("DFU:", "resetting into DFU mode!\r\n"));
        QVERIFY(rig.until([&] { return rig.board().mode() == sim::BoardMode::Dfu; }));
        QVERIFY(rig.waitFor(kAdapter).id == kAdapter);
    }

    void anotherRate_isNoise()
    {
        Rig rig(benchText(kNoUsb));
        Line line(rig);
        must(line.port().setBaud(115200));
        line.wake();
        must(line.port().setBaud(9600));
        line.wake();
        QCOMPARE(line.until("!!!\r\n"), std::string(kGreeting)); // of the second wake-up only
    }

    void laterSystems_answerWhereTheApplicationWantsIt_data()
    {
        QTest::addColumn<bool>("started");
        QTest::newRow("started") << true;
        QTest::newRow("not started") << false;
    }
    void laterSystems_answerWhereTheApplicationWantsIt()
    {
        QFETCH(bool, started);
        Rig rig(benchText(concat("platform = \"p1\"\nstock = \"1.5.2\"\nusb = false",
                                 started ? "\nserial_tester = true" : "")));
        Line line(rig);
        line.wake();
        QCOMPARE(line.until("!!!\r\n", started ? 5000ms : 200ms),
                 std::string(started ? kGreeting : ""));
    }

    void driver_learnsWhatTheTesterSays()
    {
        Rig rig(benchText(kNoUsb));
        Line line(rig);
        QVERIFY(rig.until([&] { return rig.board().mode() == sim::BoardMode::Listening; }));
        Serial1Tester tester(line.port());
        must(tester.wake(rig.op()));
        const auto first = must(tester.info(rig.op()));
        QCOMPARE(first.deviceId, rig.unit().deviceId);
        QVERIFY(first.mac.size() == 17);
        QVERIFY(first.ssid.empty() && !first.rssi);
        must(tester.connect("plant", SecretBytes(viewOf("line-four")), rig.op()));
        const auto joined = must(tester.info(rig.op()));
        QCOMPARE(joined.ssid, std::string("plant"));
        QCOMPARE(joined.rssi, std::optional(-48));
        QVERIFY(!rig.board().hasCredentials());
        must(tester.lockBootloader(false, rig.op()));
        must(tester.lockBootloader(true, rig.op()));
        must(tester.reboot(rig.op()));
        QVERIFY(rig.until([&] { return !rig.board().pinHigh("D2"); }));
    }

    void driver_saysWhatDoesNotWork()
    {
        Rig rig(benchText(kNoUsb));
        Line line(rig);
        QVERIFY(rig.until([&] { return rig.board().mode() == sim::BoardMode::Listening; }));
        Serial1Tester tester(line.port());
        const auto asleep = tester.info(rig.op(200ms));
        QVERIFY(!asleep);
        QCOMPARE(asleep.error().code, Errc::Timeout);
        must(tester.wake(rig.op()));
        const auto wrong = tester.connect("plant", SecretBytes(viewOf("line-five")), rig.op(300ms));
        QVERIFY(!wrong);
        QCOMPARE(wrong.error().code, Errc::Denied);
        const auto odd = tester.connect("plant;x", SecretBytes(viewOf("line-four")), rig.op());
        QVERIFY(!odd);
        QCOMPARE(odd.error().code, Errc::InvalidArgument);
        QVERIFY(odd.error().message.find("line-four") == std::string::npos);
    }

    void benchFile_refusesItForOthers()
    {
        const auto bench =
            sim::Bench::parse(benchText("platform = \"photon\"\nusb = false"), "bench.toml");
        QVERIFY(!bench);
        QVERIFY2(bench.error().message.find("only a P1") != std::string::npos,
                 bench.error().message.c_str());
    }
};

} // namespace

PROVOST_TEST("serial_tester", TstSerialTester)
#include "tst_serial_tester.moc"
