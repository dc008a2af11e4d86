// `stlink …` used from outside: over USB/IP, and behind the bridge by libusb on the same probes
// that st-flash uses.
#include "support/command_line.h"
#include "support/test_program.h"

#include <QRandomGenerator>

using namespace provost::test;

namespace {

/// `bench serve probes`: 1-1 V2 with F103, 1-2 V2-1 with F103, 1-3 V3 with F205.
class ProbesCommand {
public:
    explicit ProbesCommand(const CommandFolder& folder)
        : m_folder(folder),
          m_serving(folder, {"bench", "serve", "probes", "--usbip", "127.0.0.1:0", "--json"}),
          m_probe(m_serving.waitForEvent("probe")),
          m_port(m_serving.waitForEvent("listening")["port"].toInt())
    {
    }
    QJsonObject probe() const { return m_probe; }
    QString server() const { return QString("127.0.0.1:%1").arg(m_port); }
    QString device(const QString& busId) const { return "usbip:" + server() + "/" + busId; }
    CommandEnd stop() { return m_serving.interrupt(); }
    /// Where the probe is plugged into /sys and /dev.
    CommandEnd atProbe(const QString& busId, const QStringList& command) const
    {
        return m_folder.run("umockdev-wrapper",
                            QStringList{PROVOST_UMOCK_BRIDGE, server(), busId, "--"} + command);
    }

private:
    const CommandFolder& m_folder;
    RunningCommand m_serving;
    QJsonObject m_probe;
    int m_port;
};

QByteArray noise(qsizetype size)
{
    QByteArray bytes(size, '\0');
    for (char& each : bytes)
        each = static_cast<char>(QRandomGenerator::global()->bounded(256));
    return bytes;
}

class TstCommandLineProbes : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void list_showsEveryProbe()
    {
        const CommandFolder folder;
        ProbesCommand bench(folder);
        QCOMPARE(bench.probe()["model"], QJsonValue("v2"));
        const auto listed = folder.json({"stlink", "list", "usbip:" + bench.server()});
        QVERIFY2(listed.exitCode == 0, listed.err);
        QCOMPARE(listed.last()["count"], QJsonValue(3));
        QCOMPARE(listed.lines()[0]["version"], QJsonValue("V2J37S7"));
        QCOMPARE(listed.lines()[2]["serial"], QJsonValue("002F00233438511834313939"));
        const auto none = folder.json({"stlink", "list"});
        QCOMPARE(none.exitCode, 0);
        QCOMPARE(bench.stop().exitCode, 0);
    }

    void info_namesTheTarget()
    {
        const CommandFolder folder;
        const ProbesCommand bench(folder);
        const auto info = folder.json({"stlink", "info", bench.device("1-3"), "--khz", "2000"});
        QVERIFY2(info.exitCode == 0, info.err);
        QCOMPARE(info.last()["dpidr"], QJsonValue("0x2ba01477"));
        QCOMPARE(info.last()["idcode"], QJsonValue("0x20036411"));
        QCOMPARE(info.last()["volts"], QJsonValue(3.3));
        QCOMPARE(info.last()["khz"], QJsonValue(1000));
    }

    void whatWeWrite_isWhatStFlashReads_data() { routes(); }
    void whatWeWrite_isWhatStFlashReads()
    {
        QFETCH(QString, busId);
        QFETCH(QString, address);
        QFETCH(int, size);
        const CommandFolder folder;
        const ProbesCommand bench(folder);
        const QByteArray image = noise(size);
        QVERIFY(folder.write("image.bin", image));
        // By libusb, as a device of this computer; st-flash next to it.
        const auto write =
            bench.atProbe(busId, {provostProgram(), "stlink", "write", "usb:1-" + busId.last(1),
                                  "--address", address, "image.bin", "--json"});
        QVERIFY2(write.exitCode == 0, write.err);
        QCOMPARE(write.last()["verified"], QJsonValue(true));
        QCOMPARE(write.last()["skipped"], QJsonValue(0));
        const auto theirs = bench.atProbe(
            busId, {"st-flash", "read", folder.path("theirs.bin"), address, QString::number(size)});
        QVERIFY2(theirs.exitCode == 0, theirs.out + theirs.err);
        QVERIFY(folder.read("theirs.bin").left(size) == image);
        // Once more over USB/IP: nothing to do.
        const auto again = folder.json(
            {"stlink", "write", bench.device(busId), "--address", address, "image.bin"});
        QVERIFY2(again.exitCode == 0, again.err);
        QCOMPARE(again.last()["skipped"], QJsonValue(size));
    }

    void whatStFlashWrites_isWhatWeRead_data() { routes(); }
    void whatStFlashWrites_isWhatWeRead()
    {
        QFETCH(QString, busId);
        QFETCH(QString, address);
        QFETCH(int, size);
        const CommandFolder folder;
        const ProbesCommand bench(folder);
        const QByteArray image = noise(size);
        QVERIFY(folder.write("image.bin", image));
        const auto theirs =
            bench.atProbe(busId, {"st-flash", "write", folder.path("image.bin"), address});
        QVERIFY2(theirs.exitCode == 0, theirs.out + theirs.err);
        const auto ours = folder.json({"stlink", "read", bench.device(busId), "--address", address,
                                       "--length", QString::number(size), "-o", "ours.bin"});
        QVERIFY2(ours.exitCode == 0, ours.err);
        QVERIFY(folder.read("ours.bin") == image);
        QCOMPARE(folder.permissions("ours.bin") & QFile::ReadOther, QFile::Permissions());
        const auto erased = folder.json({"stlink", "erase", bench.device(busId), "--address",
                                         address, "--length", QString::number(size)});
        QVERIFY2(erased.exitCode == 0, erased.err);
        const auto blank = folder.json({"stlink", "read", bench.device(busId), "--address", address,
                                        "--length", QString::number(size), "-o", "blank.bin"});
        QVERIFY2(blank.exitCode == 0, blank.err);
        QVERIFY(folder.read("blank.bin") == QByteArray(size, '\xFF'));
        QCOMPARE(folder.json({"stlink", "reset", bench.device(busId)}).exitCode, 0);
    }

    void writeProtectionOfOthers_isLiftedOnRequestAndPutBack_data()
    {
        QTest::addColumn<QString>("busId");
        QTest::addColumn<QString>("target");
        QTest::newRow("F103") << "1-2" << "target/stm32f1x.cfg";
        QTest::newRow("F205") << "1-3" << "target/stm32f2x.cfg";
    }
    void writeProtectionOfOthers_isLiftedOnRequestAndPutBack()
    {
        QFETCH(QString, busId);
        QFETCH(QString, target);
        const CommandFolder folder;
        const ProbesCommand bench(folder);
        const QByteArray image = noise(3000);
        QVERIFY(folder.write("image.bin", image));
        const auto closed = bench.atProbe(
            busId, {"openocd", "-c", "gdb_port disabled; tcl_port disabled; telnet_port disabled",
                    "-f", "interface/stlink.cfg", "-f", target, "-c",
                    "init; reset halt; flash protect 0 0 0 on; reset halt; exit"});
        QVERIFY2(closed.exitCode == 0, closed.out + closed.err);
        const QStringList write{"stlink",    "write",      bench.device(busId),
                                "--address", "0x08000000", "image.bin"};
        const auto refused = folder.json(write);
        QCOMPARE(refused.exitCode, 4);
        QVERIFY2(refused.err.contains("write protection"), refused.err);
        const auto lifted = folder.json(write + QStringList{"--lift-protection"});
        QVERIFY2(lifted.exitCode == 0, lifted.err);
        QCOMPARE(lifted.last()["protection_lifted"], QJsonValue(true));
        const auto theirs = bench.atProbe(
            busId, {"st-flash", "read", folder.path("theirs.bin"), "0x08000000", "3000"});
        QVERIFY2(theirs.exitCode == 0, theirs.out + theirs.err);
        QVERIFY(folder.read("theirs.bin").left(image.size()) == image);
        // It is back: st-flash, which cannot lift it, runs into it.
        QVERIFY(folder.write("other.bin", noise(1024)));
        QVERIFY(bench.atProbe(busId, {"st-flash", "write", folder.path("other.bin"), "0x08000000"})
                    .exitCode != 0);
    }

    void whatDoesNotBelong_isRefusedBeforeTheFirstWrite()
    {
        const CommandFolder folder;
        const ProbesCommand bench(folder);
        const QString core = bench.device("1-2");
        const auto code = [&](const QStringList& words) { return folder.json(words).exitCode; };
        const QString module = demoImage("photon-2.3.1-user-demo.bin");
        const auto wrongChip =
            folder.json({"stlink", "write", core, "--address", "0x080a0000", module});
        QCOMPARE(wrongChip.exitCode, 4);
        QVERIFY2(wrongChip.err.contains("platform 6"), wrongChip.err);
        QCOMPARE(code({"stlink", "write", bench.device("1-3"), "--address", "0x08080000", module}),
                 4);
        QVERIFY(folder.write("big.bin", noise(128 * 1024 + 1)));
        QCOMPARE(code({"stlink", "write", core, "--address", "0x08000000", "big.bin"}), 64);
        QVERIFY(folder.write("small.bin", "x"));
        QCOMPARE(code({"stlink", "write", core, "--address", "0x20000000", "small.bin"}), 64);
        QCOMPARE(code({"stlink", "read", core, "--address", "0x30000000", "--length", "4", "-o",
                       "none.bin"}),
                 4);
        QVERIFY(!folder.exists("none.bin"));
        QCOMPARE(code({"stlink", "read", core, "--address", "0x08000000", "--length", "4", "-o",
                       "small.bin"}),
                 4);
        QCOMPARE(code({"stlink", "erase", core}), 64);
        QCOMPARE(code({"stlink", "info", bench.device("1-9")}), 2);
        const auto blank = folder.json({"stlink", "read", core, "--address", "0x08000000",
                                        "--length", "131072", "-o", "all.bin"});
        QCOMPARE(blank.exitCode, 0);
        QVERIFY(folder.read("all.bin") == QByteArray(131072, '\xFF'));
    }

    void simulatedProbes_areAddressedByTheirBench()
    {
        const CommandFolder folder;
        const auto listed = folder.json({"stlink", "list", "sim:p1-serial1"});
        QVERIFY2(listed.exitCode == 0, listed.err);
        QCOMPARE(listed.last()["count"], QJsonValue(2));
        QCOMPARE(listed.lines()[1]["device"], QJsonValue("sim:p1-serial1#2"));
        QCOMPARE(listed.lines()[1]["simulated"], QJsonValue(true));
        const auto id = folder.json({"stlink", "read", "sim:p1-serial1#2", "--address",
                                     "0x1fff7a10", "--length", "12", "-o", "id.bin"});
        QVERIFY2(id.exitCode == 0, id.err);
        QCOMPARE(folder.read("id.bin").size(), 12);
        QVERIFY(folder.write("image.bin", noise(9000)));
        const auto write = folder.json(
            {"stlink", "write", "sim:probes#3", "--address", "0x08020000", "image.bin"});
        QVERIFY2(write.exitCode == 0, write.err);
        QCOMPARE(write.last()["verified"], QJsonValue(true));
        // A demo image may go to what is simulated, to its own chip only.
        const QString demo = demoImage("p1-2.3.1-user-demo.bin");
        const auto module =
            folder.json({"stlink", "write", "sim:p1-serial1#1", "--address", "0x080a0000", demo});
        QVERIFY2(module.exitCode == 0, module.err);
        const auto code = [&](const QStringList& words) { return folder.json(words).exitCode; };
        QCOMPARE(code({"stlink", "info", "sim:probes#9"}), 2);
        QCOMPARE(code({"stlink", "info", "sim:probes#"}), 64);
        QCOMPARE(code({"stlink", "info", "sim:there-is-none#1"}), 2);
    }

    void debugPort_showsItsRegisters()
    {
        const CommandFolder folder;
        const ProbesCommand bench(folder);
        const QString core = bench.device("1-2");
        const auto value = [&](const QStringList& more) {
            const auto end = folder.json(QStringList{"stlink", "dap", core} + more);
            return end.exitCode == 0 ? end.last()["value"].toString()
                                     : QString::number(end.exitCode);
        };
        QCOMPARE(value({"--port", "dp", "--register", "0"}), QString("0x1ba01477"));
        QCOMPARE(value({"--port", "0", "--register", "fc"}), QString("0x14770011"));
        QCOMPARE(value({"--port", "0", "--register", "4", "--value", "0x20000000"}),
                 QString("0x20000000"));
        QCOMPARE(value({"--port", "7", "--register", "fc"}), QString("2"));
        QCOMPARE(value({"--port", "dp", "--register", "3"}), QString("64"));
        QCOMPARE(value({"--port", "x", "--register", "0"}), QString("64"));
    }

    void optionBytes_areShownAndProtectionIsSet()
    {
        const CommandFolder folder;
        const ProbesCommand bench(folder);
        for (const char* busId : {"1-2", "1-3"}) {
            const auto set =
                folder.json({"stlink", "options", bench.device(busId), "--write-protect", "0x3"});
            QVERIFY2(set.exitCode == 0, set.err);
            QCOMPARE(set.last()["write_protected"], QJsonValue("0x00000003"));
            const auto seen = folder.json({"stlink", "options", bench.device(busId)});
            QCOMPARE(seen.last()["write_protected"], QJsonValue("0x00000003"));
            QCOMPARE(seen.last()["read_protected"], QJsonValue(false));
            QCOMPARE(seen.last()["bytes"].toString().size(), 32);
        }
    }

    void table_isReadPatchedAndRestored()
    {
        const CommandFolder folder;
        const QString bench = folder.path("kept.toml");
        QVERIFY(folder.write("kept.toml", R"([bench]
name = "kept"
speed = "instant"
[network]
ssid = "Plant"
password = "virtual-plant-wifi"
[[slot]]
number = 1
[[slot.unit]]
platform = "photon"
stock = "0.6.3"
device_id = "330029000547343233323331"
memory = "kept.flash"
[[slot]]
number = 2
[[slot.unit]]
platform = "photon"
stock = "1.5.2"
[[probe]]
number = 1
model = "v3"
slot = 1
[[probe]]
number = 2
model = "v3"
slot = 2
)"));
        const QString kept = "sim:" + bench + "#1";
        const QStringList claim{"--platform", "photon", "--offset", "1762"};
        QVERIFY(folder.write("claim.bin", QByteArray(63, 'c')));
        const auto backup = folder.json({"stlink", "read", kept, "--address", "0x08004000",
                                         "--length", "32768", "-o", "both.bin"});
        QVERIFY2(backup.exitCode == 0, backup.err);
        const auto written =
            folder.json(QStringList{"stlink", "dct-write", kept, "claim.bin"} + claim);
        QVERIFY2(written.exitCode == 0, written.err);
        const auto read = [&](const QString& file) {
            const auto end = folder.json(
                QStringList{"stlink", "dct-read", kept, "--length", "63", "-o", file} + claim);
            return end.exitCode == 0 ? folder.read(file) : QByteArray();
        };
        QCOMPARE(read("after.bin"), QByteArray(63, 'c'));
        const auto restored =
            folder.json({"stlink", "dct-restore", kept, "both.bin", "--platform", "photon"});
        QVERIFY2(restored.exitCode == 0, restored.err);
        QCOMPARE(read("restored.bin"), QByteArray(63, '\xFF'));
        const auto refused = folder.json(
            QStringList{"stlink", "dct-write", "sim:" + bench + "#2", "claim.bin"} + claim);
        QCOMPARE(refused.exitCode, 4);
        QVERIFY2(refused.err.contains("both sectors"), refused.err);
    }

    void fileForAnotherPlatform_isRefusedBeforeTheFirstWrite_data()
    {
        QTest::addColumn<QString>("platform");
        QTest::addColumn<QString>("stock");
        QTest::addColumn<QString>("image");
        QTest::newRow("P1's on a Photon") << "photon" << "1.5.2" << "p1-2.3.1-user-demo.bin";
        QTest::newRow("Photon's on a P1") << "p1" << "1.5.2" << "photon-2.3.1-user-demo.bin";
        QTest::newRow("Photon's on an Electron")
            << "electron" << "2.3.1" << "photon-2.3.1-user-demo.bin";
        QTest::newRow("Core's on a Photon")
            << "photon" << "1.5.2" << "core-0.7.0-monolithic-demo.bin";
    }
    void fileForAnotherPlatform_isRefusedBeforeTheFirstWrite()
    {
        QFETCH(const QString, platform);
        QFETCH(const QString, stock);
        QFETCH(const QString, image);
        const CommandFolder folder;
        QVERIFY(folder.write("kept.toml",
                             QString("[bench]\nname = \"kept\"\nspeed = \"instant\"\n"
                                     "[network]\nssid = \"Plant\"\npassword = \"line-four-one\"\n"
                                     "[[slot]]\nnumber = 1\n[[slot.unit]]\nplatform = \"%1\"\n"
                                     "stock = \"%2\"\ndevice_id = \"330029000547343233323331\"\n"
                                     "memory = \"kept.flash\"\n"
                                     "[[probe]]\nnumber = 1\nmodel = \"v3\"\nslot = 1\n")
                                 .arg(platform, stock)
                                 .toUtf8()));
        const QString unit = "sim:" + folder.path("kept.toml") + "#1";
        // Behind the table: a unit that boots writes keys of its own there.
        const auto modules = [&](const QString& file) {
            const auto ran = folder.json({"stlink", "read", unit, "--address", "0x0800c000",
                                          "--length", "999424", "-o", file});
            return ran.exitCode == 0 ? folder.read(file) : QByteArray();
        };
        const QByteArray before = modules("before.bin");
        QCOMPARE(before.size(), qsizetype{999424});
        const auto refused =
            folder.json({"stlink", "write", unit, demoImage(image), "--address", "0x080a0000"});
        QCOMPARE(refused.exitCode, 4);
        QVERIFY2(refused.err.contains("it is a module for platform"), refused.err);
        QVERIFY(folder.write("claim.bin", QByteArray(63, 'c')));
        const auto table =
            folder.json({"stlink", "dct-write", unit, "claim.bin", "--offset", "1762", "--platform",
                         platform == "photon" ? "p1" : "photon"});
        QCOMPARE(table.exitCode, 4);
        QVERIFY2(table.err.contains("name that as --platform"), table.err);
        QVERIFY(modules("after.bin") == before);
    }

    /// One id, two devices: nothing says which one is meant.
    void twoThatMatch_areRefusedAsAmbiguous()
    {
        const CommandFolder folder;
        BenchCommand bench(folder);
        QVERIFY(folder.write("a.bin", QByteArray(16, 'a')));
        const auto at = [&](const QStringList& busIds, const QStringList& command) {
            return folder.run("umockdev-wrapper",
                              QStringList{PROVOST_UMOCK_BRIDGE, bench.server()} + busIds +
                                  QStringList{"--", provostProgram()} + command +
                                  QStringList{"--json"});
        };
        const QStringList place{"--alt", "0", "--address", "080a0000"};
        for (const auto& command :
             {QStringList{"dfu", "write", "usb:2b04:c006", "a.bin"} + place,
              QStringList{"dfu", "erase", "usb:2b04:c006", "--length", "16"} + place}) {
            const auto refused = at({"1-1", "1-2"}, command);
            QVERIFY2(refused.exitCode == 64, refused.err);
            QVERIFY2(refused.err.contains("2 devices match"), refused.err);
        }
        // Both still run what they ran.
        const auto listed = folder.json({"dfu", "list", "usbip:" + bench.server()});
        QCOMPARE(listed.last()["count"], QJsonValue(0));
    }

    void aBoard_isNotTakenForAProbe()
    {
        const CommandFolder folder;
        BenchCommand bench(folder);
        const auto refused = folder.json({"stlink", "info", bench.device()});
        QCOMPARE(refused.exitCode, 4);
        QVERIFY2(refused.err.contains("is no ST-Link"), refused.err);
    }

private:
    static void routes()
    {
        QTest::addColumn<QString>("busId");
        QTest::addColumn<QString>("address");
        QTest::addColumn<int>("size");
        QTest::newRow("V2, F103") << "1-1" << "0x08002000" << 5000;
        QTest::newRow("V2-1, F103") << "1-2" << "0x08000000" << 4096;
        QTest::newRow("V3, F205") << "1-3" << "0x08020000" << 100000;
    }
};

} // namespace

PROVOST_TEST("command_line_probes", TstCommandLineProbes)
#include "tst_command_line_probes.moc"
