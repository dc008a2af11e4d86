// When the chain is signed, and what happens where the copies are to be kept.
#include "support/chained_records.h"
#include "support/test_program.h"

#include <QFile>
#include <QFileInfo>
#include <QTest>

using namespace provost;
using provost::test::ChainedRecords;
using provost::test::must;
using namespace std::chrono_literals;

namespace {

class TstCheckpoints : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void init() { m_records = std::make_unique<ChainedRecords>(); }

    void verdictCountTimeAndClosing_areSigned()
    {
        {
            const auto journal = m_records->open({.entries = 6, .age = 10min});
            const auto run = must(journal->beginRun({.planId = "p"})); // 2 entries
            must(journal->note(run, "note", "1"));
            QCOMPARE(reasons(), QString());
            must(journal->finishRun(run, Verdict::Aborted, "C001", "", 1)); // 2
            QCOMPARE(reasons(), QString("verdict"));
            const auto second = must(journal->beginRun({.planId = "p"}));
            for (const auto* text : {"1", "2", "3"})
                must(journal->note(second, "note", text));
            QCOMPARE(reasons(), QString("verdict"));
            must(journal->note(second, "note", "4")); // the sixth
            QCOMPARE(reasons(), QString("verdict,count"));
            m_records->clock.move(10min);
            must(journal->note(second, "note", "5"));
            QCOMPARE(reasons(), QString("verdict,count,time"));
            must(journal->note(second, "note", "6"));
        }
        QCOMPARE(reasons(), QString("verdict,count,time,close"));
        QCOMPARE(m_records->verify().unsignedEntries, 0);
        m_records->open().reset(); // recovery ends the second run: that is signed on closing
        m_records->open().reset(); // nothing new: nothing to sign
        QCOMPARE(reasons(), QString("verdict,count,time,close,close"));
    }

    void journalWithoutAKey_makesEntriesOnly()
    {
        {
            const auto journal = must(Journal::open(m_records->file, m_records->clock));
            m_records->fillRun(*journal, Verdict::Pass, 'a');
        }
        QCOMPARE(reasons(), QString());
        auto report = m_records->verifyAlone();
        QVERIFY(report.problem);
        QCOMPARE(report.problem->table, std::string("chain_checkpoint"));
        {
            const auto journal = m_records->open();
            m_records->fillRun(*journal, Verdict::Pass, 'b');
        }
        report = m_records->verify();
        QVERIFY(!report.problem);
        QCOMPARE(report.unsignedEntries, 0);
    }

    void folder_hasOneFileADatabase()
    {
        m_records->elsewhere = m_records->path("kept");
        std::filesystem::create_directory(m_records->elsewhere);
        m_records->fill();
        const auto id = m_records->shell("SELECT lower(hex(database_id)) FROM chain_origin");
        QVERIFY(QFile::exists(QString::fromStdString(m_records->elsewhere) + "/" + id +
                              ".checkpoints"));
        QVERIFY(!m_records->verify().problem);
    }

    void placeThatIsAway_holdsUpNoVerdictAndCatchesUp()
    {
        const auto folder = m_records->path("kept");
        m_records->elsewhere = folder + "/a.checkpoints";
        const auto away = folder + "-away";
        std::filesystem::create_directory(folder);
        const auto journal = m_records->open();
        std::filesystem::rename(folder, away);
        m_records->fillRun(*journal, Verdict::Pass, 'a');
        QCOMPARE(journal->checkpointsKept().error().code, Errc::Io);
        QCOMPARE(must(journal->stationEvents()).back().kind, std::string("checkpoints-not-kept"));
        m_records->fillRun(*journal, Verdict::Pass, 'b');
        std::filesystem::rename(away, folder);
        m_records->fillRun(*journal, Verdict::Pass, 'c');
        must(journal->checkpointsKept());
        QCOMPARE(must(journal->stationEvents()).back().kind, std::string("checkpoints-kept"));
        QCOMPARE(must(journal->stationEvents()).size(), std::size_t{2});
        const auto report = m_records->verify();
        QVERIFY2(!report.problem, report.problem ? report.problem->reason.c_str() : "");
        QCOMPARE(report.elsewhere, 3);
    }

    void placeThatCannotBeWritten_isToldAtTheStart()
    {
        m_records->elsewhere = m_records->path("none/a.checkpoints");
        const auto journal = must(Journal::open(m_records->file, m_records->clock));
        const auto refused =
            journal->signCheckpoints({.key = m_records->key, .elsewhere = m_records->elsewhere});
        QCOMPARE(refused.error().code, Errc::Io);
        QVERIFY(refused.error().message.find(m_records->elsewhere) != std::string::npos);
    }

    void killBetweenCommitAndCopy_isCaughtUp()
    {
        m_records->fill();
        QFile kept(QString::fromStdString(m_records->elsewhere));
        QVERIFY(kept.open(QIODevice::ReadWrite));
        const auto whole = kept.readAll();
        // Every length of a torn last line, and that line not begun.
        const auto lastLine = whole.lastIndexOf('\n', whole.size() - 2) + 1;
        for (const auto size : {whole.size() - 1, lastLine + 40, lastLine + 1, lastLine}) {
            kept.resize(size);
            QVERIFY(!m_records->verify().problem);
            m_records->open().reset();
            kept.seek(0);
            QCOMPARE(kept.readAll(), whole);
        }
    }

    void lineThatWasChanged_isNoCheckpoint()
    {
        m_records->fill();
        QFile kept(QString::fromStdString(m_records->elsewhere));
        QVERIFY(kept.open(QIODevice::ReadWrite));
        const auto whole = kept.readAll();
        for (int at = 0; at < whole.size(); at += 31) {
            auto changed = whole;
            changed[at] = static_cast<char>(changed[at] ^ 1);
            kept.resize(0);
            kept.seek(0);
            kept.write(changed);
            kept.flush();
            const auto report =
                verifyChain(m_records->file, m_records->key->verifyingKey(), m_records->elsewhere);
            // Another database's line is none of ours, and is missed where it was the last one.
            if (report && !report->problem)
                QCOMPARE(report->elsewhere, m_records->verifyAlone().checkpoints - 1);
        }
    }

    void tailThatWasChanged_isNotSigned()
    {
        m_records->fill();
        must(recordStationEvent(m_records->file, m_records->clock, {.kind = "k"}));
        QCOMPARE(m_records->intrude("UPDATE chain_entry SET at_utc = at_utc + 1 WHERE entry = "
                                    "(SELECT max(entry) FROM chain_entry)"),
                 QString());
        const auto journal = must(Journal::open(m_records->file, m_records->clock));
        const auto refused = journal->signCheckpoints({.key = m_records->key});
        QCOMPARE(refused.error().code, Errc::Corrupt);
        QVERIFY(refused.error().message.find("provost db verify") != std::string::npos);
    }

    void anyByteOfAClosedFile_isFound()
    {
        m_records->fill();
        QFile file(QString::fromStdString(m_records->file));
        QVERIFY(file.open(QIODevice::ReadWrite));
        int nameless = 0;
        // The end of the first page, the change counter, the middle of each page.
        QList<qint64> places{4095, 27};
        for (qint64 at = 2048; at < file.size(); at += 4096)
            places << at;
        for (const auto at : places) {
            flip(file, at);
            const auto report =
                verifyChain(m_records->file, m_records->key->verifyingKey()).value();
            QVERIFY2(report.problem, std::to_string(at).c_str());
            nameless += report.problem->reason.starts_with("page ") ? 1 : 0;
            flip(file, at);
        }
        QVERIFY(!m_records->verify().problem);
        QVERIFY(nameless > 1);
        // From the next writer on the bytes are the station's again.
        must(recordStationEvent(m_records->file, m_records->clock, {.kind = "k"}));
        QVERIFY(!QFile::exists(QString::fromStdString(m_records->file + ".pages")));
        QVERIFY(!m_records->verify().problem);
        m_records->open().reset();
        QVERIFY(QFile::exists(QString::fromStdString(m_records->file + ".pages")));
        QFile::resize(QString::fromStdString(m_records->file),
                      QFileInfo(QString::fromStdString(m_records->file)).size() + 4096);
        QVERIFY(m_records->verify().problem);
    }

    void sealOfPages_cannotBeForged()
    {
        m_records->fill();
        QFile seal(QString::fromStdString(m_records->file + ".pages"));
        QVERIFY(seal.open(QIODevice::ReadWrite));
        flip(seal, seal.size() - 200);
        const auto report = m_records->verify();
        QVERIFY(report.problem);
        QVERIFY(report.problem->reason.find("signature") != std::string::npos);
    }

    void readOnlyJournal_signsNothing()
    {
        m_records->fill();
        const auto journal = must(Journal::openReadOnly(m_records->file, m_records->clock));
        QCOMPARE(journal->signCheckpoints({.key = m_records->key}).error().code, Errc::Denied);
    }

private:
    static void flip(QFile& file, qint64 at)
    {
        char value = 0;
        file.seek(at);
        file.read(&value, 1);
        value = static_cast<char>(value ^ 1);
        file.seek(at);
        file.write(&value, 1);
        file.flush();
    }
    QString reasons() const
    {
        return m_records->shell("SELECT group_concat(reason) FROM (SELECT reason FROM "
                                "chain_checkpoint ORDER BY chain_checkpoint_id)");
    }

    std::unique_ptr<ChainedRecords> m_records;
};

} // namespace

PROVOST_TEST("checkpoints", TstCheckpoints)
#include "tst_checkpoints.moc"
