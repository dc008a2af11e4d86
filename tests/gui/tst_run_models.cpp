// The models of one run: steps, handshake, diagnosis; live and from its record.
#include "model_events.h"
#include "support/test_program.h"

#include "models/diagnosis.h"
#include "models/display_text.h"
#include "models/handshake_model.h"
#include "models/run_model.h"
#include "models/step_model.h"

#include <QAbstractItemModelTester>
#include <QSignalSpy>
#include <QTest>

using namespace provost;
using namespace provost::test;
using namespace std::chrono_literals;

namespace {

class TstRunModels : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void steps_showEveryTry();
    void steps_keepWhatWasNotReached();
    void steps_tellTwoOfOneNameApart();
    void handshake_growsArrowByArrow();
    void run_followsItsSlotAndReadsItsRecord();
    void diagnosis_namesTheStepAndTheValue();
    void measurement_thatBrokeItsLimitDoesNotReadLikeIt();
};

void TstRunModels::steps_showEveryTry()
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
             QStringList{QStringLiteral("throughput 61.2\u00a0KiB/s (limit\u00a0\u2265\u00a040)")});
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

void TstRunModels::steps_keepWhatWasNotReached()
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

void TstRunModels::steps_tellTwoOfOneNameApart()
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

void TstRunModels::handshake_growsArrowByArrow()
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

void TstRunModels::run_followsItsSlotAndReadsItsRecord()
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

void TstRunModels::diagnosis_namesTheStepAndTheValue()
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
        QStringLiteral("throughput 38.1\u00a0KiB/s (limit\u00a0\u2265\u00a040)")));
    QVERIFY(diagnosis.evidence.front().contains(QStringLiteral("Write system part 1")));
    // What note and error say alike is said once.
    RunState other = begunRun(started(2, 1, kId), {}, "");
    auto closed = attempt("Live handshake", 1, "closed after message 3", Verdict::Fail, "F403");
    closed.error = "handshake: closed after message 3";
    fold(other, stepFinished(2, 1, 8, closed), {});
    auto end = finished(2, 1, kId, Verdict::Fail, "F403", 9);
    end.error = closed.error;
    fold(other, end, {});
    QCOMPARE(diagnose(other).evidence,
             QStringList{QStringLiteral("Step \u201cLive handshake\u201d: handshake: closed after "
                                        "message 3")});
}

void TstRunModels::measurement_thatBrokeItsLimitDoesNotReadLikeIt()
{
    QCOMPARE(display::measurement(number(39.9996, {.min = 40.0})),
             QStringLiteral("throughput 39.9996 (limit\u00a0\u2265\u00a040)"));
    QCOMPARE(display::measurement(number(1000.3, {.max = 1000.0})),
             QStringLiteral("throughput 1000.3 (limit\u00a0\u2264\u00a01000)"));
    QCOMPARE(display::measurement(number(3.3, {.min = 3.2, .max = 3.4, .unit = "V"})),
             QStringLiteral("throughput 3.3\u00a0V (limit\u00a03.2 \u2026 3.4)"));
    QCOMPARE(display::measurement({.name = "vdd", .limit = {.min = 3.2}}),
             QStringLiteral("vdd was not measured (limit\u00a0\u2265\u00a03.2)"));
    QCOMPARE(display::measurement({.name = "join_s", .limit = {.max = 60, .unit = "s"}}),
             QStringLiteral("join was not measured (limit\u00a0\u2264\u00a060\u00a0s)"));
    QCOMPARE(display::number(245760), QStringLiteral("245760"));
    QCOMPARE(display::seconds(41.84), QStringLiteral("41.8 s"));
    QCOMPARE(display::seconds(59.97), QStringLiteral("1 min 0 s"));
    QCOMPARE(display::continued(QStringLiteral("USB transfer failed")),
             QStringLiteral("USB transfer failed"));
}

} // namespace

PROVOST_TEST("run_models", TstRunModels)
#include "tst_run_models.moc"
