// Cloud, handshake endpoint and network at fault: what the unit is told to be then.
#include "core/byte_io.h"
#include "crypto/unit_key.h"
#include "support/station_fixture.h"
#include "support/test_program.h"

#include <QTest>

#include <algorithm>

namespace provost::test {

namespace {

/// Of a unit that never connects; nothing that has to come waits for it.
constexpr auto kSilence = 900ms;
const std::string kDeafRadio = "[[slot.unit.fault]]\nkind = \"deaf-radio\"\n";

} // namespace

class TstCloudFaults : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void cloudAway_holdsTheUnit_data();
    void cloudAway_holdsTheUnit();
    void cloudRefuses_data();
    void cloudRefuses();
    void cloudHoldsAnotherKey_fails();
    void cloudThatTookAnotherKey_isNoRegistration();
    void cloudThatLostTheKey_isAHold_H312();
    void handshakeEndpoint_thatSignsWithAnotherKey_fails();
    void handshakeEndpoint_thatHangsUp_fails();
    void wrongTestPassword_isACheck();
    void deadAccessPoint_isACheck();
    void unitWithABrokenRadio_fails_whereTheAccessPointAnswers();
    void unitWithABrokenRadio_fails_whereOthersJoin();
    void silentUnit_isNotJudged_whereNobodyElseWasSeenSince();
    void ownJoin_provesNothingOfTheNetwork();
};

void TstCloudFaults::cloudAway_holdsTheUnit_data()
{
    QTest::addColumn<int>("fault");
    QTest::addColumn<QString>("cause");
    QTest::newRow("500") << static_cast<int>(RequestFault::Answer500) << "H311";
    QTest::newRow("503") << static_cast<int>(RequestFault::Answer503) << "H311";
    QTest::newRow("429") << static_cast<int>(RequestFault::Answer429) << "H311";
    QTest::newRow("silent") << static_cast<int>(RequestFault::TimeOutBefore) << "H310";
    QTest::newRow("done, but silent") << static_cast<int>(RequestFault::TimeOutAfter) << "H310";
}

void TstCloudFaults::cloudAway_holdsTheUnit()
{
    QFETCH(const int, fault);
    QFETCH(const QString, cause);
    auto station = Station::open({.answerWithin = 400ms});
    station->cloud().failRequests(static_cast<RequestFault>(fault));
    const auto run = station->runNext();
    VERIFY_RUN(run, Verdict::Hold, cause.toStdString());
    station->cloud().clearFaults();
    // Every local proof is done: live handshake and shipping state.
    QCOMPARE(station->attempt(run.run, "live-handshake").verdict, Verdict::Pass);
    QCOMPARE(station->attempt(run.run, "shipping-state").verdict, Verdict::Pass);
    const auto waiting = station->journal().outbox("waiting");
    QCOMPARE(waiting->size(), std::size_t{1});
    QCOMPARE(waiting->front().deviceId, station->board().deviceId());
    QVERIFY(waiting->front().payload.starts_with("-----BEGIN PUBLIC KEY-----"));
    QCOMPARE(station->journal().unit(run.unit.deviceId)->state, std::string("hold"));
    QVERIFY(station->after().escapes.empty());
}

void TstCloudFaults::cloudRefuses_data()
{
    QTest::addColumn<int>("fault");
    QTest::addColumn<QString>("cause");
    QTest::addColumn<int>("verdict");
    QTest::newRow("400: the key") << static_cast<int>(RequestFault::Refuse) << "F220"
                                  << static_cast<int>(Verdict::Fail);
    const auto check = [](const char* name, RequestFault fault, const char* cause) {
        QTest::newRow(name) << static_cast<int>(fault) << cause << static_cast<int>(Verdict::Error);
    };
    QTest::newRow("403 Permission Denied: the key")
        << static_cast<int>(RequestFault::Deny) << "F220" << static_cast<int>(Verdict::Fail);
    check("403 in other words: the token", RequestFault::Forbidden, "C080");
    check("400 invalid_token: the token", RequestFault::OldToken, "C080");
    check("404: the address", RequestFault::NoSuchCall, "C082");
    check("404 as a page: the address", RequestFault::NoSuchPage, "C082");
    check("405: the address", RequestFault::NotAllowed, "C082");
}

void TstCloudFaults::cloudRefuses()
{
    QFETCH(const int, fault);
    QFETCH(const QString, cause);
    QFETCH(const int, verdict);
    auto station = quick();
    station->cloud().failRequests(static_cast<RequestFault>(fault));
    const auto run = station->runNext();
    VERIFY_RUN(run, static_cast<Verdict>(verdict), cause.toStdString());
    // It has no credentials yet: a unit that is not registered reaches no cloud.
    QCOMPARE(station->board().cloudAttempts(), 0);
    QVERIFY(station->journal().outbox()->empty());
    if (static_cast<Verdict>(verdict) != Verdict::Error)
        return;
    // Not judged: no attempt is consumed, and the unit passes at its first one.
    QCOMPARE(station->query("SELECT count(*) FROM attempt WHERE step = 'register'"),
             std::vector<std::string>{"1"});
    QCOMPARE(station->journal().unit(run.unit.deviceId)->state, std::string("new"));
    station->cloud().clearFaults();
    VERIFY_RUN(station->run(), Verdict::Pass, "");
    QCOMPARE(station->journal().counts({})->firstPass, 1);
}

void TstCloudFaults::cloudHoldsAnotherKey_fails()
{
    auto station = quick();
    station->insert();
    const auto other = generateUnitKey();
    QVERIFY(other);
    station->afterStep("register", [&](int) {
        const auto stored = station->cloud().service().registry().put(station->board().deviceId(),
                                                                      other->publicKey);
        Q_UNUSED(stored);
    });
    const auto run = station->run();
    VERIFY_RUN(run, Verdict::Fail, "F221");
}

void TstCloudFaults::cloudThatTookAnotherKey_isNoRegistration()
{
    auto station = quick();
    station->insert();
    const auto other = generateUnitKey();
    QVERIFY(other);
    // Between the 2xx and the reading back.
    station->cloud().afterRequest(1, [&] {
        const auto stored = station->cloud().service().registry().put(station->board().deviceId(),
                                                                      other->publicKey);
        Q_UNUSED(stored);
    });
    VERIFY_RUN(station->run(), Verdict::Fail, "F221");
    const auto key = station->journal().keyOf(station->board().deviceId()).value();
    QCOMPARE(key->state, std::string("proved"));
    QVERIFY(station
                ->query("SELECT 1 FROM journal WHERE kind = 'key-state' AND payload = "
                        "'registered'")
                .empty());
}

void TstCloudFaults::cloudThatLostTheKey_isAHold_H312()
{
    auto station = quick();
    station->insert();
    const std::string file = station->board().deviceId() + ".pub.pem";
    station->cloud().afterRequest(
        1, [&] { std::filesystem::remove(station->cloud().service().registry().folder() / file); });
    const auto run = station->run();
    VERIFY_RUN(run, Verdict::Hold, "H312");
    QVERIFY2(run.error.find("holds no key") != std::string::npos, run.error.c_str());
    const auto key = station->journal().keyOf(station->board().deviceId()).value();
    QCOMPARE(key->state, std::string("proved"));
    const auto rows = station->journal().outbox().value();
    QVERIFY(rows.size() == 1 && rows[0].state == "waiting");
}

void TstCloudFaults::handshakeEndpoint_thatSignsWithAnotherKey_fails()
{
    auto station = quick();
    station->cloud().failConnections(ConnectionFault::OtherSigner);
    const auto run = station->runNext();
    VERIFY_RUN(run, Verdict::Fail, "F405");
    // AUTHENTICATION_ERROR, solid magenta (particle-devices 8).
    const auto leds = station->board().ledHistory();
    QVERIFY(std::ranges::find(leds, sim::Led{sim::LedColour::Magenta, sim::LedPattern::Solid, 0}) !=
            leds.end());
    const auto record = station->record(run.run);
    QVERIFY(!record.handshake.empty());
}

void TstCloudFaults::handshakeEndpoint_thatHangsUp_fails()
{
    auto station = Station::open(); // long enough for a connection on a busy computer
    station->cloud().failConnections(ConnectionFault::Drop, VirtualCloud::kUntilCleared,
                                     HandshakeStage::Session);
    VERIFY_RUN(station->runNext(), Verdict::Fail, "F403");
}

void TstCloudFaults::wrongTestPassword_isACheck()
{
    // The access point lives; no unit was ever seen with these credentials.
    auto station = Station::open({.handshakeWithin = kSilence,
                                  .stationPassword = SecretBytes(viewOf("not-the-password")),
                                  .networkProven = false});
    const auto run = station->runNext();
    VERIFY_RUN(run, Verdict::Error, "C073");
    QVERIFY2(run.error.find("password") != std::string::npos, run.error.c_str());
    QVERIFY(run.error.find("not-the-password") == std::string::npos);
    QVERIFY(station->board().joinedNetwork().empty());
    QVERIFY(!station->board().hasCredentials());
    // The second one says the same: nobody has joined yet.
    VERIFY_RUN(station->run(), Verdict::Error, "C073");
    QCOMPARE(station->journal().counts({})->judgedUnits, 0);
}

void TstCloudFaults::deadAccessPoint_isACheck()
{
    auto station = Station::open({.bench = {.accessPointOn = false}, .handshakeWithin = kSilence});
    const auto run = station->runNext();
    VERIFY_RUN(run, Verdict::Error, "C072");
    QCOMPARE(station->query("SELECT count(*) FROM attempt WHERE step = 'live-handshake'"),
             std::vector<std::string>{"1"});
    QCOMPARE(station->journal().unit(run.unit.deviceId)->state, std::string("new"));
    QVERIFY(!station->board().hasCredentials());
}

void TstCloudFaults::unitWithABrokenRadio_fails_whereTheAccessPointAnswers()
{
    auto station = quick({.faults = kDeafRadio}, kSilence);
    const auto run = station->runNext();
    VERIFY_RUN(run, Verdict::Fail, "F404");
    QVERIFY(station->board().joinedNetwork().empty());
}

void TstCloudFaults::unitWithABrokenRadio_fails_whereOthersJoin()
{
    // Nobody can ask the access point: only other units can tell.
    auto station = Station::open({.bench = {.supplies = {{{.faults = kDeafRadio}}, {{.count = 1}}}},
                                  .handshakeWithin = kSilence,
                                  .networkProven = false,
                                  .networkProbed = false});
    VERIFY_RUN(station->runNext(1), Verdict::Error, "C073");
    for (auto& step : station->plan().steps) {
        if (step.use == "live-handshake")
            step.timeout = 60s;
    }
    VERIFY_RUN(station->runNext(2), Verdict::Pass, "");
    for (auto& step : station->plan().steps) {
        if (step.use == "live-handshake")
            step.timeout = kSilence;
    }
    VERIFY_RUN(station->run(1), Verdict::Fail, "F404");
}

void TstCloudFaults::silentUnit_isNotJudged_whereNobodyElseWasSeenSince()
{
    // Another unit joined, before: the access point may have gone since.
    auto station = Station::open({.bench = {.accessPointOn = false},
                                  .handshakeWithin = kSilence,
                                  .networkProven = true,
                                  .networkProbed = false});
    VERIFY_RUN(station->runNext(), Verdict::Error, "C074");
    VERIFY_RUN(station->run(), Verdict::Error, "C074");
}

void TstCloudFaults::ownJoin_provesNothingOfTheNetwork()
{
    NetworkWitness witness;
    const SystemClock clock;
    const OpContext op{.clock = clock, .progress = {}, .stop = {}, .deadline = {clock.now() + 1h}};
    const auto at = [](int second) { return Clock::Steady{std::chrono::seconds(second)}; };
    using Standing = NetworkWitness::Standing;
    const auto standing = [&](const std::string& unit, int began) {
        return witness.standingFor(unit, at(began), op).value();
    };
    witness.joined("a", at(1));
    QCOMPARE(standing("a", 2), Standing::NeverJoined);
    QCOMPARE(standing("b", 3), Standing::NotProven);
    witness.joined("a", at(4));
    QCOMPARE(standing("b", 5), Standing::Works); // silent since 3, and "a" came in between
    // What it did since counts anew.
    witness.joined("b", at(6));
    QCOMPARE(standing("b", 7), Standing::NotProven);
}

} // namespace provost::test

PROVOST_TEST("cloud_faults", provost::test::TstCloudFaults)
#include "tst_cloud_faults.moc"
