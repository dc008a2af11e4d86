// Which batch an order begins, and which one it goes on with.
#include "host/key_batch.h"
#include "support/test_program.h"
#include "support/verify.h"

#include <QTemporaryDir>
#include <QTest>

namespace provost::test {

namespace {

TestPlan keyPlan(std::string digest = "d")
{
    TestPlan plan;
    plan.id = "photon-keys";
    plan.digest = std::move(digest);
    return plan;
}

KeyBatchOrder orderOfUnits(int wanted, std::string name = {}, bool resume = false)
{
    return {.platform = "photon", .name = std::move(name), .wanted = wanted, .resume = resume};
}

} // namespace

class TstKeyBatchOrder : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void init()
    {
        m_folder = std::make_unique<QTemporaryDir>();
        m_journal.reset();
        m_journal = Journal::open(m_folder->filePath("b.db").toStdString(), m_clock).value();
    }
    void sameSecond_givesTwoNames();
    void name_isNeverGivenTwice();
    void resume_findsTheLatestThatFits();
    void resume_refusesWhatHasChanged();

private:
    Result<KeyBatch> begin(const KeyBatchOrder& order, const TestPlan& plan = keyPlan())
    {
        return beginOrResume(*m_journal, plan, "S", order, m_clock);
    }
    std::unique_ptr<QTemporaryDir> m_folder{};
    VirtualClock m_clock{};
    std::unique_ptr<Journal> m_journal{};
};

void TstKeyBatchOrder::sameSecond_givesTwoNames()
{
    const auto first = begin(orderOfUnits(2)); // the clock stands still
    const auto second = begin(orderOfUnits(2));
    const auto third = begin(orderOfUnits(2));
    VERIFY_OK(first);
    VERIFY_OK(second);
    VERIFY_OK(third);
    QCOMPARE(second->name, first->name + "-2");
    QCOMPARE(third->name, first->name + "-3");
}

void TstKeyBatchOrder::name_isNeverGivenTwice()
{
    VERIFY_OK(begin(orderOfUnits(2, "lot")));
    VERIFY_FAILS(begin(orderOfUnits(2, "lot")), Errc::Denied);
}

void TstKeyBatchOrder::resume_findsTheLatestThatFits()
{
    VERIFY_FAILS(begin(orderOfUnits(2, "", true)), Errc::NotFound);
    VERIFY_OK(begin(orderOfUnits(2, "a")));
    VERIFY_OK(begin(orderOfUnits(2, "b")));
    VERIFY_OK(begin(orderOfUnits(3, "c")));
    QCOMPARE(begin(orderOfUnits(2, "", true))->name, std::string("b"));
    QCOMPARE(begin(orderOfUnits(2, "a", true))->name, std::string("a"));
    QCOMPARE(m_journal->keyBatches()->size(), std::size_t{3});
}

void TstKeyBatchOrder::resume_refusesWhatHasChanged()
{
    VERIFY_OK(begin(orderOfUnits(2, "a")));
    VERIFY_FAILS(begin(orderOfUnits(3, "a", true)), Errc::InvalidArgument);
    VERIFY_FAILS(begin(orderOfUnits(2, "a", true), keyPlan("other")), Errc::InvalidArgument);
}

} // namespace provost::test

PROVOST_TEST("key_batch_order", provost::test::TstKeyBatchOrder)
#include "tst_key_batch_order.moc"
