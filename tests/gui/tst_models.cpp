// The models behind the screens: fed with events as an engine posts them, read as a widget would.
#include "fake_station.h"
#include "support/test_program.h"

#include "models/counters_model.h"
#include "models/diagnosis.h"
#include "models/display_text.h"
#include "models/engine_bridge.h"
#include "models/handshake_model.h"
#include "models/model_set.h"
#include "models/run_model.h"
#include "models/scan_router.h"
#include "models/slot_model.h"
#include "models/station_model.h"
#include "models/step_model.h"
#include "models/unit_model.h"

#include <QAbstractItemModelTester>
#include <QSignalSpy>
#include <QTest>

#include <atomic>
#include <thread>

using namespace provost;
using namespace provost::test;
using namespace std::chrono_literals;

namespace {

const std::string kId = "3d0021000447343138333038";

/// The text behind a role of a slot's row.
QString said(const SlotModel& model, int slot, int role)
{
    return model.indexOf(SlotId{slot}).data(role).toString();
}

RunFinished ended(Verdict verdict, std::string cause = {})
{
    return finished(1, 1, kId, verdict, std::move(cause), 41.8);
}

Measurement number(double value, Limit limit)
{
    Measurement measurement{.name = "throughput", .limit = std::move(limit)};
    measurement.value = value;
    return measurement;
}

using Events = std::vector<StationEvent>;

class TstModels : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void slots_passTheModelTester();
    void slots_showTheStateAfterEvents_data();
    void slots_showTheStateAfterEvents();
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
    void bridge_foldsProgressToTenASecond();
    void bridge_bringsEventsFromOtherThreadsInOrder();
    void bridge_deliversNoProgressBehindTheVerdict();
    void stop_isShownWithinAQuarterSecond();
    void steps_showEveryTry();
    void steps_keepWhatWasNotReached();
    void steps_tellTwoOfOneNameApart();
    void handshake_growsArrowByArrow();
    void run_followsItsSlotAndReadsItsRecord();
    void diagnosis_namesTheStepAndTheValue();
    void counters_readAsADashWhenUnknown();
    void measurement_thatBrokeItsLimitDoesNotReadLikeIt();
    void pills_sayWhatIsKnown();
    void units_areFoundByIdLabelAndKey();
};

void TstModels::slots_passTheModelTester()
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

void TstModels::slots_showTheStateAfterEvents_data()
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

void TstModels::slots_showTheStateAfterEvents()
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

void TstModels::slots_keepAVerdictUntilTheUnitIsOut()
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

void TstModels::slots_sayStoppingWithTheVeryEvent()
{
    SlotModel model(slotsUpTo(1), false, std::make_shared<VirtualClock>());
    model.apply(started(1, 1, kId));
    QSignalSpy changed(&model, &QAbstractItemModel::dataChanged);
    model.apply(StopRequested{.run = RunId{1}, .slot = SlotId{1}});
    QCOMPARE(changed.size(), 1);
    QCOMPARE(said(model, 1, SlotModel::WordRole), QStringLiteral("STOPPING"));
}

void TstModels::slots_ignoreWhatBelongsToAnotherRun()
{
    SlotModel model(slotsUpTo(1), false, std::make_shared<VirtualClock>());
    model.apply(started(2, 1, kId));
    model.apply(progress(1, 1, 0.9));
    QCOMPARE(model.index(0).data(SlotModel::PercentRole).toInt(), 0);
    model.apply(finished(1, 1, kId, Verdict::Pass, "", 5));
    QCOMPARE(model.stateOf(SlotId{1}), SlotState::Running);
}

void TstModels::slots_neverMoveTheBarBackwards()
{
    SlotModel model(slotsUpTo(1), false, std::make_shared<VirtualClock>());
    model.apply(started(1, 1, kId));
    for (const double fraction : {0.3, 0.6, 0.2, -1.0, 0.61})
        model.apply(progress(1, 1, fraction));
    QCOMPARE(model.index(0).data(SlotModel::FractionRole).toDouble(), 0.61);
    model.apply(progress(1, 1, 7.0));
    QCOMPARE(model.index(0).data(SlotModel::PercentRole).toInt(), 100);
}

void TstModels::slots_announceOnlyWhatCanBeSeen()
{
    SlotModel model(slotsUpTo(1), false, std::make_shared<VirtualClock>());
    model.apply(started(1, 1, kId));
    QSignalSpy changed(&model, &QAbstractItemModel::dataChanged);
    for (int i = 0; i <= 10000; ++i)
        model.apply(progress(1, 1, 0.1 + i * 1e-6)); // 1 % in ten thousand reports
    QVERIFY2(changed.size() <= 12, qPrintable(QString::number(changed.size())));
}

void TstModels::slots_warnWhileMemoryIsCritical()
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

void TstModels::slots_guessNoTimeWithoutHistory()
{
    const auto clock = std::make_shared<VirtualClock>();
    SlotModel model(slotsUpTo(1), false, clock);
    model.apply(started(1, 1, kId, {{"Identify", 1}, {"Write", 0}}));
    model.apply(stepStarted(1, 1, 0, "Identify"));
    clock->advance(26s);
    QCOMPARE(said(model, 1, SlotModel::DetailRole), QStringLiteral("26 s"));
}

void TstModels::slots_countTheRemainingTimeDownAndNeverBelowZero()
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

void TstModels::claim_keepsTheSlotFromASecondScan()
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

void TstModels::scan_decidesPerLabel()
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

void TstModels::bridge_foldsProgressToTenASecond()
{
    EngineBridge bridge;
    std::map<int, int> count;
    std::map<int, double> last;
    connect(&bridge, &EngineBridge::arrived, this, [&](const StationEvent& event) {
        const auto& moved = std::get<ProgressMoved>(event);
        ++count[moved.slot.value];
        last[moved.slot.value] = moved.fraction;
    });
    QElapsedTimer time;
    time.start();
    for (int i = 1; i <= 500; ++i) {
        for (int slot = 1; slot <= 24; ++slot)
            bridge.post(progress(slot, slot, i / 500.0));
        QTest::qWait(1);
    }
    QTRY_COMPARE(last[24], 1.0); // the last one is never lost
    // Qt's timers may be a twentieth early.
    const auto most = time.elapsed() * 20 / (EngineBridge::kProgressInterval.count() * 19) + 2;
    for (int slot = 1; slot <= 24; ++slot) {
        QVERIFY2(count[slot] <= most, qPrintable(QString::number(count[slot])));
        QVERIFY(count[slot] >= 2);
        QCOMPARE(last[slot], 1.0);
    }
}

void TstModels::bridge_bringsEventsFromOtherThreadsInOrder()
{
    EngineBridge bridge;
    std::map<int, std::vector<int>> seen;
    bool right = true;
    connect(&bridge, &EngineBridge::arrived, this, [&](const StationEvent& event) {
        right = right && QThread::currentThread() == thread();
        if (const auto* step = std::get_if<StepStarted>(&event))
            seen[step->slot.value].push_back(step->index);
    });
    {
        std::vector<std::jthread> workers;
        for (int slot = 1; slot <= 8; ++slot)
            workers.emplace_back([&bridge, slot] {
                for (int i = 0; i < 50; ++i) {
                    bridge.post(stepStarted(slot, slot, i, "step"));
                    bridge.post(progress(slot, slot, i / 50.0));
                }
            });
    }
    QTRY_COMPARE(seen[8].size(), 50U);
    QVERIFY(right);
    for (int slot = 1; slot <= 8; ++slot) {
        QCOMPARE(seen[slot].size(), 50U);
        QVERIFY(std::ranges::is_sorted(seen[slot]));
    }
}

void TstModels::bridge_deliversNoProgressBehindTheVerdict()
{
    EngineBridge bridge;
    std::vector<std::size_t> kinds;
    connect(&bridge, &EngineBridge::arrived, this,
            [&](const StationEvent& event) { kinds.push_back(event.index()); });
    bridge.post(progress(1, 1, 0.9));
    bridge.post(ended(Verdict::Pass));
    QTRY_VERIFY(!kinds.empty());
    QTest::qWait(250); // two more intervals in which nothing may come
    QCOMPARE(kinds.size(), 1U);
    QCOMPARE(kinds[0], StationEvent(RunFinished{}).index());
}

void TstModels::stop_isShownWithinAQuarterSecond()
{
    FakeStation station;
    station.who.slots = slotsUpTo(24);
    EngineBridge bridge;
    ModelSet models(station, bridge, std::make_shared<SystemClock>());
    for (int slot = 1; slot <= 24; ++slot)
        bridge.post(started(slot, slot, ""));
    std::atomic<bool> more = true;
    std::jthread busy([&] { // a loaded station
        for (int i = 0; more; ++i) {
            for (int slot = 1; slot <= 24; ++slot)
                bridge.post(progress(slot, slot, (i % 1000) / 1000.0));
            std::this_thread::sleep_for(5ms);
        }
    });
    QTRY_COMPARE(models.slotModel().busyCount(), 24);
    // The best of all: others' load delays some, a model that is too slow delays each.
    std::chrono::milliseconds best = kHangGuard;
    for (int slot = 1; slot <= 24 && best >= 250ms; ++slot) {
        const auto took = timed([&] {
            std::jthread([&] {
                bridge.post(StopRequested{.run = RunId{slot}, .slot = SlotId{slot}});
            }).join();
            const auto stops = [&] {
                return models.slotModel().stateOf(SlotId{slot}) == SlotState::Stopping;
            };
            static_cast<void>(QTest::qWaitFor(stops, static_cast<int>(kHangGuard.count())));
        });
        best = std::min(best, took);
    }
    more = false;
    QVERIFY(best < 250ms);
}

void TstModels::steps_showEveryTry()
{
    StepModel model;
    const QAbstractItemModelTester tester(&model,
                                          QAbstractItemModelTester::FailureReportingMode::QtTest);
    RunState run =
        begunRun(started(1, 1, kId, {{"Identify", 1}, {"Write", 9}, {"Prove", 2}}), {}, "");
    model.show(run);
    const auto take = [&](const StationEvent& event) {
        QVERIFY(fold(run, event, Clock::Steady{} + 5s));
        model.show(run);
    };
    take(stepStarted(1, 1, 0, "Identify"));
    take(stepFinished(1, 1, 0, attempt("Identify", 0.4, "Photon")));
    take(stepStarted(1, 1, 1, "Write"));
    take(progress(1, 1, 0.4, "Erasing"));
    QCOMPARE(model.index(1).data(StepModel::NoteRole).toString(), QStringLiteral("Erasing"));
    take(stepFinished(1, 1, 1, attempt("Write", 3, "", Verdict::Error, "C030")));
    take(stepStarted(1, 1, 1, "Write", 2));
    QCOMPARE(model.rowCount(), 4);
    QCOMPARE(model.runningRow(), 2);
    Measured measured{.run = RunId{1},
                      .slot = SlotId{1},
                      .measurement = number(61.2, {.min = 40.0, .unit = "KiB/s"})};
    take(measured);
    QCOMPARE(model.index(2).data(StepModel::MeasurementsRole).toStringList(),
             QStringList{QStringLiteral("throughput 61.2\u00a0KiB/s (limit \u2265\u00a040)")});
    auto second = attempt("Write", 4.2, "2.3.1");
    second.attempt = 2;
    take(stepFinished(1, 1, 1, second));
    QCOMPARE(model.index(1).data(StepModel::MarkRole).toInt(),
             static_cast<int>(StepModel::Mark::Check));
    QCOMPARE(model.index(2).data(StepModel::NoteRole).toString(),
             QStringLiteral("try 2\u00a0\u00b7 2.3.1"));
    QCOMPARE(model.index(2).data(StepModel::SecondsRole).toString(), QStringLiteral("4.2 s"));
    QCOMPARE(model.index(3).data(StepModel::MarkRole).toInt(),
             static_cast<int>(StepModel::Mark::Waiting));
}

void TstModels::steps_keepWhatWasNotReached()
{
    RunState live =
        begunRun(started(1, 1, kId, {{"Identify", 1}, {"Write", 9}, {"Prove", 2}}), {}, "");
    fold(live, ended(Verdict::Fail, "F110"), {});
    RunRecord record{.id = RunId{1}, .verdict = Verdict::Fail, .cause = "F110"};
    auto second = attempt("Write", 4, "", Verdict::Fail, "F110");
    second.attempt = 2;
    record.attempts = {attempt("Identify", 0.4), attempt("Write", 3, "", Verdict::Error, "C030"),
                       second, attempt("Leave the unit safe", 0.3)};
    StepModel model;
    model.show(withRecord(live, record));
    QStringList names;
    for (int row = 0; row < model.rowCount(); ++row)
        names << model.index(row).data().toString();
    QCOMPARE(names, (QStringList{QStringLiteral("Identify"), QStringLiteral("Write"),
                                 QStringLiteral("Write"), QStringLiteral("Prove"),
                                 QStringLiteral("Leave the unit safe")}));
    QCOMPARE(model.index(3).data(StepModel::NoteRole).toString(), QStringLiteral("not reached"));
    QCOMPARE(model.rowThatMatters(), 2);
}

void TstModels::steps_tellTwoOfOneNameApart()
{
    const RunState live =
        begunRun(started(1, 1, kId, {{"Restart", 1}, {"Restart", 1}, {"Prove", 2}}), {}, "");
    RunRecord record{.id = RunId{1}, .verdict = Verdict::Pass};
    record.attempts = {attempt("Restart", 1), attempt("Restart", 2), attempt("Prove", 3)};
    const RunState merged = withRecord(live, record);
    QCOMPARE(merged.steps.size(), 3U);
    QCOMPARE(merged.steps[1].planIndex, 1);
    QCOMPARE(merged.steps[1].record.seconds, 2.0);
}

void TstModels::handshake_growsArrowByArrow()
{
    HandshakeModel model;
    const QAbstractItemModelTester tester(&model,
                                          QAbstractItemModelTester::FailureReportingMode::QtTest);
    QSignalSpy resets(&model, &QAbstractItemModel::modelReset);
    std::vector<HandshakeArrow> arrows{{0, false, "nonce", "", 40, 0, false}};
    model.show(RunId{1}, arrows);
    arrows.push_back({1, true, "no hello", "decryption error (6)", 0, 510.4, true});
    model.show(RunId{1}, arrows);
    QCOMPARE(resets.size(), 1);
    QCOMPARE(model.rowCount(), 2);
    QCOMPARE(model.index(0).data(HandshakeModel::DetailRole).toString(),
             QStringLiteral("40 bytes\u00a0\u00b7 +0 ms"));
    QCOMPARE(model.index(1).data(HandshakeModel::DetailRole).toString(),
             QStringLiteral("+510 ms\u00a0\u00b7 decryption error (6)"));
    QVERIFY(model.index(1).data(HandshakeModel::FailedRole).toBool());
    model.show(RunId{2}, {});
    QCOMPARE(model.rowCount(), 0);
}

void TstModels::run_followsItsSlotAndReadsItsRecord()
{
    const auto clock = std::make_shared<VirtualClock>();
    FakeStation station;
    SlotModel model(slotsUpTo(2), false, clock);
    RunModel run(model, station, clock);
    const auto post = [&](const StationEvent& event) {
        model.apply(event);
        run.apply(event);
    };
    run.followSlot(SlotId{1});
    QVERIFY(!run.run());
    QCOMPARE(run.state(), SlotState::Ready);
    post(started(1, 1, kId));
    post(started(9, 2, "other"));
    QCOMPARE(run.run()->id.value, 1);
    QCOMPARE(run.state(), SlotState::Running);
    station.records[1] = {.id = RunId{1},
                          .start = {.slot = 1,
                                    .unit = {.serial = "PH-1", .deviceId = kId},
                                    .planId = "photon-full",
                                    .planRevision = 3},
                          .verdict = Verdict::Fail,
                          .cause = "F405"};
    post(ended(Verdict::Fail, "F405"));
    QCOMPARE(run.state(), SlotState::Fail);
    QCOMPARE(run.run()->planRevision, 3);
    QCOMPARE(run.causeLine(),
             QStringLiteral("F405\u00a0\u00b7 Unit cannot open the session key\u00a0\u00b7 "
                            "label\u00a0PH-1\u00a0\u00b7 attempt\u00a01"));
    post(UnitRemoved{.slot = SlotId{1}});
    QCOMPARE(run.state(), SlotState::Fail);
    QVERIFY(!run.showRun(RunId{77}));
    QVERIFY(run.showUnit(QString::fromStdString(kId)));
    QVERIFY(!run.showUnit(QStringLiteral("nobody")));
}

void TstModels::diagnosis_namesTheStepAndTheValue()
{
    RunState run = begunRun(started(1, 1, kId), {}, "");
    auto failed = attempt("Write system part 1", 9, "", Verdict::Fail, "F501");
    failed.measurements.push_back(number(38.1, {.min = 40.0, .unit = "KiB/s"}));
    failed.measurements.back().verdict = Verdict::Fail;
    fold(run, stepFinished(1, 1, 2, failed), {});
    QVERIFY(diagnose(run).heading.isEmpty()); // it goes on
    fold(run, ended(Verdict::Fail, "F501"), {});
    const Diagnosis diagnosis = diagnose(run);
    QCOMPARE(diagnosis.heading, QStringLiteral("What is wrong"));
    QCOMPARE(diagnosis.title, QStringLiteral("A measured value is out of its limits"));
    QCOMPARE(diagnosis.advice, QStringLiteral("Put in the red bin"));
    QVERIFY(diagnosis.evidence.contains(
        QStringLiteral("throughput 38.1\u00a0KiB/s (limit \u2265\u00a040)")));
    QVERIFY(diagnosis.evidence.front().contains(QStringLiteral("Write system part 1")));
}

void TstModels::counters_readAsADashWhenUnknown()
{
    CountersModel counters;
    QCOMPARE(counters.passed(), display::unknown());
    counters.show({});
    QCOMPARE(counters.passed(), QStringLiteral("0"));
    QCOMPARE(counters.firstPassYield(), display::unknown());
    QCOMPARE(counters.unitsPerHour(), display::unknown());
    counters.show(
        {.pass = 412, .fail = 7, .firstPass = 412, .judgedUnits = 419, .unitsPerHour = 188});
    QCOMPARE(counters.firstPassYield(), QStringLiteral("98.3%"));
    QCOMPARE(counters.unitsPerHour(), QStringLiteral("188"));
    QVERIFY(counters.anyFailed());
    counters.show({.pass = 9999, .fail = 1, .firstPass = 9999, .judgedUnits = 10000});
    QCOMPARE(counters.firstPassYield(), QStringLiteral("99.9%")); // not 100 %
    counters.show({.fail = 3, .firstPass = 0, .judgedUnits = 3});
    QCOMPARE(counters.firstPassYield(), QStringLiteral("0%")); // known, and bad
}

void TstModels::measurement_thatBrokeItsLimitDoesNotReadLikeIt()
{
    QCOMPARE(display::measurement(number(39.9996, {.min = 40.0})),
             QStringLiteral("throughput 39.9996 (limit \u2265\u00a040)"));
    QCOMPARE(display::measurement(number(1000.3, {.max = 1000.0})),
             QStringLiteral("throughput 1000.3 (limit \u2264\u00a01000)"));
    QCOMPARE(display::measurement(number(3.3, {.min = 3.2, .max = 3.4, .unit = "V"})),
             QStringLiteral("throughput 3.3\u00a0V (limit 3.2 \u2026 3.4)"));
    QCOMPARE(display::measurement({.name = "vdd", .limit = {.min = 3.2}}),
             QStringLiteral("vdd was not measured (limit \u2265\u00a03.2)"));
    QCOMPARE(display::number(245760), QStringLiteral("245760"));
    QCOMPARE(display::seconds(41.84), QStringLiteral("41.8 s"));
    QCOMPARE(display::seconds(59.97), QStringLiteral("1 min 0 s"));
    QCOMPARE(display::continued(QStringLiteral("USB transfer failed")),
             QStringLiteral("USB transfer failed"));
}

void TstModels::pills_sayWhatIsKnown()
{
    StationModel model({.stationName = "Station A", .databasePath = "/var/lib/provost/line.db"});
    QCOMPARE(model.planTitle(), QStringLiteral("No plan"));
    QCOMPARE(model.pills().size(), 3U); // no operator signed in: no pill
    QCOMPARE(model.pills()[0].light, StationModel::Light::Unknown);
    QCOMPARE(model.pills()[1].text, QStringLiteral("Database line.db"));
    model.apply(StationNotice{.subject = "cloud", .good = true, .text = "38 ms"});
    QCOMPARE(model.pills()[0].text, QStringLiteral("Cloud 38 ms"));
    model.apply(StationNotice{.subject = "cloud", .good = false, .text = "Cloud away"});
    QCOMPARE(model.pills()[0].text, QStringLiteral("Cloud away"));
    QCOMPARE(model.pills()[0].light, StationModel::Light::Attention);
    model.apply(StationNotice{.subject = "outbox", .good = false, .text = "12 waiting"});
    QCOMPARE(model.pills()[1].text, QStringLiteral("Database line.db\u00a0\u00b7 12 waiting"));
}

void TstModels::units_areFoundByIdLabelAndKey()
{
    UnitModel units;
    const QAbstractItemModelTester tester(&units,
                                          QAbstractItemModelTester::FailureReportingMode::QtTest);
    UnitSearch search(units);
    units.show({{.deviceId = kId,
                 .label = "PH-1",
                 .state = "pass",
                 .keyFingerprint = std::string(64, 'a')},
                {.deviceId = "40002d001247343138333038", .label = "PH-2", .state = "inspect"}});
    QCOMPARE(search.rowCount(), 2);
    search.search(QStringLiteral("ph-2"));
    QCOMPARE(search.rowCount(), 1);
    QCOMPARE(search.index(0, 0).data().toString(), QStringLiteral("INSPECT"));
    search.search(QStringLiteral("aaaaaa"));
    QCOMPARE(search.index(0, UnitModel::KeyColumn).data().toString(),
             QStringLiteral("aa:aa:aa:\u2026:aa"));
    QCOMPARE(search.exactMatch(QStringLiteral("ph-1")), QString::fromStdString(kId));
    QVERIFY(search.exactMatch(QStringLiteral("PH")).isEmpty());
}

} // namespace

PROVOST_TEST("models", TstModels)
#include "tst_models.moc"
