// Causes that no ordinary fault leads to: a bootloader that is refused, one that is damaged, a key
// that was made twice, units that offer another key or count wrongly, works that nobody knows.
#include "core/byte_io.h"
#include "core/text.h"
#include "crypto/unit_key.h"
#include "engine/causes.h"
#include "support/photon_facts.h"
#include "support/proven_unit.h"
#include "support/test_program.h"

#include <QTest>

#include <atomic>
#define OPENSSL_SUPPRESS_DEPRECATED // the one place where random numbers can be exchanged
#include <atomic>
#include <filesystem>
#include <openssl/rand.h>
#include <sys/random.h>

namespace provost::test {

namespace {

constexpr std::uint32_t kReceiveArea = 0x080C0000; // particle-devices 2.2
constexpr std::uint32_t kUserPart = 0x080A0000;

/// Random numbers of a computer whose generator begins anew with each key: on the thread that says
/// so; any other thread gets good ones.
class RepeatingRandom {
public:
    RepeatingRandom() { RAND_set_rand_method(&kMethod); }
    ~RepeatingRandom() { RAND_set_rand_method(nullptr); }
    RepeatingRandom(const RepeatingRandom&) = delete;
    RepeatingRandom& operator=(const RepeatingRandom&) = delete;

    static void beginAnew() { state = 0x2545F4914F6CDD1D; }
    static void end() { state = 0; }
    /// Draws of so many bytes fail from now on, on every thread; 0: none.
    static void refuse(int size) { refused = size; }

private:
    static int fill(unsigned char* to, int size)
    {
        if (size == refused.load())
            return 0;
        if (state == 0)
            return getrandom(to, static_cast<std::size_t>(size), 0) == size ? 1 : 0;
        for (int i = 0; i < size; ++i) { // xorshift64
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            to[i] = static_cast<unsigned char>(state >> 32);
        }
        return 1;
    }
    static int ready() { return 1; }
    static thread_local std::uint64_t state; ///< 0: good random numbers
    static std::atomic<int> refused;
    static const RAND_METHOD kMethod;
};
thread_local std::uint64_t RepeatingRandom::state = 0;
std::atomic<int> RepeatingRandom::refused = 0;
const RAND_METHOD RepeatingRandom::kMethod{nullptr, fill, nullptr, nullptr, fill, ready};

void turnOver(sim::VirtualBoard& board, std::uint32_t address)
{
    Bytes one = board.readFlash(address, 1);
    one[0] ^= std::byte{0x5A};
    board.pokeFlash(address, one);
}

/// A unit that a run left in DFU mode with an intent open: nobody saw how the burn ended.
void leaveInDfuWithAnOpenBurn(Station& station)
{
    std::atomic<bool> burning = false;
    station.sink().setHook([&](const StationEvent& event) {
        const auto* critical = std::get_if<CriticalWrite>(&event);
        burning =
            burning || (critical != nullptr && critical->on && critical->what == "burn-device-key");
    });
    station.meddling().onBreak([&](const ControlSetup& setup) {
        const bool isStatus = setup.requestType == 0xA1 && setup.request == 3;
        return burning && isStatus ? std::optional(Error{.code = Errc::Io,
                                                         .blame = Blame::Fixture,
                                                         .message = "cable",
                                                         .frames = {},
                                                         .native = {}})
                                   : std::nullopt;
    });
    const auto run = station.run();
    QVERIFY2(run.verdict == Verdict::Error, told(run).c_str());
    station.sink().setHook({});
    station.meddling().onBreak({});
    QCOMPARE(station.board().mode(), sim::BoardMode::Dfu);
    QVERIFY(*station.journal().needsInspection(station.board().deviceId()));
}

} // namespace

class TstCauses : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void keyMadeTwice_isNotBurnt_C052();
    void unknownWork_keepsTheUnitFromRunning_C062();
    void moduleReport_isBelievedMoreThanTheBytes_F120();
    void bootloaderThatTheUnitRefuses_F121();
    void damagedBootloader_isFoundByTheInspection_F123();
    void credentialsThatTheUnitCannotSave_F230();
    void otherKeyThanTheLockedOne_F406();
    void endpointWithoutRandomNumbers_isTheStationsFault_C075();
    void unitThatCannotBeReadBack_F411();
    void miscountingUnit_isSeen_F410();
};

void TstCauses::keyMadeTwice_isNotBurnt_C052()
{
    const RepeatingRandom random;
    auto station = Station::open(one({.count = 2}));
    station->sink().setHook([&](const StationEvent& event) {
        const auto* started = std::get_if<StepStarted>(&event);
        if (started != nullptr && started->name == "Device key")
            RepeatingRandom::beginAnew(); // on the slot's thread
        if (std::holds_alternative<StepFinished>(event))
            RepeatingRandom::end();
    });
    const auto first = station->runNext();
    VERIFY_RUN(first, Verdict::Pass, "");
    station->insert();
    const auto run = station->run();
    VERIFY_RUN(run, Verdict::Error, "C052");
    const auto& board = station->board();
    QVERIFY(allFf(board.readFlash(inCurrentDct(board, photon::kPrivateKey), 612)));
    // Not the unit's fault: it is not judged, and the owner of the key keeps it.
    QCOMPARE(station->journal().unit(board.deviceId())->state, std::string("new"));
    QCOMPARE(station->query("SELECT count(*) FROM journal WHERE kind = 'intend' AND subject = "
                            "'burn-device-key' AND run_id = 2"),
             std::vector<std::string>{"0"});
    QCOMPARE((*station->journal().keyOf(first.unit.deviceId))->state, std::string("registered"));
}

void TstCauses::unknownWork_keepsTheUnitFromRunning_C062()
{
    auto station = Station::open(one({}));
    station->afterStep("identify", [&](int) {
        static_cast<void>(station->journal().intend(RunId{1}, "cut-fuse", "3"));
    });
    VERIFY_RUN(station->runNext(), Verdict::Error, "C062");
    station->sink().setHook({});
    const auto dct = station->board().physicalDct(0);
    const auto run = station->run();
    VERIFY_RUN(run, Verdict::Error, "C062");
    // Nothing was written, and the record says what was found and decided.
    QCOMPARE(station->meddling().downloads.load(), 0);
    QCOMPARE(station->board().physicalDct(0), dct);
    const auto note = station->attempt(run.run, "inspect").note;
    QVERIFY2(note.find("cut-fuse of run 1 quarantined") != std::string::npos, note.c_str());
    QCOMPARE(station->query("SELECT words FROM measurement WHERE name = 'decision' AND "
                            "measurement_id = (SELECT max(measurement_id) FROM measurement WHERE "
                            "name = 'decision')"),
             std::vector<std::string>{"quarantined"});
    QCOMPARE(station->journal().unit(station->board().deviceId())->state, std::string("inspect"));
}

void TstCauses::moduleReport_isBelievedMoreThanTheBytes_F120()
{
    // The bytes are compared; then, before the unit boots for the last time, one of them turns.
    auto station = Station::open(one({}));
    station->insert();
    bool inShipping = false;
    station->sink().setHook([&](const StationEvent& event) {
        if (const auto* started = std::get_if<StepStarted>(&event))
            inShipping = started->name == "Shipping state";
    });
    station->meddling().onOut([&](const ControlSetup& setup, Bytes& data) {
        const bool leaves = setup.requestType == 0x21 && setup.request == 1 && data.empty();
        if (leaves && inShipping)
            turnOver(station->board(), kUserPart + 0x300);
    });
    VERIFY_RUN(station->run(), Verdict::Fail, "F120");
}

void TstCauses::bootloaderThatTheUnitRefuses_F121()
{
    // A bit of the receive area does not hold: the unit finds the module invalid.
    auto station = Station::open(one({}));
    station->insert();
    const auto before = station->board().readFlash(0x08000000, 0x4000);
    bool writing = false;
    station->sink().setHook([&](const StationEvent& event) {
        if (const auto* critical = std::get_if<CriticalWrite>(&event))
            writing = critical->on && critical->what == "write-bootloader";
        if (writing && std::holds_alternative<ProgressMoved>(event))
            station->board().pokeFlash(kReceiveArea + 0x400, Bytes(1));
    });
    VERIFY_RUN(station->run(), Verdict::Fail, "F121");
    QCOMPARE(station->board().readFlash(0x08000000, 0x4000), before);
    QVERIFY(station->query("SELECT effect FROM unsettled_intent").empty()); // its end was seen
}

void TstCauses::damagedBootloader_isFoundByTheInspection_F123()
{
    auto station = Station::open(one({}));
    station->insert();
    leaveInDfuWithAnOpenBurn(*station);
    turnOver(station->board(), 0x08000000 + 0x1000); // it runs on, and would not start again
    const int downloads = station->meddling().downloads;
    const auto run = station->run();
    VERIFY_RUN(run, Verdict::Fail, "F123");
    QCOMPARE(station->meddling().downloads.load(), downloads);
    const auto note = station->attempt(run.run, "inspect").note;
    QVERIFY2(note.starts_with("found bootloader damaged"), note.c_str());
    QVERIFY2(note.find("quarantined") != std::string::npos, note.c_str());
    QCOMPARE(station->journal().unit(station->board().deviceId())->state, std::string("inspect"));
}

void TstCauses::credentialsThatTheUnitCannotSave_F230()
{
    auto station =
        Station::open(one({.faults = "[[slot.unit.fault]]\nkind = \"locked-credentials\""}));
    const auto run = station->runNext();
    VERIFY_RUN(run, Verdict::Fail, "F230");
    QVERIFY2(run.error.find("could not save") != std::string::npos, run.error.c_str());
    QCOMPARE(station->attempt(run.run, "give-credentials").cause, std::string("F230"));
    QVERIFY(!station->board().hasCredentials());
}

void TstCauses::otherKeyThanTheLockedOne_F406()
{
    // The first connection bound the key (particle-devices 9); then the unit has another one.
    auto station = Station::open(one({}));
    VERIFY_RUN(station->runNext(), Verdict::Pass, "");
    const auto other = generateUnitKey();
    QVERIFY(other);
    station->afterStep("give-credentials", [&](int) {
        station->board().pokeDct(photon::kPrivateKey, other->privateDer.reveal());
    });
    const auto run = station->run();
    VERIFY_RUN(run, Verdict::Fail, "F406");
    QVERIFY2(run.error.find("handshake of") != std::string::npos, run.error.c_str());
    // Both are named: what the cloud did, and what became of the unit.
    QVERIFY2(run.error.find("locked another key") != std::string::npos, run.error.c_str());
    QVERIFY2(run.error.find("not the one that was proved") != std::string::npos, run.error.c_str());
    const auto held = station->cloud().service().registry().find(station->board().deviceId());
    QVERIFY((*held)->fingerprint() != other->publicKey.fingerprint());
}

void TstCauses::endpointWithoutRandomNumbers_isTheStationsFault_C075()
{
    constexpr int kMaterial =
        40 + 40 + 2; // nonce, credentials, message id: particle-devices 5.1, 5.3
    const RepeatingRandom random;
    auto station = Station::open(one({}));
    station->afterStep("give-credentials", [](int) { RepeatingRandom::refuse(kMaterial); });
    const auto run = station->runNext();
    RepeatingRandom::refuse(0);
    VERIFY_RUN(run, Verdict::Error, "C075");
    // The unit is as good as before, and it was not waited for until the step's limit.
    QCOMPARE(station->journal().unit(run.unit.deviceId)->state, std::string("new"));
    station->sink().setHook({});
    VERIFY_RUN(station->run(), Verdict::Pass, "");
}

void TstCauses::unitThatCannotBeReadBack_F411()
{
    auto station = Station::open(one({}));
    station->insert();
    const Bytes other(40, std::byte{0x5B});
    bool inHandshake = false;
    station->sink().setHook([&](const StationEvent& event) {
        if (const auto* started = std::get_if<StepStarted>(&event))
            inHandshake = started->name == "Live handshake";
        if (inHandshake && std::holds_alternative<StepStarted>(event))
            station->board().pokeDct(2082 + 40, other); // particle-devices 3.2
    });
    // Its bootloader shows zeros, as one without its system parts does (3.4).
    station->meddling().onIn([&](const ControlSetup& setup, ByteSpan data) {
        const bool upload = setup.requestType == 0xA1 && setup.request == 2;
        if (inHandshake && upload)
            std::ranges::fill(data, std::byte{0});
    });
    const auto run = station->run();
    VERIFY_RUN(run, Verdict::Fail, "F411");
    QVERIFY2(run.error.find("read these two") != std::string::npos, run.error.c_str());
}

void TstCauses::miscountingUnit_isSeen_F410()
{
    auto station = Station::open(one({}));
    station->insert();
    station->board().miscountMessages(true);
    VERIFY_RUN(station->run(), Verdict::Fail, "F410");
}

} // namespace provost::test

PROVOST_TEST("causes", provost::test::TstCauses)
#include "tst_causes.moc"
