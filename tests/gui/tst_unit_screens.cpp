// The Unit and Units screens, offscreen: touch, read, answer. Images are kept for review.
#include "screen_bench.h"
#include "support/test_program.h"

#include "gui/action_button.h"
#include "gui/handshake_view.h"
#include "gui/line_screen.h"
#include "gui/main_window.h"
#include "gui/unit_screen.h"
#include "gui/units_screen.h"

#include <QLineEdit>
#include <QListView>
#include <QTableView>
#include <QTest>

using namespace provost;
using namespace provost::gui;
using namespace provost::test;

namespace {

class TstUnitScreens : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void tile_opensItsUnitAndBackReturns();
    void unit_showsPassAsProofs();
    void handshake_takesNoMoreRoomThanItsArrows();
    void unit_followsTheRunLive();
    void unit_answersTheQuestionOfItsRun();
    void unit_drawsTheHandshakeAsItGoesOn();
    void units_searchesAndOpens();
    void units_saysWhenThereIsNone();
};

void TstUnitScreens::tile_opensItsUnitAndBackReturns()
{
    ScreenBench bench;
    bench.open();
    fillLine(bench);
    QTest::mouseClick(bench.tile(4), Qt::LeftButton);
    QVERIFY(qobject_cast<UnitScreen*>(bench.window->currentScreen()));
    auto& run = bench.window->models().run();
    QCOMPARE(run.run()->id.value, 104);
    QCOMPARE(run.state(), SlotState::Fail);
    // Nine tries on record, and the step that the plan had left.
    QCOMPARE(run.steps().rowCount(), 10);
    QCOMPARE(run.steps().index(9).data(StepModel::NoteRole).toString(),
             QStringLiteral("not reached"));
    QCOMPARE(run.handshake().rowCount(), 4);
    QCOMPARE(run.diagnosis().title, QStringLiteral("Unit cannot open the session key"));
    bench.keep(QStringLiteral("unit-fail-1920"));
    bench.window->resize(1280, 800);
    bench.settle();
    bench.keep(QStringLiteral("unit-fail-1280"));
    QTest::mouseClick(bench.window->findChild<QWidget*>(QStringLiteral("back")), Qt::LeftButton);
    QVERIFY(qobject_cast<LineScreen*>(bench.window->currentScreen()));

    QTest::mouseClick(bench.tile(7), Qt::LeftButton);
    QVERIFY(!run.run());
    bench.keep(QStringLiteral("unit-empty-1280"));
    QTest::keyClick(bench.window.get(), Qt::Key_Escape);
    QVERIFY(qobject_cast<LineScreen*>(bench.window->currentScreen()));

    // What its tile says, not an invitation.
    QTest::mouseClick(bench.tile(8), Qt::LeftButton);
    QVERIFY(run.idleLine().startsWith(QStringLiteral("Switched off by the line lead")));
    QVERIFY(run.idleLine().contains(QStringLiteral("fixture cable")));
    bench.keep(QStringLiteral("unit-off-1280"));
}

void TstUnitScreens::unit_showsPassAsProofs()
{
    ScreenBench bench;
    bench.open();
    fillLine(bench);
    QTest::mouseClick(bench.tile(1), Qt::LeftButton);
    auto& run = bench.window->models().run();
    QCOMPARE(run.state(), SlotState::Pass);
    const Diagnosis diagnosis = run.diagnosis();
    QCOMPARE(diagnosis.heading, QStringLiteral("What was proved"));
    QVERIFY(diagnosis.title.isEmpty());
    QVERIFY(diagnosis.evidence.contains(QStringLiteral("10 steps passed")));
    bench.keep(QStringLiteral("unit-pass-1920"));
    bench.window->resize(1280, 800);
    bench.settle();
    bench.keep(QStringLiteral("unit-pass-1280"));
}

void TstUnitScreens::handshake_takesNoMoreRoomThanItsArrows()
{
    ScreenBench bench;
    bench.open({1280, 720});
    fillLine(bench);
    // The same run twice, so that nothing else changes its size; the second never dialled.
    auto silent = failRecord();
    silent.id = RunId{114};
    silent.handshake.clear();
    bench.station.records[114] = silent;
    bench.post(started(114, 7, silent.start.unit.deviceId));
    bench.post(finished(114, 7, silent.start.unit.deviceId, Verdict::Fail, "F405", 18));
    bench.window->openSlot(SlotId{4}); // four arrows: more than there is room for
    bench.settle();
    auto* view = bench.window->findChild<HandshakeView*>();
    QTRY_VERIFY(view->height() > view->parentWidget()->height());
    bench.window->back();
    bench.settle();
    bench.window->openSlot(SlotId{7});
    QTRY_COMPARE(view->height(), view->parentWidget()->height());
}

void TstUnitScreens::unit_followsTheRunLive()
{
    ScreenBench bench;
    bench.open();
    fillLine(bench);
    QTest::mouseClick(bench.tile(2), Qt::LeftButton);
    auto& run = bench.window->models().run();
    QCOMPARE(run.state(), SlotState::Running);
    QCOMPARE(run.steps().runningRow(), 3);
    bench.post(CriticalWrite{.run = RunId{102}, .slot = SlotId{2}, .on = true, .what = "dct"});
    QVERIFY(run.run()->critical);
    bench.keep(QStringLiteral("unit-running-1920"));
    bench.post(stepFinished(102, 2, 3, attempt("Write system part 2", 4.2, "2.3.1")));
    bench.post(stepStarted(102, 2, 4, "Bring up bootloader"));
    QCOMPARE(run.steps().runningRow(), 4);
    bench.post(HandshakeSeen{.run = RunId{102}, .slot = SlotId{2}, .arrow = goodHandshake()[0]});
    QCOMPARE(run.handshake().rowCount(), 1);
    bench.post(finished(102, 2, "2b0034000a47343138333038", Verdict::Hold, "H310", 44));
    QCOMPARE(run.state(), SlotState::Hold);
    bench.keep(QStringLiteral("unit-hold-1920"));
    // The unit is taken out: who reads goes on reading; the next run shows itself.
    bench.post(UnitRemoved{.slot = SlotId{2}});
    QCOMPARE(run.state(), SlotState::Hold);
    bench.post(started(120, 2, ""));
    QCOMPARE(run.state(), SlotState::Running);
}

void TstUnitScreens::unit_answersTheQuestionOfItsRun()
{
    ScreenBench bench;
    bench.open();
    fillLine(bench);
    const auto ask = [&] {
        bench.post(PromptRaised{.run = RunId{105},
                                .slot = SlotId{5},
                                .promptId = "hold-setup-listening",
                                .text = "Hold SETUP for 3 s, until the light blinks blue",
                                .choices = {{"done", "Done"}, {"cannot", "Cannot be done"}}});
    };
    const auto button = [&](const char* name) {
        return bench.window->findChild<ActionButton*>(QLatin1String(name));
    };
    ask();
    QTest::mouseClick(bench.tile(5), Qt::LeftButton);
    QVERIFY(button("choice-done")->isVisible() && button("choice-cannot")->isVisible());
    auto& steps = bench.window->models().run().steps();
    QCOMPARE(steps.index(steps.runningRow()).data(StepModel::NoteRole).toString(),
             QStringLiteral("waits for the operator"));
    QVERIFY(button("choice-done")->height() >= 48); // for gloves
    bench.keep(QStringLiteral("unit-question-1920"));
    QTest::mouseClick(button("choice-done"), Qt::LeftButton);
    QCOMPARE(bench.station.answers.size(), 1U);
    QCOMPARE(bench.station.answers[0], (std::pair<std::int64_t, std::string>(105, "done")));
    bench.settle();
    QVERIFY(button("choice-done") == nullptr);
    // It asks again; this time it cannot be done.
    ask();
    QTest::mouseClick(button("choice-cannot"), Qt::LeftButton);
    QCOMPARE(bench.station.answers.back().second, std::string("cannot"));
    // Somebody else answered: nobody is asked any more, here and on the tile.
    ask();
    QVERIFY(button("choice-done")->isVisible());
    bench.post(PromptAnswered{.run = RunId{105}, .slot = SlotId{5}});
    QVERIFY(bench.tile(5)->face().prompt.isEmpty());
    QVERIFY(button("choice-done") == nullptr);
}

void TstUnitScreens::unit_drawsTheHandshakeAsItGoesOn()
{
    ScreenBench bench;
    bench.open();
    const std::vector<HandshakeArrow> arrows{
        {0, false, "nonce", "", 40, 0.2, false},
        {1, true, "nonce, device ID and public key, sealed to the server key",
         "ID matches the label", 256, 243.0, false},
        {2, false, "session credentials and signature", "", 384, 246.0, false},
        {3, true, "hello", "", 18, 310.0, false},
        {4, false, "hello", "", 18, 311.0, false}};
    bench.post(started(130, 4, "40002d001247343438323536"));
    bench.post(stepStarted(130, 4, 8, "Live handshake"));
    QTest::mouseClick(bench.tile(4), Qt::LeftButton);
    auto& model = bench.window->models().run().handshake();
    QCOMPARE(model.rowCount(), 0);
    bench.keep(QStringLiteral("unit-handshake-0"));
    for (std::size_t i = 0; i < arrows.size(); ++i) {
        bench.post(HandshakeSeen{.run = RunId{130}, .slot = SlotId{4}, .arrow = arrows[i]});
        QCOMPARE(model.rowCount(), static_cast<int>(i) + 1); // while its step still runs
        bench.keep(QStringLiteral("unit-handshake-%1").arg(i + 1));
    }
    // The unit dials once more: the picture is of that connection.
    bench.post(HandshakeSeen{.run = RunId{130}, .slot = SlotId{4}, .arrow = arrows[0]});
    QCOMPARE(model.rowCount(), 1);
}

void TstUnitScreens::units_searchesAndOpens()
{
    ScreenBench bench;
    bench.station.records[101] = passRecord();
    bench.station.records[104] = failRecord();
    RunRecord again = failRecord();
    again.id = RunId{99};
    again.cause = "C030";
    again.verdict = Verdict::Error;
    bench.station.records[99] = again;
    bench.station.rows = {
        {.deviceId = "40002d001247343138333038",
         .label = "PH-000474",
         .state = "fail",
         .lastSeenUtc = utcNow(),
         .runs = 2,
         .lastCause = "F405"},
        {.deviceId = "3d0021000447343138333038",
         .label = "PH-000471",
         .state = "pass",
         .keyFingerprint = "a7205c9155e0a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f6071829c4",
         .lastSeenUtc = utcNow(),
         .runs = 1,
         .simulated = true},
        {.deviceId = "1e003b001647343138333038",
         .state = "inspect",
         .lastSeenUtc = "2024-11-03T09:12:00.000Z",
         .runs = 3,
         .lastCause = "C017"},
    };
    bench.open();
    bench.window->choose(Screen::Units);
    auto* table = bench.window->findChild<QTableView*>(QStringLiteral("units"));
    QCOMPARE(table->model()->rowCount(), 3);
    bench.keep(QStringLiteral("units-1920"));
    bench.window->resize(1280, 800);
    bench.settle();
    bench.keep(QStringLiteral("units-1280"));
    auto* search = bench.window->findChild<QLineEdit*>(QStringLiteral("unitSearch"));
    search->setText(QStringLiteral("F405"));
    QCOMPARE(table->model()->rowCount(), 1);
    QTest::mouseClick(table->viewport(), Qt::LeftButton, {},
                      table->visualRect(table->model()->index(0, 1)).center());
    QVERIFY(qobject_cast<UnitScreen*>(bench.window->currentScreen()));
    QCOMPARE(bench.window->models().run().run()->id.value, 104);
    QCOMPARE(bench.window->models().run().history().size(), 2U);
    bench.keep(QStringLiteral("unit-history-1280"));
    bench.window->back();
    QVERIFY(qobject_cast<UnitsScreen*>(bench.window->currentScreen()));
    // A scan looks the unit up here instead of starting it.
    bench.scan(QStringLiteral("PH-000471"));
    QVERIFY(bench.station.starts.empty());
    QVERIFY(qobject_cast<UnitScreen*>(bench.window->currentScreen()));
    QCOMPARE(bench.window->models().run().run()->id.value, 101);
}

void TstUnitScreens::units_saysWhenThereIsNone()
{
    ScreenBench bench;
    bench.open({1280, 800});
    bench.window->choose(Screen::Units);
    bench.keep(QStringLiteral("units-empty-1280"));
    QCOMPARE(bench.window->models().unitSearch().rowCount(), 0);
}

} // namespace

PROVOST_TEST("unit_screens", TstUnitScreens)
#include "tst_unit_screens.moc"
