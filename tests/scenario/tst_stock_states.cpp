// Every state that units are delivered in, from the nest to the verdict and its record.
#include "core/byte_io.h"
#include "core/text.h"
#include "device/dct.h"
#include "engine/causes.h"
#include "support/patience.h"
#include "support/proven_unit.h"
#include "support/test_program.h"

#include <QTest>

#include <algorithm>

namespace provost::test {

/// The unit must pass, and everything must be as it must be.
#define VERIFY_PROVEN(station, route)                                                              \
    do {                                                                                           \
        const auto wrong = runAndProve(station, route);                                            \
        QVERIFY2(wrong.empty(), wrong.c_str());                                                    \
    } while (false)

class TstStockStates : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void stock152_becomesAProvenUnit();
    void stock049_withItsConstantSerial_becomesAProvenUnit();
    void stock063_thatPutsBootloader11Back_becomesAProvenUnit();
    void stock231_keepsTheImagesItHolds();
    void emptyFlash_becomesAProvenUnit();
    void benchCredentials_areClearedBeforeAnythingElse();
    void foreignCredentials_areClearedByUsbRequest();
    void credentials_of063_needTheModeButton();
    void credentials_of049_needTheModeButton_data();
    void credentials_of049_needTheModeButton();
    void credentials_withoutFirmware_goToRework();
    void mislabelledUnit_failsBeforeAnyWrite();
    void noLabelScanned_isNotJudged();
    void unitInDfu_isIdentifiedByItsSerial();
};

void TstStockStates::stock152_becomesAProvenUnit()
{
    auto station = Station::open(one({}));
    station->insert();
    VERIFY_PROVEN(*station, "control-request");

    const auto runs = station->query("SELECT run_id FROM run");
    QCOMPARE(runs, std::vector<std::string>{"1"});
    // Intent before effect, settlement behind it, for every write of the station but images.
    const auto journal = station->query("SELECT kind || ' ' || subject || ' ' || payload FROM "
                                        "journal WHERE kind IN ('intend', 'settle') ORDER BY seq");
    QCOMPARE(journal.size(), std::size_t{10});
    QVERIFY(journal[0].starts_with("intend write-bootloader 502 to 1006"));
    QVERIFY(journal[1].starts_with("settle write-bootloader pass"));
    QVERIFY(journal[2].starts_with("intend burn-device-key "));
    QVERIFY(journal[3].starts_with("settle burn-device-key pass"));
    QVERIFY(journal[4].starts_with("intend write-server-key 2082 768 "));
    QVERIFY(journal[6].starts_with("intend write-shipping-server-key 2082 768 "));
    QVERIFY(journal[8].starts_with("intend write-shipping-server-key 2082 768 "));
    QCOMPARE(journal[9], std::string("settle write-shipping-server-key pass"));
    // The key is in the journal before its burn is announced.
    QCOMPARE(station->query("SELECT min(k.seq) < min(i.seq) FROM journal AS k, journal AS i "
                            "WHERE k.kind = 'key' AND i.subject = 'burn-device-key'"),
             std::vector<std::string>{"1"});
    const auto limits = station->query(
        "SELECT name || ' ' || unit || ' ' || coalesce(minimum, maximum) || ' ' || verdict || "
        "' ' || count(*) FROM measurement WHERE name <> 'seconds' AND "
        "(minimum IS NOT NULL OR maximum IS NOT NULL) GROUP BY name, minimum ORDER BY name, "
        "minimum");
    QCOMPARE(limits, (std::vector<std::string>{
                         "handshake_ms ms 44000.0 pass 1", "join_s s 60.0 pass 1",
                         "rate_kib_s KiB/s 0.1 pass 1", "rate_kib_s KiB/s 5.0 pass 3"}));
    // Not measured is not 0, and judges nothing.
    QCOMPARE(station->query("SELECT count(*) FROM measurement WHERE name = 'rssi_dbm' AND "
                            "number IS NULL AND verdict = 'not-run'"),
             std::vector<std::string>{"1"});
    // Every step of the plan has its limit in seconds, and so has the teardown.
    QCOMPARE(station->query("SELECT count(*) FROM measurement WHERE name = 'seconds' AND "
                            "verdict = 'pass' AND number <= maximum"),
             std::vector<std::string>{"17"});
    QCOMPARE(station->query("SELECT count(*) FROM measurement WHERE name IN ('join_s', "
                            "'handshake_ms') AND number > 0"),
             std::vector<std::string>{"2"});
    QCOMPARE(station->query("SELECT count(*) FROM measurement WHERE name = 'seconds' AND "
                            "number IS NOT NULL AND unit = 's'"),
             std::vector<std::string>{"17"});
    QCOMPARE(station->query("SELECT count(*) FROM outbox"), std::vector<std::string>{"0"});
}

void TstStockStates::stock049_withItsConstantSerial_becomesAProvenUnit()
{
    auto station = Station::open(one({.stock = "0.4.9"}));
    station->insert();
    VERIFY_PROVEN(*station, "listening");
    QCOMPARE(station->board().systemVersion(), std::string("2.3.1"));
}

void TstStockStates::stock063_thatPutsBootloader11Back_becomesAProvenUnit()
{
    auto station = Station::open(one({.stock = "0.6.3"}));
    station->insert();
    VERIFY_PROVEN(*station, "control-request");
    const auto images = station->query("SELECT role || ' ' || module_version FROM image_use "
                                       "WHERE role = 'bootloader'");
    QCOMPARE(images, std::vector<std::string>{"bootloader 1006"});
    // Sent once: the unit's own receiver takes no block twice (particle-devices 7.5).
    constexpr auto kRetries = "SELECT ifnull(number, 'not measured') FROM measurement WHERE name = "
                              "'ymodem_retries' ORDER BY rowid DESC LIMIT 1";
    QCOMPARE(station->query(kRetries), std::vector<std::string>{"0.0"});
    QCOMPARE(station->run().verdict, Verdict::Pass);
    QCOMPARE(station->query(kRetries), std::vector<std::string>{"not measured"});
}

void TstStockStates::stock231_keepsTheImagesItHolds()
{
    auto station = Station::open(one({.stock = "2.3.1"}));
    station->insert();
    VERIFY_PROVEN(*station, "control-request");
    // A second run finds every sector as it should be and writes none.
    const auto run = station->run();
    QVERIFY2(run.verdict == Verdict::Pass, told(run).c_str());
    for (const auto& attempt : station->record(run.run).attempts) {
        if (attempt.step == "flash-image")
            QVERIFY2(attempt.note.find("held it already") != std::string::npos,
                     attempt.note.c_str());
    }
    QCOMPARE(station->attempt(run.run, "update-bootloader").note,
             std::string("1006 is installed already"));
}

void TstStockStates::emptyFlash_becomesAProvenUnit()
{
    auto station = Station::open(one({.stock = "empty"}));
    station->insert();
    VERIFY_PROVEN(*station, "dfu-serial");
}

void TstStockStates::benchCredentials_areClearedBeforeAnythingElse()
{
    auto setup = one({.credentials = "bench"});
    setup.bench.publicCloudAtHome = true; // what it dials before the station touched it
    auto station = Station::open(std::move(setup));
    station->insert();
    int attemptsWhenCleared = -1;
    int attemptsWhenRegistered = -1;
    bool stored = true;
    station->afterStep("clear-credentials", [&](int) {
        stored = station->board().hasCredentials();
        attemptsWhenCleared = station->board().cloudAttempts();
    });
    station->afterStep("register",
                       [&](int) { attemptsWhenRegistered = station->board().cloudAttempts(); });
    VERIFY_PROVEN(*station, "control-request");
    QVERIFY(!stored);
    QCOMPARE(attemptsWhenRegistered, attemptsWhenCleared);
    const auto run = station->sink().all<RunFinished>().back();
    QVERIFY(station->attempt(run.run, "clear-credentials").note.starts_with("cleared by USB"));
}

void TstStockStates::foreignCredentials_areClearedByUsbRequest()
{
    auto station = Station::open(one({.credentials = "foreign"}));
    station->insert();
    VERIFY_PROVEN(*station, "control-request");
    for (int copy = 0; copy < 2; ++copy)
        QVERIFY(!contains(station->board().physicalDct(copy), viewOf("another-plant-1")));
}

void TstStockStates::credentials_of063_needTheModeButton()
{
    auto without = Station::open(one({.stock = "0.6.3", .credentials = "foreign"}));
    const auto refused = without->runNext();
    QCOMPARE(refused.verdict, Verdict::Error);
    QCOMPARE(refused.cause, std::string("C060"));
    QCOMPARE(without->meddling().downloads.load(), 0);
    // Nothing answers for MODE here, whatever the plan installs: what the tile asks for is enough.
    QCOMPARE(causeById("C060").action,
             std::string_view("Hold SETUP 10 s (blue flickers), run again"));
    QVERIFY(without->board().hasCredentials());
    QTRY_VERIFY((without->board().holdMode(10s), !without->board().hasCredentials()));
    VERIFY_PROVEN(*without, "control-request");

    auto with = Station::open(one({.stock = "0.6.3", .credentials = "foreign"}, true));
    with->insert();
    VERIFY_PROVEN(*with, "control-request");
}

void TstStockStates::credentials_of049_needTheModeButton_data()
{
    QTest::addColumn<bool>("modeButton");
    QTest::newRow("the fixture has none: CHECK, hold SETUP") << false;
    QTest::newRow("the fixture holds it") << true;
}

void TstStockStates::credentials_of049_needTheModeButton()
{
    QFETCH(const bool, modeButton);
    auto station = Station::open(one({.stock = "0.4.9", .credentials = "foreign"}, modeButton));
    station->insert();
    if (modeButton) {
        VERIFY_PROVEN(*station, "listening");
        return;
    }
    const auto run = station->run();
    QCOMPARE(run.verdict, Verdict::Error);
    QCOMPARE(run.cause, std::string("C012"));
    QVERIFY(run.unit.deviceId.empty());
    // 28800 baud would have started its YModem receiver (7.2).
    const auto log = station->board().ledHistory();
    QVERIFY(std::ranges::none_of(
        log, [](const sim::Led& led) { return led.colour == sim::LedColour::Magenta; }));
}

void TstStockStates::credentials_withoutFirmware_goToRework()
{
    auto station = Station::open(one({.stock = "empty", .credentials = "foreign"}));
    const auto run = station->runNext();
    QCOMPARE(run.verdict, Verdict::Error);
    QCOMPARE(run.cause, std::string("C061"));
    QCOMPARE(station->meddling().downloads.load(), 0);
}

void TstStockStates::mislabelledUnit_failsBeforeAnyWrite()
{
    auto station = Station::open(one({.label = "mislabelled"}));
    const auto run = station->runNext();
    QCOMPARE(run.verdict, Verdict::Fail);
    QCOMPARE(run.cause, std::string("F101"));
    QCOMPARE(run.unit.deviceId, station->board().deviceId());
    QCOMPARE(station->meddling().outTransfers.load(), 0);
    const auto record = station->record(run.run);
    QCOMPARE(causesOf(record), std::string("identify:fail/F101 leave-unit-safe:pass "));
    QVERIFY(station->after().escapes.empty());
    QCOMPARE(station->journal().unit(station->board().deviceId())->state, std::string("fail"));
}

void TstStockStates::noLabelScanned_isNotJudged()
{
    auto station = Station::open(one({}));
    station->insert();
    const auto run = station->run(1, "");
    QVERIFY2(run.verdict == Verdict::Error, told(run).c_str());
    QCOMPARE(run.cause, std::string("C018"));
}

void TstStockStates::unitInDfu_isIdentifiedByItsSerial()
{
    auto station = Station::open(one({.stock = "2.3.1"}));
    station->insert();
    QCOMPARE(station->run().verdict, Verdict::Pass);
    // As the operator's fingers leave it: SETUP and RESET, yellow.
    const SystemClock clock;
    const OpContext op{.clock = clock, .deadline = {clock.now() + 5s}};
    auto ports = station->bench().serial().enumerate();
    auto port = station->bench().serial().open(ports->front().path);
    QVERIFY(port);
    static_cast<void>((*port)->setBaud(14400));
    port->reset();
    const std::array dfu{UsbId{0x2B04, 0xD006}};
    QVERIFY(station->bench().usb().waitFor(station->bench().slots().front().port, dfu, op));
    const auto run = station->run();
    QVERIFY2(run.verdict == Verdict::Pass, told(run).c_str());
    QCOMPARE(station->record(run.run).route, std::string("dfu-serial"));
}

} // namespace provost::test

PROVOST_TEST("stock_states", provost::test::TstStockStates)
#include "tst_stock_states.moc"
