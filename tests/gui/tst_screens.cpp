// The window, offscreen: scan, tap, read. Images of every state are kept for review.
#include "fake_station.h"
#include "support/test_program.h"

#include "gui/action_button.h"
#include "gui/line_screen.h"
#include "gui/main_window.h"
#include "gui/scan_field.h"
#include "gui/slot_tile.h"
#include "gui/tile_grid.h"
#include "gui/unit_screen.h"
#include "gui/units_screen.h"

#include <QApplication>
#include <QDateTime>
#include <QDir>
#include <QLineEdit>
#include <QListView>
#include <QTableView>
#include <QTest>

using namespace provost;
using namespace provost::gui;
using namespace provost::test;

namespace {

std::string utcNow()
{
    return QDateTime::currentDateTimeUtc().toString(Qt::ISODateWithMs).toStdString();
}

/// A window over a fake station, shown and active.
struct Bench {
    explicit Bench(int slotCount = 8, bool simulated = false)
    {
        station.who.slots = slotsUpTo(slotCount);
        station.who.simulated = simulated;
    }
    /// @param gap  between two keys of one scan: a busy machine types slowly
    void open(QSize size = {1920, 1080}, std::chrono::milliseconds gap = std::chrono::seconds(30))
    {
        window = std::make_unique<MainWindow>(
            station, bridge, WindowOptions{.scanner = {.gap = gap}, .clock = clock});
        window->resize(size);
        window->show();
        window->activateWindow();
        QVERIFY(QTest::qWaitForWindowActive(window.get()));
    }
    void post(StationEvent event)
    {
        bridge.post(std::move(event));
        settle();
    }
    void settle()
    {
        QTest::qWait(1);
        QCoreApplication::sendPostedEvents();
    }
    void progressTo(int run, int slot, double fraction)
    {
        bridge.post(progress(run, slot, fraction));
        awaitProgress(slot);
    }
    /// Progress is folded: it arrives with the next interval.
    void awaitProgress(int slot)
    {
        bool arrived = false;
        const auto heard = QObject::connect(
            &bridge, &EngineBridge::arrived, &bridge, [&](const StationEvent& event) {
                const auto* moved = std::get_if<ProgressMoved>(&event);
                arrived = arrived || (moved != nullptr && moved->slot.value == slot);
            });
        QTRY_VERIFY(arrived);
        QObject::disconnect(heard);
        settle();
    }
    SlotTile* tile(int slot)
    {
        auto& line = *window->findChild<LineScreen*>();
        return line.tiles().tile(slot - 1);
    }
    void keep(const QString& name)
    {
        QDir().mkpath(QStringLiteral("screens"));
        window->models().slotModel().tick();
        settle();
        QVERIFY(window->grab().save(QStringLiteral("screens/%1.png").arg(name)));
    }
    /// As a scanner types it: into whatever has the focus.
    void scan(const QString& code)
    {
        QWidget* receiver = QApplication::focusWidget();
        if (!receiver)
            receiver = window.get();
        QTest::keyClicks(receiver, code);
        QTest::keyClick(receiver, Qt::Key_Return);
        settle();
    }

    std::shared_ptr<VirtualClock> clock = std::make_shared<VirtualClock>();
    FakeStation station;
    EngineBridge bridge;
    std::unique_ptr<MainWindow> window;
};

Measurement measured(std::string name, double value, Limit limit)
{
    Measurement measurement{.name = std::move(name), .limit = std::move(limit)};
    measurement.value = value;
    const bool within = (!measurement.limit.min || value >= *measurement.limit.min) &&
                        (!measurement.limit.max || value <= *measurement.limit.max);
    measurement.verdict = within ? Verdict::Pass : Verdict::Fail;
    return measurement;
}

std::vector<AttemptRecord> goodAttempts()
{
    auto write = attempt("Write system part 1", 4.0, "2.3.1 \u00b7 240 KiB");
    write.measurements.push_back(measured("throughput", 61.2, {.min = 40.0, .unit = "KiB/s"}));
    return {
        attempt("Identify", 0.4, "Photon \u00b7 12-byte ID matches label"),
        attempt("Back up", 0.9, "DCT 16 KiB saved before any write"),
        write,
        attempt("Write system part 2", 4.2, "2.3.1 \u00b7 251 KiB"),
        attempt("Bring up bootloader", 6.1, "502 \u2192 1006 by YModem, proved by module report"),
        attempt("Write application", 1.6, "fw 1.8.0 \u00b7 88 KiB"),
        attempt("Keep the key of the unit", 0.2, "readable \u00b7 ours by record of 2 Nov"),
        attempt("Register", 0.1, "cloud answered 200")};
}

std::vector<HandshakeArrow> failedHandshake()
{
    return {{0, false, "nonce", "", 40, 0, false},
            {1, true, "nonce, device ID and public key, sealed to the server key",
             "ID matches the label \u00b7 offered key is not the registered one", 256, 243, false},
            {2, false, "session credentials and signature", "", 384, 246, false},
            {3, true, "no hello: the device closed the connection",
             "unit flashes orange: decryption error (6)", 0, 510, true}};
}

std::vector<HandshakeArrow> goodHandshake()
{
    return {{0, false, "nonce", "", 40, 0, false},
            {1, true, "nonce, device ID and public key, sealed to the server key",
             "ID matches the label", 256, 243, false},
            {2, false, "session credentials and signature", "", 384, 246, false},
            {3, true, "hello", "message id and salt agree", 34, 498, false},
            {4, false, "hello", "", 18, 499, false},
            {5, true, "ping", "next expected id", 18, 742, false}};
}

RunRecord passRecord()
{
    RunRecord record{
        .id = RunId{101},
        .start = {.slot = 1,
                  .unit = {.serial = "PH-000471", .deviceId = "3d0021000447343138333038"},
                  .planId = "photon-full",
                  .planRevision = 14},
        .verdict = Verdict::Pass,
        .startedUtc = utcNow(),
        .finishedUtc = utcNow(),
        .seconds = 41.8,
        .attempts = goodAttempts(),
        .handshake = goodHandshake()};
    record.attempts.push_back(attempt("Live handshake", 0.8, "complete after 742 ms"));
    record.attempts.push_back(attempt("Shipping state", 0.6, "9 of 9 fields as reviewed"));
    return record;
}

RunRecord failRecord()
{
    RunRecord record{
        .id = RunId{104},
        .start = {.slot = 4,
                  .unit = {.serial = "PH-000474", .deviceId = "40002d001247343138333038"},
                  .planId = "photon-full",
                  .planRevision = 14},
        .verdict = Verdict::Fail,
        .cause = "F405",
        .error = "handshake: device closed the connection after message 3",
        .startedUtc = utcNow(),
        .finishedUtc = utcNow(),
        .seconds = 18.0,
        .attempts = goodAttempts(),
        .handshake = failedHandshake()};
    auto failed = attempt("Live handshake", 0.5, "device closed the connection after message 3",
                          Verdict::Fail, "F405");
    failed.error = record.error;
    record.attempts.push_back(failed);
    return record;
}

/// Slots 1 to 9 in nine states, as in the design.
void fillLine(Bench& bench)
{
    bench.station.figures = {
        .pass = 412, .fail = 7, .firstPass = 412, .judgedUnits = 419, .unitsPerHour = 188};
    bench.station.records[101] = passRecord();
    bench.station.records[104] = failRecord();
    bench.post(StationNotice{.subject = "cloud", .good = true, .text = "38 ms"});
    bench.post(StationNotice{.subject = "outbox", .good = false, .text = "12 waiting"});
    bench.post(started(101, 1, "3d0021000447343138333038"));
    bench.post(finished(101, 1, "3d0021000447343138333038", Verdict::Pass, "", 41.8));
    bench.post(started(103, 3, "1e003b001647343138333038"));
    bench.post(finished(103, 3, "1e003b001647343138333038", Verdict::Hold, "H310", 40));
    bench.post(started(104, 4, "40002d001247343138333038"));
    bench.post(finished(104, 4, "40002d001247343138333038", Verdict::Fail, "F405", 18));
    bench.post(started(106, 6, ""));
    bench.post(finished(106, 6, "", Verdict::Error, "C014", 31));
    bench.post(SlotChanged{.slot = SlotId{8},
                           .availability = SlotAvailability::Off,
                           .why = "Switched off by the line lead"});

    bench.post(started(102, 2, "2b0034000a47343138333038"));
    bench.post(started(105, 5, "33001f000a47343138333038"));
    const auto steps = photonSteps();
    for (int i = 0; i < 3; ++i) {
        bench.post(stepStarted(102, 2, i, steps[static_cast<std::size_t>(i)].name));
        bench.post(stepFinished(102, 2, i, goodAttempts()[static_cast<std::size_t>(i)]));
    }
    for (int i = 0; i < 8; ++i) {
        bench.post(stepStarted(105, 5, i, steps[static_cast<std::size_t>(i)].name));
        bench.post(stepFinished(105, 5, i, goodAttempts()[static_cast<std::size_t>(i)]));
    }
    bench.post(stepStarted(102, 2, 3, "Write system part 2"));
    bench.post(stepStarted(105, 5, 8, "Live handshake"));
    bench.clock->advance(std::chrono::seconds(4));
    bench.bridge.post(progress(102, 2, 0.62, "Writing"));
    bench.bridge.post(progress(105, 5, 0.91));
    bench.awaitProgress(5);
}

class TstScreens : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void line_showsEveryState();
    void line_saysDoNotUnplugAndAsksInTheTile();
    void line_showsTwentyFourSlotsAndOne();
    void line_showsNoFigureThatIsNotKnown();
    void tile_opensItsUnitAndBackReturns();
    void unit_showsPassAsProofs();
    void unit_followsTheRunLive();
    void unit_answersTheQuestionOfItsRun();
    void unit_drawsTheHandshakeAsItGoesOn();
    void scan_startsTheNextFreeSlotWhateverHasTheFocus();
    void scan_ofCommandsStartsAndStopsAll();
    void scan_withPrefixLeavesTypingAlone();
    void scan_refusedSaysWhy();
    void typing_reachesTheFieldAndStartsOnEnter();
    void keys_startStopAndHelp();
    void units_searchesAndOpens();
    void units_saysWhenThereIsNone();
    void rail_disablesScreensThatDoNotExist();
    void targets_areTwelveMillimetres();
    void icons_followTheirPaths();
};

void TstScreens::line_showsEveryState()
{
    Bench bench;
    bench.open();
    fillLine(bench);
    QCOMPARE(bench.tile(1)->face().word, QStringLiteral("PASS"));
    QCOMPARE(bench.tile(2)->face().percent, 62);
    QCOMPARE(bench.tile(3)->face().word, QStringLiteral("HOLD"));
    QCOMPARE(bench.tile(4)->face().detail,
             QStringLiteral("F405\u00a0\u00b7 red bin, scan the rework tag"));
    QCOMPARE(bench.tile(6)->face().word, QStringLiteral("CHECK"));
    QCOMPARE(bench.tile(7)->face().word, QStringLiteral("READY"));
    QCOMPARE(bench.tile(8)->face().headline, QStringLiteral("Switched off by the line lead"));
    bench.keep(QStringLiteral("line-1920"));
    bench.window->resize(1280, 800);
    bench.settle();
    bench.keep(QStringLiteral("line-1280"));
}

void TstScreens::line_saysDoNotUnplugAndAsksInTheTile()
{
    Bench bench(8, true);
    bench.open();
    fillLine(bench);
    bench.post(CriticalWrite{.run = RunId{102}, .slot = SlotId{2}, .on = true, .what = "dct"});
    bench.post(PromptRaised{.run = RunId{105},
                            .slot = SlotId{5},
                            .promptId = "hold-setup-listening",
                            .text = "Hold SETUP for 3 s, until the light blinks blue",
                            .choices = {{"done", "Done"}, {"cannot", "Cannot be done"}}});
    bench.post(started(107, 7, "2f0030000a47343138333038"));
    bench.post(stepStarted(107, 7, 0, "Identify"));
    bench.post(StopRequested{.run = RunId{107}, .slot = SlotId{7}});
    bench.post(started(111, 1, "3d0021000447343138333038"));
    bench.post(finished(111, 1, "3d0021000447343138333038", Verdict::Aborted, "S001", 3));
    QVERIFY(bench.tile(2)->face().critical);
    QCOMPARE(bench.tile(5)->face().prompt,
             QStringLiteral("Hold SETUP for 3 s, until the light blinks blue"));
    QCOMPARE(bench.tile(7)->face().word, QStringLiteral("STOPPING"));
    QCOMPARE(bench.tile(1)->face().word, QStringLiteral("STOPPED"));
    QVERIFY(bench.tile(8)->face().simulated);
    bench.keep(QStringLiteral("line-simulated-1920"));
    bench.window->resize(1280, 800);
    bench.settle();
    bench.keep(QStringLiteral("line-simulated-1280"));
    bench.post(CriticalWrite{.run = RunId{102}, .slot = SlotId{2}, .on = false, .what = "dct"});
    QVERIFY(!bench.tile(2)->face().critical);
}

void TstScreens::line_showsTwentyFourSlotsAndOne()
{
    Bench many(24, true);
    many.open();
    fillLine(many);
    many.post(CriticalWrite{.run = RunId{102}, .slot = SlotId{2}, .on = true, .what = "dct"});
    many.keep(QStringLiteral("line-24-1920"));
    many.window->resize(1280, 800);
    many.settle();
    many.keep(QStringLiteral("line-24-1280"));
    many.window.reset();

    Bench one(1);
    one.open({1280, 800});
    one.keep(QStringLiteral("line-1-1280"));
    QCOMPARE(TileGrid::columnsFor(1), 1);
    QCOMPARE(TileGrid::columnsFor(8), 4);
    QCOMPARE(TileGrid::columnsFor(24), 6);
}

void TstScreens::line_showsNoFigureThatIsNotKnown()
{
    Bench bench;
    bench.open();
    QCOMPARE(bench.window->models().counters().firstPassYield(), QStringLiteral("\u2014"));
    QCOMPARE(bench.window->models().counters().unitsPerHour(), QStringLiteral("\u2014"));
    QCOMPARE(bench.window->models().counters().passed(), QStringLiteral("0"));
    bench.keep(QStringLiteral("line-fresh-1920"));
}

void TstScreens::tile_opensItsUnitAndBackReturns()
{
    Bench bench;
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
}

void TstScreens::unit_showsPassAsProofs()
{
    Bench bench;
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

void TstScreens::unit_followsTheRunLive()
{
    Bench bench;
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

void TstScreens::unit_answersTheQuestionOfItsRun()
{
    Bench bench;
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

void TstScreens::unit_drawsTheHandshakeAsItGoesOn()
{
    Bench bench;
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

void TstScreens::scan_startsTheNextFreeSlotWhateverHasTheFocus()
{
    Bench bench;
    bench.open();
    bench.post(SlotChanged{.slot = SlotId{1}, .availability = SlotAvailability::Off, .why = ""});
    bench.scan(QStringLiteral("PH-000001"));
    QCOMPARE(bench.station.starts.size(), 1U);
    QCOMPARE(bench.station.starts[0], (std::pair<int, std::string>(2, "PH-000001")));

    // The same slot is not started twice although its run did not begin yet.
    bench.window->findChild<LineScreen*>()->findChildren<ActionButton*>().first()->setFocus();
    bench.scan(QStringLiteral("PH-000002"));
    QCOMPARE(bench.station.starts.back(), (std::pair<int, std::string>(3, "PH-000002")));
    QCOMPARE(bench.station.startAlls, 0); // Enter did not press the button

    bench.tile(7)->setFocus();
    bench.scan(QStringLiteral("ph-000003"));
    QCOMPARE(bench.station.starts.back(), (std::pair<int, std::string>(4, "ph-000003")));

    // As the window system delivers it: to the window, which passes it on to the focus.
    for (const QChar c : QStringLiteral("PH-000005"))
        QTest::keyClick(bench.window->windowHandle(), c.toLatin1());
    QTest::keyClick(bench.window->windowHandle(), Qt::Key_Enter);
    bench.settle();
    QCOMPARE(bench.station.starts.back(), (std::pair<int, std::string>(5, "PH-000005")));
    QCOMPARE(bench.station.starts.size(), 4U);

    // From another screen: starts, and shows the Line.
    QTest::mouseClick(bench.tile(6), Qt::LeftButton);
    bench.scan(QStringLiteral("PH-000004"));
    QCOMPARE(bench.station.starts.back(), (std::pair<int, std::string>(6, "PH-000004")));
    QVERIFY(qobject_cast<LineScreen*>(bench.window->currentScreen()));
}

void TstScreens::scan_ofCommandsStartsAndStopsAll()
{
    Bench bench;
    bench.open();
    bench.scan(QStringLiteral("CMD:START"));
    QCOMPARE(bench.station.startAlls, 1);
    bench.window->choose(Screen::Units);
    bench.scan(QStringLiteral("CMD:STOP"));
    QCOMPARE(bench.station.stopAlls, 1);
    QVERIFY(bench.station.starts.empty());
}

void TstScreens::scan_withPrefixLeavesTypingAlone()
{
    FakeStation station;
    station.who.slots = slotsUpTo(2);
    EngineBridge bridge;
    MainWindow window(station, bridge,
                      {.scanner = {.prefix = QStringLiteral("~"), .gap = std::chrono::seconds(2)}});
    window.show();
    QVERIFY(QTest::qWaitForWindowActive(&window));
    auto* field = window.findChild<ScanField*>();
    field->setFocus();
    QTest::keyClicks(field, QStringLiteral("PH-000001"));
    QTRY_COMPARE(field->text(), QStringLiteral("PH-000001"));
    QVERIFY(station.starts.empty());
    field->clear();
    QTest::keyClicks(field, QStringLiteral("~PH-000002"));
    QTest::keyClick(field, Qt::Key_Return);
    QCOMPARE(station.starts.size(), 1U);
    QCOMPARE(station.starts[0].second, std::string("PH-000002"));
    QVERIFY(field->text().isEmpty());
}

void TstScreens::scan_refusedSaysWhy()
{
    Bench bench(2);
    bench.open({1280, 800});
    bench.post(started(1, 1, ""));
    bench.post(started(2, 2, ""));
    bench.scan(QStringLiteral("PH-000009"));
    QVERIFY(bench.station.starts.empty());
    QCOMPARE(bench.window->models().scans().notice(), QStringLiteral("No free slot for PH-000009"));
    bench.keep(QStringLiteral("line-refused-1280"));
    bench.scan(QStringLiteral("CMD:DANCE"));
    QCOMPARE(bench.window->models().scans().notice(), QStringLiteral("CMD:DANCE is no command"));
}

void TstScreens::typing_reachesTheFieldAndStartsOnEnter()
{
    Bench bench(2);
    bench.open({1920, 1080}, std::chrono::milliseconds(50));
    auto* field = bench.window->findChild<ScanField*>();
    field->setFocus();
    for (const QChar c : QStringLiteral("PH-7")) {
        QTest::keyClick(field, c.toLatin1());
        QTest::qWait(70); // slower than a scanner
    }
    QTRY_COMPARE(field->text(), QStringLiteral("PH-7"));
    QTest::keyClick(field, Qt::Key_Return);
    QCOMPARE(bench.station.starts.size(), 1U);
    QCOMPARE(bench.station.starts[0], (std::pair<int, std::string>(1, "PH-7")));
    QVERIFY(field->text().isEmpty());
}

void TstScreens::keys_startStopAndHelp()
{
    Bench bench;
    bench.open();
    fillLine(bench);
    QTest::keyClick(bench.window.get(), Qt::Key_F1);
    QCOMPARE(bench.station.startAlls, 1);
    QTest::keyClick(bench.window.get(), Qt::Key_F2);
    QCOMPARE(bench.station.stopAlls, 1);
    QTest::keyClick(bench.window.get(), Qt::Key_F4);
    QVERIFY(bench.window->helpShown());
    bench.keep(QStringLiteral("help-1920"));
    // Not modal: the tile behind it still opens, scans still count.
    bench.scan(QStringLiteral("PH-000077"));
    QCOMPARE(bench.station.starts.size(), 1U);
    bench.window->resize(1280, 800);
    bench.settle();
    bench.keep(QStringLiteral("help-1280"));
    QTest::keyClick(bench.window.get(), Qt::Key_Escape);
    QVERIFY(!bench.window->helpShown());
    QTest::keyClick(bench.window.get(), Qt::Key_F4);
    QTest::keyClick(bench.window.get(), Qt::Key_F4);
    QVERIFY(!bench.window->helpShown());
}

void TstScreens::units_searchesAndOpens()
{
    Bench bench;
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

void TstScreens::units_saysWhenThereIsNone()
{
    Bench bench;
    bench.open({1280, 800});
    bench.window->choose(Screen::Units);
    bench.keep(QStringLiteral("units-empty-1280"));
    QCOMPARE(bench.window->models().unitSearch().rowCount(), 0);
}

void TstScreens::rail_disablesScreensThatDoNotExist()
{
    Bench bench;
    bench.open();
    auto* rail = bench.window->findChild<Rail*>();
    QVERIFY(rail->button(Screen::Line)->isEnabled());
    QVERIFY(rail->button(Screen::Units)->isEnabled());
    QVERIFY(!rail->button(Screen::Yield)->isEnabled());
    QTest::mouseClick(rail->button(Screen::Units), Qt::LeftButton);
    QVERIFY(qobject_cast<UnitsScreen*>(bench.window->currentScreen()));
    QTest::mouseClick(rail->button(Screen::Yield), Qt::LeftButton);
    QVERIFY(qobject_cast<UnitsScreen*>(bench.window->currentScreen()));
}

void TstScreens::targets_areTwelveMillimetres()
{
    constexpr int kTwelveMillimetres = 45; // at 96 dpi
    Bench bench(24);
    bench.open({1280, 800});
    bench.post(started(1, 1, "3d0021000447343138333038"));
    for (auto* button : bench.window->findChildren<QAbstractButton*>()) {
        if (!button->isVisible() || button->objectName().startsWith(QStringLiteral("qt_")))
            continue;
        QVERIFY2(button->height() >= kTwelveMillimetres && button->width() >= kTwelveMillimetres,
                 qPrintable(button->text()));
    }
    QVERIFY(bench.window->findChild<ScanField*>()->height() >= kTwelveMillimetres);
}

void TstScreens::icons_followTheirPaths()
{
    const auto box = [](std::string_view path) { return parseSvgPath(path).boundingRect(); };
    QCOMPARE(box("M4 5h6v6H4z"), QRectF(4, 5, 6, 6));
    QCOMPARE(box("M4 12.5l5.5 5.5L20 6.5"), QRectF(4, 6.5, 16, 11.5));
    QCOMPARE(box("M1.5.5l2-1"), QRectF(1.5, -0.5, 2, 1));
    // A circle of two arcs, as SVG 1.1 draws one of radius 4 around (8, 15).
    const QRectF circle = box("M4 15a4 4 0 0 0 8 0a4 4 0 0 0-8 0");
    QVERIFY(std::abs(circle.left() - 4) < 0.01 && std::abs(circle.right() - 12) < 0.01);
    QVERIFY(std::abs(circle.top() - 11) < 0.01 && std::abs(circle.bottom() - 19) < 0.01);
    QVERIFY(parseSvgPath("M1 1 Q nonsense").elementCount() < 3);
}

} // namespace

PROVOST_TEST("screens", TstScreens)
#include "tst_screens.moc"
