// Keys that units bring along, the key they keep or get, and what is kept of their old memory.
#include "core/byte_io.h"
#include "core/text.h"
#include "crypto/digest.h"
#include "crypto/unit_key.h"
#include "steps/register_all_steps.h"
#include "support/photon_facts.h"
#include "support/proven_unit.h"
#include "support/test_program.h"

#include <QDir>
#include <QFile>
#include <QProcess>
#include <QTest>

namespace provost::test {

namespace {

int openssl(const QStringList& arguments)
{
    return QProcess::execute("openssl", arguments);
}

} // namespace

namespace {

/// A self-signed certificate for escrow; its key lies beside it.
Bytes escrowCertificateIn(const QString& folder)
{
    if (openssl({"req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", folder + "/escrow.key",
                 "-out", folder + "/escrow.pem", "-days", "2", "-subj", "/CN=escrow", "-batch"}) !=
        0)
        return {};
    QFile certificate(folder + "/escrow.pem");
    return certificate.open(QIODevice::ReadOnly) ? toBytes(certificate.readAll().toStdString())
                                                 : Bytes();
}

std::string eventsOf(Station& station, const std::string& fingerprint)
{
    std::string events;
    const auto custody = station.journal().custodyOf(fingerprint).value();
    for (const auto& row : custody)
        events += (events.empty() ? "" : " ") + row.event;
    return events;
}

std::string onlyKeyOnRecord(Station& station)
{
    return station.journal().keysOf(station.board().deviceId()).value().front().fingerprint;
}

} // namespace

/// The unit must pass, and everything must be as it must be.
#define VERIFY_PROVEN(station, route)                                                              \
    do {                                                                                           \
        const auto wrong = runAndProve(station, route);                                            \
        QVERIFY2(wrong.empty(), wrong.c_str());                                                    \
    } while (false)

class TstUnitKeys : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void selfMadeKey_isReplacedAndGoneFromBothCopies();
    void burntKey_ofSomebodyElse_isReplaced();
    void ownKey_isKeptInTheSecondRun();
    void ownKey_isNotKept_whereTheRecordDoesNotKnowIt();
    void keyOfAnotherUnit_isNeverKept();
    void keyOfAnotherUnit_inAnotherEncoding_isNeverKept();
    void sameKeyUnderAnotherId_holdsBothUnits_H320();
    void keyThatWasOnlyJournalled_isKept_whereItsBurnIsOnRecord_data();
    void keyThatWasOnlyJournalled_isKept_whereItsBurnIsOnRecord();
    void custody_endsWithDestructionAfterTheProof();
    void custody_wrapsTheKeyToTheEscrowCertificate();
    void custody_endsToo_whereTheProofIsNeverReached();
    void keyPool_feedsTheLine();
    void proof_isCalledEqualOnlyWhereTheCloudReturnedTheKey();
    void withoutEscrowCertificate_onlyFingerprintsAreKept();
    void backups_areSealedToTheEscrowCertificate();
};

void TstUnitKeys::selfMadeKey_isReplacedAndGoneFromBothCopies()
{
    auto station = Station::open(one({.key = "self-made"}));
    station->insert();
    VERIFY_PROVEN(*station, "control-request");
    const auto run = station->sink().all<RunFinished>().back();
    const auto note = station->attempt(run.run, "device-key").note;
    QVERIFY2(note.find("not ours by record") != std::string::npos, note.c_str());
}

void TstUnitKeys::burntKey_ofSomebodyElse_isReplaced()
{
    auto station = Station::open(one({.key = "burnt"}));
    station->insert();
    VERIFY_PROVEN(*station, "control-request");
}

void TstUnitKeys::ownKey_isKeptInTheSecondRun()
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
    QCOMPARE(station->query("SELECT count(*) FROM journal WHERE kind = 'intend' "
                            "AND subject = 'burn-device-key' AND run_id = 2"),
             std::vector<std::string>{"0"});
}

void TstUnitKeys::ownKey_isNotKept_whereTheRecordDoesNotKnowIt()
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

void TstUnitKeys::keyOfAnotherUnit_isNeverKept()
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

void TstUnitKeys::keyOfAnotherUnit_inAnotherEncoding_isNeverKept()
{
    auto station = Station::open(one({}));
    QCOMPARE(station->runNext().verdict, Verdict::Pass);
    auto& journal = station->journal();
    const auto key = journal.keyOf(station->board().deviceId()).value();
    Bytes otherwise = key->publicDer;
    otherwise.push_back(std::byte{0}); // the same number, another fingerprint
    const std::string elsewhere = "2b0014000447373030323331";
    const auto run = journal.beginRun({.slot = 9, .planId = "elsewhere"}).value();
    QVERIFY(journal.identify(run, {.deviceId = elsewhere}, "listening"));
    QVERIFY(journal.journalKey(run, {.fingerprint = sha256Hex(otherwise),
                                     .deviceId = elsewhere,
                                     .publicDer = otherwise,
                                     .origin = "kept"}));
    QVERIFY(journal.finishRun(run, Verdict::Fail, "F201", "", 1));
    const auto again = station->run();
    QVERIFY2(again.verdict == Verdict::Pass, told(again).c_str());
    const auto note = station->attempt(again.run, "device-key").note;
    QVERIFY2(note.find("another unit") != std::string::npos, note.c_str());
}

void TstUnitKeys::sameKeyUnderAnotherId_holdsBothUnits_H320()
{
    auto station = Station::open(one({.count = 2}));
    QCOMPARE(station->runNext().verdict, Verdict::Pass);
    const auto first = station->board().deviceId();
    station->insert();
    const auto second = station->board().deviceId();
    // While the second unit is being made, a record of its key turns up under the first id.
    bool planted = false;
    station->afterStep("prove-keys", [&](int) {
        if (std::exchange(planted, true))
            return;
        auto& journal = station->journal();
        const auto key = journal.keyOf(second).value();
        const auto run = journal.beginRun({.slot = 9, .planId = "elsewhere"}).value();
        QVERIFY(journal.identify(run, {.deviceId = first}, "listening"));
        QVERIFY(!journal.journalKey(run, {.fingerprint = key->fingerprint,
                                          .deviceId = first,
                                          .publicDer = key->publicDer,
                                          .origin = "kept"}));
        QVERIFY(journal.finishRun(run, Verdict::Aborted, "S001", "", 1));
    });
    const auto run = station->run();
    QVERIFY2(run.verdict == Verdict::Hold && run.cause == "H320", told(run).c_str());
    QCOMPARE(station->journal().unit(first).value().state, std::string("hold"));
    QCOMPARE(station->journal().unit(second).value().state, std::string("hold"));
    for (const auto& id : {first, second})
        QVERIFY(!station->journal().releaseUnit(id, "the cloud answered 200"));
    QVERIFY(station->journal().outbox().value().empty());
    QCOMPARE(station->query("SELECT count(*) FROM journal WHERE kind = 'withdraw'"),
             std::vector<std::string>{"2"});
    // A new key ends it for the second unit: the old one is known to be shared.
    const auto again = station->run();
    QVERIFY2(again.verdict == Verdict::Pass, told(again).c_str());
    const auto note = station->attempt(again.run, "device-key").note;
    QVERIFY2(note.find("another unit") != std::string::npos, note.c_str());
}

void TstUnitKeys::keyThatWasOnlyJournalled_isKept_whereItsBurnIsOnRecord_data()
{
    QTest::addColumn<bool>("announced");
    QTest::addColumn<QString>("settled");
    QTest::addColumn<bool>("onUnit");
    QTest::addColumn<QString>("note");
    const char* kept = "kept";
    const char* burnt = "burnt";
    QTest::newRow("never announced") << false << "" << true << "its burn was never announced";
    QTest::newRow("end not seen, on the unit") << true << "" << true << kept;
    QTest::newRow("end not seen, not on the unit") << true << "" << false << burnt;
    QTest::newRow("seen, then power was lost") << true << "pass" << true << kept;
    QTest::newRow("read back wrong, right now") << true << "fail" << true << kept;
}

void TstUnitKeys::keyThatWasOnlyJournalled_isKept_whereItsBurnIsOnRecord()
{
    QFETCH(const bool, announced);
    QFETCH(const QString, settled);
    QFETCH(const bool, onUnit);
    QFETCH(const QString, note);
    auto station = Station::open(one({}));
    station->insert();
    const auto id = station->board().deviceId();
    const auto key = generateUnitKey();
    QVERIFY(key);
    const auto fingerprint = key->publicKey.fingerprint();
    auto& journal = station->journal();
    const auto earlier = journal.beginRun({.slot = 1, .planId = "photon-full"}).value();
    QVERIFY(journal.identify(earlier, {.deviceId = id}, "listening"));
    QVERIFY(journal.journalKey(earlier, {.fingerprint = fingerprint,
                                         .deviceId = id,
                                         .publicDer = key->publicKey.toDer(),
                                         .origin = "generated"}));
    if (announced)
        QVERIFY(journal.intend(earlier, "burn-device-key", fingerprint));
    if (!settled.isEmpty())
        QVERIFY(journal.settle(earlier, "burn-device-key",
                               settled == "pass" ? Verdict::Pass : Verdict::Fail));
    QVERIFY(journal.finishRun(earlier, Verdict::Aborted, "C001", "", 1));
    if (onUnit)
        station->board().pokeDct(photon::kPrivateKey, key->privateDer.reveal());
    const auto run = station->run();
    QVERIFY2(run.verdict == Verdict::Pass, told(run).c_str());
    const auto told = station->attempt(run.run, "device-key").note;
    QVERIFY2(told.find(note.toStdString()) != std::string::npos, told.c_str());
    const bool kept = note == "kept";
    QCOMPARE(journal.keyOf(id).value()->fingerprint == fingerprint, kept);
    // The record says from the moment on that it is known.
    QCOMPARE(station->query(concat("SELECT count(*) FROM journal WHERE kind = 'key-state' AND "
                                   "payload = 'burnt' AND subject = '",
                                   fingerprint, "'")),
             std::vector<std::string>{kept ? "1" : "0"});
}

void TstUnitKeys::custody_endsWithDestructionAfterTheProof()
{
    auto station = Station::open(one({}));
    QCOMPARE(station->runNext().verdict, Verdict::Pass);
    const auto key = onlyKeyOnRecord(*station);
    QCOMPARE(eventsOf(*station, key), std::string("birth burn proof destruction"));
    // The next run keeps the key and proves it again: nothing is born, nothing destroyed.
    QCOMPARE(station->run().verdict, Verdict::Pass);
    QCOMPARE(eventsOf(*station, key), std::string("birth burn proof destruction proof"));
    QVERIFY(station->journal().keysWithOpenCustody().value().empty());
    QVERIFY(!verifyDatabase(station->database()).value());
}

void TstUnitKeys::custody_wrapsTheKeyToTheEscrowCertificate()
{
    const auto folder = QString::fromStdString(newFolder().string());
    auto setup = one({});
    setup.escrowCertificate = escrowCertificateIn(folder);
    QVERIFY(!setup.escrowCertificate.empty());
    auto station = Station::open(std::move(setup));
    const auto run = station->runNext();
    QVERIFY2(run.verdict == Verdict::Pass, told(run).c_str());
    QCOMPARE(eventsOf(*station, onlyKeyOnRecord(*station)),
             std::string("birth burn proof escrow destruction"));
    const QDir escrow(QString::fromStdString(station->folder().string()));
    const auto files = escrow.entryInfoList({"*-key.cms"}, QDir::Files);
    QCOMPARE(files.size(), 1);
    QCOMPARE(files[0].permissions() & (QFile::ReadGroup | QFile::ReadOther), QFile::Permissions{});
    QCOMPARE(openssl({"cms", "-decrypt", "-inform", "DER", "-binary", "-in", files[0].filePath(),
                      "-inkey", folder + "/escrow.key", "-out", folder + "/key.der"}),
             0);
    QFile opened(folder + "/key.der");
    QVERIFY(opened.open(QIODevice::ReadOnly));
    // What the escrow holds is what the unit holds, byte for byte.
    const auto slot = station->board().readFlash(inCurrentDct(station->board(), 34), 611);
    QCOMPARE(toBytes(opened.readAll().toStdString()), slot);
}

void TstUnitKeys::custody_endsToo_whereTheProofIsNeverReached()
{
    auto station = Station::open(one({}));
    station->insert();
    station->afterStep("device-key", [&](int) {
        station->board().pokeDct(34 + 400, Bytes(8, std::byte{0x11})); // ruins a prime
    });
    const auto run = station->run();
    QVERIFY2(run.verdict == Verdict::Fail, told(run).c_str());
    QCOMPARE(eventsOf(*station, onlyKeyOnRecord(*station)), std::string("birth burn destruction"));
    const auto rows = station->query("SELECT detail FROM key_custody WHERE event = 'destruction'");
    QVERIFY2(rows[0].find("before its proof") != std::string::npos, rows[0].c_str());
}

void TstUnitKeys::keyPool_feedsTheLine()
{
    auto station = Station::open(one({.count = 2}));
    auto pool = std::make_shared<KeyPool>(KeyPoolConfig{.rules = keyRulesOf(6).value()});
    station->steps() = StepRegistry();
    registerAllSteps(station->steps(), pool);
    std::string first;
    for (int i = 0; i < 2; ++i) {
        const auto run = station->runNext();
        QVERIFY2(run.verdict == Verdict::Pass, told(run).c_str());
        const auto key = onlyKeyOnRecord(*station);
        QVERIFY(key != first);
        first = key;
    }
}

void TstUnitKeys::proof_isCalledEqualOnlyWhereTheCloudReturnedTheKey()
{
    auto station = Station::open(one({.count = 2}));
    const auto said = [&](RunId run) {
        std::vector<std::string> words;
        for (const auto& attempt : station->record(run).attempts)
            for (const auto& measured : attempt.measurements)
                if (measured.name == "cloud_key" || measured.name == "key_proof")
                    words.push_back(std::get<std::string>(*measured.value));
        return words;
    };
    const auto first = station->runNext();
    QVERIFY2(first.verdict == Verdict::Pass, told(first).c_str());
    QCOMPARE(said(first.run),
             (std::vector<std::string>{"equal", "unit, record and cloud are equal"}));
    station->cloud().failRequests(RequestFault::NoKeyBack);
    const auto second = station->runNext();
    QVERIFY2(second.verdict == Verdict::Pass, told(second).c_str());
    const auto words = said(second.run);
    QCOMPARE(words.size(), std::size_t{2});
    for (const auto& each : words)
        QVERIFY2(each.starts_with("2xx for this fingerprint") &&
                     each.find("equal") == std::string::npos,
                 each.c_str());
    QVERIFY(words[1].find("then a handshake finished at 127.0.0.1") != std::string::npos);
}

void TstUnitKeys::withoutEscrowCertificate_onlyFingerprintsAreKept()
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

void TstUnitKeys::backups_areSealedToTheEscrowCertificate()
{
    const auto folder = QString::fromStdString(newFolder().string());
    auto setup = one({.key = "burnt"});
    setup.escrowCertificate = escrowCertificateIn(folder);
    QVERIFY(!setup.escrowCertificate.empty());
    auto station = Station::open(std::move(setup));
    station->insert();
    Bytes before;
    station->afterStep("clear-credentials",
                       [&](int) { before = station->board().readFlash(0x08004000, 0x8000); });
    const auto run = station->run();
    QVERIFY2(run.verdict == Verdict::Pass, told(run).c_str());

    const QDir backups(QString::fromStdString(station->folder().string()));
    const auto files = backups.entryInfoList({"*-dct.cms"}, QDir::Files);
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

PROVOST_TEST("unit_keys", provost::test::TstUnitKeys)
#include "tst_unit_keys.moc"
