// The Line screen and what frames it, offscreen. Images of every state are kept for review.
#include "screen_bench.h"
#include "support/test_program.h"

#include "gui/icons.h"
#include "gui/line_screen.h"
#include "gui/main_window.h"
#include "gui/scan_field.h"
#include "gui/units_screen.h"

#include <QTest>

using namespace provost;
using namespace provost::gui;
using namespace provost::test;

namespace {

class TstScreens : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void line_showsEveryState();
    void line_saysDoNotUnplugAndAsksInTheTile();
    void line_showsTwentyFourSlotsAndOne();
    void line_showsNoFigureThatIsNotKnown();
    void keys_startStopAndHelp();
    void tile_asksBeforeItsSlotIsSwitched();
    void tile_heldDownIsNoTap();
    void rail_disablesScreensThatDoNotExist();
    void targets_areTwelveMillimetres();
    void icons_followTheirPaths();
};

void TstScreens::line_showsEveryState()
{
    ScreenBench bench;
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
    QVERIFY(bench.tile(8)->face().detail.startsWith(QStringLiteral("fixture cable, ")));
    bench.keep(QStringLiteral("line-1920"));
    bench.window->resize(1280, 800);
    bench.settle();
    bench.keep(QStringLiteral("line-1280"));
}

void TstScreens::line_saysDoNotUnplugAndAsksInTheTile()
{
    ScreenBench bench(8, true);
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
    ScreenBench many(24, true);
    many.open();
    fillLine(many);
    many.post(CriticalWrite{.run = RunId{102}, .slot = SlotId{2}, .on = true, .what = "dct"});
    many.keep(QStringLiteral("line-24-1920"));
    many.window->resize(1280, 800);
    many.settle();
    many.keep(QStringLiteral("line-24-1280"));
    many.window.reset();

    ScreenBench one(1);
    one.open({1280, 800});
    one.keep(QStringLiteral("line-1-1280"));
    QCOMPARE(TileGrid::columnsFor(1), 1);
    QCOMPARE(TileGrid::columnsFor(4), 2);
    QCOMPARE(TileGrid::columnsFor(8), 4);
    QCOMPARE(TileGrid::columnsFor(24), 6);
}

void TstScreens::line_showsNoFigureThatIsNotKnown()
{
    ScreenBench bench;
    bench.open();
    QCOMPARE(bench.window->models().counters().firstPassYield(), QStringLiteral("\u2014"));
    QCOMPARE(bench.window->models().counters().unitsPerHour(), QStringLiteral("\u2014"));
    QCOMPARE(bench.window->models().counters().passed(), QStringLiteral("0"));
    bench.keep(QStringLiteral("line-fresh-1920"));
}

void TstScreens::keys_startStopAndHelp()
{
    ScreenBench bench;
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

void TstScreens::tile_asksBeforeItsSlotIsSwitched()
{
    ScreenBench bench;
    bench.open();
    fillLine(bench);
    const auto question = [&](const char* name) {
        return bench.window->findChild<QAbstractButton*>(QLatin1String(name));
    };
    QTest::keyClick(bench.tile(7), Qt::Key_F3);
    QVERIFY(question("switch-yes") && question("switch-yes")->isVisible());
    QVERIFY(question("switch-no")->hasFocus());
    bench.keep(QStringLiteral("line-switch-1920"));
    // One question at a time; Esc takes it back, and so does a second thought.
    QTest::keyClick(bench.tile(8), Qt::Key_F3);
    bench.settle();
    QTest::keyClick(bench.window.get(), Qt::Key_Escape);
    QVERIFY(bench.station.switches.empty());
    QTRY_VERIFY(!question("switch-yes"));
    QTest::keyClick(bench.tile(8), Qt::Key_F3); // it is off
    QTest::mouseClick(question("switch-yes"), Qt::LeftButton);
    QCOMPARE(bench.station.switches, (std::vector<std::pair<int, bool>>{{8, true}}));
    QTRY_VERIFY(!question("switch-yes"));
    // A run that begins under the question takes it away.
    QTest::keyClick(bench.tile(7), Qt::Key_F3);
    bench.post(started(130, 7, "2f0030000a47343138333038"));
    QTRY_VERIFY(!question("switch-yes"));
    // A verdict in sight is no unit in work.
    QTest::keyClick(bench.tile(1), Qt::Key_F3);
    QTest::mouseClick(question("switch-yes"), Qt::LeftButton);
    QCOMPARE(bench.station.switches.back(), (std::pair<int, bool>{1, false}));
    bench.post(SlotChanged{.slot = SlotId{1}, .availability = SlotAvailability::Off, .why = "x"});
    QCOMPARE(bench.tile(1)->face().word, QStringLiteral("PASS"));
    bench.post(UnitRemoved{.slot = SlotId{1}});
    QCOMPARE(bench.tile(1)->face().word, QStringLiteral("OFF"));

    ScreenBench many(24);
    bench.window.reset();
    many.open({1280, 800});
    QTest::keyClick(many.tile(9), Qt::Key_F3);
    many.keep(QStringLiteral("line-switch-24-1280"));
    for (const char* name : {"switch-yes", "switch-no"}) {
        auto* button = many.window->findChild<QAbstractButton*>(QLatin1String(name));
        QVERIFY(button->height() >= 45); // 12 mm
        QVERIFY(many.tile(9)->rect().contains(
            QRect(button->mapTo(many.tile(9), QPoint()), button->size())));
    }
}

void TstScreens::tile_heldDownIsNoTap()
{
    ScreenBench bench(2);
    bench.open({1280, 800});
    QTest::mousePress(bench.tile(1), Qt::LeftButton);
    QTRY_VERIFY(bench.window->findChild<QWidget*>(QStringLiteral("switch-yes")));
    QTest::mouseRelease(bench.tile(1), Qt::LeftButton);
    QVERIFY(qobject_cast<LineScreen*>(bench.window->currentScreen())); // it was no tap
}

void TstScreens::rail_disablesScreensThatDoNotExist()
{
    ScreenBench bench;
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
    ScreenBench bench(24);
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
