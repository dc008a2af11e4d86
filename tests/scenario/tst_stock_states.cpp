// Every state that units are delivered in, from the nest to the verdict and its record.
#include "core/byte_io.h"
#include "core/text.h"
#include "crypto/unit_key.h"
#include "support/station_fixture.h"

#include <QDir>
#include <QFile>
#include <QProcess>
#include <QTest>

#include <algorithm>

namespace provost::test {

namespace {

// The order is that of particle-devices 13.
constexpr const char* kSteps[] = {
    "identify",         "clear-credentials", "backup-dct",        "flash-image",
    "flash-image",      "restart",           "update-bootloader", "flash-image",
    "device-key",       "server-key",        "prove-keys",        "register",
    "give-credentials", "live-handshake",    "shipping-state",    "leave-unit-safe"};

/// Physical address of an offset in the current application DCT (particle-devices 3.1).
std::uint32_t inCurrentDct(const sim::VirtualPhoton& board, std::uint32_t offset)
{
    return 0x08004000U + 0x4000U * static_cast<std::uint32_t>(board.currentDct()) + 0x1D7C + offset;
}

int openssl(const QStringList& arguments)
{
    return QProcess::execute("openssl", arguments);
}

StationSetup one(UnitWish unit, bool modeButton = false)
{
    return {.bench = {.supplies = {{std::move(unit)}}, .modeButton = modeButton}};
}

std::string joined(const std::vector<std::string>& lines)
{
    std::string all;
    for (const auto& line : lines)
        all += line + "; ";
    return all;
}

bool holds(ByteView bytes, ByteView needle)
{
    return contains(bytes, needle);
}

/// Shipping state as seen by the bench itself, not through the station's eyes.
std::string leftOver(Station& station, const Bytes& formerPrivateSlot)
{
    const auto& board = station.board();
    const auto password = station.settings().network.password.reveal();
    const auto testKey = station.cloud().service().serverKey().modulus();
    for (int copy = 0; copy < 2; ++copy) {
        const Bytes dct = board.physicalDct(copy);
        if (holds(dct, password))
            return concat("copy ", copy + 1, " holds the test password");
        if (holds(dct, testKey))
            return concat("copy ", copy + 1, " holds the test server key");
        // Behind the head of the DER: the modulus of the key that was there before.
        if (!formerPrivateSlot.empty() && !allFf(formerPrivateSlot) &&
            holds(dct, ByteView(formerPrivateSlot).subspan(12, 100)))
            return concat("copy ", copy + 1, " holds the superseded key");
    }
    return board.hasCredentials() ? "credentials are stored" : "";
}

} // namespace

class TstStockStates : public QObject {
    Q_OBJECT

private:
    /// A run that must pass, and everything it must leave in the record.
    void passes(Station& station, const std::string& route);

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
    void selfMadeKey_isReplacedAndGoneFromBothCopies();
    void burntKey_ofSomebodyElse_isReplaced();
    void ownKey_isKeptInTheSecondRun();
    void ownKey_isNotKept_whereTheRecordDoesNotKnowIt();
    void keyOfAnotherUnit_isNeverKept();
    void mislabelledUnit_failsBeforeAnyWrite();
    void noLabelScanned_isNoFault();
    void unitInDfu_isIdentifiedByItsSerial();
    void withoutEscrowCertificate_onlyFingerprintsAreKept();
    void backups_areSealedToTheEscrowCertificate();
};

void TstStockStates::passes(Station& station, const std::string& route)
{
    const auto& board = station.board();
    const Bytes former = board.readFlash(inCurrentDct(board, 34), 612);
    const auto run = station.run();
    QVERIFY2(run.verdict == Verdict::Pass, told(run).c_str());
    const auto after = station.after();
    QVERIFY2(after.escapes.empty(), joined(after.escapes).c_str());
    QVERIFY2(after.violations.empty(), joined(after.violations).c_str());
    QCOMPARE(QString::fromStdString(leftOver(station, former)), QString());

    const auto record = station.record(run.run);
    QCOMPARE(record.verdict, Verdict::Pass);
    QCOMPARE(QString::fromStdString(record.route), QString::fromStdString(route));
    QVERIFY(record.start.simulated);
    QCOMPARE(record.start.planDigest.size(), std::size_t{64});
    std::vector<std::string> steps;
    for (const auto& attempt : record.attempts)
        steps.push_back(attempt.step);
    QVERIFY2(std::ranges::equal(steps, kSteps), joined(steps).c_str());
    QVERIFY(!record.handshake.empty());
    QVERIFY(std::ranges::none_of(record.handshake, &HandshakeArrow::failed));
    QCOMPARE(record.images.size(), std::size_t{4});

    const auto unit = station.journal().unit(board.deviceId());
    QVERIFY(unit.has_value());
    QCOMPARE(unit->state, std::string("pass"));
    const auto key = station.journal().keyOf(board.deviceId());
    QVERIFY(key && *key);
    QCOMPARE((*key)->state, std::string("registered"));
    const auto registered = station.cloud().service().registry().find(board.deviceId());
    QVERIFY(registered && *registered);
    QCOMPARE((*registered)->fingerprint(), (*key)->fingerprint);
    QVERIFY(station.query("SELECT effect FROM unsettled_intent").empty());
    const auto problem = verifyDatabase(station.database());
    QVERIFY(problem);
    QVERIFY2(!*problem, *problem ? (*problem)->reason.c_str() : "");
}

void TstStockStates::stock152_becomesAProvenUnit()
{
    auto station = Station::open(one({}));
    station->insert();
    passes(*station, "control-request");

    const auto runs = station->query("SELECT run_id FROM run");
    QCOMPARE(runs, std::vector<std::string>{"1"});
    // Intent before effect, settlement behind it, for both irreversible writes.
    const auto journal = station->query("SELECT kind || ' ' || subject || ' ' || payload FROM "
                                        "journal WHERE kind IN ('intend', 'settle') ORDER BY seq");
    QCOMPARE(journal.size(), std::size_t{4});
    QVERIFY(journal[0].starts_with("intend write-bootloader 502 to 1006"));
    QVERIFY(journal[1].starts_with("settle write-bootloader pass"));
    QVERIFY(journal[2].starts_with("intend burn-device-key "));
    QVERIFY(journal[3].starts_with("settle burn-device-key pass"));
    // The key is in the journal before its burn is announced.
    QCOMPARE(station->query("SELECT min(k.seq) < min(i.seq) FROM journal AS k, journal AS i "
                            "WHERE k.kind = 'key' AND i.subject = 'burn-device-key'"),
             std::vector<std::string>{"1"});
    const auto limits = station->query(
        "SELECT name || ' ' || unit || ' ' || ifnull(maximum, '') || ' ' || verdict FROM "
        "measurement WHERE maximum IS NOT NULL ORDER BY name");
    QCOMPARE(limits,
             (std::vector<std::string>{"handshake_ms ms 5000.0 pass", "join_s s 30.0 pass"}));
    // Not measured is not 0.
    QCOMPARE(station->query("SELECT count(*) FROM measurement WHERE name = 'rssi_dbm' AND "
                            "number IS NULL AND verdict = 'not-run'"),
             std::vector<std::string>{"1"});
    QCOMPARE(station->query("SELECT count(*) FROM measurement WHERE name = 'seconds' AND "
                            "number IS NOT NULL AND unit = 's'"),
             std::vector<std::string>{std::to_string(std::size(kSteps))});
    QCOMPARE(station->query("SELECT count(*) FROM outbox"), std::vector<std::string>{"0"});
}

void TstStockStates::stock049_withItsConstantSerial_becomesAProvenUnit()
{
    auto station = Station::open(one({.stock = "0.4.9"}));
    station->insert();
    passes(*station, "listening");
    QCOMPARE(station->board().systemVersion(), std::string("2.3.1"));
}

void TstStockStates::stock063_thatPutsBootloader11Back_becomesAProvenUnit()
{
    auto station = Station::open(one({.stock = "0.6.3"}));
    station->insert();
    passes(*station, "control-request");
    const auto images = station->query("SELECT role || ' ' || module_version FROM image_use "
                                       "WHERE role = 'bootloader'");
    QCOMPARE(images, std::vector<std::string>{"bootloader 1006"});
}

void TstStockStates::stock231_keepsTheImagesItHolds()
{
    auto station = Station::open(one({.stock = "2.3.1"}));
    station->insert();
    passes(*station, "control-request");
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
    passes(*station, "dfu-serial");
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
    passes(*station, "control-request");
    QVERIFY(!stored);
    QCOMPARE(attemptsWhenRegistered, attemptsWhenCleared);
    const auto run = station->sink().all<RunFinished>().back();
    QVERIFY(station->attempt(run.run, "clear-credentials").note.starts_with("cleared by USB"));
}

void TstStockStates::foreignCredentials_areClearedByUsbRequest()
{
    auto station = Station::open(one({.credentials = "foreign"}));
    station->insert();
    passes(*station, "control-request");
    for (int copy = 0; copy < 2; ++copy)
        QVERIFY(!holds(station->board().physicalDct(copy), viewOf("another-plant-1")));
}

void TstStockStates::credentials_of063_needTheModeButton()
{
    auto without = Station::open(one({.stock = "0.6.3", .credentials = "foreign"}));
    const auto refused = without->runNext();
    QCOMPARE(refused.verdict, Verdict::Error);
    QCOMPARE(refused.cause, std::string("C060"));
    QCOMPARE(without->meddling().downloads.load(), 0);

    auto with = Station::open(one({.stock = "0.6.3", .credentials = "foreign"}, true));
    with->insert();
    passes(*with, "control-request");
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
    if (modeButton)
        return passes(*station, "listening");
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

void TstStockStates::selfMadeKey_isReplacedAndGoneFromBothCopies()
{
    auto station = Station::open(one({.key = "self-made"}));
    station->insert();
    passes(*station, "control-request");
    const auto run = station->sink().all<RunFinished>().back();
    const auto note = station->attempt(run.run, "device-key").note;
    QVERIFY2(note.find("not ours by record") != std::string::npos, note.c_str());
}

void TstStockStates::burntKey_ofSomebodyElse_isReplaced()
{
    auto station = Station::open(one({.key = "burnt"}));
    station->insert();
    passes(*station, "control-request");
}

void TstStockStates::ownKey_isKeptInTheSecondRun()
{
    auto station = Station::open(one({}));
    const auto first = station->runNext();
    QVERIFY2(first.verdict == Verdict::Pass, told(first).c_str());
    const auto key = station->journal().keyOf(station->board().deviceId());
    const auto second = station->run();
    QVERIFY2(second.verdict == Verdict::Pass, told(second).c_str());
    const auto note = station->attempt(second.run, "device-key").note;
    QVERIFY2(note.starts_with("kept"), note.c_str());
    const auto keys = station->journal().keysOf(station->board().deviceId());
    QVERIFY(keys);
    QCOMPARE(keys->size(), std::size_t{1});
    QCOMPARE(keys->front().fingerprint, (*key)->fingerprint);
    QCOMPARE(station->query("SELECT count(*) FROM journal WHERE kind = 'intend' AND run_id = 2"),
             std::vector<std::string>{"0"});
}

void TstStockStates::ownKey_isNotKept_whereTheRecordDoesNotKnowIt()
{
    // The same unit, a new database: readable is not enough.
    auto station = Station::open(one({}));
    QCOMPARE(station->runNext().verdict, Verdict::Pass);
    const auto before = station->board().readFlash(0x08004000, 0x8000);
    auto other = Station::open(one({}));
    other->insert();
    for (unsigned copy = 0; copy < 2; ++copy)
        other->board().pokeFlash(0x08004000 + 0x4000 * copy,
                                 ByteView(before).subspan(0x4000 * copy, 0x1D7C + 2082));
    const auto run = other->run();
    QVERIFY2(run.verdict == Verdict::Pass, told(run).c_str());
    QVERIFY(!other->attempt(run.run, "device-key").note.starts_with("kept"));
}

void TstStockStates::keyOfAnotherUnit_isNeverKept()
{
    auto station = Station::open(one({.count = 2}));
    QCOMPARE(station->runNext().verdict, Verdict::Pass);
    const auto first = station->board().deviceId();
    const auto slots = station->board().readFlash(inCurrentDct(station->board(), 34), 1216 + 384);
    station->insert();
    station->board().pokeDct(34, slots);
    const auto run = station->run();
    QVERIFY2(run.verdict == Verdict::Pass, told(run).c_str());
    const auto note = station->attempt(run.run, "device-key").note;
    QVERIFY2(note.find("another unit") != std::string::npos, note.c_str());
    const auto mine = station->journal().keyOf(station->board().deviceId());
    const auto theirs = station->journal().keyOf(first);
    QVERIFY((*mine)->fingerprint != (*theirs)->fingerprint);
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

void TstStockStates::noLabelScanned_isNoFault()
{
    auto station = Station::open(one({}));
    station->insert();
    const auto run = station->run(1, "");
    QVERIFY2(run.verdict == Verdict::Pass, told(run).c_str());
    QVERIFY(station->attempt(run.run, "identify").note.find("no label") != std::string::npos);
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

void TstStockStates::withoutEscrowCertificate_onlyFingerprintsAreKept()
{
    auto station = Station::open(one({.key = "burnt"}));
    const auto run = station->runNext();
    QVERIFY2(run.verdict == Verdict::Pass, told(run).c_str());
    for (const auto& entry : std::filesystem::directory_iterator(station->folder()))
        QVERIFY(entry.path().extension() != ".cms");
    const auto rows = station->query("SELECT payload FROM journal WHERE kind = 'backup'");
    QCOMPARE(rows.size(), std::size_t{1});
    QVERIFY2(rows[0].find("copy1=") != std::string::npos, rows[0].c_str());
}

void TstStockStates::backups_areSealedToTheEscrowCertificate()
{
    const auto folder = QString::fromStdString(newFolder().string());
    QCOMPARE(
        openssl({"req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", folder + "/escrow.key",
                 "-out", folder + "/escrow.pem", "-days", "2", "-subj", "/CN=escrow", "-batch"}),
        0);
    QFile certificate(folder + "/escrow.pem");
    QVERIFY(certificate.open(QIODevice::ReadOnly));
    auto setup = one({.key = "burnt"});
    setup.escrowCertificate = toBytes(certificate.readAll().toStdString());
    auto station = Station::open(std::move(setup));
    station->insert();
    Bytes before;
    station->afterStep("clear-credentials",
                       [&](int) { before = station->board().readFlash(0x08004000, 0x8000); });
    const auto run = station->run();
    QVERIFY2(run.verdict == Verdict::Pass, told(run).c_str());

    const QDir backups(QString::fromStdString(station->folder().string()));
    const auto files = backups.entryInfoList({"*.cms"}, QDir::Files);
    QCOMPARE(files.size(), 1);
    QCOMPARE(files[0].permissions() & (QFile::ReadGroup | QFile::ReadOther), QFile::Permissions{});
    QCOMPARE(openssl({"cms", "-decrypt", "-inform", "DER", "-binary", "-in", files[0].filePath(),
                      "-inkey", folder + "/escrow.key", "-out", folder + "/dct.bin"}),
             0);
    QFile opened(folder + "/dct.bin");
    QVERIFY(opened.open(QIODevice::ReadOnly));
    QCOMPARE(toBytes(opened.readAll().toStdString()), before);
}

} // namespace provost::test

QTEST_GUILESS_MAIN(provost::test::TstStockStates)
#include "tst_stock_states.moc"
