// P1s on carriers without USB: a debug probe and Serial1 bring them from stock to the verdict.
#include "support/proven_unit.h"
#include "support/test_program.h"

#include "core/byte_io.h"
#include "core/text.h"

#include <QTest>

namespace provost::test {

namespace {

StationSetup wiredP1(UnitWish unit)
{
    unit.platform = "p1";
    unit.usb = false;
    auto setup = one(std::move(unit), false);
    setup.plan = "p1-serial1";
    return setup;
}

} // namespace

class TstNoUsb : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void stock_becomesAProvenUnit_data();
    void stock_becomesAProvenUnit();
    void secondRun_keepsTheKey();
    void tableOfNewFirmware_isRefusedBeforeAnyWrite();
    void emptySlot_isNoUnit();
    void radio_isMeasuredAndJoinsWithoutKeeping();
    void deafRadio_isTheUnitsFaultWhereTheNetworkWorks();
    void bootloader_isReplacedUnderItsProtection();
    void anotherUnitBehindTheProbe_isNotWritten();
    void cutInTheMiddle_isInspectedAndRepaired();
};

void TstNoUsb::stock_becomesAProvenUnit_data()
{
    QTest::addColumn<QString>("key");
    QTest::addColumn<QString>("credentials");
    QTest::newRow("as from the maker") << "none" << "none";
    QTest::newRow("used in another plant") << "self-made" << "foreign";
    QTest::newRow("with a key of its own") << "burnt" << "none";
}

void TstNoUsb::stock_becomesAProvenUnit()
{
    QFETCH(const QString, key);
    QFETCH(const QString, credentials);
    auto station = Station::open(wiredP1(
        {.stock = "0.4.9", .key = key.toStdString(), .credentials = credentials.toStdString()}));
    station->insert();
    const auto wrong = runAndProve(*station, "swd");
    QVERIFY2(wrong.empty(), wrong.c_str());
    for (const auto& module : station->plan().shipping->modules) {
        const auto image = station->images().find("p1", module.role, module.version);
        QVERIFY(image);
        const Bytes found =
            station->board().readFlash((*image)->module.start, (*image)->module.moduleSize);
        QVERIFY2(equalBytes(found, ByteView((*image)->file).first(found.size())),
                 module.role.c_str());
    }
    QVERIFY(station->cloud().service().registry().find(station->board().deviceId()).value());
    // Nothing holds it any more: it waits for its owner.
    QCOMPARE(station->board().mode(), sim::BoardMode::Listening);
}

void TstNoUsb::secondRun_keepsTheKey()
{
    auto station = Station::open(wiredP1({.stock = "0.4.9"}));
    const auto first = station->runNext();
    QVERIFY2(first.verdict == Verdict::Pass, told(first).c_str());
    const Bytes key = privateSlot(station->board());
    const auto second = station->run();
    QVERIFY2(second.verdict == Verdict::Pass, told(second).c_str());
    QVERIFY(privateSlot(station->board()) == key);
    QVERIFY(station->attempt(second.run, "device-key").note.starts_with("kept"));
}

void TstNoUsb::tableOfNewFirmware_isRefusedBeforeAnyWrite()
{
    auto station = Station::open(wiredP1({.stock = "1.5.2"}));
    station->insert();
    const Bytes before = station->board().readFlash(0x08000000, 0x100000);
    VERIFY_RUN(station->run(), Verdict::Error, "C063");
    QVERIFY(station->board().readFlash(0x08000000, 0x100000) == before);
}

void TstNoUsb::emptySlot_isNoUnit()
{
    auto station = Station::open(wiredP1({.stock = "0.4.9"}));
    VERIFY_RUN(station->run(), Verdict::Error, "C010");
}

void TstNoUsb::radio_isMeasuredAndJoinsWithoutKeeping()
{
    auto station = Station::open(wiredP1({.stock = "0.4.9"}));
    bool kept = true;
    station->afterStep("serial-tester",
                       [&](int slot) { kept = station->board(slot).hasCredentials(); });
    station->insert();
    const auto run = station->run();
    QVERIFY2(run.verdict == Verdict::Pass, told(run).c_str());
    QVERIFY(!kept);
    const auto radio = station->attempt(run.run, "serial-tester");
    const auto rssi = std::ranges::find(radio.measurements, "rssi_dbm", &Measurement::name);
    QVERIFY(rssi != radio.measurements.end());
    QVERIFY(rssi->value && std::get<double>(*rssi->value) < 0);
    // No DFU, no retries of it: not measured, which is not 0.
    QCOMPARE(station->query("SELECT DISTINCT coalesce(CAST(number AS TEXT), 'none') FROM "
                            "measurement WHERE name = 'dfu_retries'"),
             std::vector<std::string>{"none"});
}

void TstNoUsb::deafRadio_isTheUnitsFaultWhereTheNetworkWorks()
{
    auto setup =
        wiredP1({.stock = "0.4.9", .faults = "[[slot.unit.fault]]\nkind = \"deaf-radio\"\n"});
    VERIFY_RUN(Station::open(std::move(setup))->runNext(), Verdict::Fail, "F502");
    setup = wiredP1({.stock = "0.4.9", .faults = "[[slot.unit.fault]]\nkind = \"deaf-radio\"\n"});
    setup.networkProven = false;
    VERIFY_RUN(Station::open(std::move(setup))->runNext(), Verdict::Error, "C073");
}

void TstNoUsb::bootloader_isReplacedUnderItsProtection()
{
    auto station = Station::open(wiredP1({.stock = "0.4.9"}));
    station->insert();
    const auto run = station->run();
    QVERIFY2(run.verdict == Verdict::Pass, told(run).c_str());
    const auto note = station->attempt(run.run, "update-bootloader").note;
    QVERIFY2(note.find("by SWD") != std::string::npos, note.c_str());
    station->bench().probe(1)->withChip(
        [](sim::Stm32Chip& chip) { QVERIFY(chip.flash().memory().bootloaderProtected()); });
}

void TstNoUsb::anotherUnitBehindTheProbe_isNotWritten()
{
    auto setup = wiredP1({.stock = "0.4.9"});
    setup.bench.supplies.front().push_back(setup.bench.supplies.front().front());
    auto station = Station::open(std::move(setup));
    station->insert();
    Bytes before;
    station->afterStep("backup-dct", [&](int slot) {
        station->insert(slot);
        before = station->board(slot).readFlash(0x08000000, 0x100000);
    });
    VERIFY_RUN(station->run(), Verdict::Error, "C016");
    QVERIFY(station->board().readFlash(0x08000000, 0x100000) == before);
}

void TstNoUsb::cutInTheMiddle_isInspectedAndRepaired()
{
    auto station = Station::open(wiredP1({.stock = "0.4.9"}));
    station->insert();
    // A write of the burn ends in an error of the access port: nobody saw what is on the unit.
    station->afterStep("flash-image", [&](int slot) {
        if (station->query("SELECT COUNT(*) FROM attempt WHERE step = 'flash-image'").front() ==
            "3")
            station->bench().probe(slot)->failCommand(0x08, 0x12, 1000); // every try of it
    });
    const auto broken = station->run();
    station->bench().probe(1)->failCommand(0x08, 0x12, 0);
    QVERIFY2(broken.verdict == Verdict::Error, told(broken).c_str());
    QVERIFY(!station->query("SELECT effect FROM unsettled_intent").empty());
    const auto next = station->run();
    QVERIFY2(next.verdict == Verdict::Pass, told(next).c_str());
}

} // namespace provost::test

PROVOST_TEST("no_usb", provost::test::TstNoUsb)
#include "tst_no_usb.moc"
