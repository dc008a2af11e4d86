// A screen whose station is silent turns grey and says NO DATA; on a clock that the test moves.
#include "screen_bench.h"
#include "support/test_program.h"

#include "gui/no_data_veil.h"
#include "models/liveness.h"

#include <QSignalSpy>
#include <QTest>

using namespace provost;
using namespace provost::gui;
using namespace provost::test;
using namespace std::chrono_literals;

namespace {

constexpr auto kStaleAfter = 1500ms;
constexpr auto kSaidWithin = 2s; ///< from the last beat to NO DATA

class TstLiveness : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void silence_isStaleWithinTwoSeconds();
    void backlog_isNoSignOfLife();
    void nobodyPromisedBeats_nothingIsStale();
    void staleScreen_isGreyAndSaysNoData();
    void staleScreen_startsNothingAndStillStops();
};

void TstLiveness::silence_isStaleWithinTwoSeconds()
{
    const auto clock = std::make_shared<VirtualClock>();
    Liveness liveness(kStaleAfter, clock);
    QSignalSpy changed(&liveness, &Liveness::changed);
    liveness.apply(Heartbeat{.at = clock->now()});
    clock->advance(kStaleAfter - 1ms);
    liveness.tick();
    QVERIFY(!liveness.stale());
    QCOMPARE(changed.size(), 0);
    clock->advance(1ms);
    liveness.tick();
    QVERIFY(liveness.stale());
    QCOMPARE(changed.size(), 1);
    QVERIFY(kStaleAfter + 200ms < kSaidWithin); // looked at five times a second
    clock->advance(3s);
    liveness.tick();
    QCOMPARE(liveness.silentSeconds(), 4);
    QCOMPARE(changed.size(), 2);
    liveness.apply(Heartbeat{.at = clock->now()});
    QVERIFY(!liveness.stale());
    QCOMPARE(changed.size(), 3);
}

void TstLiveness::backlog_isNoSignOfLife()
{
    const auto clock = std::make_shared<VirtualClock>();
    Liveness liveness(kStaleAfter, clock);
    const auto then = clock->now();
    clock->advance(5s);
    liveness.apply(Heartbeat{.at = then});
    QVERIFY(liveness.stale());
    liveness.apply(StationNotice{.subject = "cloud", .text = "38 ms"});
    QVERIFY(liveness.stale());
}

void TstLiveness::nobodyPromisedBeats_nothingIsStale()
{
    const auto clock = std::make_shared<VirtualClock>();
    Liveness liveness({}, clock);
    clock->advance(1h);
    liveness.tick();
    QVERIFY(!liveness.stale());
}

/// Whether no pixel of it, outside the box in the middle, has a colour.
bool isGrey(QWidget& window, int row)
{
    const QImage image = window.grab().toImage();
    for (int x = 0; x < image.width() / 5; ++x) {
        const QColor pixel = image.pixelColor(x, row);
        if (std::max({pixel.red(), pixel.green(), pixel.blue()}) -
                std::min({pixel.red(), pixel.green(), pixel.blue()}) >
            2)
            return false;
    }
    return true;
}

void TstLiveness::staleScreen_isGreyAndSaysNoData()
{
    ScreenBench bench;
    bench.staleAfter = kStaleAfter;
    bench.open();
    fillLine(bench);
    bench.post(Heartbeat{.at = bench.clock->now()});
    const auto* veil = bench.window->findChild<NoDataVeil*>();
    QTRY_VERIFY(!veil->isVisible());
    constexpr int kThroughTheFirstTile = 300;
    QVERIFY(!isGrey(*bench.window, kThroughTheFirstTile));
    bench.clock->advance(kStaleAfter);
    QTRY_VERIFY(veil->isVisible());
    QVERIFY(isGrey(*bench.window, kThroughTheFirstTile));
    bench.keep(QStringLiteral("no-data-1920"));
    bench.window->resize(1280, 800);
    bench.settle();
    QCOMPARE(veil->size(), QSize(1280, 800));
    QVERIFY(isGrey(*bench.window, kThroughTheFirstTile / 2));
    bench.keep(QStringLiteral("no-data-1280"));
    bench.post(Heartbeat{.at = bench.clock->now()});
    QVERIFY(!veil->isVisible());
    QVERIFY(!isGrey(*bench.window, kThroughTheFirstTile / 2));
}

void TstLiveness::staleScreen_startsNothingAndStillStops()
{
    ScreenBench bench;
    bench.staleAfter = kStaleAfter;
    bench.open();
    bench.clock->advance(kStaleAfter);
    QTRY_VERIFY(bench.window->models().liveness().stale());
    bench.scan(QStringLiteral("PH-000077"));
    QTest::keyClick(bench.window.get(), Qt::Key_F1);
    QCOMPARE(bench.station.starts.size(), 0U);
    QCOMPARE(bench.station.startAlls, 0);
    QTest::keyClick(bench.window.get(), Qt::Key_F2);
    QCOMPARE(bench.station.stopAlls, 1);
    bench.scan(QStringLiteral("CMD:STOP"));
    QCOMPARE(bench.station.stopAlls, 2);
    bench.post(Heartbeat{.at = bench.clock->now()});
    bench.scan(QStringLiteral("PH-000077"));
    QCOMPARE(bench.station.starts.size(), 1U);
}

} // namespace

PROVOST_TEST("liveness", TstLiveness)
#include "tst_liveness.moc"
