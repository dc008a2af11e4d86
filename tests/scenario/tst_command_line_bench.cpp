// `bench serve` used from outside: USB/IP, terminals, and behind the bridge as devices of this
// computer, where dfu-util and libusb find them.
#include "support/command_line.h"
#include "support/test_program.h"

#include <QFileInfo>

#include <array>
#include <cstdlib>
#include <fcntl.h>
#include <unistd.h>

using namespace provost::test;

namespace {

/// Runs it where the bench's first unit is plugged into /sys and /dev.
CommandEnd behindBridge(const CommandFolder& folder, const BenchCommand& bench,
                        const QStringList& command)
{
    return folder.run("umockdev-wrapper",
                      QStringList{PROVOST_UMOCK_BRIDGE, bench.server(), "1-1", "--"} + command);
}

class TstCommandLineBench : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void bench_servesUnitsOverUsbIpAndTerminals();
    void bench_servesEveryPlatform_data();
    void bench_servesEveryPlatform();
    void bench_takesKeysOverUsbIp();
    void bench_isListedByDfuUtil();
    void bench_saysWhatItCannotServe();
    void run_onARealLineRefusesDemoImages();
    void terminal_ofTheBenchTakesADemoImage();
    void terminal_heldByAnythingElseTakesNone();
};

void TstCommandLineBench::bench_servesUnitsOverUsbIpAndTerminals()
{
    const CommandFolder folder;
    BenchCommand bench(folder);
    const auto unit = bench.unit();
    QCOMPARE(unit["slot"], QJsonValue(1));
    QCOMPARE(unit["platform"], QJsonValue("photon"));
    QCOMPARE(unit["device_id"].toString().size(), 24);
    QCOMPARE(unit["busid"], QJsonValue("1-1"));
    QCOMPARE(unit["tty"], QJsonValue("bench/slot1"));
    const auto terminal = folder.json({"serial", "identify", "bench/slot1"});
    QVERIFY2(terminal.exitCode == 0, terminal.err);
    QCOMPARE(terminal.last()["device_id"], unit["device_id"]);
    // 14400 baud on the terminal brings the unit to DFU mode, which shows over USB/IP.
    QCOMPARE(folder.typed("serial dfu bench/slot1").exitCode, 0);
    QTRY_COMPARE_WITH_TIMEOUT(
        folder.json({"dfu", "list", "usbip:" + bench.server()}).last()["count"], QJsonValue(1),
        kPatienceMs);
    const auto listed = folder.json({"dfu", "list", "usbip:" + bench.server()}).lines()[0];
    QCOMPARE(listed["device"].toString(), bench.device());
    QCOMPARE(listed["id"], QJsonValue("2b04:d006"));
    QCOMPARE(listed["simulated"], QJsonValue(true));
    QCOMPARE(listed["memories"].toArray().size(), 2);
    const auto ended = bench.stop();
    QCOMPARE(ended.exitCode, 0);
    QVERIFY(!folder.exists("bench/slot1"));
}

void TstCommandLineBench::bench_servesEveryPlatform_data()
{
    QTest::addColumn<QString>("platform");
    QTest::addColumn<QString>("id");
    QTest::addColumn<int>("memories");
    QTest::newRow("core") << "core" << "1d50:607f" << 2;
    QTest::newRow("p1") << "p1" << "2b04:d008" << 3;
    QTest::newRow("electron") << "electron" << "2b04:d00a" << 2;
}

void TstCommandLineBench::bench_servesEveryPlatform()
{
    QFETCH(QString, platform);
    QFETCH(QString, id);
    QFETCH(int, memories);
    const CommandFolder folder;
    BenchCommand bench(folder, platform + "-quick");
    QCOMPARE(bench.unit()["platform"].toString(), platform);
    QCOMPARE(folder.typed("serial dfu bench/slot1").exitCode, 0);
    QTRY_COMPARE_WITH_TIMEOUT(
        folder.json({"dfu", "list", "usbip:" + bench.server()}).last()["count"], QJsonValue(1),
        kPatienceMs);
    const auto listed = folder.json({"dfu", "list", "usbip:" + bench.server()}).lines()[0];
    QCOMPARE(listed["id"].toString(), id);
    QCOMPARE(listed["memories"].toArray().size(), memories);
}

void TstCommandLineBench::bench_takesKeysOverUsbIp()
{
    const CommandFolder folder;
    BenchCommand bench(folder);
    QCOMPARE(folder.typed("keys new --platform photon --out unit.der --clear-key").exitCode, 0);
    const auto write = folder.json(
        {"dfu", "write", bench.device(), "--alt", "1", "--address", "0x22", "unit.der"});
    QVERIFY2(write.exitCode == 0, write.err);
    QCOMPARE(write.last()["verified"], QJsonValue(true));
    const auto read = folder.json({"dfu", "read", bench.device(), "--alt", "1", "--address", "0x22",
                                   "--length", "612", "-o", "slot.der"});
    QCOMPARE(read.exitCode, 0);
    QCOMPARE(folder.read("slot.der").left(611), folder.read("unit.der"));
    const auto checked = folder.json({"keys", "check", "slot.der", "--platform", "photon"});
    QCOMPARE(checked.exitCode, 0);
    // Another unit of the bench is untouched.
    QCOMPARE(folder
                 .json({"dfu", "read", bench.device("1-2"), "--alt", "1", "--address", "0x22",
                        "--length", "612", "-o", "other.der"})
                 .exitCode,
             0);
    QCOMPARE(folder.read("other.der"), QByteArray(612, '\xFF'));
    const QByteArray key = folder.read("unit.der").toHex().mid(300, 32);
    QVERIFY(!write.says(key) && !read.says(key) && !checked.says(key));
}

void TstCommandLineBench::bench_isListedByDfuUtil()
{
    const CommandFolder folder;
    BenchCommand bench(folder);
    QCOMPARE(folder.typed("serial dfu bench/slot1").exitCode, 0);
    QTRY_COMPARE_WITH_TIMEOUT(
        folder.json({"dfu", "list", "usbip:" + bench.server()}).last()["count"], QJsonValue(1),
        kPatienceMs);
    const auto util = behindBridge(folder, bench, {"dfu-util", "-l"});
    QVERIFY2(util.out.contains("2b04:d006"), util.out + util.err);
    // The same unit through libusb, as a device of this computer.
    const auto ours = behindBridge(folder, bench, {provostProgram(), "dfu", "list", "--json"});
    QVERIFY2(ours.last()["count"] == 1, ours.out + ours.err);
    const QString address = ours.lines()[0]["device"].toString();
    QVERIFY2(address.startsWith("usb:"), qPrintable(address));
    const auto read =
        behindBridge(folder, bench,
                     {provostProgram(), "dfu", "read", address, "--alt", "1", "--address", "22",
                      "--length", "612", "-o", "ours.der", "--clear-key"});
    QVERIFY2(read.exitCode == 0, read.err);
    const auto upload = behindBridge(
        folder, bench,
        {"dfu-util", "-d", "2b04:d006", "-a", "1", "-s", "34:612", "-U", "theirs.der"});
    QVERIFY2(upload.exitCode == 0, upload.out + upload.err);
    QCOMPARE(folder.read("ours.der"), folder.read("theirs.der"));
    QCOMPARE(folder.read("ours.der").size(), 612);
    QVERIFY(folder.write("data.bin", QByteArray(5000, '\x5C')));
    const auto write = behindBridge(folder, bench,
                                    {provostProgram(), "dfu", "write", "usb:2b04:d006", "--alt",
                                     "0", "--address", "080c0000", "data.bin"});
    QVERIFY2(write.exitCode == 0, write.err);
    QCOMPARE(behindBridge(folder, bench,
                          {"dfu-util", "-d", "2b04:d006", "-a", "0", "-s", "0x080c0000:5000", "-U",
                           "back.bin"})
                 .exitCode,
             0);
    QCOMPARE(folder.read("back.bin"), folder.read("data.bin"));
}

void TstCommandLineBench::bench_saysWhatItCannotServe()
{
    const CommandFolder folder;
    QCOMPARE(folder.json({"bench", "serve", "nowhere.toml"}).exitCode, 2);
    QCOMPARE(folder.json({"bench", "serve", "photon-quick", "--usbip", "here"}).exitCode, 64);
    QVERIFY(folder.write("bad.toml", "[bench]\nname = 5\n"));
    const auto bad = folder.json({"bench", "serve", "bad.toml"});
    QCOMPARE(bad.exitCode, 2);
    QVERIFY2(bad.err.contains("bad.toml:2"), bad.err);
    BenchCommand first(folder);
    const auto taken = folder.json({"bench", "serve", "photon-quick", "--usbip", first.server()});
    QCOMPARE(taken.exitCode, 2);
    QCOMPARE(taken.last()["code"], QJsonValue("busy"));
}

void TstCommandLineBench::run_onARealLineRefusesDemoImages()
{
    const CommandFolder folder;
    BenchCommand bench(folder);
    QVERIFY(folder.write("wifi-password", "secret-of-the-line\n"));
    QVERIFY(folder.write("line.toml", "[station]\nname = \"Line\"\n[[slot]]\nnumber = 1\n"
                                      "usb = \"1-1\"\n[network]\nssid = \"test\"\n"
                                      "password_file = \"wifi-password\"\nsecurity = 3\n"
                                      "[handshake]\nhost = \"127.0.0.1\"\nport = 0\n"));
    const auto ran = behindBridge(folder, bench,
                                  {provostProgram(), "run", "--station", "line.toml", "--label",
                                   bench.unit()["device_id"].toString(), "--json"});
    QVERIFY2(ran.exitCode == 2, ran.out + ran.err);
    QCOMPARE(ran.lines().size(), 2);
    QCOMPARE(ran.lines()[0]["verdict"], QJsonValue("error"));
    QCOMPARE(ran.lines()[0]["cause"], QJsonValue("C041"));
    QCOMPARE(ran.lines()[0]["simulated"], QJsonValue(false));
    QVERIFY(!ran.says("secret-of-the-line"));
    // Without the bridge nothing is plugged in there.
    const auto none = folder.json({"run", "--station", "line.toml"});
    QCOMPARE(none.exitCode, 2);
    QVERIFY(none.out.contains("\"C010\"") && none.err.contains("usb:1-1"));
}

void TstCommandLineBench::terminal_ofTheBenchTakesADemoImage()
{
    const CommandFolder folder;
    const BenchCommand bench(folder);
    const QString image = demoImage("photon-2.3.1-user-demo.bin");
    const auto sent = folder.json({"ymodem", "send", image, "--port", "bench/slot1"});
    QVERIFY2(sent.exitCode == 0, sent.out + sent.err);
    QCOMPARE(sent.last()["unit"], QJsonValue(true));
    // By its own name, too: what counts is who holds the other end.
    const QString own = QFile::symLinkTarget(folder.path("bench/slot2"));
    QVERIFY(own.startsWith("/dev/pts/"));
    const auto again = folder.json({"ymodem", "send", image, "--port", own});
    QVERIFY2(again.exitCode == 0, again.out + again.err);
}

/// Whatever a terminal leads to: held by another program it may lead to a real unit.
void TstCommandLineBench::terminal_heldByAnythingElseTakesNone()
{
    const CommandFolder folder;
    const BenchCommand bench(folder);
    const QString image = demoImage("photon-2.3.1-user-demo.bin");
    const auto refused = [&](const QString& port) {
        const auto sent = folder.json({"ymodem", "send", image, "--port", port});
        return sent.exitCode == 4 && sent.last()["cause"] == QJsonValue("C041");
    };
    // Of this test, under the name of a bench's terminal.
    const int master = ::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    QVERIFY(master >= 0 && ::grantpt(master) == 0 && ::unlockpt(master) == 0);
    std::array<char, 128> name{};
    QVERIFY(::ptsname_r(master, name.data(), name.size()) == 0);
    const QString own = QString::fromLocal8Bit(name.data());
    QVERIFY(refused(own));
    QVERIFY(QFile::remove(folder.path("bench/slot1")) &&
            QFile::link(own, folder.path("bench/slot1")));
    QVERIFY(refused("bench/slot1"));
    // Of another program that calls itself provost-bench.
    QProcess impostor;
    folder.prepare(impostor);
    const QString copy = folder.path("provost-bench");
    QVERIFY(QFile::copy(QStringLiteral(PROVOST_BUILD_DIR "/bin/provost-bench"), copy));
    impostor.start(copy, {PROVOST_SOURCE_DIR "/stations/benches/photon-quick.toml", "--dir",
                          "other", "--usbip", "127.0.0.1:0", "--json"});
    while (!impostor.canReadLine() && impostor.waitForReadyRead(kPatienceMs)) {
    }
    QVERIFY(refused("other/slot1"));
    impostor.terminate();
    QVERIFY(impostor.waitForFinished(kPatienceMs));
    // No terminal at all.
    QVERIFY(QFile::link("/dev/null", folder.path("other/slot9")));
    QVERIFY(folder.json({"ymodem", "send", image, "--port", "other/slot9"}).exitCode != 0);
    ::close(master);
}

} // namespace

PROVOST_TEST("command_line_bench", TstCommandLineBench)
#include "tst_command_line_bench.moc"
