// provost-station as it is started: what a wrong command line says, and with which exit code.
#include "support/command_line.h"
#include "support/test_program.h"

using namespace provost::test;

namespace {

QString stationProgram()
{
    return QStringLiteral(PROVOST_BUILD_DIR "/bin/provost-station");
}

/// A display of its own, and nothing that Qt complains about.
class StationFolder : public CommandFolder {
public:
    StationFolder()
    {
        environment().insert("QT_QPA_PLATFORM", "offscreen");
        environment().insert("XDG_RUNTIME_DIR", path("."));
    }
};

class TstStationProgram : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void wrongCommandLine_isUsage_data();
    void wrongCommandLine_isUsage();
    void whatCannotBeOpened_isAnError_data();
    void whatCannotBeOpened_isAnError();
    void help_namesEveryOption();
    void withoutDisplay_oneSentence_data();
    void withoutDisplay_oneSentence();
    void bench_runsAndLeavesASoundRecord();
};

void TstStationProgram::wrongCommandLine_isUsage_data()
{
    QTest::addColumn<QStringList>("words");
    QTest::addColumn<QByteArray>("message");
    QTest::newRow("speed") << QStringList{"--simulate", "photon-quick", "--speed", "bogus"}
                           << QByteArray("--speed bogus: must be instant, demo or timed");
    QTest::newRow("empty speed") << QStringList{"--simulate", "photon-quick", "--speed", ""}
                                 << QByteArray("--speed: its value is empty");
    QTest::newRow("speed of real hardware")
        << QStringList{"--station", "station.toml", "--speed", "demo"} << QByteArray("--simulate");
    QTest::newRow("neither station nor bench") << QStringList{} << QByteArray("--station");
    QTest::newRow("unknown option")
        << QStringList{"--simulate", "photon-quick", "--fast"} << QByteArray("fast");
    QTest::newRow("word without option")
        << QStringList{"photon-quick"} << QByteArray("\"photon-quick\"");
    QTest::newRow("missing value") << QStringList{"--simulate"} << QByteArray("simulate");
    QTest::newRow("empty bench") << QStringList{"--simulate", ""} << QByteArray("--simulate");
    QTest::newRow("empty station") << QStringList{"--station="} << QByteArray("--station");
    QTest::newRow("empty plan") << QStringList{"--simulate", "photon-quick", "--plan", ""}
                                << QByteArray("--plan");
    QTest::newRow("empty database")
        << QStringList{"--simulate", "photon-quick", "--db", ""} << QByteArray("--db");
    QTest::newRow("twice") << QStringList{"--simulate", "photon-quick", "--db", "a", "--db", "b"}
                           << QByteArray("--db: it is there 2 times");
}

void TstStationProgram::wrongCommandLine_isUsage()
{
    QFETCH(const QStringList, words);
    QFETCH(const QByteArray, message);
    const StationFolder folder;
    const auto ran = folder.run(stationProgram(), words);
    QVERIFY2(ran.exitCode == 64, ran.err);
    QVERIFY2(ran.err.contains(message), ran.err);
    QVERIFY2(ran.err.startsWith("provost-station: "), ran.err);
    QVERIFY(!folder.exists(".local/state/provost/provost.db"));
}

void TstStationProgram::whatCannotBeOpened_isAnError_data()
{
    QTest::addColumn<QStringList>("words");
    QTest::addColumn<QByteArray>("message");
    QTest::newRow("bench") << QStringList{"--simulate", "nowhere.toml"}
                           << QByteArray("nowhere.toml");
    QTest::newRow("plan") << QStringList{"--simulate", "photon-quick", "--plan", "nothing"}
                          << QByteArray("nothing");
    QTest::newRow("station") << QStringList{"--station", "nowhere.toml"}
                             << QByteArray("nowhere.toml");
    QTest::newRow("database is a folder")
        << QStringList{"--simulate", "photon-quick", "--db", "."} << QByteArray("database");
}

void TstStationProgram::whatCannotBeOpened_isAnError()
{
    QFETCH(const QStringList, words);
    QFETCH(const QByteArray, message);
    const StationFolder folder;
    const auto ran = folder.run(stationProgram(), words);
    QVERIFY2(ran.exitCode == 2, ran.err);
    QVERIFY2(ran.err.contains(message), ran.err);
}

void TstStationProgram::help_namesEveryOption()
{
    const StationFolder folder;
    const auto ran = folder.run(stationProgram(), {"--help"});
    QCOMPARE(ran.exitCode, 0);
    for (const char* option : {"--simulate", "--station", "--plan", "--speed", "--db"})
        QVERIFY2(ran.out.contains(option), option);
}

void TstStationProgram::withoutDisplay_oneSentence_data()
{
    QTest::addColumn<QString>("variable");
    QTest::addColumn<QString>("value");
    QTest::addColumn<QByteArray>("named");
    QTest::newRow("none named") << "" << "" << QByteArray("neither DISPLAY nor WAYLAND_DISPLAY");
    QTest::newRow("left behind") << "DISPLAY" << ":4711" << QByteArray("DISPLAY=:4711");
    QTest::newRow("of a login that is over")
        << "DISPLAY" << "localhost:4711.0" << QByteArray("DISPLAY=localhost:4711.0");
    QTest::newRow("nobody behind it")
        << "WAYLAND_DISPLAY" << "wayland-4711" << QByteArray("WAYLAND_DISPLAY=wayland-4711");
    QTest::newRow("no such kind") << "QT_QPA_PLATFORM" << "nonsense" << QByteArray("nonsense");
}

void TstStationProgram::withoutDisplay_oneSentence()
{
    QFETCH(const QString, variable);
    QFETCH(const QString, value);
    QFETCH(const QByteArray, named);
    CommandFolder folder;
    for (const char* each : {"QT_QPA_PLATFORM", "DISPLAY", "WAYLAND_DISPLAY"})
        folder.environment().remove(each);
    if (!variable.isEmpty())
        folder.environment().insert(variable, value);
    const auto ran = folder.run(stationProgram(), {"--simulate", "photon-quick"});
    QCOMPARE(ran.exitCode, 2);
    QCOMPARE(ran.err.count('\n'), 1);
    QVERIFY2(ran.err.contains("no display") && ran.err.contains(named), ran.err);
    // A mistake is named first: it stays one wherever there is a display.
    const auto wrong =
        folder.run(stationProgram(), {"--simulate", "photon-quick", "--speed", "bogus"});
    QCOMPARE(wrong.exitCode, 64);
    QCOMPARE(folder.run(stationProgram(), {"--version"}).exitCode, 0);
}

void TstStationProgram::bench_runsAndLeavesASoundRecord()
{
    const StationFolder folder;
    QProcess station;
    folder.prepare(station);
    station.start(stationProgram(),
                  {"--simulate", "photon-quick", "--speed", "instant", "--db", "line.db"});
    const auto passed = [&] {
        return folder.json({"unit", "list", "--db", "line.db"}).out.contains("\"state\":\"pass\"");
    };
    QTRY_VERIFY(passed());
    QCOMPARE(station.state(), QProcess::Running);
    station.terminate(); // as the session does at its end
    QVERIFY(station.waitForFinished(kPatienceMs));
    QCOMPARE(station.exitStatus(), QProcess::NormalExit);
    QCOMPARE(station.exitCode(), 0);
    const auto verified = folder.json({"db", "verify", "line.db"});
    QVERIFY2(verified.exitCode == 0, verified.out);
}

} // namespace

PROVOST_TEST("station_program", TstStationProgram)
#include "tst_station_program.moc"
