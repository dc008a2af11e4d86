// The composed station in one process: slots that are off, traces of what did not pass, hands.
#include "core/byte_io.h"
#include "core/text.h"
#include "host/bench_operator.h"
#include "host/host.h"
#include "sim/virtual_cloud.h"
#include "support/must.h"
#include "support/recording_sink.h"
#include "support/test_program.h"
#include "transport/trace_ring.h"

#include <QCoreApplication>
#include <QFile>
#include <QTemporaryDir>
#include <QTest>

#include <numeric>

using namespace provost;
using namespace provost::test;
using namespace std::chrono_literals;

namespace {

constexpr auto kRunBound = 40s;
constexpr std::string_view kPassword = "virtual-plant-wifi";

/// No eight bytes of `secret` in a row, as hexadecimal or as they are.
bool leaks(const std::string& text, ByteView secret)
{
    for (std::size_t at = 0; at + 8 <= secret.size(); ++at) {
        const ByteView piece = secret.subspan(at, 8);
        const bool uniform =
            std::all_of(piece.begin(), piece.end(), [&](std::byte b) { return b == piece[0]; });
        if (!uniform && (text.find(toHex(piece)) != std::string::npos ||
                         text.find(toText(piece)) != std::string::npos))
            return true;
    }
    return false;
}

class TstHost : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void init();
    void slotThatIsOff_takesNoUnit();
    void everySlotMayBeOff();
    void trace_isKeptWhereARunDoesNotPass();
    void trace_ofTheWifiDialogue_hasNoPassword();
    void trace_ofARunThatPassed_isNotKept();
    void bench_isToldToNoCloudElsewhere();
    void benchOperator_holdsTheButtonWhereTheBenchCannot_data();
    void benchOperator_holdsTheButtonWhereTheBenchCannot();

private:
    std::string path(const char* name) const { return m_folder->filePath(name).toStdString(); }
    void write(const char* name, const std::string& text) const;
    void writeBench(const std::string& unit, bool button = true) const;
    void writeStation(const std::string& slotTwo, const std::string& cloud = {}) const;
    std::unique_ptr<Host> open(bool station, bool operatorAnswers = false) const;
    RunFinished run(Host& host, int slot, RecordingSink::Hook hook = {}) const;

    std::unique_ptr<QTemporaryDir> m_folder{};
};

void TstHost::init()
{
    m_folder = std::make_unique<QTemporaryDir>();
}

void TstHost::write(const char* name, const std::string& text) const
{
    QFile file(m_folder->filePath(name));
    if (!file.open(QIODevice::WriteOnly) || file.write(QByteArray::fromStdString(text)) < 0)
        qFatal("write %s", name);
}

void TstHost::writeBench(const std::string& unit, bool button) const
{
    std::string text = concat(
        "[bench]\nname = \"test\"\nspeed = \"instant\"\nmode_button = ", button ? "true" : "false",
        "\n[network]\nssid = \"Plant\"\npassword = \"", kPassword, "\"\nsecurity = 3\n");
    for (const int slot : {1, 2})
        text += concat("[[slot]]\nnumber = ", slot, "\n[[slot.unit]]\n", unit, "count = 3\n");
    write("bench.toml", text);
}

void TstHost::writeStation(const std::string& slotTwo, const std::string& cloud) const
{
    write("station.toml",
          concat("[station]\nname = \"Station T\"\n[[slot]]\nnumber = 1\nusb = \"1-1\"\n"
                 "[[slot]]\nnumber = 2\nusb = \"1-2\"\n",
                 slotTwo,
                 "[network]\nssid = \"Plant\"\n[handshake]\nhost = \"127.0.0.1\"\nport = 0\n",
                 cloud));
}

std::unique_ptr<Host> TstHost::open(bool station, bool operatorAnswers) const
{
    HostOptions options{.bench = path("bench.toml"), .database = path("test.db")};
    if (station)
        options.station = path("station.toml");
    options.operatorAnswers = operatorAnswers;
    return must(Host::create(options));
}

/// Puts a unit into the slot and waits for its verdict.
RunFinished TstHost::run(Host& host, int slot, RecordingSink::Hook hook) const
{
    RecordingSink sink;
    sink.setHook(std::move(hook));
    host.events().add(sink);
    const auto unit = must(host.bench()->insertNext(slot));
    must(host.start(SlotId{slot}, unit->label));
    const auto finished = sink.waitFor<RunFinished>(
        kRunBound, [slot](const auto& event) { return event.slot == SlotId{slot}; });
    host.events().remove(sink);
    if (!finished)
        qFatal("slot %d has no verdict", slot);
    return *finished;
}

void TstHost::slotThatIsOff_takesNoUnit()
{
    writeBench("stock = \"1.5.2\"\n");
    writeStation("enabled = false\nwhy = \"fixture cable\"\n");
    const auto host = open(true);
    QCOMPARE(host->slots(), (std::vector<SlotId>{SlotId{1}, SlotId{2}})); // it has a tile
    QCOMPARE(host->slotsInUse(), std::vector<SlotId>{SlotId{1}});
    RecordingSink sink;
    host->events().add(sink);
    host->watchSlots();
    const auto changed = sink.waitFor<SlotChanged>(kRunBound, [](const auto&) { return true; });
    QVERIFY(changed);
    QCOMPARE(changed->slot, SlotId{2});
    QCOMPARE(changed->availability, SlotAvailability::Off);
    QCOMPARE(changed->why, std::string("fixture cable"));
    const auto refused = host->start(SlotId{2}, "2b0014000447373030323331");
    QVERIFY(!refused);
    QCOMPARE(refused.error().code, Errc::Denied);
    QVERIFY2(describe(refused.error()).find("fixture cable") != std::string::npos,
             describe(refused.error()).c_str());
    host->events().remove(sink);
    QVERIFY(sink.all<RunStarted>().empty());
    QCOMPARE(run(*host, 1).verdict, Verdict::Pass); // its neighbour works
}

void TstHost::everySlotMayBeOff()
{
    writeBench("stock = \"1.5.2\"\n");
    writeStation("enabled = false\n");
    const auto host = open(true);
    const auto refused = host->start(SlotId{2}, "");
    QVERIFY(!refused);
    QVERIFY(describe(refused.error()).find("Switched off in station.toml") != std::string::npos);
}

void TstHost::trace_isKeptWhereARunDoesNotPass()
{
    // Refused behind the burn: the key has just been written and read back.
    const SystemClock clock;
    const auto cloud = must(VirtualCloud::start({}, clock));
    cloud->failRequests(RequestFault::Refuse);
    writeBench("stock = \"1.5.2\"\n");
    writeStation("", concat("[cloud]\nurl = \"", cloud->service().baseUrl(), "\"\n"));
    const auto host = open(true);
    const auto finished = run(*host, 1);
    QVERIFY2(finished.verdict == Verdict::Fail, finished.error.c_str());
    QCOMPARE(finished.cause, std::string("F220"));
    const auto kept = must(host->journal().traceOf(finished.run));
    QVERIFY(kept);
    const Trace trace = must(parseTrace(kept->text));
    QCOMPARE(trace.entries.size(), static_cast<std::size_t>(kept->transfers));
    // What was said in secret is there as a length; what DFU says about it in the clear.
    QVERIFY(std::ranges::any_of(trace.entries, [](const auto& e) { return e.secret; }));
    for (const auto& entry : trace.entries)
        QVERIFY2(!entry.secret || !entry.request.starts_with("control-in a1 03"),
                 entry.request.c_str());
    const auto* board = host->bench()->board(1);
    QVERIFY(board != nullptr);
    const Bytes dct = board->physicalDct(board->currentDct());
    constexpr std::size_t kPrivateKeyAt = 0x1D9E; // particle-devices 3.2
    QVERIFY(!leaks(kept->text, ByteView(dct).subspan(kPrivateKeyAt, 608)));
    QVERIFY(!must(verifyDatabase(path("test.db"))));
}

void TstHost::trace_ofTheWifiDialogue_hasNoPassword()
{
    writeBench("stock = \"1.5.2\"\n");
    const auto host = open(false);
    const auto finished = run(*host, 1, [&](const StationEvent& event) {
        const auto* step = std::get_if<StepFinished>(&event);
        if (step != nullptr && step->attempt.step == "give-credentials")
            host->engine().abort(SlotId{1});
    });
    QCOMPARE(finished.verdict, Verdict::Aborted);
    const auto kept = must(host->journal().traceOf(finished.run));
    QVERIFY(kept);
    QVERIFY(!leaks(kept->text, viewOf(kPassword)));
    const Trace trace = must(parseTrace(kept->text));
    const auto secretBytes = std::accumulate(
        trace.entries.begin(), trace.entries.end(), std::size_t{0},
        [](std::size_t sum, const auto& e) { return sum + (e.secret ? e.sent : 0); });
    QVERIFY(secretBytes > kPassword.size());
    // The next run of the slot begins a trace of its own.
    const auto second = run(*host, 1, [&](const StationEvent& event) {
        if (std::holds_alternative<UnitIdentified>(event))
            host->engine().abort(SlotId{1});
    });
    QCOMPARE(second.verdict, Verdict::Aborted);
    const auto other = must(host->journal().traceOf(second.run));
    QVERIFY(other && other->transfers > 0 && other->dropped == 0);
    QVERIFY(parseTrace(other->text)->began > trace.began);
}

void TstHost::trace_ofARunThatPassed_isNotKept()
{
    writeBench("stock = \"1.5.2\"\n");
    const auto host = open(false);
    const auto finished = run(*host, 1);
    QVERIFY2(finished.verdict == Verdict::Pass, finished.error.c_str());
    QVERIFY(!must(host->journal().traceOf(finished.run)));
}

void TstHost::bench_isToldToNoCloudElsewhere()
{
    writeBench("stock = \"1.5.2\"\n");
    writeStation("", "[cloud]\nurl = \"https://cloud.invalid\"\n");
    const auto host = open(true);
    // With the cloud that is named, the registration could only wait.
    const auto finished = run(*host, 1);
    QVERIFY2(finished.verdict == Verdict::Pass, finished.error.c_str());
}

void TstHost::benchOperator_holdsTheButtonWhereTheBenchCannot_data()
{
    QTest::addColumn<QByteArray>("unit");
    QTest::addColumn<int>("prompts");
    QTest::newRow("id by listening mode, then credentials")
        << QByteArray("stock = \"0.4.9\"\ncredentials = \"foreign\"\n") << 2;
    QTest::newRow("credentials") << QByteArray("stock = \"0.6.3\"\ncredentials = \"foreign\"\n")
                                 << 1;
    QTest::newRow("nothing to do") << QByteArray("stock = \"1.5.2\"\n") << 0;
}

void TstHost::benchOperator_holdsTheButtonWhereTheBenchCannot()
{
    QFETCH(const QByteArray, unit);
    QFETCH(const int, prompts);
    writeBench(unit.toStdString(), false);
    const auto host = open(false, true);
    RecordingSink sink;
    host->events().add(sink);
    {
        BenchOperator hands(
            *host->bench(), host->events(), host->clock(),
            [&](SlotId slot, const std::string& label) { return host->start(slot, label); },
            {.units = 1, .slots = {SlotId{1}}},
            [&](RunId run, const std::string& reply) { host->engine().answer(run, reply); });
        host->events().add(hands);
        hands.begin();
        hands.waitUntilDone();
        host->events().remove(hands);
    }
    host->events().remove(sink);
    const auto finished = sink.all<RunFinished>();
    QCOMPARE(finished.size(), std::size_t{1});
    QVERIFY2(finished[0].verdict == Verdict::Pass, finished[0].error.c_str());
    QCOMPARE(sink.all<PromptRaised>().size(), static_cast<std::size_t>(prompts));
    QCOMPARE(sink.all<PromptAnswered>().size(), static_cast<std::size_t>(prompts));
}

} // namespace

PROVOST_TEST("host", TstHost)
#include "tst_host.moc"
