// `dfu`, `serial` and `ymodem`: virtual units by every kind of address, lrzsz at the far end.
#include "support/command_line.h"
#include "support/pseudo_terminal.h"
#include "support/test_program.h"

#include "core/crc.h"

#include <QCryptographicHash>
#include <QSocketNotifier>
#include <QtEndian>

#include <array>
#include <cstdlib>
#include <fcntl.h>
#include <unistd.h>

using namespace provost::test;

namespace {

const QString kSlot = QStringLiteral("sim:photon-quick#1");

class TstCommandLineDevices : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void read_takesExactlyWhatWasAskedFor();
    void read_neverOverwrites();
    void read_namesADeviceThatIsNotThere_data();
    void read_namesADeviceThatIsNotThere();
    void write_provesItByReadBack();
    void write_showsProgressOnATerminalOnly();
    void write_refusesAModuleThatBelongsElsewhere();
    void memories_ofEveryBoardAreReached_data();
    void memories_ofEveryBoardAreReached();
    void erase_saysWhatItDid();
    void list_showsWhatIsInDfuModeOnly();
    void list_bringsTheUnitsOfItsOwnBenchToDfuMode();
    void serial_identifiesAUnitByEveryAddress();
    void serial_listsPorts();
    void serial_asksASilentPortNotForEver();
    void ymodem_sendsToLrzsz_data();
    void ymodem_sendsToLrzsz();
    void ymodem_sendsToAUnitInListeningMode_data();
    void ymodem_sendsToAUnitInListeningMode();
    void ymodem_refusesAFileForAnotherPlatform_data();
    void ymodem_refusesAFileForAnotherPlatform();
    void ymodem_saysWhatTheUnitSays();
    void ymodem_receivesFromLrzsz();
    void ymodem_receivesNothingOverWhatIsThere();
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

void TstCommandLineDevices::write_showsProgressOnATerminalOnly()
{
    const CommandFolder folder;
    const QString words = "provost dfu write " + kSlot + " --alt 0 --address 080a0000 " +
                          demoImage("photon-2.3.1-user-demo.bin");
    const auto piped = folder.run("bash", {"-c", words});
    QVERIFY(piped.exitCode == 0 && !piped.says("%"));
    const auto seen = folder.run("script", {"-qec", words, "/dev/null"}); // script(1) is a terminal
    QVERIFY(seen.exitCode == 0 && seen.says("100% writing"));
    QVERIFY(seen.out.trimmed().endsWith(piped.out.trimmed()));
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

void TstCommandLineDevices::memories_ofEveryBoardAreReached_data()
{
    QTest::addColumn<QString>("bench");
    QTest::addColumn<QString>("alternate");
    QTest::addColumn<QString>("address");
    QTest::newRow("core, keys") << "core-quick" << "1" << "0x2000"; // particle-devices 2.3
    QTest::newRow("p1, keys") << "p1-quick" << "1" << "0x22";
    QTest::newRow("p1, serial flash") << "p1-quick" << "2" << "0x1000";
    QTest::newRow("electron, keys") << "electron-quick" << "1" << "0x22";
}

void TstCommandLineDevices::memories_ofEveryBoardAreReached()
{
    QFETCH(QString, bench);
    QFETCH(QString, alternate);
    QFETCH(QString, address);
    const CommandFolder folder;
    folder.write("slot.der", QByteArray(612, 'k'));
    const auto slot = "sim:" + bench + "#1";
    const auto written =
        folder.json({"dfu", "write", slot, "--alt", alternate, "--address", address, "slot.der"});
    QVERIFY2(written.exitCode == 0, written.err);
    QCOMPARE(written.last()["verified"], QJsonValue(true));
    const auto wrong = folder.json({"dfu", "write", slot, "--alt", "0", "--address", "0x080a0000",
                                    PROVOST_BUILD_DIR "/images/photon-2.3.1-user-demo.bin"});
    QCOMPARE(wrong.exitCode, 4);
    QVERIFY2(wrong.err.contains("module for platform 6"), wrong.err);
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

void TstCommandLineDevices::list_showsWhatIsInDfuModeOnly()
{
    const CommandFolder folder;
    QVERIFY(folder.write("bench.toml", "[bench]\nname = \"mixed\"\nspeed = \"instant\"\n[network]\n"
                                       "ssid = \"a\"\npassword = \"b\"\nsecurity = 3\n"
                                       "[[slot]]\nnumber = 1\n[[slot.unit]]\nstock = \"1.5.2\"\n"
                                       "[[slot]]\nnumber = 2\n[[slot.unit]]\nstock = \"empty\"\n"));
    const BenchCommand bench(folder, "bench.toml");
    const QString bus = "usbip:" + bench.server();
    const auto ran = folder.json({"dfu", "list", bus});
    QVERIFY2(ran.exitCode == 0, ran.err);
    QCOMPARE(ran.lines().size(), 2);
    QCOMPARE(ran.lines()[0]["device"], QJsonValue(bus + "/1-2"));
    QCOMPARE(ran.last(), (QJsonObject{{"event", "devices"}, {"count", 1}}));
    QVERIFY(folder.provost({"dfu", "list", bus}).out.contains("KiB"));
}

/// Nobody else could hold their buttons.
void TstCommandLineDevices::list_bringsTheUnitsOfItsOwnBenchToDfuMode()
{
    const CommandFolder folder;
    const auto ran = folder.json({"dfu", "list", "sim:photon-quick"});
    QVERIFY2(ran.exitCode == 0, ran.err);
    QCOMPARE(ran.last(), (QJsonObject{{"event", "devices"}, {"count", 8}}));
    QCOMPARE(ran.lines()[0]["memories"].toArray().size(), 2);
    QCOMPARE(ran.lines()[0]["simulated"], QJsonValue(true));
}

void TstCommandLineDevices::serial_identifiesAUnitByEveryAddress()
{
    const CommandFolder folder;
    BenchCommand bench(folder);
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

/// Lets a program with pipes answer at a terminal's far end.
class Relay {
public:
    Relay(const PseudoTerminal& terminal, QProcess& program)
        : m_fromCommand(terminal.master(), QSocketNotifier::Read)
    {
        QObject::connect(&m_fromCommand, &QSocketNotifier::activated, &program, [&] {
            std::array<char, 4096> bytes{};
            const auto count = ::read(terminal.master(), bytes.data(), bytes.size());
            if (count > 0)
                program.write(bytes.data(), count);
        });
        QObject::connect(&program, &QProcess::readyReadStandardOutput, &m_fromCommand, [&] {
            const QByteArray bytes = program.readAllStandardOutput();
            QCOMPARE(
                ::write(terminal.master(), bytes.data(), static_cast<std::size_t>(bytes.size())),
                bytes.size());
        });
    }

private:
    QSocketNotifier m_fromCommand;
};

void TstCommandLineDevices::serial_asksASilentPortNotForEver()
{
    const CommandFolder folder;
    const PseudoTerminal silent;
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
    const QByteArray content = QByteArray("\x11\x13\x18\x1A\xFFmodule", 11).repeated(2000);
    QVERIFY(folder.write("module.bin", content));
    QVERIFY(folder.write("note.txt", "short\n"));
    const PseudoTerminal terminal;
    QProcess receiver;
    receiver.setWorkingDirectory(folder.path("there"));
    const Relay relay(terminal, receiver);
    receiver.start("rb", {"-q"});
    QProcess sender;
    folder.prepare(sender);
    sender.start(provostProgram(), QStringList{"ymodem", "send", "module.bin", "note.txt", "--port",
                                               terminal.path(), "--json"} +
                                       options);
    QTRY_COMPARE_WITH_TIMEOUT(sender.state(), QProcess::NotRunning, kPatienceMs);
    const auto ran = CommandFolder::ended(sender);
    QVERIFY2(ran.exitCode == 0, ran.err);
    QTRY_COMPARE_WITH_TIMEOUT(receiver.state(), QProcess::NotRunning, kPatienceMs);
    QCOMPARE(receiver.exitCode(), 0);
    QCOMPARE(folder.read("there/module.bin"), content);
    QCOMPARE(folder.read("there/note.txt"), QByteArray("short\n"));
    QCOMPARE(ran.last()["files"], QJsonValue(2));
    QCOMPARE(ran.last()["bytes"].toInteger(), content.size() + 6);
    QVERIFY(!ran.says("\x1B["));
}

/// A user part without the mark of demo images, and another one than the unit has.
QByteArray ownUserPart()
{
    QFile file(demoImage("photon-1.5.2-user-demo.bin"));
    if (!file.open(QIODevice::ReadOnly))
        return {};
    QByteArray module = file.readAll();
    module.replace("PROVOST-DEMO", "OWN-MADE-APP");
    // particle-devices 6.2: product fields, SHA-256, size of these, then the CRC, big endian.
    const qsizetype sha = module.size() - 4 - 2 - 32;
    module.replace(sha, 32,
                   QCryptographicHash::hash(module.first(sha), QCryptographicHash::Sha256));
    const QByteArray body = module.first(module.size() - 4);
    const auto crc =
        provost::crc32(std::as_bytes(std::span(body.data(), std::size_t(body.size()))));
    qToBigEndian(crc, module.data() + body.size());
    return module;
}

QString hashOf(const QByteArray& module)
{
    return module.sliced(module.size() - 38, 32).toHex();
}

QString userHashOf(const QJsonObject& identified)
{
    const QJsonArray modules = identified["modules"].toArray();
    for (const QJsonValue& module : modules) {
        if (module["function"] == "user-part" && module["location"] == "m")
            return module["sha256"].toString();
    }
    return {};
}

void TstCommandLineDevices::ymodem_sendsToAUnitInListeningMode_data()
{
    QTest::addColumn<bool>("byUsbIp");
    QTest::addColumn<QStringList>("options");
    QTest::newRow("pseudo-terminal") << false << QStringList{};
    QTest::newRow("pseudo-terminal, --unit") << false << QStringList{"--unit", "--block", "128"};
    QTest::newRow("USB/IP, --unit") << true << QStringList{"--unit"};
}

void TstCommandLineDevices::ymodem_sendsToAUnitInListeningMode()
{
    QFETCH(const bool, byUsbIp);
    QFETCH(const QStringList, options);
    const CommandFolder folder;
    BenchCommand bench(folder);
    const QString port = byUsbIp ? bench.device() : QString("bench/slot1");
    const QByteArray module = ownUserPart();
    QVERIFY(folder.write("app.bin", module));
    const auto before = folder.json({"serial", "identify", port});
    QVERIFY2(before.exitCode == 0, before.err);
    QVERIFY(userHashOf(before.last()) != hashOf(module));
    const auto sent =
        folder.json(QStringList{"ymodem", "send", "app.bin", "--port", port} + options);
    QVERIFY2(sent.exitCode == 0, sent.err);
    QCOMPARE(sent.last()["unit"], QJsonValue(true));
    QCOMPARE(sent.last()["bytes"].toInteger(), module.size());
    // It restarts, and says by itself what it runs then.
    QTRY_COMPARE_WITH_TIMEOUT(userHashOf(folder.json({"serial", "identify", port}).last()),
                              hashOf(module), kPatienceMs);
}

void TstCommandLineDevices::ymodem_refusesAFileForAnotherPlatform_data()
{
    QTest::addColumn<QString>("image");
    QTest::addColumn<bool>("byUsbIp");
    QTest::addColumn<QStringList>("options");
    for (const char* image : {"p1-2.3.1-user-demo.bin", "electron-2.3.1-user-demo.bin"}) {
        QTest::addRow("%s, pseudo-terminal", image) << image << false << QStringList{};
        QTest::addRow("%s, --unit", image) << image << false << QStringList{"--unit"};
        QTest::addRow("%s, USB/IP", image) << image << true << QStringList{};
    }
}

void TstCommandLineDevices::ymodem_refusesAFileForAnotherPlatform()
{
    QFETCH(const QString, image);
    QFETCH(const bool, byUsbIp);
    QFETCH(const QStringList, options);
    static const CommandFolder folder; // nothing is written, so one unit serves all rows
    static const BenchCommand bench(folder);
    const QString port = byUsbIp ? bench.device() : QString("bench/slot1");
    const auto before = folder.json({"serial", "identify", port});
    QVERIFY2(before.exitCode == 0, before.err);
    const auto refused =
        folder.json(QStringList{"ymodem", "send", demoImage(image), "--port", port} + options);
    QVERIFY2(refused.exitCode == 4, refused.out + refused.err);
    QVERIFY2(refused.err.contains("it is a module for platform"), refused.err);
    const auto after = folder.json({"serial", "identify", port});
    QCOMPARE(after.last()["modules"], before.last()["modules"]);
}

void TstCommandLineDevices::ymodem_saysWhatTheUnitSays()
{
    const CommandFolder folder;
    BenchCommand bench(folder);
    QByteArray damaged = ownUserPart();
    damaged[damaged.size() / 2] = static_cast<char>(damaged[damaged.size() / 2] ^ 1);
    QVERIFY(folder.write("damaged.bin", damaged));
    QVERIFY(folder.write("large.bin", QByteArray(300 * 1024, 'x')));
    const auto invalid =
        folder.json({"ymodem", "send", "damaged.bin", "--port", "bench/slot1", "--unit"});
    QCOMPARE(invalid.exitCode, 4);
    QVERIFY2(invalid.err.contains("Validation failed"), invalid.err);
    const auto large =
        folder.json({"ymodem", "send", "large.bin", "--port", "bench/slot2", "--unit"});
    QCOMPARE(large.exitCode, 4);
    QVERIFY2(large.err.contains("higher than the allowed"), large.err);
    for (const auto& words :
         {QStringList{"damaged.bin", "large.bin", "--unit"}, {"large.bin", "--unit", "--g"}})
        QCOMPARE(
            folder.json(QStringList{"ymodem", "send", "--port", "bench/slot3"} + words).exitCode,
            64);
}

void TstCommandLineDevices::ymodem_receivesFromLrzsz()
{
    for (const QStringList& options : {QStringList{}, {"--g"}}) {
        const CommandFolder folder;
        QVERIFY(QDir(folder.path("")).mkdir("here"));
        const QByteArray content = QByteArray("\x11\x13\x18\x1A\xFFmodule", 11).repeated(2000);
        QVERIFY(folder.write("module.bin", content));
        QVERIFY(folder.write("note.txt", "short\n"));
        const PseudoTerminal terminal;
        QProcess sender;
        sender.setWorkingDirectory(folder.path(""));
        const Relay relay(terminal, sender);
        sender.start("sb", {"-q", "-k", "module.bin", "note.txt"});
        QProcess receiver;
        folder.prepare(receiver);
        receiver.start(provostProgram(), QStringList{"ymodem", "receive", "here", "--port",
                                                     terminal.path(), "--json"} +
                                             options);
        QTRY_COMPARE_WITH_TIMEOUT(receiver.state(), QProcess::NotRunning, kPatienceMs);
        const auto ran = CommandFolder::ended(receiver);
        QVERIFY2(ran.exitCode == 0, ran.err);
        QTRY_COMPARE_WITH_TIMEOUT(sender.state(), QProcess::NotRunning, kPatienceMs);
        QCOMPARE(folder.read("here/module.bin"), content);
        QCOMPARE(folder.read("here/note.txt"), QByteArray("short\n"));
        QCOMPARE(ran.lines().size(), 3);
        QCOMPARE(ran.last()["files"], QJsonValue(2));
    }
}

void TstCommandLineDevices::ymodem_receivesNothingOverWhatIsThere()
{
    const CommandFolder folder;
    QVERIFY(QDir(folder.path("")).mkdir("here"));
    QVERIFY(folder.write("here/note.txt", "precious"));
    QVERIFY(folder.write("note.txt", "short\n"));
    const PseudoTerminal terminal;
    QProcess sender;
    sender.setWorkingDirectory(folder.path(""));
    const Relay relay(terminal, sender);
    sender.start("sb", {"-q", "note.txt"});
    QProcess receiver;
    folder.prepare(receiver);
    receiver.start(provostProgram(), {"ymodem", "receive", "here", "--port", terminal.path()});
    QTRY_COMPARE_WITH_TIMEOUT(receiver.state(), QProcess::NotRunning, kPatienceMs);
    QCOMPARE(CommandFolder::ended(receiver).exitCode, 4);
    QCOMPARE(folder.read("here/note.txt"), QByteArray("precious"));
    QTRY_COMPARE_WITH_TIMEOUT(sender.state(), QProcess::NotRunning, kPatienceMs);
    QVERIFY(sender.exitCode() != 0);
    QCOMPARE(folder.json({"ymodem", "receive", "nowhere", "--port", terminal.path()}).exitCode, 64);
}

void TstCommandLineDevices::ymodem_saysWhatItCannotSend()
{
    const CommandFolder folder;
    QVERIFY(folder.write("a.bin", "a"));
    const PseudoTerminal silent;
    QCOMPARE(folder.json({"ymodem", "send", "no.bin", "--port", silent.path()}).exitCode, 2);
    QCOMPARE(folder.json({"ymodem", "send", "a.bin", "--port", "/dev/nowhere"}).exitCode, 2);
    QCOMPARE(folder.json({"ymodem", "send", "a.bin", "--port", silent.path(), "--block", "512"})
                 .exitCode,
             64);
    const auto demo =
        folder.json({"ymodem", "send", PROVOST_BUILD_DIR "/images/photon-2.3.1-user-demo.bin",
                     "--port", silent.path()});
    QCOMPARE(demo.exitCode, 4);
    QCOMPARE(demo.last()["cause"], QJsonValue("C041"));
    RunningCommand waiting(folder, {"ymodem", "send", "a.bin", "--port", silent.path(), "--json"});
    QTRY_VERIFY(waiting.hasOpen(silent.path())); // it waits for a receiver that never comes
    QCOMPARE(waiting.interrupt().exitCode, 3);
}

} // namespace

PROVOST_TEST("command_line_devices", TstCommandLineDevices)
#include "tst_command_line_devices.moc"
