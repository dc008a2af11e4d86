// The composed station in one process: slots that are off, traces of what did not pass, hands.
#include "core/byte_io.h"
#include "core/text.h"
#include "engine/causes.h"
#include "host/access_point.h"
#include "host/bench_operator.h"
#include "host/host.h"
#include "sim/virtual_cloud.h"
#include "support/must.h"
#include "support/recording_sink.h"
#include "support/test_program.h"
#include "transport/trace_ring.h"

#include <QCoreApplication>
#include <QFile>
#include <QTcpServer>
#include <QTemporaryDir>
#include <QTest>

#include <fstream>
#include <netinet/in.h>
#include <numeric>
#include <sys/socket.h>
#include <unistd.h>

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
    void trace_ofAUnitWithoutUsb_hasNeitherKeyNorPassword();
    void trace_ofARunThatPassed_isNotKept();
    void takenHandshakePort_keepsTheStationFromStarting_C071();
    void cloudContact_needsTheProductsCloud();
    void loneUnitWithADeafRadio_fails_F404();
    void accessPoint_livesWhereItAnswersOrRefuses();
    void bench_isToldToNoCloudElsewhere();
    void planWithoutARoute_isRefusedBeforeTheFirstUnit_data();
    void planWithoutARoute_isRefusedBeforeTheFirstUnit();
    void benchOperator_holdsTheButtonWhereTheBenchCannot_data();
    void benchOperator_holdsTheButtonWhereTheBenchCannot();

private:
    std::string path(const char* name) const { return m_folder->filePath(name).toStdString(); }
    void write(const char* name, const std::string& text) const;
    void writeBench(const std::string& unit, bool button = true) const;
    void writeStation(const std::string& slotTwo, const std::string& cloud = {},
                      int handshakePort = 0) const;
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

void TstHost::writeStation(const std::string& slotTwo, const std::string& cloud,
                           int handshakePort) const
{
    write("station.toml",
          concat("[station]\nname = \"Station T\"\n[[slot]]\nnumber = 1\nusb = \"1-1\"\n"
                 "[[slot]]\nnumber = 2\nusb = \"1-2\"\n",
                 slotTwo, "[network]\nssid = \"Plant\"\n[handshake]\nhost = \"127.0.0.1\"\nport = ",
                 handshakePort, "\n", cloud));
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
    QVERIFY(describe(refused.error()).find("switched off in station.toml") != std::string::npos);
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

void TstHost::trace_ofAUnitWithoutUsb_hasNeitherKeyNorPassword()
{
    writeBench("platform = \"p1\"\nstock = \"0.4.9\"\nusb = false\n");
    std::ofstream(path("bench.toml"), std::ios::app)
        << "[[probe]]\nnumber = 1\nmodel = \"v3\"\nslot = 1\n"
           "[[probe]]\nnumber = 2\nmodel = \"v3\"\nslot = 2\n";
    const auto host = must(Host::create(
        {.plan = "p1-serial1", .bench = path("bench.toml"), .database = path("test.db")}));
    const auto finished = run(*host, 1, [&](const StationEvent& event) {
        const auto* step = std::get_if<StepFinished>(&event);
        if (step != nullptr && step->attempt.step == "give-credentials")
            host->engine().abort(SlotId{1});
    });
    QVERIFY2(finished.verdict == Verdict::Aborted, finished.error.c_str());
    const auto kept = must(host->journal().traceOf(finished.run));
    QVERIFY(kept && kept->transfers > 0);
    const auto& board = *host->bench()->board(1);
    // particle-devices 3.1, 4.1: behind modulus and exponent everything is private.
    const Bytes secret = board.readFlash(
        0x08004000U + 0x4000U * static_cast<unsigned>(board.currentDct()) + 0x1D7C + 34 + 150, 440);
    QVERIFY(!secret.empty());
    QVERIFY(!leaks(kept->text, secret));
    QVERIFY(!leaks(kept->text, viewOf(kPassword)));
    const Trace trace = must(parseTrace(kept->text));
    QVERIFY(std::ranges::any_of(trace.entries,
                                [](const auto& e) { return e.secret && e.sent >= 1024; }));
}

void TstHost::trace_ofARunThatPassed_isNotKept()
{
    writeBench("stock = \"1.5.2\"\n");
    const auto host = open(false);
    const auto finished = run(*host, 1);
    QVERIFY2(finished.verdict == Verdict::Pass, finished.error.c_str());
    QVERIFY(!must(host->journal().traceOf(finished.run)));
}

void TstHost::takenHandshakePort_keepsTheStationFromStarting_C071()
{
    QTcpServer other;
    QVERIFY(other.listen(QHostAddress::LocalHost));
    writeBench("stock = \"1.5.2\"\n");
    writeStation("", "", other.serverPort());
    const HostOptions options{
        .station = path("station.toml"), .bench = path("bench.toml"), .database = path("test.db")};
    const auto refused = Host::create(options);
    QVERIFY(!refused);
    QCOMPARE(causeOf(refused.error()).id, std::string_view("C071"));
    const auto text = describe(refused.error());
    QVERIFY2(text.find(std::to_string(other.serverPort())) != std::string::npos, text.c_str());
    other.close();
    QVERIFY(open(true));
}

void TstHost::cloudContact_needsTheProductsCloud()
{
    writeBench("stock = \"1.5.2\"\n");
    const auto refused = Host::create(
        {.plan = "photon-cloud", .bench = path("bench.toml"), .database = path("test.db")});
    QVERIFY(!refused);
    QCOMPARE(causeOf(refused.error()).id, std::string_view("C042"));
    QVERIFY(describe(refused.error()).find("[cloud]") != std::string::npos);
}

void TstHost::loneUnitWithADeafRadio_fails_F404()
{
    // The limits of the plan and of a real unit would not end this within kRunBound.
    write("bench.toml",
          concat("[bench]\nname = \"test\"\nspeed = \"instant\"\nmode_button = true\n[network]\n"
                 "ssid = \"Plant\"\npassword = \"",
                 kPassword,
                 "\"\njoin_limit_ms = 500\n[[slot]]\nnumber = 1\n[[slot.unit]]\n"
                 "stock = \"1.5.2\"\n[[slot.unit.fault]]\nkind = \"deaf-radio\"\n"));
    const auto host = open(false);
    const auto finished = run(*host, 1);
    QCOMPARE(finished.verdict, Verdict::Fail);
    QCOMPARE(finished.cause, std::string("F404"));
    const auto& text = finished.error;
    QVERIFY2(text.find("it never connected") != std::string::npos, text.c_str());
    QVERIFY(host->bench()->board(1)->joinedNetwork().empty());
}

void TstHost::accessPoint_livesWhereItAnswersOrRefuses()
{
    const SystemClock clock;
    const auto answers = [&](std::uint16_t port, std::chrono::milliseconds limit) {
        const OpContext op{.clock = clock, .deadline = {clock.now() + limit}};
        return must(accessPointProbe("127.0.0.1", port)(op));
    };
    QTcpServer point;
    QVERIFY(point.listen(QHostAddress::LocalHost));
    const auto port = point.serverPort();
    QVERIFY(answers(port, kRunBound));
    point.close();
    QVERIFY(answers(port, kRunBound)); // refused: somebody is there
    // Nobody takes what is offered: a queue for one, full.
    const int silent = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* plain = reinterpret_cast<sockaddr*>(&address);
    QVERIFY(::bind(silent, plain, size) == 0 && ::listen(silent, 0) == 0 &&
            ::getsockname(silent, plain, &size) == 0);
    std::vector<int> waiting;
    for (int i = 0; i < 4; ++i) {
        waiting.push_back(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
        static_cast<void>(::connect(waiting.back(), plain, size));
    }
    QVERIFY(!answers(ntohs(address.sin_port), 300ms));
    for (const int each : waiting)
        ::close(each);
    ::close(silent);
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

void TstHost::planWithoutARoute_isRefusedBeforeTheFirstUnit_data()
{
    QTest::addColumn<QByteArray>("plan");
    QTest::addColumn<QByteArray>("unit");
    QTest::addColumn<bool>("button");
    QTest::addColumn<bool>("somebody");
    QTest::addColumn<bool>("starts");
    const auto core = QByteArray("platform = \"core\"\nstock = \"0.7.0\"\n");
    const auto p1 = QByteArray("platform = \"p1\"\nstock = \"0.4.9\"\nusb = false\n");
    const auto photon = QByteArray("stock = \"1.5.2\"\n");
    const auto add = [](const char* name, const char* plan, const QByteArray& unit, bool button,
                        bool somebody, bool starts) {
        QTest::newRow(name) << QByteArray(plan) << unit << button << somebody << starts;
    };
    // particle-devices 1.3: no request clears credentials before 0.8.0.
    add("MODE, and nobody holds it", "core-full", core, false, false, false);
    add("MODE, the fixture holds it", "core-full", core, true, false, true);
    add("MODE, an operator holds it", "core-full", core, false, true, true);
    add("by request", "photon-full", photon, false, false, true);
    add("by SWD, without a probe", "p1-serial1", p1, true, true, false);
}

void TstHost::planWithoutARoute_isRefusedBeforeTheFirstUnit()
{
    QFETCH(const QByteArray, plan);
    QFETCH(const QByteArray, unit);
    QFETCH(const bool, button);
    QFETCH(const bool, somebody);
    QFETCH(const bool, starts);
    writeBench(unit.toStdString(), button);
    const auto host = Host::create({.plan = plan.toStdString(),
                                    .bench = path("bench.toml"),
                                    .database = path("test.db"),
                                    .operatorAnswers = somebody});
    QCOMPARE(host.has_value(), starts);
    if (starts)
        return;
    QCOMPARE(host.error().code, Errc::Denied);
    QCOMPARE(host.error().cause, std::string("C042"));
}

void TstHost::benchOperator_holdsTheButtonWhereTheBenchCannot_data()
{
    QTest::addColumn<QByteArray>("unit");
    QTest::addColumn<int>("prompts");
    QTest::newRow("id by listening mode, then credentials")
        << QByteArray("stock = \"0.4.9\"\ncredentials = \"foreign\"\n") << 2;
    QTest::newRow("credentials") << QByteArray("stock = \"0.6.3\"\ncredentials = \"foreign\"\n")
                                 << 1;
    QTest::newRow("DFU") << QByteArray("stock = \"1.5.2\"\nbaud_commands = false\n") << 2;
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
