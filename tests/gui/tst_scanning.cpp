// What a scanner types, wherever the focus is; what people type.
#include "screen_bench.h"
#include "support/test_program.h"

#include "gui/action_button.h"
#include "gui/line_screen.h"
#include "gui/main_window.h"
#include "gui/scan_field.h"

#include <QTest>

using namespace provost;
using namespace provost::gui;
using namespace provost::test;

namespace {

class TstScanning : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void scan_startsTheNextFreeSlotWhateverHasTheFocus();
    void scan_ofCommandsStartsAndStopsAll();
    void scan_withPrefixLeavesTypingAlone();
    void scan_refusedSaysWhy();
    void typing_reachesTheFieldAndStartsOnEnter();
};

void TstScanning::scan_startsTheNextFreeSlotWhateverHasTheFocus()
{
    ScreenBench bench;
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

void TstScanning::scan_ofCommandsStartsAndStopsAll()
{
    ScreenBench bench;
    bench.open();
    bench.scan(QStringLiteral("CMD:START"));
    QCOMPARE(bench.station.startAlls, 1);
    bench.window->choose(Screen::Units);
    bench.scan(QStringLiteral("CMD:STOP"));
    QCOMPARE(bench.station.stopAlls, 1);
    QVERIFY(bench.station.starts.empty());
}

void TstScanning::scan_withPrefixLeavesTypingAlone()
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

void TstScanning::scan_refusedSaysWhy()
{
    ScreenBench bench(2);
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

void TstScanning::typing_reachesTheFieldAndStartsOnEnter()
{
    ScreenBench bench(2);
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

} // namespace

PROVOST_TEST("scanning", TstScanning)
#include "tst_scanning.moc"
