// The line at work: many slots at once, many units in a row, the same station all day.
#include "core/text.h"
#include "support/station_fixture.h"
#include "support/test_program.h"

#include <QDir>
#include <QTest>

#include <algorithm>
#include <set>

namespace provost::test {

namespace {

/// Entries of a folder of /proc/self: open files, threads.
int countIn(const char* folder)
{
    return static_cast<int>(
        QDir(folder).entryList(QDir::AllEntries | QDir::NoDotAndDotDot | QDir::System).size());
}

} // namespace

class TstLine : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void eightSlots_workAtTheSameTime();
    void hundredUnits_leaveNothingBehind();
    void eventsOfASlot_keepTheirOrder();
    void progress_neverMovesBackwards();
    void writesThatMustNotBeCut_areMarked();
};

void TstLine::eightSlots_workAtTheSameTime()
{
    constexpr int kSlots = 8;
    const char* stocks[] = {"1.5.2", "0.4.9", "0.6.3", "2.3.1", "empty"};
    BenchWish bench{.supplies = {}};
    for (int slot = 0; slot < kSlots; ++slot)
        bench.supplies.push_back({UnitWish{.stock = stocks[slot % 5]}});
    auto station = Station::open({.bench = bench});
    for (int slot = 1; slot <= kSlots; ++slot)
        station->insert(slot);
    std::set<std::string> keys;
    for (const auto& run : station->runAll(kSlots)) {
        QVERIFY2(run.verdict == Verdict::Pass, told(run).c_str());
        const auto after = station->after(run.slot.value);
        QVERIFY(after.escapes.empty());
        QVERIFY(after.violations.empty());
        keys.insert((*station->journal().keyOf(run.unit.deviceId))->fingerprint);
    }
    QCOMPARE(keys.size(), std::size_t{kSlots});
    QVERIFY(verifyDatabase(station->database()).value() == std::nullopt);
}

void TstLine::hundredUnits_leaveNothingBehind()
{
    constexpr int kSlots = 10;
    constexpr int kRounds = 10;
    auto station = Station::open({.bench = {.supplies = {kSlots, {UnitWish{.count = kRounds}}}}});
    int files = 0;
    int threads = 0;
    for (int round = 1; round <= kRounds; ++round) {
        for (int slot = 1; slot <= kSlots; ++slot)
            station->insert(slot);
        for (const auto& run : station->runAll(kSlots))
            QVERIFY2(run.verdict == Verdict::Pass, told(run).c_str());
        for (int slot = 1; slot <= kSlots; ++slot)
            QVERIFY(station->bench().removeUnit(slot));
        station->sink().clear();
        if (round == 2) {
            files = countIn("/proc/self/fd");
            threads = countIn("/proc/self/task");
        }
    }
    // Connections of the last units may still be on their way out, and SQLite keeps the files of
    // closed readers open for the next ones: at most one for each that read at the same time.
    QTRY_VERIFY(countIn("/proc/self/fd") <= files + kSlots);
    QTRY_VERIFY(countIn("/proc/self/task") <= threads);
    QCOMPARE(station->journal().counts({})->pass, kSlots * kRounds);
    QVERIFY(verifyDatabase(station->database()).value() == std::nullopt);
}

void TstLine::eventsOfASlot_keepTheirOrder()
{
    auto station = Station::open({.bench = {.supplies = {{UnitWish{.count = 2}}}}});
    station->runNext();
    station->runNext();
    std::vector<std::string> order;
    for (const auto& event : station->sink().events()) {
        if (std::holds_alternative<RunStarted>(event))
            order.emplace_back("run");
        if (std::holds_alternative<UnitIdentified>(event))
            order.emplace_back("identified");
        if (std::holds_alternative<RunFinished>(event))
            order.emplace_back("verdict");
    }
    QCOMPARE(order, (std::vector<std::string>{"run", "identified", "verdict", "run", "identified",
                                              "verdict"}));
    // A step's end is told when it is on disk, and each that begins ends.
    int open = 0;
    for (const auto& event : station->sink().events()) {
        open += std::holds_alternative<StepStarted>(event) ? 1 : 0;
        open -= std::holds_alternative<StepFinished>(event) ? 1 : 0;
        QVERIFY(open == 0 || open == 1);
    }
    QCOMPARE(open, 0);
}

void TstLine::progress_neverMovesBackwards()
{
    auto station = Station::open();
    station->runNext();
    double last = 0;
    for (const auto& moved : station->sink().all<ProgressMoved>()) {
        QVERIFY(moved.fraction >= last && moved.fraction <= 1.0);
        last = moved.fraction;
    }
    QVERIFY2(last > 0.9, std::to_string(last).c_str());
}

void TstLine::writesThatMustNotBeCut_areMarked()
{
    auto station = Station::open();
    station->runNext();
    std::vector<std::string> marked;
    bool on = false;
    for (const auto& write : station->sink().all<CriticalWrite>()) {
        QVERIFY(write.on != on); // every beginning has its end
        on = write.on;
        if (on)
            marked.push_back(write.what);
    }
    QVERIFY(!on);
    QCOMPARE(marked,
             (std::vector<std::string>{"write-wifi-part", "write-bootloader", "burn-device-key",
                                       "write-server-key", "write-wifi-part", "write-wifi-part",
                                       "write-shipping-server-key", "write-shipping-server-key"}));
}

} // namespace provost::test

PROVOST_TEST("line", provost::test::TstLine)
#include "tst_line.moc"
