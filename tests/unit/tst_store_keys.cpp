// Journal: keys, their custody, and what waits for the cloud.
#include "store_samples.h"
#include "support/test_program.h"

#include <QTest>

using namespace provost;
using namespace provost::test;
using namespace std::chrono_literals;

namespace {

class TstStoreKeys : public JournalBench {
    Q_OBJECT

private Q_SLOTS:
    void init() { openJournal(); }
    void cleanup() { m_journal.reset(); }

    void key_supersedesOlderOnesOnceProved()
    {
        const auto first = identified(kUnitA);
        must(m_journal->journalKey(first, aKey(kPrintA)));
        must(m_journal->setKeyState(first, kPrintA, "burnt"));
        must(m_journal->setKeyState(first, kPrintA, "proved"));
        must(m_journal->finishRun(first, Verdict::Hold, "H310", "", 1, {aRegistration("one")}));

        const auto second = identified(kUnitA);
        must(m_journal->journalKey(second, aKey(kPrintB)));
        must(m_journal->setKeyState(second, kPrintB, "burnt"));
        QCOMPARE(m_journal->keyOf(kUnitA).value()->fingerprint, kPrintB);
        QCOMPARE(m_journal->unit(kUnitA).value().keyFingerprint, kPrintA); // proved, not burnt
        QCOMPARE(m_journal->keysOf(kUnitA).value().at(1).state, std::string("proved"));
        must(m_journal->setKeyState(second, kPrintB, "proved"));
        QCOMPARE(m_journal->unit(kUnitA).value().keyFingerprint, kPrintB);
        QCOMPARE(m_journal->keysOf(kUnitA).value().at(1).state, std::string("superseded"));
        QCOMPARE(m_journal->outbox().value().at(0).state, std::string("superseded"));
    }

    void custody_isToldInOrderAndEndsWithDestruction()
    {
        const auto run = identified(kUnitA);
        must(m_journal->recordCustody(run, kPrintA, CustodyEvent::Birth, "in memory"));
        must(m_journal->recordCustody(run, kPrintA, CustodyEvent::Burn, "DCT 34"));
        QCOMPARE(m_journal->keysWithOpenCustody().value(), std::vector<std::string>{kPrintA});
        must(m_journal->recordCustody(run, kPrintA, CustodyEvent::Destruction, "wiped"));
        must(m_journal->finishRun(run, Verdict::Fail, "F110", "", 1));
        must(m_journal->recordCustody(run, kPrintA, CustodyEvent::Proof, "afterwards"));
        const auto custody = m_journal->custodyOf(kPrintA).value();
        QCOMPARE(custody.size(), 4U);
        QCOMPARE(custody[0].event, std::string("birth"));
        QCOMPARE(custody[2].detail, std::string("wiped"));
        QVERIFY(custody[1].run == run && !custody[1].atUtc.empty());
        QVERIFY(m_journal->keysWithOpenCustody().value().empty());
        // What was destroyed cannot come back.
        for (const auto event : {CustodyEvent::Birth, CustodyEvent::Burn, CustodyEvent::Escrow})
            QVERIFY(!m_journal->recordCustody(run, kPrintA, event, "again"));
        QCOMPARE(m_journal->custodyOf(kPrintA).value().size(), 4U);
        QVERIFY(m_journal->custodyOf(kPrintB).value().empty());
        QVERIFY(!m_journal->note(run, "key-birth", "not by hand"));
    }

    void custody_ofAProcessThatEnded_isClosedAtTheNextStart()
    {
        const auto run = identified(kUnitA);
        must(m_journal->recordCustody(run, kPrintA, CustodyEvent::Birth, "in memory"));
        const auto file = m_journal->path();
        m_journal.reset();
        m_journal = must(Journal::open(file, m_clock));
        QVERIFY(m_journal->keysWithOpenCustody().value().empty());
        const auto custody = m_journal->custodyOf(kPrintA).value();
        QCOMPARE(custody.size(), 2U);
        QVERIFY(custody[1].event == "destruction" && custody[1].run == run);
        QVERIFY(!verifyDatabase(file).value());
    }

    void sameNumber_isFoundOnEveryUnit()
    {
        auto key = aKey(kPrintA);
        for (std::size_t i = 29; i < key.publicDer.size(); ++i)
            key.publicDer[i] = static_cast<std::byte>(i);
        const auto first = identified(kUnitA);
        must(m_journal->journalKey(first, key));
        must(m_journal->finishRun(first, Verdict::Pass, "", "", 1));
        auto twin = aKey(kPrintB); // another fingerprint, the same modulus
        twin.publicDer = key.publicDer;
        twin.publicDer[1] = std::byte{0x77};
        const auto second = identified(kUnitB);
        must(m_journal->journalKey(second, twin));
        auto both = m_journal->unitsWithSameNumber(key.publicDer).value();
        QCOMPARE(both.size(), 2U);
        twin.publicDer[40] ^= std::byte{1};
        QVERIFY(m_journal->unitsWithSameNumber(twin.publicDer).value().empty());
        QCOMPARE(m_journal->allKeys().value().size(), 2U);

        must(m_journal->withdrawUnit(second, kUnitA, "the same key is on another unit"));
        QCOMPARE(m_journal->unit(kUnitA).value().state, std::string("hold"));
        QCOMPARE(m_journal->journalOf(second).value().back().kind, std::string("withdraw"));
        QVERIFY(!m_journal->withdrawUnit(second, std::string(24, '0'), "nobody"));
    }

    void key_keptStaysRegistered()
    {
        const auto first = identified(kUnitA);
        must(m_journal->journalKey(first, aKey(kPrintA)));
        must(m_journal->setKeyState(first, kPrintA, "registered"));
        must(m_journal->finishRun(first, Verdict::Pass, "", "", 1));
        const auto second = identified(kUnitA);
        auto kept = aKey(kPrintA);
        kept.origin = "kept";
        must(m_journal->journalKey(second, kept));
        must(m_journal->setKeyState(second, kPrintA, "proved"));
        const auto key = m_journal->keyOf(kUnitA).value().value();
        QCOMPARE(key.state, std::string("registered"));
        QCOMPARE(key.origin, std::string("generated"));
        QCOMPARE(key.run, first);
        QCOMPARE(key.publicDer, Bytes(162, std::byte{0x30}));
    }

    void key_ofAnotherUnitIsRefusedAndRemembered()
    {
        must(m_journal->journalKey(identified(kUnitA), aKey(kPrintA)));
        const auto run = identified(kUnitB);
        const auto refused = m_journal->journalKey(run, aKey(kPrintA));
        QCOMPARE(refused.error().code, Errc::Mismatch);
        QCOMPARE(refused.error().blame, Blame::Unit);
        QVERIFY(refused.error().message.find(kUnitA) != std::string::npos);
        QVERIFY(!m_journal->keyOf(kUnitB).value());
        QCOMPARE(m_journal->unitsWithKey(kPrintA).value(),
                 (std::vector<std::string>{kUnitA, kUnitB}));
        QCOMPARE(m_journal->setKeyState(run, kPrintA, "proved").error().code, Errc::NotFound);
        QCOMPARE(m_journal->setKeyState(run, kPrintA, "odd").error().code, Errc::InvalidArgument);
        const auto unknown = m_journal->beginRun(aStart()).value();
        QCOMPARE(m_journal->journalKey(unknown, aKey(kPrintB)).error().code, Errc::InvalidArgument);
    }

    void outbox_isPostedWithTheVerdict()
    {
        const auto run = identified(kUnitA);
        must(m_journal->finishRun(run, Verdict::Hold, "H310", "", 1, {aRegistration("one")}));
        const auto waiting = m_journal->outbox("waiting").value();
        QCOMPARE(waiting.size(), 1U);
        QCOMPARE(waiting[0].deviceId, kUnitA);
        QCOMPARE(waiting[0].run, run);
        must(m_journal->markFailed(waiting[0].id, "no route to host"));
        QCOMPARE(m_journal->outbox().value().at(0).lastError, std::string("no route to host"));
        must(m_journal->markSent(waiting[0].id));
        const auto sent = m_journal->outbox("sent").value().at(0);
        QCOMPARE(sent.tries, 2);
        QVERIFY(sent.lastError.empty());
        QVERIFY(m_journal->outbox("waiting").value().empty());
        QCOMPARE(m_journal->markSent(77).error().code, Errc::NotFound);
        QCOMPARE(m_journal->markFailed(77, "x").error().code, Errc::NotFound);
    }

    void outbox_keyMeansOneThing()
    {
        must(m_journal->finishRun(identified(kUnitA), Verdict::Hold, "H310", "", 1,
                                  {aRegistration("one")}));
        const auto other = identified(kUnitB);
        QCOMPARE(m_journal->finishRun(other, Verdict::Hold, "H310", "", 1, {aRegistration("one")})
                     .error()
                     .code,
                 Errc::Mismatch);
        QCOMPARE(m_journal->run(other).value().verdict, Verdict::NotRun); // all or nothing
        QCOMPARE(m_journal->unit(kUnitB).value().state, std::string("new"));
        must(m_journal->finishRun(identified(kUnitA), Verdict::Hold, "H310", "", 1,
                                  {aRegistration("one")}));
        QCOMPARE(m_journal->outbox().value().size(), 1U);
        must(m_journal->finishRun(identified(kUnitA), Verdict::Hold, "H310", "", 1,
                                  {aRegistration("two", "PEM 2")}));
        QCOMPARE(m_journal->outbox("superseded").value().at(0).idempotencyKey, std::string("one"));
        QCOMPARE(m_journal->outbox("waiting").value().at(0).idempotencyKey, std::string("two"));
    }
};

} // namespace

PROVOST_TEST("store_keys", TstStoreKeys)
#include "tst_store_keys.moc"
