// A slot that somebody switches off: on record first, over a restart, never while a unit is in
// work.
#include "core/text.h"
#include "host/bench_operator.h"
#include "host/host.h"
#include "host/slot_switches.h"
#include "support/must.h"
#include "support/recording_sink.h"
#include "support/test_program.h"

#include <QFile>
#include <QTemporaryDir>
#include <QTest>

using namespace provost;
using namespace provost::test;

namespace {

constexpr SlotId kFirstSlot{1};
constexpr SlotId kSecondSlot{2};

class TstSlotSwitches : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void init();
    void switchedOff_takesNoUnitUntilSwitchedOn();
    void switchedOff_staysSoOverARestart();
    void switchedOff_isOnRecordWithWhoDidIt();
    void unitInWork_refuses();
    void startUnderWay_refuses();
    void recordRefused_changesNothing();
    void stationFile_isNotOverruled();
    void realAndVirtualSlots_areToldApart();
    void unknownSlot_isRefused();
    void benchOperator_emptiesTheSlotAndLeavesItAlone();

private:
    std::string path(const char* name) const { return m_folder->filePath(name).toStdString(); }
    void write(const char* name, const std::string& text) const;
    std::unique_ptr<Host> open(bool station = false) const;

    std::unique_ptr<QTemporaryDir> m_folder{};
    SystemClock m_clock{};
};

void TstSlotSwitches::init()
{
    m_folder = std::make_unique<QTemporaryDir>();
    std::string bench = "[bench]\nname = \"test\"\nspeed = \"instant\"\nmode_button = true\n"
                        "[network]\nssid = \"Plant\"\npassword = \"virtual-plant\"\nsecurity = 3\n";
    for (const int slot : {1, 2})
        bench += concat("[[slot]]\nnumber = ", slot,
                        "\n[[slot.unit]]\nstock = \"1.5.2\"\ncount = \"endless\"\n");
    write("bench.toml", bench);
    write("station.toml", "[station]\nname = \"T\"\n[[slot]]\nnumber = 1\nusb = \"1-1\"\n"
                          "[[slot]]\nnumber = 2\nusb = \"1-2\"\nenabled = false\n"
                          "why = \"fixture cable\"\n[network]\nssid = \"Plant\"\n"
                          "[handshake]\nhost = \"127.0.0.1\"\nport = 0\n");
}

void TstSlotSwitches::write(const char* name, const std::string& text) const
{
    QFile file(m_folder->filePath(name));
    if (!file.open(QIODevice::WriteOnly) || file.write(QByteArray::fromStdString(text)) < 0)
        qFatal("write %s", name);
}

std::unique_ptr<Host> TstSlotSwitches::open(bool station) const
{
    HostOptions options{.bench = path("bench.toml"), .database = path("test.db")};
    options.operatorAnswers = true;
    if (station)
        options.station = path("station.toml");
    return must(Host::create(options));
}

void TstSlotSwitches::switchedOff_takesNoUnitUntilSwitchedOn()
{
    const auto host = open();
    RecordingSink sink;
    host->events().add(sink);
    QVERIFY(host->switchSlot(kSecondSlot, false));
    QCOMPARE(host->slotsInUse(), std::vector<SlotId>{kFirstSlot});
    const auto off = host->whyOff(kSecondSlot);
    QVERIFY(off && !off->actor.empty() && !off->atUtc.empty() && off->why.empty());
    const auto refused = host->start(kSecondSlot, "");
    QVERIFY(!refused);
    QCOMPARE(refused.error().code, Errc::Denied);
    QVERIFY(host->switchSlot(kSecondSlot, false)); // so it is already
    const auto unit = must(host->bench()->insertNext(2));
    QVERIFY(host->switchSlot(kSecondSlot, true));
    QVERIFY(!host->whyOff(kSecondSlot));
    QVERIFY(host->start(kSecondSlot, unit->label));
    const auto finished = sink.waitFor<RunFinished>(kHangGuard, [](const auto&) { return true; });
    host->events().remove(sink);
    QVERIFY(finished && finished->verdict == Verdict::Pass);
    const auto said = sink.all<SlotChanged>();
    QCOMPARE(said.size(), 2U); // switching to what is so says nothing
    QCOMPARE(said[0].availability, SlotAvailability::Off);
    QCOMPARE(said[0].actor, off->actor);
    QCOMPARE(said[0].atUtc, off->atUtc);
    QCOMPARE(said[1].availability, SlotAvailability::Ready);
}

void TstSlotSwitches::switchedOff_staysSoOverARestart()
{
    {
        const auto host = open();
        QVERIFY(host->switchSlot(kFirstSlot, false, "nest is worn"));
        QVERIFY(host->switchSlot(kSecondSlot, false));
        QVERIFY(host->switchSlot(kSecondSlot, true));
    }
    const auto host = open();
    QCOMPARE(host->slotsInUse(), std::vector<SlotId>{kSecondSlot});
    RecordingSink sink;
    host->events().add(sink);
    host->watchSlots();
    const auto said = sink.waitFor<SlotChanged>(kHangGuard, [](const auto&) { return true; });
    host->events().remove(sink);
    QVERIFY(said);
    QCOMPARE(said->slot, kFirstSlot);
    QCOMPARE(said->why, std::string("nest is worn"));
    const auto acts = must(host->journal().slotActs(true));
    QCOMPARE(said->actor, acts[0].actor);
    QCOMPARE(said->atUtc, acts[0].atUtc);
}

void TstSlotSwitches::switchedOff_isOnRecordWithWhoDidIt()
{
    const auto host = open();
    QVERIFY(host->switchSlot(kFirstSlot, false, "nest is worn"));
    QVERIFY(host->switchSlot(kFirstSlot, true));
    const auto acts = must(host->journal().slotActs(true));
    QCOMPARE(acts.size(), 2U);
    QVERIFY(!acts[0].on && acts[1].on);
    QCOMPARE(acts[0].slot, 1);
    QCOMPARE(acts[0].why, std::string("nest is worn"));
    QVERIFY(!acts[0].actor.empty() && !acts[0].atUtc.empty());
    QVERIFY(!must(verifyDatabase(path("test.db"))));
}

void TstSlotSwitches::unitInWork_refuses()
{
    // A unit that waits for its operator: this run ends by a stop only.
    write("bench.toml", "[bench]\nname = \"test\"\nspeed = \"instant\"\nmode_button = false\n"
                        "[network]\nssid = \"Plant\"\npassword = \"virtual-plant\"\nsecurity = 3\n"
                        "[[slot]]\nnumber = 1\n[[slot.unit]]\nstock = \"0.6.3\"\n"
                        "credentials = \"foreign\"\n");
    const auto host = open();
    RecordingSink sink;
    host->events().add(sink);
    const auto unit = must(host->bench()->insertNext(1));
    QVERIFY(host->start(kFirstSlot, unit->label));
    const auto refused = host->switchSlot(kFirstSlot, false);
    host->engine().abort(kFirstSlot);
    sink.waitFor<RunFinished>(kHangGuard, [](const auto&) { return true; });
    host->events().remove(sink);
    QVERIFY(!refused);
    QCOMPARE(refused.error().code, Errc::Busy);
    QVERIFY(describe(refused.error()).find("in work") != std::string::npos);
    QVERIFY(!host->whyOff(kFirstSlot));
    QVERIFY(must(host->journal().slotActs(true)).empty());
}

void TstSlotSwitches::startUnderWay_refuses()
{
    const auto journal = must(Journal::open(path("own.db"), m_clock));
    RecordingSink sink;
    SlotSwitches switches(*journal, sink, false);
    const auto idle = [](SlotId) { return false; };
    Result<> refused;
    QVERIFY(switches.start(kFirstSlot, [&]() -> Result<> {
        refused = switches.turn(kFirstSlot, false, "", idle);
        return {};
    }));
    QVERIFY(!refused);
    QCOMPARE(refused.error().code, Errc::Busy);
    QVERIFY(switches.turn(kFirstSlot, false, "", idle));
    bool launched = false;
    QVERIFY(!switches.start(kFirstSlot, [&]() -> Result<> {
        launched = true;
        return {};
    }));
    QVERIFY(!launched);
}

void TstSlotSwitches::recordRefused_changesNothing()
{
    must(Journal::open(path("own.db"), m_clock)).reset();
    const auto journal = must(Journal::openReadOnly(path("own.db"), m_clock));
    RecordingSink sink;
    SlotSwitches switches(*journal, sink, false);
    const auto refused = switches.turn(kFirstSlot, false, "", [](SlotId) { return false; });
    QVERIFY(!refused);
    QVERIFY(!switches.whyOff(kFirstSlot));
    QCOMPARE(sink.size(), 0U);
}

void TstSlotSwitches::stationFile_isNotOverruled()
{
    const auto host = open(true);
    for (const bool on : {true, false}) {
        const auto refused = host->switchSlot(kSecondSlot, on);
        QVERIFY(!refused);
        QCOMPARE(refused.error().code, Errc::Denied);
        QVERIFY(describe(refused.error()).find("fixture cable") != std::string::npos);
        QVERIFY(describe(refused.error()).find("station.toml") != std::string::npos);
    }
    QCOMPARE(host->whyOff(kSecondSlot), std::optional(SlotOff{.why = "fixture cable"}));
    QVERIFY(must(host->journal().slotActs(true)).empty());
}

void TstSlotSwitches::realAndVirtualSlots_areToldApart()
{
    QVERIFY(open()->switchSlot(kFirstSlot, false));
    const auto journal = must(Journal::open(path("test.db"), m_clock));
    RecordingSink sink;
    SlotSwitches real(*journal, sink, false);
    QVERIFY(real.load({kFirstSlot, kSecondSlot}));
    QVERIFY(!real.whyOff(kFirstSlot));
    SlotSwitches simulated(*journal, sink, true);
    QVERIFY(simulated.load({kFirstSlot, kSecondSlot}));
    QVERIFY(simulated.whyOff(kFirstSlot));
}

void TstSlotSwitches::unknownSlot_isRefused()
{
    const auto host = open();
    const auto refused = host->switchSlot(SlotId{9}, false);
    QVERIFY(!refused);
    QCOMPARE(refused.error().code, Errc::InvalidArgument);
}

void TstSlotSwitches::benchOperator_emptiesTheSlotAndLeavesItAlone()
{
    const auto host = open();
    RecordingSink sink;
    host->events().add(sink);
    {
        BenchOperator hands(
            *host->bench(), host->events(), host->clock(),
            [&](SlotId slot, const std::string& label) { return host->start(slot, label); },
            {.lookAtVerdict = std::chrono::hours(1),
             .inUse = [&](SlotId slot) { return !host->whyOff(slot); }},
            [&](RunId run, const std::string& reply) { host->engine().answer(run, reply); });
        host->events().add(hands);
        hands.begin();
        for (const auto slot : {kFirstSlot, kSecondSlot})
            QVERIFY(sink.waitFor<RunFinished>(
                kHangGuard, [slot](const auto& event) { return event.slot == slot; }));
        QVERIFY(host->switchSlot(kSecondSlot, false));
        hands.attend(kSecondSlot);
        QVERIFY(sink.waitFor<UnitRemoved>(
            kHangGuard, [](const auto& event) { return event.slot == kSecondSlot; }));
        const auto before = sink.size();
        hands.resume();
        QVERIFY(sink.waitFor<RunFinished>(
            kHangGuard, [](const auto& event) { return event.slot == kFirstSlot; }, before));
        QVERIFY(!host->bench()->present(2));
        // On again: the line goes on there by itself.
        const auto then = sink.size();
        QVERIFY(host->switchSlot(kSecondSlot, true));
        hands.attend(kSecondSlot);
        QVERIFY(sink.waitFor<RunFinished>(
            kHangGuard, [](const auto& event) { return event.slot == kSecondSlot; }, then));
        hands.pause();
        host->events().remove(hands);
    }
    host->events().remove(sink);
}

} // namespace

PROVOST_TEST("slot_switches", TstSlotSwitches)
#include "tst_slot_switches.moc"
