// `bench`, `dfu`, `serial` and `ymodem`: virtual units by every kind of address, and programs of
// other people at the far end.
#include "support/command_line.h"

#include <cstdlib>
#include <fcntl.h>
#include <unistd.h>

using namespace provost::test;

namespace {

const QString kSlot = QStringLiteral("sim:photon-quick#1");

/// A served bench of eight new Photons.
class Bench {
public:
    explicit Bench(const CommandFolder& folder)
        : m_serving(folder, {"bench", "serve", "photon-quick", "--usbip", "127.0.0.1:0", "--dir",
                             "bench", "--json"})
    {
        m_unit = m_serving.waitForEvent("unit");
        m_port = m_serving.waitForEvent("listening")["port"].toInt();
    }
    QJsonObject unit() const { return m_unit; }
    QString server() const { return QString("127.0.0.1:%1").arg(m_port); }
    QString device(const QString& busId = "1-1") const { return "usbip:" + server() + "/" + busId; }
    CommandEnd stop() { return m_serving.interrupt(); }

private:
    RunningCommand m_serving;
    QJsonObject m_unit{};
    int m_port = 0;
};

class TstCommandLineDevices : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void read_takesExactlyWhatWasAskedFor();
    void read_neverOverwrites();
    void read_namesADeviceThatIsNotThere_data();
    void read_namesADeviceThatIsNotThere();
    void write_provesItByReadBack();
    void write_refusesAModuleThatBelongsElsewhere();
    void erase_saysWhatItDid();
    void bench_servesUnitsOverUsbIpAndTerminals();
    void bench_takesKeysOverUsbIp();
    void bench_isListedByDfuUtil();
    void bench_saysWhatItCannotServe();
    void list_showsWhatIsInDfuModeOnly();
    void serial_identifiesAUnitByEveryAddress();
    void serial_listsPorts();
    void serial_asksASilentPortNotForEver();
    void ymodem_sendsToLrzsz_data();
    void ymodem_sendsToLrzsz();
    void ymodem_saysWhatItCannotSend();
};

void TstCommandLineDevices::read_takesExactlyWhatWasAskedFor()
{
    const CommandFolder folder;
    const auto ran = folder.json({"dfu", "read", kSlot, "--alt", "1", "--address", "0x22",
                                  "--length", "612", "-o", "slot.der"});
    QVERIFY2(ran.exitCode == 0, ran.err);
    QCOMPARE(folder.read("slot.der"), QByteArray(612, '\xFF')); // a new unit has no key
    QCOMPARE(folder.permissions("slot.der") & (QFile::ReadGroup | QFile::ReadOther),
             QFile::Permissions());
    QCOMPARE(ran.lines().size(), 1);
    QCOMPARE(ran.last()["length"], QJsonValue(612));
    QCOMPARE(ran.last()["address"], QJsonValue("0x00000022"));
    // Addresses are hexadecimal with and without 0x.
    QCOMPARE(folder
                 .provost({"dfu", "read", kSlot, "--alt", "0", "--address", "08020000", "--length",
                           "64", "-o", "part"})
                 .exitCode,
             0);
    QCOMPARE(folder.read("part").size(), 64);
}

void TstCommandLineDevices::read_neverOverwrites()
{
    const CommandFolder folder;
    QVERIFY(folder.write("slot.der", "precious"));
    const auto ran = folder.provost({"dfu", "read", kSlot, "--alt", "1", "--address", "0x22",
                                     "--length", "612", "-o", "slot.der"});
    QCOMPARE(ran.exitCode, 4);
    QVERIFY(ran.err.contains("slot.der"));
    QCOMPARE(folder.read("slot.der"), QByteArray("precious"));
}

void TstCommandLineDevices::read_namesADeviceThatIsNotThere_data()
{
    QTest::addColumn<QString>("device");
    QTest::addColumn<int>("exitCode");
    QTest::newRow("port") << "usb:99-9" << 2;
    QTest::newRow("id") << "usb:2b04:d0ff" << 2;
    QTest::newRow("slot") << "sim:photon-quick#99" << 64;
    QTest::newRow("slot without number") << "sim:photon-quick#" << 64;
    QTest::newRow("bench") << "sim:nowhere#1" << 2;
    QTest::newRow("server") << "usbip:127.0.0.1:9/1-1" << 2;
    QTest::newRow("server without bus id") << "usbip:127.0.0.1:9" << 64;
}

void TstCommandLineDevices::read_namesADeviceThatIsNotThere()
{
    QFETCH(const QString, device);
    QFETCH(const int, exitCode);
    const CommandFolder folder;
    const auto ran = folder.json(
        {"dfu", "read", device, "--alt", "1", "--address", "0", "--length", "1", "-o", "x"});
    if (ran.err.contains("libusb") || ran.err.contains("USB is not"))
        QSKIP("this computer has no USB");
    QVERIFY2(ran.exitCode == exitCode, ran.err);
    QCOMPARE(ran.last()["event"], QJsonValue("error"));
    QVERIFY(!folder.exists("x"));
}

void TstCommandLineDevices::write_provesItByReadBack()
{
    const CommandFolder folder;
    const auto ran = folder.json({"dfu", "write", kSlot, "--alt", "0", "--address", "0x080a0000",
                                  demoImage("photon-2.3.1-user-demo.bin"), "--leave"});
    QVERIFY2(ran.exitCode == 0, ran.err);
    QCOMPARE(ran.last()["verified"], QJsonValue(true));
    QCOMPARE(ran.last()["length"].toInteger(),
             QFileInfo(demoImage("photon-2.3.1-user-demo.bin")).size());
    const auto blind = folder.json({"dfu", "write", kSlot, "--alt", "0", "--address", "0x080a0000",
                                    demoImage("photon-2.3.1-user-demo.bin"), "--no-verify"});
    QCOMPARE(blind.exitCode, 0);
    QCOMPARE(blind.last()["verified"], QJsonValue(false));
}

void TstCommandLineDevices::write_refusesAModuleThatBelongsElsewhere()
{
    const CommandFolder folder;
    const auto write = [&](const QString& address, const QString& file) {
        return folder.json({"dfu", "write", kSlot, "--alt", "0", "--address", address, file});
    };
    const auto elsewhere = write("0x08020000", demoImage("photon-2.3.1-user-demo.bin"));
    QCOMPARE(elsewhere.exitCode, 4);
    QVERIFY(elsewhere.err.contains("0x080a0000"));
    QFile image(demoImage("photon-2.3.1-user-demo.bin"));
    QVERIFY(image.open(QIODevice::ReadOnly));
    QByteArray content = image.readAll();
    content[4000] = static_cast<char>(content[4000] ^ 1);
    QVERIFY(folder.write("damaged.bin", content));
    QCOMPARE(write("0x080a0000", "damaged.bin").exitCode, 4);
    QVERIFY(folder.write("empty.bin", {}));
    QCOMPARE(write("0x080a0000", "empty.bin").exitCode, 64);
    QCOMPARE(write("0x080a0000", "no.bin").exitCode, 2);
    // Where the memory ends, and where the bootloader protects itself.
    QVERIFY(folder.write("plain.bin", "plain"));
    QVERIFY(write("0x08100000", "plain.bin").exitCode != 0);
    QVERIFY(write("0x08000000", "plain.bin").exitCode != 0);
}

void TstCommandLineDevices::erase_saysWhatItDid()
{
    const CommandFolder folder;
    const auto ran = folder.json(
        {"dfu", "erase", kSlot, "--alt", "0", "--address", "0x080a0000", "--length", "1"});
    QVERIFY2(ran.exitCode == 0, ran.err);
    QCOMPARE(ran.last()["event"], QJsonValue("erase"));
    const auto boot = folder.json(
        {"dfu", "erase", kSlot, "--alt", "0", "--address", "0x08000000", "--length", "1"});
    QCOMPARE(boot.exitCode, 4);
    QCOMPARE(boot.last()["code"], QJsonValue("protected"));
}

void TstCommandLineDevices::bench_servesUnitsOverUsbIpAndTerminals()
{
    const CommandFolder folder;
    Bench bench(folder);
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

void TstCommandLineDevices::bench_takesKeysOverUsbIp()
{
    const CommandFolder folder;
    Bench bench(folder);
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

void TstCommandLineDevices::bench_isListedByDfuUtil()
{
    const CommandFolder folder;
    Bench bench(folder);
    QCOMPARE(folder.typed("serial dfu bench/slot1").exitCode, 0);
    QTRY_COMPARE_WITH_TIMEOUT(
        folder.json({"dfu", "list", "usbip:" + bench.server()}).last()["count"], QJsonValue(1),
        kPatienceMs);
    const auto behindBridge = [&](const QStringList& command) {
        return folder.run("umockdev-wrapper",
                          QStringList{PROVOST_UMOCK_BRIDGE, bench.server(), "1-1", "--"} + command);
    };
    const auto util = behindBridge({"dfu-util", "-l"});
    QVERIFY2(util.out.contains("2b04:d006"), util.out + util.err);
    // The same unit through libusb, as a device of this computer.
    const auto ours = behindBridge({provostProgram(), "dfu", "list", "--json"});
    QVERIFY2(ours.last()["count"] == 1, ours.out + ours.err);
    const QString address = ours.lines()[0]["device"].toString();
    QVERIFY2(address.startsWith("usb:"), qPrintable(address));
    const auto read = behindBridge({provostProgram(), "dfu", "read", address, "--alt", "1",
                                    "--address", "22", "--length", "612", "-o", "ours.der"});
    QVERIFY2(read.exitCode == 0, read.err);
    const auto upload = behindBridge(
        {"dfu-util", "-d", "2b04:d006", "-a", "1", "-s", "34:612", "-U", "theirs.der"});
    QVERIFY2(upload.exitCode == 0, upload.out + upload.err);
    QCOMPARE(folder.read("ours.der"), folder.read("theirs.der"));
    QCOMPARE(folder.read("ours.der").size(), 612);
    QVERIFY(folder.write("data.bin", QByteArray(5000, '\x5C')));
    const auto write = behindBridge({provostProgram(), "dfu", "write", "usb:2b04:d006", "--alt",
                                     "0", "--address", "080c0000", "data.bin"});
    QVERIFY2(write.exitCode == 0, write.err);
    QCOMPARE(behindBridge({"dfu-util", "-d", "2b04:d006", "-a", "0", "-s", "0x080c0000:5000", "-U",
                           "back.bin"})
                 .exitCode,
             0);
    QCOMPARE(folder.read("back.bin"), folder.read("data.bin"));
}

void TstCommandLineDevices::bench_saysWhatItCannotServe()
{
    const CommandFolder folder;
    QCOMPARE(folder.json({"bench", "serve", "nowhere.toml"}).exitCode, 2);
    QCOMPARE(folder.json({"bench", "serve", "photon-quick", "--usbip", "here"}).exitCode, 64);
    QVERIFY(folder.write("bad.toml", "[bench]\nname = 5\n"));
    const auto bad = folder.json({"bench", "serve", "bad.toml"});
    QCOMPARE(bad.exitCode, 2);
    QVERIFY2(bad.err.contains("bad.toml:2"), bad.err);
    Bench first(folder);
    const auto taken = folder.json({"bench", "serve", "photon-quick", "--usbip", first.server()});
    QCOMPARE(taken.exitCode, 2);
    QCOMPARE(taken.last()["code"], QJsonValue("busy"));
}

void TstCommandLineDevices::list_showsWhatIsInDfuModeOnly()
{
    const CommandFolder folder;
    QVERIFY(folder.write("bench.toml", "[bench]\nname = \"mixed\"\nspeed = \"instant\"\n[network]\n"
                                       "ssid = \"a\"\npassword = \"b\"\nsecurity = 3\n"
                                       "[[slot]]\nnumber = 1\n[[slot.unit]]\nstock = \"1.5.2\"\n"
                                       "[[slot]]\nnumber = 2\n[[slot.unit]]\nstock = \"empty\"\n"));
    const auto ran = folder.json({"dfu", "list", "sim:bench.toml"});
    QVERIFY2(ran.exitCode == 0, ran.err);
    QCOMPARE(ran.lines().size(), 2);
    QCOMPARE(ran.lines()[0]["device"], QJsonValue("sim:mixed#2"));
    QCOMPARE(ran.last(), (QJsonObject{{"event", "devices"}, {"count", 1}}));
    QVERIFY(folder.typed("dfu list sim:bench.toml").out.contains("KiB"));
}

void TstCommandLineDevices::serial_identifiesAUnitByEveryAddress()
{
    const CommandFolder folder;
    Bench bench(folder);
    for (const QString& port : {QString("bench/slot1"), bench.device()}) {
        const auto ran = folder.json({"serial", "identify", port});
        QVERIFY2(ran.exitCode == 0, ran.err);
        QCOMPARE(ran.last()["device_id"], bench.unit()["device_id"]);
        QCOMPARE(ran.last()["system_version"], QJsonValue("1.5.2"));
        QCOMPARE(ran.last()["platform"], QJsonValue(6));
        QVERIFY(ran.last()["modules"].toArray().size() >= 4);
    }
    QVERIFY(folder.provost({"serial", "identify", kSlot}).out.contains("bootloader"));
}

void TstCommandLineDevices::serial_listsPorts()
{
    const CommandFolder folder;
    const auto ran = folder.json({"serial", "list", "sim:photon-quick"});
    QCOMPARE(ran.exitCode, 0);
    QCOMPARE(ran.last(), (QJsonObject{{"event", "ports"}, {"count", 8}}));
    QCOMPARE(ran.lines()[0]["simulated"], QJsonValue(true));
}

/// A pseudo-terminal: whoever speaks at the master's end is the peer of the command.
class Terminal {
public:
    Terminal() : m_master(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC))
    {
        ::grantpt(m_master);
        ::unlockpt(m_master);
        std::array<char, 128> name{};
        ::ptsname_r(m_master, name.data(), name.size());
        m_path = name.data();
        m_slave = ::open(name.data(), O_RDWR | O_NOCTTY | O_CLOEXEC); // keeps the line up
        ::system(qPrintable("stty raw -echo -F " + m_path));
    }
    ~Terminal()
    {
        ::close(m_slave);
        ::close(m_master);
    }
    Terminal(const Terminal&) = delete;
    Terminal& operator=(const Terminal&) = delete;
    int master() const { return m_master; }
    const QString& path() const { return m_path; }

private:
    int m_master = -1;
    int m_slave = -1;
    QString m_path{};
};

void TstCommandLineDevices::serial_asksASilentPortNotForEver()
{
    const CommandFolder folder;
    const Terminal silent;
    const auto ran = folder.json({"serial", "identify", silent.path()});
    QCOMPARE(ran.exitCode, 2);
    QCOMPARE(ran.last()["code"], QJsonValue("timeout"));
    QVERIFY(ran.err.contains("SETUP"));
    QCOMPARE(folder.json({"serial", "identify", "/dev/nowhere"}).exitCode, 2);
}

void TstCommandLineDevices::ymodem_sendsToLrzsz_data()
{
    QTest::addColumn<QStringList>("options");
    QTest::newRow("1024") << QStringList{};
    QTest::newRow("128") << QStringList{"--block", "128"};
    QTest::newRow("streaming") << QStringList{"--g"};
}

void TstCommandLineDevices::ymodem_sendsToLrzsz()
{
    QFETCH(const QStringList, options);
    const CommandFolder folder;
    QVERIFY(QDir(folder.path("")).mkdir("there"));
    const QString image = demoImage("photon-2.3.1-user-demo.bin");
    QVERIFY(folder.write("note.txt", "short\n"));
    const Terminal terminal;
    QProcess receiver;
    receiver.setWorkingDirectory(folder.path("there"));
    receiver.setChildProcessModifier([&terminal] {
        ::dup2(terminal.master(), STDIN_FILENO);
        ::dup2(terminal.master(), STDOUT_FILENO);
    });
    receiver.start("rb", {"-q"});
    QVERIFY(receiver.waitForStarted());
    const auto ran = folder.json(
        QStringList{"ymodem", "send", image, "note.txt", "--port", terminal.path()} + options);
    QVERIFY2(ran.exitCode == 0, ran.err);
    QCOMPARE(CommandFolder::ended(receiver).exitCode, 0);
    QFile sent(image);
    QVERIFY(sent.open(QIODevice::ReadOnly));
    const QByteArray content = sent.readAll();
    QCOMPARE(folder.read("there/photon-2.3.1-user-demo.bin"), content);
    QCOMPARE(folder.read("there/note.txt"), QByteArray("short\n"));
    QCOMPARE(ran.last()["files"], QJsonValue(2));
    QCOMPARE(ran.last()["bytes"].toInteger(), content.size() + 6);
    QVERIFY(!ran.says("\x1B["));
}

void TstCommandLineDevices::ymodem_saysWhatItCannotSend()
{
    const CommandFolder folder;
    QVERIFY(folder.write("a.bin", "a"));
    const Terminal silent;
    QCOMPARE(folder.json({"ymodem", "send", "no.bin", "--port", silent.path()}).exitCode, 2);
    QCOMPARE(folder.json({"ymodem", "send", "a.bin", "--port", "/dev/nowhere"}).exitCode, 2);
    QCOMPARE(folder.json({"ymodem", "send", "a.bin", "--port", silent.path(), "--block", "512"})
                 .exitCode,
             64);
    RunningCommand waiting(folder, {"ymodem", "send", "a.bin", "--port", silent.path(), "--json"});
    QTest::qWait(300); // it waits for a receiver that never comes
    QCOMPARE(waiting.interrupt().exitCode, 3);
}

} // namespace

QTEST_GUILESS_MAIN(TstCommandLineDevices)
#include "tst_command_line_devices.moc"
