// Batches of key injection on record: what counts as done, and what a unit is afterwards.
#include "store/journal.h"
#include "support/must.h"
#include "support/test_program.h"
#include "support/verify.h"

#include <QTemporaryDir>
#include <QTest>

namespace provost::test {

namespace {

const std::string kBatchUnitId = "0123456789abcdef01234567";

/// One journal and one batch of two units.
struct BatchRecord {
    BatchRecord() : file(folder.filePath("b.db").toStdString())
    {
        journal = Journal::open(file, clock).value();
        batch = journal
                    ->beginKeyBatch({.name = "lot-1",
                                     .platform = "photon",
                                     .planId = "photon-keys",
                                     .planDigest = "d",
                                     .station = "S",
                                     .wanted = 2})
                    .value();
    }
    RunId begin(const std::string& deviceId = kBatchUnitId)
    {
        const auto run = journal->beginRun({.slot = 1,
                                            .planId = "photon-keys",
                                            .station = "S",
                                            .keyBatch = batch.id,
                                            .training = true});
        must(journal->identify(*run, {.serial = "L", .deviceId = deviceId}, "dfu"));
        return *run;
    }
    void giveKey(RunId run, char digit, const std::string& deviceId = kBatchUnitId)
    {
        const std::string fingerprint(64, digit);
        must(journal->journalKey(run, {.fingerprint = fingerprint,
                                       .deviceId = deviceId,
                                       .publicDer = Bytes(200, static_cast<std::byte>(digit)),
                                       .state = "journalled",
                                       .origin = "generated",
                                       .run = run}));
        must(journal->setKeyState(run, fingerprint, "proved"));
    }
    BatchUnit only() const { return journal->batchUnits(batch.id).value().at(0); }
    std::string state() const { return journal->unit(kBatchUnitId).value().state; }

    QTemporaryDir folder{};
    std::string file;
    SystemClock clock{};
    std::unique_ptr<Journal> journal{};
    KeyBatch batch{};
};

} // namespace

class TstStoreBatches : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void name_isGivenOnce();
    void passedUnit_isInjectedAndNoProduct();
    void heldUnit_isDoneWhereItsRegistrationWaits();
    void otherVerdicts_areNotDone();
    void openIntent_keepsTheUnitOpen();
    void keyOfAnotherRun_isKept();
    void eventsOfTheStation_stay();
};

void TstStoreBatches::name_isGivenOnce()
{
    BatchRecord record;
    VERIFY_FAILS(record.journal->beginKeyBatch(record.batch), Errc::Denied);
    auto bad = record.batch;
    bad.name = "../lot";
    QVERIFY(!record.journal->beginKeyBatch(bad));
    QCOMPARE(record.journal->keyBatches().value().size(), std::size_t{1});
}

void TstStoreBatches::passedUnit_isInjectedAndNoProduct()
{
    BatchRecord record;
    const auto run = record.begin();
    record.giveKey(run, 'a');
    QCOMPARE(record.only().outcome, BatchOutcome::Open);
    VERIFY_OK(record.journal->setKeyState(run, std::string(64, 'a'), "registered"));
    VERIFY_OK(record.journal->finishRun(run, Verdict::Pass, "", "", 1));
    const auto unit = record.only();
    QCOMPARE(unit.outcome, BatchOutcome::Injected);
    QCOMPARE(unit.fingerprint, std::string(64, 'a'));
    QVERIFY(unit.training && !unit.held);
    QCOMPARE(record.state(), std::string("new"));
    // A second look at it counts it once and changes nothing.
    const auto again = record.begin();
    VERIFY_OK(record.journal->finishRun(again, Verdict::Error, "C030", "x", 1));
    QCOMPARE(record.journal->batchUnits(record.batch.id).value().size(), std::size_t{1});
    QCOMPARE(record.only().outcome, BatchOutcome::Injected);
}

void TstStoreBatches::heldUnit_isDoneWhereItsRegistrationWaits()
{
    BatchRecord record;
    const auto run = record.begin();
    record.giveKey(run, 'b');
    VERIFY_OK(record.journal->finishRun(run, Verdict::Hold, "H310", "away", 1,
                                        {{.kind = "registration",
                                          .idempotencyKey = "k",
                                          .deviceId = kBatchUnitId,
                                          .payload = "pem"}}));
    QCOMPARE(record.only().outcome, BatchOutcome::Injected);
    QVERIFY(record.only().held);
    QCOMPARE(record.state(), std::string("new"));
    const auto twin = record.begin();
    VERIFY_OK(record.journal->finishRun(twin, Verdict::Hold, "H320", "same key", 1));
    QCOMPARE(record.state(), std::string("hold"));
}

void TstStoreBatches::otherVerdicts_areNotDone()
{
    for (const auto& [verdict, cause, expected] :
         {std::tuple{Verdict::Fail, "F214", BatchOutcome::Failed},
          {Verdict::Error, "C056", BatchOutcome::Refused},
          {Verdict::Error, "C030", BatchOutcome::Open},
          {Verdict::Aborted, "S001", BatchOutcome::Open},
          {Verdict::Hold, "H320", BatchOutcome::Failed}}) {
        BatchRecord record;
        const auto run = record.begin();
        record.giveKey(run, 'c');
        VERIFY_OK(record.journal->finishRun(run, verdict, cause, "x", 1));
        QCOMPARE(record.only().outcome, expected);
        QVERIFY(record.only().fingerprint.empty());
    }
}

void TstStoreBatches::openIntent_keepsTheUnitOpen()
{
    BatchRecord record;
    const auto first = record.begin();
    record.giveKey(first, 'd');
    VERIFY_OK(record.journal->finishRun(first, Verdict::Pass, "", "", 1));
    const auto second = record.begin();
    VERIFY_OK(record.journal->intend(second, "burn-device-key", "x"));
    VERIFY_OK(record.journal->finishRun(second, Verdict::Error, "C011", "x", 1));
    QCOMPARE(record.only().outcome, BatchOutcome::Open);
    const auto third = record.begin();
    VERIFY_OK(record.journal->clearInspection(third, kBatchUnitId));
    QCOMPARE(record.only().outcome, BatchOutcome::Injected);
}

void TstStoreBatches::keyOfAnotherRun_isKept()
{
    BatchRecord record;
    const auto line = record.journal->beginRun({.slot = 1, .planId = "p", .station = "S"});
    VERIFY_OK(record.journal->identify(*line, {.deviceId = kBatchUnitId}, "dfu"));
    record.giveKey(*line, 'e');
    VERIFY_OK(record.journal->finishRun(*line, Verdict::Pass, "", "", 1));
    QCOMPARE(record.state(), std::string("pass"));
    const auto run = record.begin();
    record.giveKey(run, 'e');
    VERIFY_OK(record.journal->finishRun(run, Verdict::Pass, "", "", 1));
    QCOMPARE(record.only().outcome, BatchOutcome::Kept);
    QCOMPARE(record.journal->run(run).value().start.keyBatch, std::optional(record.batch.id));
    QVERIFY(!record.journal->run(*line).value().start.keyBatch);
}

void TstStoreBatches::eventsOfTheStation_stay()
{
    BatchRecord record;
    // Beside the journal that holds the lock.
    VERIFY_OK(recordStationEvent(record.file, record.clock,
                                 {.kind = "clear-key-refused", .subject = "k", .payload = "new"}));
    const auto events = record.journal->stationEvents().value();
    QCOMPARE(events.size(), std::size_t{1});
    QCOMPARE(events[0].subject, std::string("k"));
    VERIFY_OK(verifyDatabase(record.file));
    QVERIFY(!verifyDatabase(record.file).value());
}

} // namespace provost::test

PROVOST_TEST("store_batches", provost::test::TstStoreBatches)
#include "tst_store_batches.moc"
