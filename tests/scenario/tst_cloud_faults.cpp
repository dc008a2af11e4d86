// Cloud, handshake endpoint and network at fault: what the unit is told to be then.
#include "core/byte_io.h"
#include "crypto/unit_key.h"
#include "support/station_fixture.h"
#include "support/test_program.h"

#include <QTest>

#include <algorithm>

namespace provost::test {

namespace {

} // namespace

class TstCloudFaults : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void cloudAway_holdsTheUnit_data();
    void cloudAway_holdsTheUnit();
    void cloudRefuses_data();
    void cloudRefuses();
    void cloudHoldsAnotherKey_fails();
    void handshakeEndpoint_thatSignsWithAnotherKey_fails();
    void handshakeEndpoint_thatHangsUp_fails();
    void wrongTestPassword_endsWithoutHandshake();
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
    QTest::newRow("403: the station")
        << static_cast<int>(RequestFault::Deny) << "C080" << static_cast<int>(Verdict::Error);
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
    auto station = quick();
    station->cloud().failConnections(ConnectionFault::Drop, VirtualCloud::kUntilCleared,
                                     HandshakeStage::Session);
    const auto run = station->runNext();
    QCOMPARE(run.verdict, Verdict::Fail);
    QVERIFY2(run.cause == "F403" || run.cause == "F404", told(run).c_str());
}

void TstCloudFaults::wrongTestPassword_endsWithoutHandshake()
{
    auto station = Station::open(
        {.handshakeWithin = 900ms, .stationPassword = SecretBytes(viewOf("not-the-password"))});
    const auto run = station->runNext();
    VERIFY_RUN(run, Verdict::Fail, "F404");
    QVERIFY(station->board().joinedNetwork().empty());
    QVERIFY(!station->board().hasCredentials());
}

} // namespace provost::test

PROVOST_TEST("cloud_faults", provost::test::TstCloudFaults)
#include "tst_cloud_faults.moc"
