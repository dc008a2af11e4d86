// The models of the whole station, and the border that events cross on their way to them.
#include "model_events.h"
#include "support/test_program.h"

#include "models/counters_model.h"
#include "models/display_text.h"
#include "models/engine_bridge.h"
#include "models/model_set.h"
#include "models/station_model.h"
#include "models/unit_model.h"

#include <QAbstractItemModelTester>
#include <QTest>

#include <atomic>
#include <thread>

using namespace provost;
using namespace provost::test;
using namespace std::chrono_literals;

namespace {

class TstModels : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void bridge_foldsProgressToTenASecond();
    void bridge_bringsEventsFromOtherThreadsInOrder();
    void bridge_deliversNoProgressBehindTheVerdict();
    void stop_isShownWithinAQuarterSecond();
    void counters_readAsADashWhenUnknown();
    void pills_sayWhatIsKnown();
    void header_saysWhatNobodyHasVouchedFor();
    void units_areFoundByIdLabelAndKey();
};

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

void TstModels::pills_sayWhatIsKnown()
{
    StationModel model({.stationName = "Station A", .databasePath = "/var/lib/provost/line.db"});
    QCOMPARE(model.planTitle(), QStringLiteral("No plan"));
    QCOMPARE(model.pills().size(), 3U); // nobody known: no pill
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

void TstModels::header_saysWhatNobodyHasVouchedFor()
{
    StationIdentity who{.planLine = "Plan photon-full \u00b7 rev 14",
                        .planDigest = "3f9a1c2d" + std::string(56, '0'),
                        .operatorName = "anna",
                        .training = true};
    const auto shown = [&] { return std::make_unique<StationModel>(who); };
    QCOMPARE(shown()->planLine(),
             QStringLiteral("Plan photon-full \u00b7 rev 14\u00a0\u00b7 not approved"
                            "\u00a0\u00b7 3f9a1c2d\u2026"));
    QCOMPARE(shown()->planBrief(),
             QStringLiteral("Plan photon-full \u00b7 rev 14\u00a0\u00b7 not approved"));
    QVERIFY(shown()->planDetail().endsWith(QStringLiteral("3f9a1c2d") + QString(56, u'0')));
    QCOMPARE(shown()->pills().back().text,
             QStringLiteral("Operator anna\u00a0\u00b7 not signed in"));
    QCOMPARE(shown()->pills().back().light, StationModel::Light::Unknown);
    QCOMPARE(shown()->mark(), QStringLiteral("TRAINING"));
    who.simulated = true;
    QCOMPARE(shown()->mark(), QStringLiteral("SIMULATED"));
    who.simulated = who.training = false;
    who.planApproved = who.operatorSignedIn = true;
    QVERIFY(shown()->mark().isEmpty());
    QVERIFY(shown()->planLine().contains(QStringLiteral("\u00b7 approved")));
    QCOMPARE(shown()->pills().back().text, QStringLiteral("Operator anna"));
    QCOMPARE(shown()->pills().back().light, StationModel::Light::Good);
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
