// The operator stops a run: at once on the screen, nothing new begins, nothing is left
// half-written.
#include "core/text.h"
#include "engine/causes.h"
#include "support/proven_unit.h"
#include "support/station_fixture.h"
#include "support/test_program.h"

#include <QTest>

#include <algorithm>
#include <array>

namespace provost::test {

namespace {

/// When a slot is to be stopped.
struct StopAt {
    int step = -1;               ///< as soon as this step has begun
    std::string_view critical{}; ///< or while this is being written
};

/// Presses stop on the slot's own thread, so that the moment is always the same one.
class Operator {
public:
    Operator(Station& station, std::vector<StopAt> plan)
        : m_station(station), m_plan(std::move(plan)), m_step(m_plan.size() + 1, -1),
          m_done(m_plan.size() + 1, 0)
    {
        m_station.sink().setHook([this](const StationEvent& event) { watch(event); });
    }
    ~Operator() { m_station.sink().setHook({}); }
    Operator(const Operator&) = delete;
    Operator& operator=(const Operator&) = delete;

private:
    void watch(const StationEvent& event)
    {
        if (const auto* started = std::get_if<StepStarted>(&event))
            m_step.at(at(started->slot)) = started->index;
        if (const auto* moved = std::get_if<ProgressMoved>(&event)) {
            if (m_step.at(at(moved->slot)) == m_plan.at(at(moved->slot) - 1).step)
                press(moved->slot);
        }
        if (const auto* critical = std::get_if<CriticalWrite>(&event)) {
            const auto& wanted = m_plan.at(at(critical->slot) - 1).critical;
            if (critical->on && !wanted.empty() && critical->what == wanted)
                press(critical->slot);
        }
    }
    void press(SlotId slot)
    {
        if (std::exchange(m_done.at(at(slot)), 1) != 0)
            return;
        m_station.engine().abort(slot); // would wait for itself if it waited for the run
    }
    static std::size_t at(SlotId slot) { return static_cast<std::size_t>(slot.value); }

    Station& m_station;
    std::vector<StopAt> m_plan;
    std::vector<int> m_step; ///< each slot's thread touches its own place only
    std::vector<int> m_done;
};

/// The slot's events from its stop on, in order.
std::vector<std::string> namesBehindStop(const Station&, const std::vector<StationEvent>& events,
                                         int slot)
{
    std::vector<std::string> names;
    bool stopped = false;
    for (const auto& event : events) {
        if (const auto* stop = std::get_if<StopRequested>(&event))
            stopped = stopped || stop->slot.value == slot;
        if (!stopped)
            continue;
        if (const auto* started = std::get_if<StepStarted>(&event)) {
            if (started->slot.value == slot)
                names.push_back("started " + started->name);
        }
        if (const auto* finished = std::get_if<RunFinished>(&event)) {
            if (finished->slot.value == slot)
                names.emplace_back("finished");
        }
    }
    return names;
}

} // namespace

class TstStops : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void stop_atEachStep_endsInStoppedAndBeginsNothing();
    void stop_whileWriting_waitsForTheSettlement();
    void stop_ofAFreeSlot_saysNothing();
    void stop_leavesTheVerdictOfABadUnit();
    void stop_whileTheCloudIsSilent_isObeyedAtOnce();
    void stop_ofAUnitThatNeverComes_isObeyedAtOnce();
};

void TstStops::stop_atEachStep_endsInStoppedAndBeginsNothing()
{
    constexpr int kSteps = 16;
    auto station = Station::open({.bench = {.supplies = {kSteps, {UnitWish{}}}}});
    QCOMPARE(station->plan().steps.size(), std::size_t{kSteps});
    std::vector<StopAt> plan;
    for (int slot = 1; slot <= kSteps; ++slot) {
        station->insert(slot);
        plan.push_back({.step = slot - 1});
    }
    {
        const Operator person(*station, plan);
        for (const auto& run : station->runAll(kSteps)) {
            QVERIFY2(run.verdict == Verdict::Aborted && run.cause == "S001",
                     concat("step ", run.slot.value, ": ", told(run)).c_str());
            const auto names = namesBehindStop(*station, station->sink().events(), run.slot.value);
            QVERIFY2(names == std::vector<std::string>{"finished"}, joined(names).c_str());
            const auto record = station->record(run.run);
            QCOMPARE(record.verdict, Verdict::Aborted);
            // The steps up to the one it was stopped in, and the teardown.
            QCOMPARE(record.attempts.size(), static_cast<std::size_t>(run.slot.value) + 1);
            QCOMPARE(record.attempts.back().step, std::string("leave-unit-safe"));
            QVERIFY(!station->board(run.slot.value).hasCredentials());
        }
    }
    // Not judged, nothing open: each of them becomes a product.
    QCOMPARE(station->journal().counts({})->judgedUnits, 0);
    QVERIFY(station->query("SELECT effect FROM unsettled_intent").empty());
    for (const auto& run : station->runAll(kSteps))
        QVERIFY2(run.verdict == Verdict::Pass, told(run).c_str());
}

void TstStops::stop_whileWriting_waitsForTheSettlement()
{
    const std::vector<StopAt> plan{{.critical = "write-bootloader"},
                                   {.critical = "burn-device-key"},
                                   {.critical = "write-server-key"},
                                   {.critical = "write-shipping-server-key"}};
    const int slots = static_cast<int>(plan.size());
    auto station = Station::open({.bench = {.supplies = {plan.size(), {UnitWish{}}}}});
    for (int slot = 1; slot <= slots; ++slot)
        station->insert(slot);
    const Operator person(*station, plan);
    for (const auto& run : station->runAll(slots))
        QVERIFY2(run.verdict == Verdict::Aborted, told(run).c_str());
    QCOMPARE(station->query("SELECT payload FROM journal WHERE kind = 'settle' AND run_id = "
                            "(SELECT run_id FROM run WHERE slot = 1)"),
             std::vector<std::string>{"pass"});
    QCOMPARE(
        station->query("SELECT payload FROM journal WHERE kind = 'settle' AND subject = "
                       "'burn-device-key' AND run_id = (SELECT run_id FROM run WHERE slot = 2)"),
        std::vector<std::string>{"pass"});
    QVERIFY(station->query("SELECT effect FROM unsettled_intent").empty());
    // The write went to its end: what is on the unit is what was meant.
    const auto key = station->journal().keyOf(station->board(2).deviceId());
    QCOMPARE((*key)->state, std::string("burnt"));
    QVERIFY(std::ranges::all_of(station->sink().all<RunFinished>(), [](const RunFinished& run) {
        return run.verdict == Verdict::Aborted;
    }));
}

void TstStops::stop_ofAFreeSlot_saysNothing()
{
    auto station = Station::open();
    station->engine().abort(SlotId{1});
    station->engine().abort(SlotId{7});
    QCOMPARE(station->sink().size(), std::size_t{0});
    const auto run = station->runNext();
    station->engine().abort(SlotId{1});
    QVERIFY2(run.verdict == Verdict::Pass, told(run).c_str());
    QVERIFY(station->sink().all<StopRequested>().empty());
}

void TstStops::stop_leavesTheVerdictOfABadUnit()
{
    // Found guilty in the very step that is stopped: that it is bad is known all the same.
    auto station = Station::open({.bench = {.supplies = {{{.label = "mislabelled"}}}}});
    station->insert();
    const Operator person(*station, {{.step = 0}});
    const auto run = station->run();
    QVERIFY2(run.verdict == Verdict::Fail || run.verdict == Verdict::Aborted, told(run).c_str());
    QVERIFY(run.verdict == Verdict::Aborted || run.cause == "F101");
}

void TstStops::stop_whileTheCloudIsSilent_isObeyedAtOnce()
{
    auto station = Station::open({.answerWithin = 1h});
    for (auto& step : station->plan().steps)
        step.timeout = 1h; // nothing but the stop ends the waiting
    station->cloud().failRequests(RequestFault::TimeOutBefore);
    station->insert();
    QVERIFY(station->start(1, station->bench().present(1)->label));
    const auto at = station->sink().waitFor<StepStarted>(
        kRunPatience, [](const StepStarted& event) { return event.name == "Register"; });
    QVERIFY(at);
    station->engine().abort(SlotId{1});
    const auto run = station->verdict(1);
    QVERIFY(run);
    QCOMPARE(run->verdict, Verdict::Aborted);
    station->cloud().clearFaults();
    // Nothing waits for the cloud on behalf of a unit that nobody judged.
    QVERIFY(station->journal().outbox()->empty());
}

void TstStops::stop_ofAUnitThatNeverComes_isObeyedAtOnce()
{
    auto station = Station::open();
    for (auto& step : station->plan().steps)
        step.timeout = 1h;
    const Operator person(*station, {{.step = 0}});
    const auto run = station->run(1, "label");
    QCOMPARE(run.verdict, Verdict::Aborted);
}

} // namespace provost::test

PROVOST_TEST("stops", provost::test::TstStops)
#include "tst_stops.moc"
