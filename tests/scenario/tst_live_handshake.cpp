// The handshake is seen while it goes on, message by message, and recorded connection by
// connection.
#include "core/byte_io.h"
#include "crypto/unit_key.h"
#include "steps/join_attempts.h"
#include "support/proven_unit.h"
#include "support/station_fixture.h"
#include "support/test_program.h"

#include <QTest>

#include <semaphore>

namespace provost::test {

namespace {

/// Lets a held thread go, at the end of a test that failed too.
class Release {
public:
    explicit Release(std::binary_semaphore& held) : m_held(held) {}
    ~Release() { now(); }
    Release(const Release&) = delete;
    Release& operator=(const Release&) = delete;
    void now() const
    {
        if (!std::exchange(m_done, true))
            m_held.release();
    }

private:
    std::binary_semaphore& m_held;
    mutable bool m_done = false;
};

} // namespace

class TstLiveHandshake : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void messages_areSeenWhileTheHandshakeGoesOn();
    void messages_ofARefusedConnection_areReplacedByTheNext();
    void messages_ofAUnitThatNeverNamedItself_areShownAtTheEnd();
    void failure_isExplainedByWhatIsOnTheUnit();
    void joinTime_isOfTheAttemptThatSucceeded();
    void silentUnit_isWaitedForAsLongAsAGoodOneMayNeed();
};

void TstLiveHandshake::messages_areSeenWhileTheHandshakeGoesOn()
{
    auto station = Station::open();
    std::binary_semaphore arrived{0};
    std::binary_semaphore goOn{0};
    std::atomic<bool> held = false;
    std::atomic<std::thread::id> thread{};
    station->sink().setHook([&](const StationEvent& event) {
        const auto* seen = std::get_if<HandshakeSeen>(&event);
        if (seen == nullptr || seen->arrow.position != 1 || held.exchange(true))
            return;
        thread = std::this_thread::get_id();
        arrived.release();
        goOn.acquire(); // the server cannot send its next message before this returns
    });
    const auto unit = station->insert();
    QVERIFY(station->start(1, unit.label));
    const Release release(goOn);
    QVERIFY(arrived.try_acquire_for(kRunPatience));
    // The unit has named itself; the server's answer is still to come.
    auto& sink = station->sink();
    QCOMPARE(sink.all<HandshakeSeen>().size(), std::size_t{2});
    const auto ended = sink.all<StepFinished>();
    QVERIFY(std::ranges::none_of(
        ended, [](const StepFinished& event) { return event.attempt.step == "live-handshake"; }));
    QVERIFY(thread.load() != std::this_thread::get_id());
    release.now();
    const auto finished = station->verdict(1);
    QVERIFY2(finished && finished->verdict == Verdict::Pass, told(*finished).c_str());
    // The unit may have dialled before it was restarted: the last connection is the recorded one.
    auto arrows = sink.all<HandshakeSeen>();
    const auto begins = std::ranges::find_if(arrows.rbegin(), arrows.rend(),
                                             [](const auto& e) { return e.arrow.position == 0; });
    QVERIFY(begins != arrows.rend());
    arrows.erase(arrows.begin(), begins.base() - 1);
    const auto record = station->record(finished->run).handshake;
    QCOMPARE(arrows.size(), record.size());
    QVERIFY(arrows.size() >= 5); // nonce, reply, credentials, hello both ways
    for (std::size_t i = 0; i < arrows.size(); ++i) {
        QCOMPARE(arrows[i].arrow.position, static_cast<int>(i));
        QCOMPARE(arrows[i].arrow.what, record[i].what);
        QCOMPARE(arrows[i].arrow.fromDevice, record[i].fromDevice);
        QVERIFY(i == 0 || arrows[i].arrow.atMs >= arrows[i - 1].arrow.atMs);
    }
}

void TstLiveHandshake::messages_ofARefusedConnection_areReplacedByTheNext()
{
    auto station = Station::open({.handshakeWithin = 30s});
    // Hung up on behind message 3, until one such connection was seen.
    station->cloud().failConnections(ConnectionFault::Drop, VirtualCloud::kUntilCleared,
                                     HandshakeStage::Credentials);
    station->sink().setHook([&](const StationEvent& event) {
        if (std::holds_alternative<HandshakeSeen>(event))
            station->cloud().clearFaults();
    });
    const auto finished = station->runNext();
    QVERIFY2(finished.verdict == Verdict::Pass, told(finished).c_str());
    // Two connections: each begins with position 0, the later one is the one that is shown.
    const auto arrows = station->sink().all<HandshakeSeen>();
    const auto beginnings =
        std::ranges::count_if(arrows, [](const auto& e) { return e.arrow.position == 0; });
    QVERIFY(beginnings >= 2);
    QCOMPARE(station->query("SELECT count(DISTINCT session) FROM handshake_arrow"),
             std::vector<std::string>{std::to_string(beginnings)});
    // So many attempts, and the time to join is of the last one alone.
    QCOMPARE(station->query("SELECT CAST(number AS INTEGER) FROM measurement WHERE name = "
                            "'join_attempts'"),
             std::vector<std::string>{std::to_string(beginnings)});
    const auto record = station->record(finished.run).handshake;
    QVERIFY(std::ranges::none_of(record, &HandshakeArrow::failed));
    QCOMPARE(record.front().position, 0);
    QCOMPARE(record.back().what, arrows.back().arrow.what);
}

void TstLiveHandshake::messages_ofAUnitThatNeverNamedItself_areShownAtTheEnd()
{
    // It seals its reply to another server's key: the reply cannot be read.
    auto station = Station::open({.handshakeWithin = 3s});
    station->afterStep("register", [&](int slot) {
        const Bytes other(40, std::byte{0x5B});
        station->board(slot).pokeDct(2082 + 40, other); // in the modulus, particle-devices 3.2
    });
    const auto finished = station->runNext();
    QCOMPARE(finished.verdict, Verdict::Fail);
    const auto arrows = station->sink().all<HandshakeSeen>();
    const auto record = station->record(finished.run).handshake;
    QVERIFY2(!record.empty(), told(finished).c_str());
    QCOMPARE(arrows.size(), record.size());
    QVERIFY(record.back().failed);
}

void TstLiveHandshake::failure_isExplainedByWhatIsOnTheUnit()
{
    // Particle-devices 3.3, 4.3, poked behind the proof: each row is a slot of its own.
    constexpr std::uint32_t kServerKeyAt = 2082;
    constexpr std::uint32_t kAddressAt = 2466;
    struct Poke {
        std::uint32_t offset = 0;
        Bytes bytes{};
    };
    struct Row {
        std::vector<Poke> pokes{};
        std::string cause{};
        std::vector<std::string> words{};
    };
    const auto other = generateUnitKey();
    QVERIFY(other);
    const Poke deviceKey{34, toBytes(other->privateDer.reveal())};
    const Poke badShape{34 + 146, Bytes{std::byte{0x00}}}; // length of D, 4.2
    const Poke serverKey{kServerKeyAt + 40, Bytes(40, std::byte{0x5B})};
    const Poke blankServerKey{kServerKeyAt, Bytes(294, std::byte{0xFF})};
    const Poke noAddress{kAddressAt, Bytes(68, std::byte{0xFF})};
    const Poke otherPort{kAddressAt + 66, Bytes{std::byte{0}, std::byte{9}}};
    const std::vector<Row> rows{
        {{deviceKey}, "F412", {"not the one that was proved"}},
        {{badShape}, "F201", {"cannot read"}},
        {{serverKey}, "F401", {"not the endpoint's"}},
        {{blankServerKey}, "F401", {"blank"}},
        {{noAddress}, "F409", {"type:255", "device.spark.io"}},
        {{otherPort}, "F408", {":9,"}},
        {{serverKey, deviceKey}, "F401", {"not the endpoint's", "not the one that was proved"}},
        {{serverKey, noAddress}, "F409", {"type:255", "not the endpoint's"}},
        {{otherPort, deviceKey}, "F408", {":9,", "not the one that was proved"}},
    };
    const int slots = static_cast<int>(rows.size());
    auto station =
        Station::open({.bench = {.supplies = {rows.size(), {UnitWish{}}}}, .handshakeWithin = 3s});
    for (int slot = 1; slot <= slots; ++slot)
        station->insert(slot);
    station->afterStep("register", [&](int slot) {
        for (const auto& poke : rows.at(static_cast<std::size_t>(slot) - 1).pokes)
            station->board(slot).pokeDct(poke.offset, poke.bytes);
    });
    for (const auto& run : station->runAll(slots)) {
        const auto& row = rows.at(static_cast<std::size_t>(run.slot.value) - 1);
        VERIFY_RUN(run, Verdict::Fail, row.cause);
        for (const auto& words : row.words)
            QVERIFY2(run.error.find(words) != std::string::npos, told(run).c_str());
        QVERIFY(!station->board(run.slot.value).hasCredentials());
    }
}

void TstLiveHandshake::joinTime_isOfTheAttemptThatSucceeded()
{
    const auto at = [](int second) { return Clock::Steady{std::chrono::seconds(second)}; };
    JoinAttempts attempts;
    QCOMPARE(attempts.count(), 1);
    attempts.heard(7, at(12));
    QCOMPARE(attempts.count(), 1);
    QVERIFY(attempts.latestSince(at(10)) == at(10));
    attempts.heard(8, at(20)); // refused 7, now this one
    QCOMPARE(attempts.count(), 2);
    QVERIFY(attempts.latestSince(at(10)) == at(12));
    attempts.heard(9, at(30));
    QVERIFY(attempts.latestSince(at(10)) == at(20));
    QVERIFY(attempts.latestSince(at(25)) == at(25)); // that one was of before the restart
    QCOMPARE(attempts.count(), 3);
}

void TstLiveHandshake::silentUnit_isWaitedForAsLongAsAGoodOneMayNeed()
{
    // Far below the step's own time, which outlasts the test: what ends the wait is the sum.
    auto station = quick({.faults = "[[slot.unit.fault]]\nkind = \"deaf-radio\"\n"}, 600s);
    auto& network = station->settings().network;
    network.joinLimit = 300ms;
    network.waits = {.connect = 80ms, .read = 200ms, .hello = 40ms, .backOff = 10ms};
    const auto run = station->runNext();
    VERIFY_RUN(run, Verdict::Fail, "F404");
    QVERIFY2(run.error.find(" of 0.8 s for the handshake") != std::string::npos, run.error.c_str());
    QVERIFY(station->attempt(run.run, "live-handshake").seconds >= 0.83); // and no less
}

} // namespace provost::test

PROVOST_TEST("live_handshake", provost::test::TstLiveHandshake)
#include "tst_live_handshake.moc"
