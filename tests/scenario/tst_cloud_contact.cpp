// The plan photon-cloud: a unit is proved by the product's own cloud, which may do to it what
// clouds do.
#include "core/byte_io.h"
#include "core/text.h"
#include "support/station_fixture.h"
#include "support/test_program.h"

#include <QTest>

namespace provost::test {

namespace {

// particle-devices 3.3
constexpr std::uint32_t kClaimCodeAt = 1762;
constexpr std::uint32_t kClaimedAt = 1825;
constexpr std::uint32_t kAddressAt = 2466;
constexpr std::uint32_t kServerKeyAt = 2082;
constexpr std::uint32_t kPrivateKeyAt = 34;

/// A contact that ends in a refusal: long enough for what comes before it.
constexpr auto kShortContact = 15s;

std::unique_ptr<Station> stationWithCloud(std::chrono::milliseconds contact = 60s)
{
    return Station::open({.plan = "photon-cloud", .productCloud = true, .contactWithin = contact});
}

std::string measuredIn(Station& station, RunId run, std::string_view name)
{
    for (const auto& each : station.attempt(run, "cloud-contact").measurements) {
        if (each.name != name || !each.value)
            continue;
        if (const auto* text = std::get_if<std::string>(&*each.value))
            return *text;
        if (const auto* number = std::get_if<double>(&*each.value))
            return concat(static_cast<int>(*number));
    }
    return {};
}

bool claimedInCloud(Station& station, const std::string& deviceId)
{
    const SystemClock clock;
    const OpContext op{.clock = clock, .deadline = {clock.now() + 30s}};
    const auto state = station.view().deviceState({.deviceId = deviceId}, op);
    return state && state->claimed.value_or(true);
}

void withoutStep(Station& station, std::string_view use)
{
    std::erase_if(station.plan().steps, [&](const StepSpec& step) { return step.use == use; });
}

} // namespace

class TstCloudContact : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void unit_isSeenByRestAndByEvent();
    void unit_claimedByTheCloud_isGivenUp();
    void unit_notSeenOnline_fails();
    void unit_onlineByRestWithoutEvent_isNotJudged();
    void unit_thatShowsNoCode_fails();
    void cloud_thatTellsNothing_isTheCloudsFault();
    void cloud_thatKeepsItsClaim_isTheCloudsFault();
    void update_repeatsTheProof();
    void update_ofOtherFirmware_isNeverShipped();
    void updatesWithoutEnd_areTheCloudsFault();
    void slot_changedInContact_fails_data();
    void slot_changedInContact_fails();
    void events_ofAUnit_areInTheStream();
};

void TstCloudContact::unit_isSeenByRestAndByEvent()
{
    auto station = stationWithCloud();
    std::atomic<int> before = -1;
    station->afterStep("server-key", [&](int) { before = station->productCloud().connections(); });
    const auto run = station->runNext();
    VERIFY_RUN(run, Verdict::Pass, "");
    QCOMPARE(before.load(), 0); // the contact that is watched is the first one
    QCOMPARE(measuredIn(*station, run.run, "contact_rounds"), std::string("1"));
    QCOMPARE(measuredIn(*station, run.run, "claim_code"), std::string("redeemed"));
    QCOMPARE(measuredIn(*station, run.run, "claim"), std::string("given up, and shown unclaimed"));
    QCOMPARE(measuredIn(*station, run.run, "unit_claim"), std::string("cleared"));
    QVERIFY(!claimedInCloud(*station, run.unit.deviceId));
    // At the station's own endpoint first, which left nothing on the unit.
    QCOMPARE(station->attempt(run.run, "live-handshake").verdict, Verdict::Pass);
    QVERIFY(station->cloud().connections() > 0);
    QVERIFY(station->productCloud().connections() > 0);
    const Bytes product = station->productCloud().service().serverKey().toDer();
    for (const int copy : {0, 1}) {
        const Bytes sector = station->board().physicalDct(copy);
        const ByteView table = ByteView(sector).subspan(0x1D7C);
        QVERIFY(equalBytes(table.subspan(kServerKeyAt, product.size()), product));
        QVERIFY(allFf(table.subspan(kClaimCodeAt, 64)));
    }
    QVERIFY(station->after().escapes.empty());
    QCOMPARE(station->journal().unit(run.unit.deviceId)->state, std::string("pass"));
}

void TstCloudContact::unit_claimedByTheCloud_isGivenUp()
{
    auto station = stationWithCloud();
    withoutStep(*station, "claim-code");
    station->productCloud().claimWhoComes(true);
    const auto run = station->runNext();
    VERIFY_RUN(run, Verdict::Pass, "");
    QCOMPARE(measuredIn(*station, run.run, "claim"), std::string("given up, and shown unclaimed"));
    QVERIFY(!claimedInCloud(*station, run.unit.deviceId));
}

void TstCloudContact::unit_notSeenOnline_fails()
{
    auto station = stationWithCloud(kShortContact);
    station->productCloud().failConnections(ConnectionFault::Silent);
    const auto run = station->runNext();
    VERIFY_RUN(run, Verdict::Fail, "F420");
    QVERIFY(!station->board().hasCredentials());
}

void TstCloudContact::unit_onlineByRestWithoutEvent_isNotJudged()
{
    auto station = stationWithCloud(kShortContact);
    station->productCloud().failRequests(RequestFault::NoEvents);
    const auto run = station->runNext();
    VERIFY_RUN(run, Verdict::Error, "C084");
    QVERIFY(!claimedInCloud(*station, run.unit.deviceId));
}

void TstCloudContact::unit_thatShowsNoCode_fails()
{
    auto station = stationWithCloud(kShortContact);
    station->afterStep("claim-code", [&](int slot) {
        station->board(slot).pokeDct(kClaimedAt, viewOf("1")); // it takes itself for claimed
    });
    VERIFY_RUN(station->runNext(), Verdict::Fail, "F421");
}

void TstCloudContact::cloud_thatTellsNothing_isTheCloudsFault()
{
    auto station = stationWithCloud(kShortContact);
    station->afterStep("claim-code",
                       [&](int) { station->productCloud().failRequests(RequestFault::Answer503); });
    VERIFY_RUN(station->runNext(), Verdict::Error, "C083");
}

void TstCloudContact::cloud_thatKeepsItsClaim_isTheCloudsFault()
{
    auto station = stationWithCloud();
    station->productCloud().failRequests(RequestFault::KeepClaim);
    const auto run = station->runNext();
    VERIFY_RUN(run, Verdict::Error, "C086");
    QVERIFY(claimedInCloud(*station, run.unit.deviceId));
}

void TstCloudContact::update_repeatsTheProof()
{
    auto station =
        Station::open({.plan = "photon-cloud", .productCloud = true, .contactDwellSeconds = 2});
    const auto image = station->images().find("photon", "user", "2.3.1");
    QVERIFY(image.has_value());
    std::atomic<int> updates = 0;
    station->productCloud().whenOnline([&](const std::string&) {
        if (updates.fetch_add(1) == 0 && !station->board().updateOverTheAir((*image)->file))
            updates = 100;
    });
    const auto run = station->runNext();
    VERIFY_RUN(run, Verdict::Pass, "");
    QVERIFY(updates >= 2 && updates < 100);
    QCOMPARE(measuredIn(*station, run.run, "contact_rounds"), std::string("2"));
    const auto log = station->board().log();
    QVERIFY(std::ranges::any_of(log, [](const std::string& line) {
        return line.find("pending module") != std::string::npos;
    }));
}

void TstCloudContact::update_ofOtherFirmware_isNeverShipped()
{
    auto station =
        Station::open({.plan = "photon-cloud", .productCloud = true, .contactDwellSeconds = 2});
    const auto image = station->images().find("photon", "user", "1.5.2");
    QVERIFY(image.has_value());
    std::atomic<bool> sent = false;
    station->productCloud().whenOnline([&](const std::string&) {
        if (!sent.exchange(true))
            station->board().updateOverTheAir((*image)->file);
    });
    const auto run = station->runNext();
    VERIFY_RUN(run, Verdict::Fail, "F110");
    QCOMPARE(measuredIn(*station, run.run, "contact_rounds"), std::string("2"));
    QCOMPARE(station->attempt(run.run, "shipping-state").verdict, Verdict::Fail);
}

void TstCloudContact::updatesWithoutEnd_areTheCloudsFault()
{
    auto station =
        Station::open({.plan = "photon-cloud", .productCloud = true, .contactDwellSeconds = 2});
    const auto image = station->images().find("photon", "user", "2.3.1");
    QVERIFY(image.has_value());
    station->productCloud().whenOnline(
        [&](const std::string&) { station->board().updateOverTheAir((*image)->file); });
    const auto run = station->runNext();
    VERIFY_RUN(run, Verdict::Error, "C085");
    QVERIFY(!claimedInCloud(*station, run.unit.deviceId));
}

void TstCloudContact::slot_changedInContact_fails_data()
{
    QTest::addColumn<std::uint32_t>("offset");
    QTest::addColumn<QString>("cause");
    // Bytes by which no unit dials: it comes online all the same.
    QTest::newRow("server key") << kServerKeyAt + 300 << "F215";
    QTest::newRow("address") << kAddressAt + 10 << "F216";
    QTest::newRow("device key") << kPrivateKeyAt + 650 << "F214";
}

void TstCloudContact::slot_changedInContact_fails()
{
    QFETCH(std::uint32_t, offset);
    QFETCH(QString, cause);
    auto station = stationWithCloud();
    station->productCloud().whenOnline([&](const std::string&) {
        const Bytes other(2, std::byte{0x42});
        station->board().pokeDct(offset, other);
    });
    const auto run = station->runNext();
    VERIFY_RUN(run, Verdict::Fail, cause.toStdString());
    QCOMPARE(station->attempt(run.run, "cloud-contact").verdict, Verdict::Fail);
    QVERIFY(!claimedInCloud(*station, run.unit.deviceId));
}

void TstCloudContact::events_ofAUnit_areInTheStream()
{
    auto station = stationWithCloud();
    std::unique_ptr<CloudEvents> events;
    const SystemClock clock;
    const OpContext op{.clock = clock, .deadline = {clock.now() + 60s}};
    station->afterStep("claim-code", [&](int slot) {
        events = station->view().events({.deviceId = station->board(slot).deviceId()}, op).value();
    });
    const auto run = station->runNext();
    VERIFY_RUN(run, Verdict::Pass, "");
    for (const std::string_view name :
         {"spark/status", "spark/device/claim/code", "spark/hardware/max_binary"}) {
        const auto seen =
            events->waitFor(0, [&](const CloudEvent& event) { return event.name == name; }, op);
        QVERIFY2(seen.has_value(), name.data());
        QCOMPARE(seen->deviceId, run.unit.deviceId);
        const std::size_t wanted = name == "spark/device/claim/code" ? 63 : seen->data.size();
        QCOMPARE(seen->data.size(), wanted);
    }
    // Nobody else's: a stream of another unit stays empty.
    const auto other = station->view().events({.deviceId = std::string(24, '1')}, op);
    QVERIFY(other.has_value());
    QCOMPARE((*other)->count(), std::size_t{0});
}

} // namespace provost::test

PROVOST_TEST("cloud_contact", provost::test::TstCloudContact)
#include "tst_cloud_contact.moc"
