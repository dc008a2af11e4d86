// Journal: a unit leaves HOLD by the confirmation that it waits for, and by nothing else.
#include "core/text.h"
#include "store/journal.h"
#include "support/test_program.h"

#include <QTemporaryDir>
#include <QTest>

using namespace provost;

namespace {

const std::string kHeldUnit = "0123456789abcdef01234567";

class TstRelease : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void init();
    void cleanup() { m_journal.reset(); }
    void confirmedRegistration_releases();
    void release_isOnDiskAndHappensOnce();
    void waitingRegistration_isNotReleased();
    void withdrawnUnit_isNotReleased();
    void withdrawnUnit_withANewKey_isReleased();
    void holdWithoutRegistration_isNotReleased();
    void newerRun_isNotReleased();
    void newerKey_isNotReleased();
    void laterWithdrawal_takesTheReleaseBack();
    void supersededRow_waitsNoMore();

private:
    RunId holdWith(const std::string& fingerprint, bool posts = true);
    void confirm(RunId run, const std::string& fingerprint);
    Errc refusal()
    {
        const auto released = m_journal->releaseUnit(kHeldUnit, "test");
        return released ? Errc::Internal : released.error().code;
    }
    std::string state() { return m_journal->unit(kHeldUnit).value().state; }

    SystemClock m_clock;
    std::unique_ptr<QTemporaryDir> m_folder{};
    std::unique_ptr<Journal> m_journal{};
    const std::string m_key = std::string(64, 'a');
};

void TstRelease::init()
{
    m_folder = std::make_unique<QTemporaryDir>();
    m_journal = Journal::open(m_folder->filePath("u.db").toStdString(), m_clock).value();
}

RunId TstRelease::holdWith(const std::string& fingerprint, bool posts)
{
    const RunId run = m_journal->beginRun({.slot = 1, .planId = "p"}).value();
    std::vector<OutboxEntry> rows;
    if (posts)
        rows.push_back({.kind = "registration",
                        .idempotencyKey = concat("registration:", fingerprint),
                        .deviceId = kHeldUnit,
                        .payload = "PEM"});
    const bool written =
        m_journal->identify(run, {.deviceId = kHeldUnit}, "dfu") &&
        m_journal->journalKey(run, {.fingerprint = fingerprint,
                                    .deviceId = kHeldUnit,
                                    .publicDer = Bytes(162, static_cast<std::byte>(fingerprint[0])),
                                    .origin = "generated"}) &&
        m_journal->setKeyState(run, fingerprint, "proved") &&
        m_journal->finishRun(run, Verdict::Hold, "H310", "", 1.0, rows);
    return written ? run : RunId{};
}

void TstRelease::confirm(RunId run, const std::string& fingerprint)
{
    QVERIFY(m_journal->setKeyState(run, fingerprint, "registered").has_value());
    const auto waiting = m_journal->outbox("waiting").value();
    for (const auto& row : waiting)
        QVERIFY(m_journal->markSent(row.id).has_value());
}

void TstRelease::confirmedRegistration_releases()
{
    const RunId run = holdWith(m_key);
    QVERIFY(run.value != 0);
    confirm(run, m_key);
    QCOMPARE(state(), std::string("hold"));
    QVERIFY(m_journal->releaseUnit(kHeldUnit, "the cloud answered 200").has_value());
    QCOMPARE(state(), std::string("released"));
    const auto release = m_journal->releaseOf(kHeldUnit).value();
    QVERIFY(release.has_value());
    QCOMPARE(release->run, run);
    QCOMPARE(release->fingerprint, m_key);
    QCOMPARE(release->evidence, std::string("the cloud answered 200"));
    QCOMPARE(m_journal->run(run).value().verdict, Verdict::Hold); // a verdict is final
}

void TstRelease::release_isOnDiskAndHappensOnce()
{
    const RunId run = holdWith(m_key);
    confirm(run, m_key);
    QVERIFY(m_journal->releaseUnit(kHeldUnit, "first").has_value());
    QVERIFY(m_journal->releaseUnit(kHeldUnit, "second").has_value());
    const auto file = m_journal->path();
    m_journal.reset();
    QVERIFY(!verifyDatabase(file).value().has_value());
    m_journal = Journal::open(file, m_clock).value();
    QCOMPARE(m_journal->releaseOf(kHeldUnit).value()->evidence, std::string("first"));
    int rows = 0;
    const auto journal = m_journal->journalOf(run).value();
    for (const auto& row : journal)
        rows += row.kind == "release" ? 1 : 0;
    QCOMPARE(rows, 1);
}

void TstRelease::waitingRegistration_isNotReleased()
{
    QVERIFY(holdWith(m_key).value != 0);
    QCOMPARE(refusal(), Errc::Unavailable);
    QCOMPARE(state(), std::string("hold"));
    QVERIFY(!m_journal->releaseOf(kHeldUnit).value());
}

void TstRelease::withdrawnUnit_isNotReleased()
{
    const RunId run = holdWith(m_key);
    confirm(run, m_key);
    QVERIFY(m_journal->withdrawUnit(run, kHeldUnit, "its key was found on another").has_value());
    QCOMPARE(refusal(), Errc::InvalidArgument);
    QCOMPARE(state(), std::string("hold"));
}

void TstRelease::withdrawnUnit_withANewKey_isReleased()
{
    const RunId run = holdWith(m_key);
    QVERIFY(m_journal->withdrawUnit(run, kHeldUnit, "its key was found on another").has_value());
    QCOMPARE(m_journal->outboxCount("waiting").value(), 0); // nothing is sent for the shared key
    QCOMPARE(m_journal->outboxCount("superseded").value(), 1);
    const RunId later = holdWith(std::string(64, 'b'));
    QCOMPARE(refusal(), Errc::Unavailable);
    confirm(later, std::string(64, 'b'));
    QVERIFY(m_journal->releaseUnit(kHeldUnit, "the cloud answered 200").has_value());
    QCOMPARE(state(), std::string("released"));
}

void TstRelease::holdWithoutRegistration_isNotReleased()
{
    const RunId run = holdWith(m_key, false);
    confirm(run, m_key);
    QCOMPARE(refusal(), Errc::InvalidArgument);
}

void TstRelease::newerRun_isNotReleased()
{
    const RunId run = holdWith(m_key);
    confirm(run, m_key);
    const RunId later = m_journal->beginRun({.slot = 1, .planId = "p"}).value();
    QVERIFY(m_journal->identify(later, {.deviceId = kHeldUnit}, "dfu").has_value());
    QCOMPARE(refusal(), Errc::InvalidArgument);
    QVERIFY(m_journal->finishRun(later, Verdict::Aborted, "S001", "", 1.0).has_value());
    QCOMPARE(refusal(), Errc::InvalidArgument);
}

void TstRelease::newerKey_isNotReleased()
{
    QVERIFY(holdWith(m_key).value != 0);
    const RunId second = holdWith(std::string(64, 'b'));
    // The answer for the first key comes when the second one is proved.
    const auto waiting = m_journal->outbox("waiting").value();
    for (const auto& row : waiting)
        QVERIFY(m_journal->markSent(row.id).has_value());
    QCOMPARE(refusal(), Errc::InvalidArgument); // the second one is not registered
    confirm(second, std::string(64, 'b'));
    QVERIFY(m_journal->releaseUnit(kHeldUnit, "both").has_value());
    QCOMPARE(m_journal->releaseOf(kHeldUnit).value()->fingerprint, std::string(64, 'b'));
}

void TstRelease::laterWithdrawal_takesTheReleaseBack()
{
    const RunId run = holdWith(m_key);
    confirm(run, m_key);
    QVERIFY(m_journal->releaseUnit(kHeldUnit, "test").has_value());
    QVERIFY(m_journal->withdrawUnit(run, kHeldUnit, "recalled").has_value());
    QCOMPARE(state(), std::string("hold"));
    QVERIFY(!m_journal->releaseOf(kHeldUnit).value());
    QCOMPARE(refusal(), Errc::InvalidArgument);
}

void TstRelease::supersededRow_waitsNoMore()
{
    QVERIFY(holdWith(m_key).value != 0);
    const auto row = m_journal->outbox("waiting").value().front();
    QVERIFY(m_journal->markSuperseded(row.id, "a newer key is proved").has_value());
    QCOMPARE(m_journal->outboxCount("waiting").value(), 0);
    QCOMPARE(m_journal->outbox().value().front().state, std::string("superseded"));
    QCOMPARE(m_journal->markSuperseded(row.id, "again").error().code, Errc::NotFound);
    QCOMPARE(refusal(), Errc::InvalidArgument);
}

} // namespace

PROVOST_TEST("release", TstRelease)
#include "tst_release.moc"
