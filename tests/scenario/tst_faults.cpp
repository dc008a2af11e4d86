// What goes wrong on a line, and what the station says about it: the right verdict, one cause,
// never a hang, never a PASS.
#include "core/byte_io.h"
#include "core/text.h"
#include "crypto/unit_key.h"
#include "engine/causes.h"
#include "support/photon_facts.h"
#include "support/proven_unit.h"
#include "support/station_fixture.h"
#include "support/test_program.h"

#include <QTest>

#include <algorithm>
#include <array>
#include <csignal>
#include <sys/resource.h>

namespace provost::test {

namespace {

constexpr std::uint32_t kPublicKey = 1250;
constexpr std::uint32_t kStaticAddress = 1634;
constexpr std::uint32_t kUnused = 1658; // 95 bytes that nobody reads
constexpr std::uint32_t kUpdateFlag = 1753;
constexpr std::uint32_t kClaimCode = 1762;
constexpr std::uint32_t kClaimed = 1825;
constexpr std::uint32_t kNameServers = 1890;
constexpr std::uint32_t kServerKey = 2082;
constexpr std::uint32_t kServerAddress = 2466;
constexpr std::uint32_t kPendingModules = 2852;
constexpr std::uint32_t kEapArea = 3823;
constexpr std::uint32_t kWifi = 0x1A30;  // of the sector, particle-devices 3.1
constexpr std::uint32_t kModulusIn = 11; // of the private key, particle-devices 4.1
constexpr std::size_t kModulusBytes = 128;

/// Turns one byte of the current DCT over.
void spoil(Station& station, int slot, std::uint32_t offset)
{
    auto& board = station.board(slot);
    const auto base =
        0x08004000U + 0x4000U * static_cast<std::uint32_t>(board.currentDct()) + 0x1D7C;
    Bytes one = board.readFlash(base + offset, 1);
    one[0] ^= std::byte{0x5A};
    board.pokeDct(offset, one);
}

/// What a leftover of that name looks like.
/// @param before  modulus of the key that the unit came with
Bytes leftoverBytes(Station& station, const sim::VirtualBoard& board, std::string_view name,
                    std::uint32_t offset, const Bytes& before)
{
    constexpr std::size_t kRest = 40; // of the 128 or 256 bytes
    const auto behind = [&](const Bytes& number) {
        return Bytes(number.begin() + 60, number.begin() + 60 + kRest);
    };
    const Bytes server = station.cloud().service().serverKey().modulus();
    if (name == "server key")
        return server;
    if (name == "rest of server key")
        return behind(server);
    if (name == "key before")
        return RsaPublicKey::fromNumbers(before, Bytes{std::byte{1}, std::byte{0}, std::byte{1}})
            ->toDer();
    if (name == "rest of it")
        return behind(before);
    if (name == "unknown key")
        return generateUnitKey()->publicKey.toDer();
    if (name == "unknown exponent") {
        const auto key = generateUnitKey();
        const ByteView der = key->privateDer.reveal();
        return toBytes(der.subspan(139, 5 + 4 + 80)); // e, and as much of d as there is room for
    }
    if (name == "?") // a byte of a random key, or of erased memory: another one than is there
        return {board.readFlash(inCurrentDct(board, offset), 1).front() ^ std::byte{0xFF}};
    return toBytes(name);
}

/// As in the sectors of a unit that was given credentials: configured, SSID, open network.
void storeForeignCredentials(sim::VirtualBoard& board)
{
    Bytes record;
    ByteWriter(record).u8(1).u8(5).text("other").fill(27, std::byte{0}).u8(0).u8(0);
    for (const unsigned copy : {0U, 1U})
        board.pokeFlash(0x08004000 + 0x4000 * copy + kWifi, record);
}

} // namespace

class TstFaults : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void emptySlot_isACheck();
    void unplugged_isACheckAndConsumesNoAttempt();
    void brokenTransfer_neverEndsInAFalsePass_data();
    void brokenTransfer_neverEndsInAFalsePass();
    void dfuRetries_areMeasured();
    void anotherUnitInTheSlot_isNoticed();
    void foreignBoard_isRefused();
    void consoleInUse_isACheck();
    void damagedMemory_isFoundByTheInspection();
    void changedByte_isFound();
    void changedServerKey_isSeenByTheHandshake();
    void blankServerKey_isSeenByTheHandshake();
    void falsifiedWrite_doesNotReadBack_data();
    void falsifiedWrite_doesNotReadBack();
    void shippingState_isProvedFieldByField();
    void testNetwork_isFoundAsWhatItIs_data();
    void testNetwork_isFoundAsWhatItIs();
    void productThatStaysAtTheTestEndpoint_passes();
    void demoImages_areRefusedOnARealUnit();
    void secondHolderOfTheDatabase_isRefused();
    void fullDisk_isACheckAndNeverAPass_data();
    void fullDisk_isACheckAndNeverAPass();
    void valueOutOfItsLimits_fails();
    void failedAttempt_staysVisibleBesideTheGoodOne();
};

void TstFaults::emptySlot_isACheck()
{
    auto station = quick();
    const auto run = station->run(1, "label");
    VERIFY_RUN(run, Verdict::Error, "C010");
    QCOMPARE(station->query("SELECT verdict || simulated FROM run"),
             std::vector<std::string>{"error1"});
}

void TstFaults::unplugged_isACheckAndConsumesNoAttempt()
{
    // One slot for each place at which the cable comes out; all run at once.
    constexpr std::array kTransfers{1U, 3U, 9U, 17U, 30U, 61U, 120U, 250U, 400U, 700U, 950U};
    constexpr int kSlots = kTransfers.size();
    auto station = Station::open({.bench = {.supplies = {kSlots, {UnitWish{}}}}});
    for (int slot = 1; slot <= kSlots; ++slot)
        station->insert(slot);
    station->settle(kSlots);
    for (int slot = 1; slot <= kSlots; ++slot)
        QVERIFY(station->bench().failTransfer(
            slot, kTransfers.at(static_cast<std::size_t>(slot) - 1), sim::FaultKind::Unplug));
    for (const auto& run : station->runAll(kSlots)) {
        VERIFY_RUN(run, Verdict::Error, "C011");
        if (run.unit.deviceId.empty())
            continue;
        const auto unit = station->journal().unit(run.unit.deviceId);
        QVERIFY(unit->state == "new" || unit->state == "inspect");
    }
    // Not judged: the yield does not know of them.
    const auto counts = station->journal().counts({});
    QCOMPARE(counts->judgedUnits, 0);
    QCOMPARE(counts->error, kSlots);
    // Plugged in again, each becomes a product, inspected first where it must be.
    for (int slot = 1; slot <= kSlots; ++slot)
        QVERIFY(station->bench().setPower(slot, true));
    for (const auto& run : station->runAll(kSlots)) {
        VERIFY_RUN(run, Verdict::Pass, "");
        QVERIFY(!*station->journal().needsInspection(run.unit.deviceId));
    }
    QVERIFY(station->query("SELECT effect FROM unsettled_intent").empty());
}

void TstFaults::brokenTransfer_neverEndsInAFalsePass_data()
{
    QTest::addColumn<int>("kind");
    QTest::newRow("stall") << static_cast<int>(sim::FaultKind::Stall);
    QTest::newRow("timeout") << static_cast<int>(sim::FaultKind::Timeout);
    QTest::newRow("short") << static_cast<int>(sim::FaultKind::Short);
}

void TstFaults::brokenTransfer_neverEndsInAFalsePass()
{
    QFETCH(const int, kind);
    constexpr std::array kTransfers{2U, 5U, 11U, 40U, 90U, 300U, 650U, 850U};
    constexpr int kSlots = kTransfers.size();
    auto station = Station::open({.bench = {.supplies = {kSlots, {UnitWish{}}}}});
    for (int slot = 1; slot <= kSlots; ++slot)
        station->insert(slot);
    station->settle(kSlots);
    for (int slot = 1; slot <= kSlots; ++slot)
        QVERIFY(station->bench().failTransfer(slot,
                                              kTransfers.at(static_cast<std::size_t>(slot) - 1),
                                              static_cast<sim::FaultKind>(kind)));
    for (const auto& run : station->runAll(kSlots)) {
        QCOMPARE(station->record(run.run).verdict, run.verdict);
        // A driver or the plan may repeat what is safe to repeat; then all was proved all the same.
        if (run.verdict == Verdict::Pass) {
            QVERIFY(!station->board(run.slot.value).hasCredentials());
            continue;
        }
        // One bad transfer judges nobody.
        const std::vector<std::string> fitting{"C015", "C030", "C014", "C012"};
        QVERIFY2(std::ranges::find(fitting, run.cause) != fitting.end(), told(run).c_str());
    }
    QVERIFY(verifyDatabase(station->database()).value() == std::nullopt);
}

void TstFaults::dfuRetries_areMeasured()
{
    const auto retries = [](Station& station, const char* step) {
        return station.query(concat("SELECT coalesce(CAST(m.number AS INTEGER), 'none') FROM "
                                    "measurement m JOIN attempt a USING (attempt_id) WHERE "
                                    "m.name = 'dfu_retries' AND a.step = '",
                                    step, "' ORDER BY attempt_id"));
    };
    const std::vector<std::string> noneOfThree{"0", "0", "0"};
    auto clean = quick();
    VERIFY_RUN(clean->runNext(), Verdict::Pass, "");
    QCOMPARE(retries(*clean, "flash-image"), noneOfThree);
    QCOMPARE(retries(*clean, "shipping-state"), std::vector<std::string>{"0"});
    QVERIFY(retries(*clean, "identify").empty());
    // The first try breaks off; the second renews the session on the same start of the unit.
    auto broken = quick();
    bool done = false;
    broken->sink().setHook([&](const StationEvent& event) {
        const auto* started = std::get_if<StepStarted>(&event);
        if (started != nullptr && started->name == "Write system part 1" &&
            !std::exchange(done, true))
            static_cast<void>(broken->bench().failTransfer(1, 30, sim::FaultKind::Stall));
    });
    VERIFY_RUN(broken->runNext(), Verdict::Pass, "");
    const auto seen = retries(*broken, "flash-image");
    QCOMPARE(seen.size(), std::size_t{3});
    QVERIFY2(std::stoi(seen[0]) >= 1, seen[0].c_str());
    QCOMPARE(seen[1], std::string("0"));
}

void TstFaults::anotherUnitInTheSlot_isNoticed()
{
    auto station = quick({.count = 2});
    station->insert();
    station->afterStep("backup-dct", [&](int) { station->insert(); });
    const auto run = station->run();
    VERIFY_RUN(run, Verdict::Error, "C016");
    QCOMPARE(station->meddling().downloads.load(), 0);
}

void TstFaults::foreignBoard_isRefused()
{
    auto station = quick();
    station->meddling().onInfo([](UsbDeviceInfo& info) { info.id = {0x2B04, 0xC00A}; });
    const auto run = station->runNext();
    VERIFY_RUN(run, Verdict::Error, "C013");
    QCOMPARE(station->meddling().outTransfers.load(), 0);
}

void TstFaults::consoleInUse_isACheck()
{
    auto station = quick({.stock = "0.4.9"});
    station->insert();
    station->settle();
    const auto held =
        station->bench().serial().open(station->bench().serial().enumerate()->front().path);
    QVERIFY(held);
    const auto run = station->run();
    VERIFY_RUN(run, Verdict::Error, "C031");
}

void TstFaults::damagedMemory_isFoundByTheInspection()
{
    // Cut off in the burn; then neither DCT copy counts any more.
    auto station = quick();
    station->insert();
    station->sink().setHook([&](const StationEvent& event) {
        const auto* critical = std::get_if<CriticalWrite>(&event);
        if (critical != nullptr && critical->on && critical->what == "burn-device-key")
            static_cast<void>(station->bench().failTransfer(1, 2, sim::FaultKind::Unplug));
    });
    VERIFY_RUN(station->run(), Verdict::Error, "C011");
    station->sink().setHook({});
    QVERIFY(*station->journal().needsInspection(station->board().deviceId()));
    station->afterStep("identify", [&](int slot) {
        for (const unsigned copy : {0U, 1U})
            station->board(slot).pokeFlash(0x08004000 + 0x4000 * copy + 9, Bytes(1));
    });
    QVERIFY(station->bench().setPower(1, true));
    VERIFY_RUN(station->run(), Verdict::Fail, "F122");
    QCOMPARE(station->journal().unit(station->board().deviceId())->state, std::string("inspect"));
}

void TstFaults::changedByte_isFound()
{
    struct Change {
        std::string_view behind;
        std::uint32_t offset;
        std::string_view cause;
    };
    constexpr std::array kChanges{
        Change{"server-key", photon::kPrivateKey + 60, "F201"}, // the modulus
        Change{"server-key", photon::kPrivateKey + 9,
               "F214"}, // a length that the unit's reader ignores
        Change{"server-key", photon::kPrivateKey + 1100, "F214"}, // filler behind the key
        Change{"server-key", kPublicKey + 60, "F214"},
        Change{"server-key", kServerKey + 100, "F215"},
        Change{"server-key", kServerAddress + 5, "F216"},
        // Behind the proof the live handshake fails, and what is on the unit says why,
        Change{"prove-keys", photon::kPrivateKey + 300, "F201"}, // a prime
        Change{"prove-keys", kServerKey + 100, "F401"},
        Change{"prove-keys", kServerAddress + 5, "F408"},
        Change{"prove-keys", kServerAddress + 66, "F408"},
        // and what not even that sees, the shipping state finds.
        Change{"live-handshake", photon::kPrivateKey + 9, "F303"},
    };
    constexpr int kSlots = kChanges.size();
    auto station =
        Station::open({.bench = {.supplies = {kSlots, {UnitWish{}}}}, .handshakeWithin = 3s});
    for (int slot = 1; slot <= kSlots; ++slot)
        station->insert(slot);
    for (const std::string step : {"server-key", "prove-keys", "live-handshake"})
        station->afterStep(step, [&, step](int slot) {
            const auto& change = kChanges.at(static_cast<std::size_t>(slot) - 1);
            if (change.behind == step)
                spoil(*station, slot, change.offset);
        });
    for (const auto& run : station->runAll(kSlots)) {
        const auto& change = kChanges.at(static_cast<std::size_t>(run.slot.value) - 1);
        VERIFY_RUN(run, Verdict::Fail, change.cause);
        QCOMPARE(station->journal().unit(run.unit.deviceId)->state, std::string("fail"));
        // Whatever happened, the teardown took the test credentials back,
        QVERIFY(!station->board(run.slot.value).hasCredentials());
        // and the unit dialled where its memory says and nowhere else.
        QVERIFY(station->after(run.slot.value).escapes.empty());
    }
}

void TstFaults::changedServerKey_isSeenByTheHandshake()
{
    // The endpoint cannot read who knocks: with other units around, it waits for the limit.
    auto station = quick();
    station->insert();
    station->afterStep("prove-keys", [&](int slot) { spoil(*station, slot, kServerKey + 100); });
    const auto run = station->run();
    VERIFY_RUN(run, Verdict::Fail, "F401");
}

void TstFaults::blankServerKey_isSeenByTheHandshake()
{
    // From 0.7.0 on the unit dials with the public cloud's key instead (particle-devices 3.6).
    auto station = quick();
    station->insert();
    station->afterStep("prove-keys", [&](int slot) {
        station->board(slot).pokeDct(kServerKey, Bytes(384, std::byte{0xFF}));
    });
    const auto run = station->run();
    VERIFY_RUN(run, Verdict::Fail, "F401");
    const auto log = station->board().log();
    const auto said = [&log](std::string_view text) {
        return std::ranges::any_of(
            log, [text](const auto& line) { return line.find(text) != std::string::npos; });
    };
    QVERIFY(said("Public Server Key was blank, restoring."));
    QVERIFY(said("Unable to receive key -19"));
    QVERIFY(station->after().escapes.empty());
}

void TstFaults::falsifiedWrite_doesNotReadBack_data()
{
    QTest::addColumn<QString>("step");
    QTest::addColumn<QString>("cause");
    QTest::newRow("system part") << "flash-image" << "F110";
    QTest::newRow("device key") << "device-key" << "F214";
    QTest::newRow("server key") << "server-key" << "F215";
}

void TstFaults::falsifiedWrite_doesNotReadBack()
{
    QFETCH(const QString, step);
    QFETCH(const QString, cause);
    auto station = quick();
    station->insert();
    std::string present;
    station->sink().setHook([&](const StationEvent& event) {
        if (const auto* started = std::get_if<StepStarted>(&event))
            present = station->plan().steps.at(static_cast<std::size_t>(started->index)).use;
    });
    station->meddling().onOut([&](const ControlSetup& setup, Bytes& data) {
        const bool isWrite = setup.requestType == 0x21 && setup.request == 1 && setup.value > 1;
        if (isWrite && present == step.toStdString() && data.size() > 60)
            data[50] ^= std::byte{1};
    });
    const auto run = station->run();
    VERIFY_RUN(run, Verdict::Fail, cause.toStdString());
    if (step != "device-key")
        return;
    // The read-back judged it: the intent is settled, as failed.
    QCOMPARE(station->query("SELECT payload FROM journal WHERE kind = 'settle' AND subject = "
                            "'burn-device-key'"),
             std::vector<std::string>{"fail"});
}

void TstFaults::shippingState_isProvedFieldByField()
{
    struct Leftover {
        std::uint32_t offset;
        std::string_view bytes;
        std::string_view cause;
    };
    constexpr std::array kLeftovers{
        Leftover{kClaimCode, "claim", "F301"},
        Leftover{kClaimed, "1", "F301"},
        Leftover{kStaticAddress, "\x0a", "F301"},
        Leftover{kNameServers, "\x08", "F301"},
        Leftover{kUpdateFlag, "\xa5", "F301"},
        Leftover{kPendingModules, "\xcd\xab", "F301"},
        Leftover{kUnused, "bench-secret-4711", "F302"}, // the test password
        Leftover{photon::kPrivateKey + 60, "?", "F303"},
        Leftover{kPublicKey + 60, "?", "F303"},
        Leftover{kPublicKey + 200, "?", "F303"},          // behind the public key
        Leftover{photon::kPrivateKey + 700, "?", "F303"}, // behind the private one
        Leftover{kEapArea, "key before", "F303"},         // the public key of an earlier life
        Leftover{kUnused, "rest of it", "F303"},          // what was left of its modulus
        Leftover{kEapArea, "unknown key", "F303"},
        Leftover{kUnused, "unknown exponent", "F303"},
        Leftover{kEapArea, "server key", "F304"}, // the test server's modulus
        Leftover{kUnused, "rest of server key", "F304"},
        Leftover{0, "credentials", "F305"},
    };
    constexpr int kSlots = kLeftovers.size();
    auto station = Station::open({.bench = {.supplies = {kSlots, {UnitWish{.key = "burnt"}}}}});
    std::array<Bytes, kSlots + 1> before{};
    for (int slot = 1; slot <= kSlots; ++slot) {
        station->insert(slot);
        const auto& board = station->board(slot);
        before.at(static_cast<std::size_t>(slot)) =
            board.readFlash(inCurrentDct(board, photon::kPrivateKey + kModulusIn), kModulusBytes);
    }
    std::array<int, kSlots + 1> writes{};
    std::array<bool, kSlots + 1> inShipping{};
    station->sink().setHook([&](const StationEvent& event) {
        if (const auto* started = std::get_if<StepStarted>(&event))
            inShipping.at(static_cast<std::size_t>(started->slot.value)) =
                station->plan().steps.at(static_cast<std::size_t>(started->index)).use ==
                "shipping-state";
        const auto* critical = std::get_if<CriticalWrite>(&event);
        if (critical == nullptr)
            return;
        const auto slot = static_cast<std::size_t>(critical->slot.value);
        const auto& leftover = kLeftovers.at(slot - 1);
        const bool isWifi = leftover.cause == "F305";
        if (!inShipping.at(slot))
            return;
        // Before the first write, so that it gets into both copies; credentials behind the last.
        if (critical->on && ++writes.at(slot) == 1 && !isWifi) {
            auto& board = station->board(critical->slot.value);
            const Bytes bytes =
                leftoverBytes(*station, board, leftover.bytes, leftover.offset, before.at(slot));
            board.pokeDct(leftover.offset, bytes);
        }
        if (!critical->on && writes.at(slot) == 2 && isWifi)
            storeForeignCredentials(station->board(critical->slot.value));
    });
    for (const auto& run : station->runAll(kSlots)) {
        const auto& leftover = kLeftovers.at(static_cast<std::size_t>(run.slot.value) - 1);
        VERIFY_RUN(run, Verdict::Fail, leftover.cause);
        QCOMPARE(station->attempt(run.run, "shipping-state").cause, std::string(leftover.cause));
    }
}

void TstFaults::testNetwork_isFoundAsWhatItIs_data()
{
    QTest::addColumn<QString>("ssid");
    QTest::addColumn<QString>("password");
    QTest::addColumn<QString>("leftover");
    QTest::addColumn<QString>("words"); ///< of the FAIL; empty: PASS
    const QString secret = "bench-secret-4711";
    const QString host = "device.demo.example"; // of the shipping state
    QTest::newRow("name inside the shipping host") << "demo" << secret << "" << "";
    QTest::newRow("name of one letter") << "e" << secret << "" << "";
    QTest::newRow("password inside the shipping host") << "bench" << host.first(11) << "" << "";
    QTest::newRow("that name is stored") << "demo" << secret << "ssid" << "names the test network";
    QTest::newRow("that letter is stored") << "e" << secret << "ssid" << "names the test network";
    QTest::newRow("that password is stored")
        << "bench" << host.first(11) << "password" << "holds the password";
}

void TstFaults::testNetwork_isFoundAsWhatItIs()
{
    QFETCH(const QString, ssid);
    QFETCH(const QString, password);
    QFETCH(const QString, leftover);
    QFETCH(const QString, words);
    auto station =
        Station::open({.bench = {.ssid = ssid.toStdString(), .password = password.toStdString()}});
    station->insert();
    int shippingWrites = 0;
    bool written = false;
    station->sink().setHook([&](const StationEvent& event) {
        const auto* critical = std::get_if<CriticalWrite>(&event);
        if (critical != nullptr && critical->on && critical->what == "write-shipping-server-key")
            written = ++shippingWrites == 2;
        if (critical == nullptr || critical->on || !std::exchange(written, false))
            return;
        if (leftover == "password")
            station->board().pokeDct(kUnused, toBytes(password.toStdString()));
        if (leftover == "ssid") // of a network that is forgotten, but not wiped
            station->board().pokeFlash(
                0x08008000 + kWifi + 1,
                toBytes(concat(static_cast<char>(ssid.size()), ssid.toStdString())));
    });
    const auto run = station->run();
    if (leftover.isEmpty()) {
        VERIFY_RUN(run, Verdict::Pass, "");
        return;
    }
    VERIFY_RUN(run, Verdict::Fail, "F302");
    QVERIFY2(run.error.find(words.toStdString()) != std::string::npos, run.error.c_str());
    QVERIFY(run.error.find(password.toStdString()) == std::string::npos);
}

void TstFaults::productThatStaysAtTheTestEndpoint_passes()
{
    // Its server key is where it belongs, and nowhere else.
    auto station = quick({}, 6s);
    auto& service = station->cloud().service();
    auto shipping = std::make_shared<ShippingState>(*station->plan().shipping);
    shipping->serverKeyDer = service.serverKey().toDer();
    shipping->address.host = "device.own.example";
    station->plan().shipping = shipping;
    VERIFY_RUN(station->runNext(), Verdict::Pass, "");
    station->sink().setHook([&](const StationEvent& event) {
        const auto* critical = std::get_if<CriticalWrite>(&event);
        if (critical != nullptr && critical->on && critical->what == "write-shipping-server-key")
            station->board().pokeDct(kEapArea, service.serverKey().modulus());
    });
    VERIFY_RUN(station->run(), Verdict::Fail, "F304");
}

void TstFaults::demoImages_areRefusedOnARealUnit()
{
    auto station = quick();
    station->meddling().real = true;
    const auto run = station->runNext();
    VERIFY_RUN(run, Verdict::Error, "C041");
    QCOMPARE(station->meddling().outTransfers.load(), 0);

    // And where a plan says nothing about it, each write asks again.
    auto second = quick();
    second->meddling().real = true;
    second->plan().demo = false;
    const auto late = second->runNext();
    VERIFY_RUN(late, Verdict::Error, "C041");
    QCOMPARE(second->meddling().downloads.load(), 0);
}

void TstFaults::secondHolderOfTheDatabase_isRefused()
{
    auto station = quick();
    const SystemClock clock;
    const auto second = Journal::open(station->database(), clock);
    QVERIFY(!second);
    QCOMPARE(second.error().code, Errc::Busy);
    QCOMPARE(causeOf(second.error()).id, std::string_view("C051"));
}

void TstFaults::fullDisk_isACheckAndNeverAPass_data()
{
    QTest::addColumn<QString>("behind");
    for (const char* step :
         {"identify", "restart", "device-key", "live-handshake", "shipping-state"})
        QTest::newRow(step) << QString(step);
}

void TstFaults::fullDisk_isACheckAndNeverAPass()
{
    QFETCH(const QString, behind);
    std::signal(SIGXFSZ, SIG_IGN);
    auto station = quick({}, 6s);
    station->insert();
    rlimit before{};
    QCOMPARE(getrlimit(RLIMIT_FSIZE, &before), 0);
    station->afterStep(behind.toStdString(), [&](int) {
        const rlimit full{.rlim_cur = 4096, .rlim_max = before.rlim_max};
        setrlimit(RLIMIT_FSIZE, &full);
    });
    const auto run = station->run();
    setrlimit(RLIMIT_FSIZE, &before);
    VERIFY_RUN(run, Verdict::Error, "C050");
    QVERIFY(station->query("SELECT run_id FROM run WHERE verdict = 'pass'").empty());
}

void TstFaults::valueOutOfItsLimits_fails()
{
    auto station = quick({}, 6s);
    for (auto& step : station->plan().steps) {
        if (step.use == "live-handshake")
            step.limits["handshake_ms"] = {.max = 0.001, .unit = "ms"};
    }
    const auto run = station->runNext();
    VERIFY_RUN(run, Verdict::Fail, "F501");
    QCOMPARE(station->query("SELECT verdict FROM measurement WHERE name = 'handshake_ms'"),
             std::vector<std::string>{"fail"});
}

void TstFaults::failedAttempt_staysVisibleBesideTheGoodOne()
{
    auto station = quick({}, 6s);
    station->insert();
    bool once = false;
    station->afterStep("flash-image", [&](int) { once = true; });
    station->meddling().onOut([&](const ControlSetup& setup, Bytes& data) {
        const bool isWrite = setup.requestType == 0x21 && setup.request == 1 && setup.value > 1;
        if (isWrite && data.size() == 4096 && !once)
            data[50] ^= std::byte{1};
    });
    const auto run = station->run();
    VERIFY_RUN(run, Verdict::Pass, "");
    const auto attempts = station->query("SELECT attempt || ' ' || verdict || ' ' || cause FROM "
                                         "attempt WHERE name = 'Write system part 1'");
    QCOMPARE(attempts, (std::vector<std::string>{"1 fail F110", "2 pass "}));
    QVERIFY(verifyDatabase(station->database()).value() == std::nullopt);
}

} // namespace provost::test

PROVOST_TEST("faults", provost::test::TstFaults)
#include "tst_faults.moc"
