// The virtual probes as programs that nobody here wrote find them: st-info, st-flash, openocd.
#include "support/bench_process.h"
#include "support/test_program.h"

#include <QFile>
#include <QRandomGenerator>

using namespace provost::test;

namespace {

constexpr auto kProbes = R"(
[bench]
name = "probes"
speed = "instant"
[[probe]]
number = 1
model = "v2"
chip = "f103"
serial = "51ff6f064882485228530487"
[[probe]]
number = 2
model = "v2-1"
chip = "f103"
[[probe]]
number = 3
model = "v3"
chip = "f205"
)";

constexpr auto kWired = R"(
[bench]
name = "wired"
speed = "instant"
[network]
ssid = "Plant"
password = "virtual-plant-wifi"
[[slot]]
number = 1
[[slot.unit]]
platform = "photon"
stock = "empty"
[[probe]]
number = 1
model = "v2-1"
slot = 1
)";

QByteArray noise(qsizetype size)
{
    QByteArray bytes(size, '\0');
    for (char& each : bytes)
        each = static_cast<char>(QRandomGenerator::global()->bounded(256));
    return bytes;
}

class TstProbeOracles : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void initTestCase() { m_bench = std::make_unique<BenchProcess>(kProbes); }
    void cleanupTestCase() { QCOMPARE(m_bench->stop(), 0); }

    void stInfo_findsEveryProbeAndItsChip()
    {
        const ProgramEnd end =
            m_bench->runAt({"1-1", "1-2", "1-3"}, {.program = "st-info", .arguments = {"--probe"}});
        QVERIFY2(end.exitCode == 0, qPrintable(end.output));
        QVERIFY2(end.output.contains("Found 3 stlink programmers"), qPrintable(end.output));
        QVERIFY2(end.output.contains("51ff6f064882485228530487"), qPrintable(end.output));
        QCOMPARE(end.output.count("chipid:     0x0410"), 2);
        QCOMPARE(end.output.count("flash:      131072 (pagesize: 1024)"), 2);
        QCOMPARE(end.output.count("chipid:     0x0411"), 1);
        QCOMPARE(end.output.count("flash:      1048576"), 1);
        QVERIFY2(end.output.contains("V2J37S7"), qPrintable(end.output));
        QVERIFY2(end.output.contains("V3J7"), qPrintable(end.output));
    }

    void stFlash_writesVerifiesReadsAndErases_data() { targets(); }
    void stFlash_writesVerifiesReadsAndErases()
    {
        QFETCH(QString, busId);
        QFETCH(QString, address);
        QFETCH(int, size);
        const QByteArray image = noise(size);
        const ProgramEnd written = stFlash(busId, {"write", fileWith("image.bin", image), address});
        QVERIFY2(written.exitCode == 0, qPrintable(written.output));
        QVERIFY2(written.output.contains("Flash written and verified"), qPrintable(written.output));
        QVERIFY(readBack(busId, address, size) == image);
        const ProgramEnd erased = stFlash(busId, {"erase"});
        QVERIFY2(erased.exitCode == 0, qPrintable(erased.output));
        QVERIFY(readBack(busId, address, size) == QByteArray(size, '\xFF'));
    }

    void openocd_programsAndVerifies_data() { targets(); }
    void openocd_programsAndVerifies()
    {
        QFETCH(QString, busId);
        QFETCH(QString, address);
        QFETCH(int, size);
        const QByteArray image = noise(size);
        const QString file = fileWith("image.bin", image);
        const ProgramEnd end = openocd(busId, "program " + file + " " + address + " verify reset");
        QVERIFY2(end.exitCode == 0, qPrintable(end.output));
        QVERIFY2(end.output.contains("** Verified OK **"), qPrintable(end.output));
        QVERIFY(readBack(busId, address, size) == image);
    }

    /// One memory behind both: a photon that stays in DFU for want of firmware, a probe on its
    /// chip.
    void stFlashAndDfuUtil_seeTheSameFlash()
    {
        BenchProcess wired(kWired);
        const auto at = [&](const QString& busId, const QString& program,
                            const QStringList& arguments) {
            const ProgramEnd end =
                wired.runAt({busId}, {.program = program, .arguments = arguments});
            if (end.exitCode != 0)
                qWarning().noquote() << end.output;
            return end.exitCode;
        };
        const QString back = m_files.filePath("wired.bin");
        const auto content = [&] {
            QFile file(back);
            const QByteArray bytes = file.open(QIODevice::ReadOnly) ? file.readAll() : QByteArray();
            QFile::remove(back);
            return bytes;
        };
        const QByteArray image = noise(20 * 1024);
        const QString file = fileWith("image.bin", image);
        QCOMPARE(at("1-2", "st-flash", {"--reset", "write", file, "0x080e0000"}), 0);
        QCOMPARE(at("1-1", "dfu-util", {"-a", "0", "-s", "0x080e0000:20480", "-U", back}), 0);
        QVERIFY(content() == image);
        const QString other = fileWith("other.bin", noise(9000));
        QCOMPARE(at("1-1", "dfu-util", {"-a", "0", "-s", "0x080e0000", "-D", other}), 0);
        QCOMPARE(at("1-2", "st-flash", {"read", back, "0x080e0000", "9000"}), 0);
        QFile written(other);
        QVERIFY(written.open(QIODevice::ReadOnly));
        QVERIFY(content().left(9000) == written.readAll());
    }

    /// Where flash takes its time, loaders wait for BSY and are looked at while they do.
    void tools_workAgainstTheClock_data()
    {
        QTest::addColumn<QString>("busId");
        QTest::addColumn<int>("size");
        QTest::newRow("F103") << "1-2" << 3000;
        QTest::newRow("F205") << "1-3" << 70 * 1024;
    }
    void tools_workAgainstTheClock()
    {
        QFETCH(QString, busId);
        QFETCH(int, size);
        m_bench = std::make_unique<BenchProcess>(QByteArray(kProbes).replace("instant", "timed"));
        const QByteArray image = noise(size);
        const QString file = fileWith("image.bin", image);
        const QString address = "0x08000000";
        const ProgramEnd theirs = stFlash(busId, {"write", file, address});
        QVERIFY2(theirs.exitCode == 0, qPrintable(theirs.output));
        const ProgramEnd other =
            openocd(busId, "program " + file + " " + address + " verify reset");
        QVERIFY2(other.exitCode == 0, qPrintable(other.output));
        QVERIFY(readBack(busId, address, size) == image);
        m_bench = std::make_unique<BenchProcess>(kProbes);
    }

    void openocd_dumpsAndErases_data() { targets(); }
    void openocd_dumpsAndErases()
    {
        QFETCH(QString, busId);
        QFETCH(QString, address);
        QFETCH(int, size);
        const QByteArray image = noise(size);
        const ProgramEnd written = stFlash(busId, {"write", fileWith("image.bin", image), address});
        QVERIFY2(written.exitCode == 0, qPrintable(written.output));
        const QString file = m_files.filePath("dump.bin");
        const auto dump = [&]() -> QByteArray {
            QFile::remove(file);
            const ProgramEnd end = openocd(
                busId,
                QString("init; reset halt; dump_image %1 %2 %3").arg(file, address).arg(size));
            QFile dumped(file);
            if (end.exitCode != 0 || !dumped.open(QIODevice::ReadOnly)) {
                qWarning().noquote() << end.output;
                return {};
            }
            return dumped.readAll();
        };
        QVERIFY(dump() == image);
        // Whole sectors from the address on; without a word about what is to be written.
        const int whole = busId == "1-3" ? 0x40000 : (size + 1023) / 1024 * 1024;
        const ProgramEnd erased = openocd(
            busId, QString("init; reset halt; flash erase_address %1 %2").arg(address).arg(whole));
        QVERIFY2(erased.exitCode == 0, qPrintable(erased.output));
        QVERIFY(dump() == QByteArray(size, '\xFF'));
        QVERIFY(readBack(busId, address, size) == QByteArray(size, '\xFF'));
    }

    void openocd_seesWhatDoesNotMatch()
    {
        const QString file = fileWith("image.bin", noise(2048));
        QCOMPARE(stFlash("1-2", {"erase"}).exitCode, 0);
        const ProgramEnd end =
            openocd("1-2", "init; reset halt; verify_image " + file + " 0x08000000");
        QVERIFY2(end.exitCode != 0, qPrintable(end.output));
    }

    void openocd_liftsAndPutsBackWriteProtection_data()
    {
        QTest::addColumn<QString>("busId");
        QTest::newRow("F103") << "1-2";
        QTest::newRow("F205") << "1-3";
    }
    void openocd_liftsAndPutsBackWriteProtection()
    {
        QFETCH(QString, busId);
        const QString file = fileWith("image.bin", noise(1024));
        const QString halt = "init; reset halt; ";
        const ProgramEnd closed = openocd(busId, halt + "flash protect 0 0 0 on; reset halt");
        QVERIFY2(closed.exitCode == 0, qPrintable(closed.output));
        // st-flash knows nothing of protection: it runs into the error bits.
        const ProgramEnd refused = stFlash(busId, {"write", file, "0x08000000"});
        QVERIFY2(refused.exitCode != 0, qPrintable(refused.output));
        const ProgramEnd open = openocd(busId, halt + "flash protect 0 0 0 off; reset halt");
        QVERIFY2(open.exitCode == 0, qPrintable(open.output));
        const ProgramEnd written = stFlash(busId, {"write", file, "0x08000000"});
        QVERIFY2(written.exitCode == 0, qPrintable(written.output));
    }

private:
    static void targets()
    {
        QTest::addColumn<QString>("busId");
        QTest::addColumn<QString>("address");
        QTest::addColumn<int>("size");
        QTest::newRow("V2, F103") << "1-1" << "0x08005000" << 10 * 1024;
        QTest::newRow("V2-1, F103, odd length") << "1-2" << "0x08000000" << 5002;
        QTest::newRow("V3, F205") << "1-3" << "0x08020000" << 150 * 1024;
    }

    QString fileWith(const QString& name, const QByteArray& bytes) const
    {
        QFile file(m_files.filePath(name));
        if (!file.open(QIODevice::WriteOnly) || file.write(bytes) != bytes.size())
            qWarning() << "cannot write" << file.fileName();
        return file.fileName();
    }
    ProgramEnd stFlash(const QString& busId, const QStringList& arguments) const
    {
        return m_bench->runAt({busId}, {.program = "st-flash", .arguments = arguments});
    }
    ProgramEnd openocd(const QString& busId, const QString& commands) const
    {
        const QString target = busId == "1-3" ? "target/stm32f2x.cfg" : "target/stm32f1x.cfg";
        const QStringList quiet{"-c", "gdb_port disabled; tcl_port disabled; telnet_port disabled"};
        return m_bench->runAt(
            {busId}, {.program = "openocd",
                      .arguments = quiet + QStringList{"-f", "interface/stlink.cfg", "-f", target,
                                                       "-c", commands + "; exit"}});
    }
    QByteArray readBack(const QString& busId, const QString& address, int size) const
    {
        const QString path = m_files.filePath("back.bin");
        QFile::remove(path);
        const ProgramEnd end = stFlash(busId, {"read", path, address, QString::number(size)});
        QFile file(path);
        if (end.exitCode != 0 || !file.open(QIODevice::ReadOnly)) {
            qWarning().noquote() << end.output;
            return {};
        }
        return file.readAll().left(size);
    }

    std::unique_ptr<BenchProcess> m_bench{};
    QTemporaryDir m_files{};
};

} // namespace

PROVOST_TEST("probe_oracles", TstProbeOracles)
#include "tst_probe_oracles.moc"
