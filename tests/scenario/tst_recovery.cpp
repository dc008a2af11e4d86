// The station dies between two lines. What the next start finds, and what becomes of the unit.
#include "core/text.h"
#include "support/station_fixture.h"

#include <QCoreApplication>
#include <QProcess>
#include <QTest>

#include <csignal>

namespace provost::test {

namespace {

constexpr const char* kUnit = "2b0014000447373030323331";

StationSetup setupFor(const std::filesystem::path& database)
{
    return {.bench = {.supplies = {{UnitWish{.deviceId = kUnit}}}}, .database = database};
}

/// The place where the victim dies: "begin", "identify", "step:NAME", "intend:EFFECT",
/// "settle:EFFECT".
bool isPlace(const StationEvent& event, const std::string& place, const std::string& present)
{
    if (std::holds_alternative<RunStarted>(event))
        return place == "begin";
    if (std::holds_alternative<UnitIdentified>(event))
        return place == "identify";
    if (const auto* finished = std::get_if<StepFinished>(&event))
        return place == "step:" + finished->attempt.step;
    if (const auto* critical = std::get_if<CriticalWrite>(&event))
        return critical->on ? place == "intend:" + critical->what : place == "settle:" + present;
    return false;
}

/// Runs a unit and kills itself: no destructor, no flush, as when the power goes.
int runVictim(const std::filesystem::path& database, const std::string& place)
{
    auto station = Station::open(setupFor(database));
    std::string present;
    station->sink().setHook([&](const StationEvent& event) {
        if (isPlace(event, place, present))
            std::raise(SIGKILL);
        if (const auto* critical = std::get_if<CriticalWrite>(&event))
            present = critical->on ? critical->what : "";
    });
    station->insert();
    return station->run().verdict == Verdict::Pass ? 0 : 1;
}

} // namespace

class TstRecovery : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void killed_isClosedAndTheUnitRunsAgain_data();
    void killed_isClosedAndTheUnitRunsAgain();
};

void TstRecovery::killed_isClosedAndTheUnitRunsAgain_data()
{
    QTest::addColumn<bool>("inspects");
    for (const char* place : {"begin", "identify", "step:backup-dct", "step:device-key",
                              "step:register", "step:live-handshake", "step:shipping-state",
                              "settle:write-bootloader", "settle:burn-device-key"})
        QTest::newRow(place) << false;
    for (const char* place : {"intend:write-bootloader", "intend:burn-device-key"})
        QTest::newRow(place) << true;
}

void TstRecovery::killed_isClosedAndTheUnitRunsAgain()
{
    QFETCH(const bool, inspects);
    const auto database = newFolder() / "killed.db";
    QProcess victim;
    victim.start(QCoreApplication::applicationFilePath(),
                 {"--victim", QString::fromStdString(database.string()), QTest::currentDataTag()});
    QVERIFY(victim.waitForFinished(30000));
    QCOMPARE(victim.exitStatus(), QProcess::CrashExit);

    auto station = Station::open(setupFor(database));
    const auto killed = station->record(RunId{1});
    QCOMPARE(killed.verdict, Verdict::Aborted);
    QCOMPARE(killed.cause, std::string("C001"));
    const bool known = QString(QTest::currentDataTag()) != "begin";
    if (known)
        QCOMPARE(station->journal().unit(kUnit)->state, std::string(inspects ? "inspect" : "new"));
    QVERIFY(verifyDatabase(database).value() == std::nullopt);

    const auto run = station->runNext();
    QVERIFY2(run.verdict == Verdict::Pass, told(run).c_str());
    const auto backup = station->attempt(run.run, "backup-dct").note;
    QCOMPARE(backup.find("inspected") != std::string::npos, inspects);
    QCOMPARE(station->journal().unit(kUnit)->state, std::string("pass"));
    QVERIFY(station->query("SELECT effect FROM unsettled_intent").empty());
    QVERIFY(verifyDatabase(database).value() == std::nullopt);
}

} // namespace provost::test

int main(int argc, char** argv)
{
    QCoreApplication application(argc, argv);
    const auto arguments = QCoreApplication::arguments();
    if (arguments.size() == 4 && arguments[1] == "--victim")
        return provost::test::runVictim(arguments[2].toStdString(), arguments[3].toStdString());
    provost::test::TstRecovery test;
    return QTest::qExec(&test, argc, argv);
}

#include "tst_recovery.moc"
