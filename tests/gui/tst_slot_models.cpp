// The rows behind the tiles: fed with events as an engine posts them, read as a tile would.
#include "model_events.h"
#include "support/test_program.h"

#include "models/display_text.h"
#include "models/scan_router.h"
#include "models/slot_model.h"

#include <QAbstractItemModelTester>
#include <QSignalSpy>
#include <QTest>

using namespace provost;
using namespace provost::test;
using namespace std::chrono_literals;

namespace {

class TstSlotModels : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void slots_passTheModelTester();
    void slots_showTheStateAfterEvents_data();
    void slots_showTheStateAfterEvents();
    void slotThatIsOff_saysByWhomWhenAndWhy_data();
    void slotThatIsOff_saysByWhomWhenAndWhy();
    void slots_keepAVerdictUntilTheUnitIsOut();
    void slots_sayStoppingWithTheVeryEvent();
    void slots_ignoreWhatBelongsToAnotherRun();
    void slots_neverMoveTheBarBackwards();
    void slots_announceOnlyWhatCanBeSeen();
    void slots_warnWhileMemoryIsCritical();
    void slots_guessNoTimeWithoutHistory();
    void slots_countTheRemainingTimeDownAndNeverBelowZero();
    void claim_keepsTheSlotFromASecondScan();
    void scan_decidesPerLabel();
};

void TstSlotModels::slots_passTheModelTester()
{
    SlotModel model(slotsUpTo(3), false, std::make_shared<VirtualClock>());
    const QAbstractItemModelTester tester(&model,
                                          QAbstractItemModelTester::FailureReportingMode::QtTest);
    QSignalSpy inserted(&model, &QAbstractItemModel::rowsInserted);
    for (const StationEvent& event : Events{
             started(1, 1, kId), stepStarted(1, 1, 0, "Identify"), progress(1, 1, 0.1),
             ended(Verdict::Pass), UnitRemoved{.slot = SlotId{1}},
             SlotChanged{.slot = SlotId{7}, .availability = SlotAvailability::Off},
             started(2, 5, kId), StationNotice{.subject = "cloud", .good = true, .text = "1 ms"}})
        model.apply(event);
    model.tick();
    QCOMPARE(inserted.size(), 2); // slots 7 and 5 were not announced before
    QCOMPARE(model.rowCount(), 5);
    QCOMPARE(model.index(3).data(SlotModel::NumberRole).toInt(), 5);
}

void TstSlotModels::slots_showTheStateAfterEvents_data()
{
    QTest::addColumn<Events>("events");
    QTest::addColumn<SlotState>("state");
    const SlotChanged off{.slot = SlotId{1}, .availability = SlotAvailability::Off, .why = "cable"};
    const SlotChanged on{.slot = SlotId{1}, .availability = SlotAvailability::Ready, .why = ""};
    const UnitRemoved out{.slot = SlotId{1}};
    const StopRequested stop{.run = RunId{1}, .slot = SlotId{1}};
    const auto begin = started(1, 1, kId);
    const auto row = [](const char* name, Events events, SlotState state) {
        QTest::newRow(name) << std::move(events) << state;
    };
    row("nothing yet", {}, SlotState::Ready);
    row("switched off", {off}, SlotState::Off);
    row("and on again", {off, on}, SlotState::Ready);
    row("begun", {begin}, SlotState::Running);
    row("switched off while it runs", {begin, off}, SlotState::Running);
    row("stop asked", {begin, stop}, SlotState::Stopping);
    row("stop asked before it begun", {stop, begin}, SlotState::Stopping);
    row("passed", {begin, ended(Verdict::Pass)}, SlotState::Pass);
    row("held", {begin, ended(Verdict::Hold, "H310")}, SlotState::Hold);
    row("failed", {begin, ended(Verdict::Fail, "F214")}, SlotState::Fail);
    row("stopped", {begin, stop, ended(Verdict::Aborted, "S001")}, SlotState::Stopped);
    row("not judged", {begin, ended(Verdict::Error, "C030")}, SlotState::Check);
    row("ended without a verdict", {begin, ended(Verdict::NotRun)}, SlotState::Check);
    row("refused by the journal", {ended(Verdict::Error, "C050")}, SlotState::Check);
    row("taken out", {begin, ended(Verdict::Pass), out}, SlotState::Ready);
    row("taken out of a slot that is off", {begin, ended(Verdict::Pass), off, out}, SlotState::Off);
    row("taken out too early", {begin, out}, SlotState::Running);
    row("next unit", {begin, ended(Verdict::Fail, "F214"), started(2, 1, "")}, SlotState::Running);
}

void TstSlotModels::slots_showTheStateAfterEvents()
{
    QFETCH(const Events, events);
    QFETCH(const SlotState, state);
    SlotModel model(slotsUpTo(2), false, std::make_shared<VirtualClock>());
    for (const auto& event : events)
        model.apply(event);
    QCOMPARE(model.stateOf(SlotId{1}), state);
    QCOMPARE(said(model, 1, SlotModel::WordRole), shownName(state));
    QCOMPARE(model.stateOf(SlotId{2}), SlotState::Ready);
}

void TstSlotModels::slotThatIsOff_saysByWhomWhenAndWhy_data()
{
    QTest::addColumn<SlotChanged>("off");
    QTest::addColumn<QString>("headline");
    QTest::addColumn<QString>("detail");
    const auto noon = QDate::currentDate().startOfDay().addSecs(12 * 60 * 60 + 5 * 60);
    const std::string today = noon.toUTC().toString(Qt::ISODateWithMs).toStdString();
    const auto off = [](std::string why, std::string actor, std::string atUtc) {
        return SlotChanged{.slot = SlotId{1},
                           .availability = SlotAvailability::Off,
                           .why = std::move(why),
                           .actor = std::move(actor),
                           .atUtc = std::move(atUtc)};
    };
    const auto time = noon.time().toString(QStringLiteral("HH:mm"));
    const auto day = QLocale().toString(QDate(2001, 11, 3), QStringLiteral("d MMM yyyy"));
    QTest::newRow("by somebody, for a reason")
        << off("fixture cable", "anna", today) << QStringLiteral("Switched off by anna")
        << QStringLiteral("fixture cable, ") + time;
    QTest::newRow("by somebody, at the tile")
        << off("", "anna", today) << QStringLiteral("Switched off by anna")
        << QStringLiteral("since ") + time;
    QTest::newRow("long ago")
        << off("", "anna", "2001-11-03T12:00:00.000Z") << QStringLiteral("Switched off by anna")
        << QStringLiteral("since ") + day +
               QDateTime({2001, 11, 3}, {12, 0}, Qt::UTC).toLocalTime().toString(" HH:mm");
    QTest::newRow("in the file, for a reason")
        << off("fixture cable", "", "") << QStringLiteral("Switched off in the station file")
        << QStringLiteral("fixture cable");
    QTest::newRow("in the file") << off("", "", "")
                                 << QStringLiteral("Switched off in the station file") << QString();
}

void TstSlotModels::slotThatIsOff_saysByWhomWhenAndWhy()
{
    QFETCH(const SlotChanged, off);
    SlotModel model(slotsUpTo(1), false, std::make_shared<VirtualClock>());
    model.apply(off);
    QTEST(said(model, 1, SlotModel::HeadlineRole), "headline");
    QTEST(said(model, 1, SlotModel::DetailRole), "detail");
    model.apply(SlotChanged{.slot = SlotId{1}, .availability = SlotAvailability::Ready});
    QCOMPARE(said(model, 1, SlotModel::HeadlineRole),
             QStringLiteral("Insert a unit and scan its label"));
    QVERIFY(said(model, 1, SlotModel::DetailRole).isEmpty());
}

void TstSlotModels::slots_keepAVerdictUntilTheUnitIsOut()
{
    SlotModel model(slotsUpTo(1), false, std::make_shared<VirtualClock>());
    model.apply(started(1, 1, kId));
    model.apply(ended(Verdict::Fail, "F214"));
    model.apply(SlotChanged{.slot = SlotId{1}, .availability = SlotAvailability::Ready});
    QCOMPARE(model.stateOf(SlotId{1}), SlotState::Fail);
    QVERIFY(!model.nextFree());
    QCOMPARE(said(model, 1, SlotModel::HeadlineRole),
             QStringLiteral("Device key did not read back"));
    QCOMPARE(said(model, 1, SlotModel::DetailRole),
             QStringLiteral("F214\u00a0\u00b7 put in the red bin"));
    // Taken out while it ran: the verdict stays to be read, the slot is free all the same.
    model.apply(started(2, 1, kId));
    model.apply(UnitRemoved{.slot = SlotId{1}});
    model.apply(finished(2, 1, kId, Verdict::Error, "C011", 3));
    QCOMPARE(model.stateOf(SlotId{1}), SlotState::Check);
    QCOMPARE(model.nextFree(), std::optional(SlotId{1}));
}

void TstSlotModels::slots_sayStoppingWithTheVeryEvent()
{
    SlotModel model(slotsUpTo(1), false, std::make_shared<VirtualClock>());
    model.apply(started(1, 1, kId));
    QSignalSpy changed(&model, &QAbstractItemModel::dataChanged);
    model.apply(StopRequested{.run = RunId{1}, .slot = SlotId{1}});
    QCOMPARE(changed.size(), 1);
    QCOMPARE(said(model, 1, SlotModel::WordRole), QStringLiteral("STOPPING"));
}

void TstSlotModels::slots_ignoreWhatBelongsToAnotherRun()
{
    SlotModel model(slotsUpTo(1), false, std::make_shared<VirtualClock>());
    model.apply(started(2, 1, kId));
    model.apply(progress(1, 1, 0.9));
    QCOMPARE(model.index(0).data(SlotModel::PercentRole).toInt(), 0);
    model.apply(finished(1, 1, kId, Verdict::Pass, "", 5));
    QCOMPARE(model.stateOf(SlotId{1}), SlotState::Running);
}

void TstSlotModels::slots_neverMoveTheBarBackwards()
{
    SlotModel model(slotsUpTo(1), false, std::make_shared<VirtualClock>());
    model.apply(started(1, 1, kId));
    for (const double fraction : {0.3, 0.6, 0.2, -1.0, 0.61})
        model.apply(progress(1, 1, fraction));
    QCOMPARE(model.index(0).data(SlotModel::FractionRole).toDouble(), 0.61);
    model.apply(progress(1, 1, 7.0));
    QCOMPARE(model.index(0).data(SlotModel::PercentRole).toInt(), 100);
}

void TstSlotModels::slots_announceOnlyWhatCanBeSeen()
{
    SlotModel model(slotsUpTo(1), false, std::make_shared<VirtualClock>());
    model.apply(started(1, 1, kId));
    QSignalSpy changed(&model, &QAbstractItemModel::dataChanged);
    for (int i = 0; i <= 10000; ++i)
        model.apply(progress(1, 1, 0.1 + i * 1e-6)); // 1 % in ten thousand reports
    QVERIFY2(changed.size() <= 12, qPrintable(QString::number(changed.size())));
}

void TstSlotModels::slots_warnWhileMemoryIsCritical()
{
    SlotModel model(slotsUpTo(1), false, std::make_shared<VirtualClock>());
    model.apply(started(1, 1, kId));
    model.apply(stepStarted(1, 1, 0, "Identify"));
    model.apply(
        CriticalWrite{.run = RunId{1}, .slot = SlotId{1}, .on = true, .what = "bootloader"});
    QVERIFY(model.index(0).data(SlotModel::CriticalRole).toBool());
    QCOMPARE(said(model, 1, SlotModel::CriticalWhatRole), QStringLiteral("bootloader"));
    model.apply(ended(Verdict::Fail, "F110"));
    QVERIFY(!model.index(0).data(SlotModel::CriticalRole).toBool());
}

void TstSlotModels::slots_guessNoTimeWithoutHistory()
{
    const auto clock = std::make_shared<VirtualClock>();
    SlotModel model(slotsUpTo(1), false, clock);
    model.apply(started(1, 1, kId, {{"Identify", 1}, {"Write", 0}}));
    model.apply(stepStarted(1, 1, 0, "Identify"));
    clock->advance(26s);
    QCOMPARE(said(model, 1, SlotModel::DetailRole), QStringLiteral("26 s"));
}

void TstSlotModels::slots_countTheRemainingTimeDownAndNeverBelowZero()
{
    const auto clock = std::make_shared<VirtualClock>();
    SlotModel model(slotsUpTo(1), false, clock);
    model.apply(started(1, 1, kId, {{"Identify", 2}, {"Write", 10}, {"Prove", 4}}));
    model.apply(stepStarted(1, 1, 0, "Identify"));
    const RunState* run = model.runIn(SlotId{1});
    QCOMPARE(*remainingSeconds(*run, clock->now()), 16.0);
    clock->advance(1s);
    QCOMPARE(*remainingSeconds(*run, clock->now()), 15.0);
    clock->advance(30s); // far longer than ever before: what is left stays what is left
    QCOMPARE(*remainingSeconds(*run, clock->now()), 14.0);
    model.apply(stepFinished(1, 1, 0, attempt("Identify", 31)));
    model.apply(stepStarted(1, 1, 1, "Write"));
    clock->advance(3s);
    QCOMPARE(said(model, 1, SlotModel::DetailRole),
             QStringLiteral("34 s\u00a0\u00b7 about 11 s left"));
    model.apply(stepFinished(1, 1, 1, attempt("Write", 3)));
    model.apply(stepStarted(1, 1, 2, "Prove"));
    clock->advance(60s);
    QCOMPARE(*remainingSeconds(*run, clock->now()), 0.0);
    QCOMPARE(said(model, 1, SlotModel::DetailRole), QStringLiteral("1 min 34 s"));
    // Behind a failed step only the teardown follows, which nobody timed.
    model.apply(stepFinished(1, 1, 2, attempt("Prove", 60, "", Verdict::Fail, "F403")));
    QVERIFY(!remainingSeconds(*run, clock->now()));
    QCOMPARE(said(model, 1, SlotModel::HeadlineRole), QStringLiteral("Finishing"));
}

void TstSlotModels::claim_keepsTheSlotFromASecondScan()
{
    const auto clock = std::make_shared<VirtualClock>();
    SlotModel model(slotsUpTo(2), false, clock);
    model.claim(SlotId{1}, "PH-1");
    QCOMPARE(model.nextFree(), std::optional(SlotId{2}));
    QCOMPARE(said(model, 1, SlotModel::HeadlineRole), QStringLiteral("Starting"));
    QCOMPARE(said(model, 1, SlotModel::UnitRole), QStringLiteral("PH-1"));
    clock->advance(3s); // nothing came of it
    model.tick();
    QCOMPARE(model.nextFree(), std::optional(SlotId{1}));
    QVERIFY(said(model, 1, SlotModel::UnitRole).isEmpty());
}

void TstSlotModels::scan_decidesPerLabel()
{
    using Outcome = ScanRouter::Outcome;
    const auto clock = std::make_shared<VirtualClock>();
    FakeStation station;
    SlotModel model(slotsUpTo(3), false, clock);
    ScanRouter scans(model, station, clock);
    QCOMPARE(scans.prompt(), QStringLiteral("Scan a label to start slot 1"));
    QCOMPARE(scans.scan(QStringLiteral("  PH-1\n")), Outcome::Started);
    QCOMPARE(station.starts.back(), (std::pair<int, std::string>(1, "PH-1")));
    QCOMPARE(scans.scan(QStringLiteral("PH-1")), Outcome::Refused); // scanned twice
    QCOMPARE(scans.notice(), QStringLiteral("PH-1 is in slot 1: READY"));
    clock->advance(9s);
    scans.tick();
    QVERIFY(scans.notice().isEmpty());

    RunStarted begin = started(1, 1, kId);
    begin.unit.serial = "PH-1";
    model.apply(begin);
    RunFinished end = ended(Verdict::Error, "C030");
    end.unit.serial = "PH-1";
    model.apply(end);
    QCOMPARE(scans.scan(QStringLiteral("PH-1")), Outcome::Started); // not judged: again, in place
    QCOMPARE(station.starts.back(), (std::pair<int, std::string>(1, "PH-1")));
    end.run = RunId{2};
    begin.run = RunId{2};
    end.verdict = Verdict::Pass;
    model.apply(begin);
    model.apply(end);
    QCOMPARE(scans.scan(QStringLiteral("PH-1")), Outcome::Refused); // done: take it out
    QCOMPARE(scans.scan(QStringLiteral("PH-2")), Outcome::Started);
    QCOMPARE(station.starts.back().first, 2);
    QCOMPARE(scans.scan(QStringLiteral("PH-3")), Outcome::Started);
    QCOMPARE(scans.scan(QStringLiteral("PH-4")), Outcome::Refused);
    QCOMPARE(scans.prompt(), QStringLiteral("No free slot: take a unit out"));
    QCOMPARE(scans.scan(QStringLiteral("CMD:START")), Outcome::StartedAll);
    QCOMPARE(scans.scan(QStringLiteral("CMD:STOP")), Outcome::StoppedAll);
    QCOMPARE(scans.scan(QStringLiteral("CMD:")), Outcome::Refused);
    QCOMPARE(scans.scan(QString()), Outcome::Refused);
    QCOMPARE(station.starts.size(), 4U);
}

} // namespace

PROVOST_TEST("slot_models", TstSlotModels)
#include "tst_slot_models.moc"
