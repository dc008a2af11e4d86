// The hash chain: every write is sealed, whatever is changed past the station has its place named.
#include "core/byte_io.h"
#include "store/migrator.h"
#include "store/verify_p.h"
#include "support/chained_records.h"
#include "support/test_program.h"

#include <QFile>
#include <QTest>

using namespace provost;
using provost::test::ChainedRecords;
using provost::test::must;
using namespace std::chrono_literals;

namespace {

QStringList linesOf(const QString& text)
{
    return text.split('\n', Qt::SkipEmptyParts);
}

const QString kCoveredTables = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT "
                               "LIKE 'sqlite_%' AND name NOT LIKE 'chain_%' ORDER BY name";

class TstChain : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void initTestCase()
    {
        m_filled = std::make_unique<ChainedRecords>();
        m_filled->fill();
    }
    void init() { m_records = std::make_unique<ChainedRecords>(*m_filled); }

    void whatTheStationWrote_isWhole()
    {
        const auto report = m_records->verify();
        QVERIFY2(!report.problem, report.problem ? report.problem->reason.c_str() : "");
        QVERIFY(report.entries > report.rows);
        QCOMPARE(report.unsignedEntries, 0); // closing signs the rest
        QCOMPARE(report.adopted, 0);
        QVERIFY(report.checkpoints >= 3);
        QCOMPARE(report.elsewhere, report.checkpoints);
        std::int64_t rows = 0;
        for (const auto& table : linesOf(m_records->shell(kCoveredTables)))
            rows += m_records->shell("SELECT count(*) FROM " + table).toLongLong();
        QCOMPARE(report.rows, rows);
    }

    void everyTable_isCoveredAndRefusesWritesPastTheChain()
    {
        auto db = must(sqlite::Connection::open(m_records->file, sqlite::Access::ReadWrite));
        const auto tables = linesOf(m_records->shell(kCoveredTables));
        QVERIFY(tables.size() >= 14);
        for (const auto& each : tables) {
            const std::string table = each.toStdString();
            const auto column = must(
                db.text("SELECT name FROM pragma_table_info(?) WHERE pk = 0 LIMIT 1", {table}));
            QVERIFY2(must(db.integer(concat("SELECT count(*) FROM ", table))) > 0, table.c_str());
            const auto before = m_records->shell("SELECT * FROM " + each);
            // Refused by a trigger, or by the connection when it commits.
            for (const auto& sql : {concat("UPDATE ", table, " SET ", column, " = ", column),
                                    concat("DELETE FROM ", table),
                                    concat("REPLACE INTO ", table, " SELECT * FROM ", table)})
                QVERIFY2(!db.execute(sql), sql.c_str());
            QCOMPARE(m_records->shell("SELECT * FROM " + each), before);
        }
        QVERIFY(!m_records->verify().problem);
    }

    void aConnection_refusesToCommitWhatIsNotSealed()
    {
        auto db = must(sqlite::Connection::open(m_records->file, sqlite::Access::ReadWrite));
        const std::string insert = "INSERT INTO station_event (at_utc, kind, subject, payload) "
                                   "VALUES (1, 'k', '', '')";
        QVERIFY(!db.execute(insert));
        auto transaction = must(sqlite::Transaction::begin(db));
        must(db.execute(insert));
        QVERIFY(!transaction.commit());
        auto writer = must(chain::Writer::open(db));
        must(chain::writeSealed(db, writer, 1,
                                [&](sqlite::Connection& in) { return in.execute(insert); }));
        QCOMPARE(m_records->shell("SELECT count(*) FROM station_event WHERE kind = 'k'"),
                 QString("1"));
    }

    void whatIsRolledBack_leavesNoEntry()
    {
        const auto entries = m_records->shell("SELECT count(*) FROM chain_entry");
        const auto journal = m_records->open();
        QVERIFY(!journal->settle(RunId{1}, "nothing", Verdict::Pass));
        const auto run = must(journal->beginRun({.planId = "p"}));
        QVERIFY(!journal->identify(run, {.deviceId = "XYZ"}, "dfu"));
        QCOMPARE(m_records->shell("SELECT count(*) FROM chain_entry").toInt(),
                 entries.toInt() + 2); // the run and its journal row
        QVERIFY(!m_records->verify().problem);
    }

    void anyColumnOfAnyTable_isNamed()
    {
        const auto whole = m_records->path("whole.db");
        QFile::copy(QString::fromStdString(m_records->file), QString::fromStdString(whole));
        int columns = 0;
        for (const auto& table : linesOf(m_records->shell(kCoveredTables))) {
            const auto names = linesOf(m_records->shell("SELECT name FROM pragma_table_info('" +
                                                        table + "') WHERE pk = 0"));
            for (const auto& column : names) {
                QFile::remove(QString::fromStdString(m_records->file));
                QFile::copy(QString::fromStdString(whole), QString::fromStdString(m_records->file));
                const auto row = m_records->shell("SELECT max(rowid) FROM " + table);
                QCOMPARE(m_records->intrude(changeOf(table, column, row)), QString());
                const auto report = m_records->verifyAlone();
                const auto what = (table + "." + column).toStdString();
                QVERIFY2(report.problem, what.c_str());
                QVERIFY2(report.problem->table == table.toStdString(), what.c_str());
                QCOMPARE(report.problem->row, row.toLongLong());
                QVERIFY2(report.problem->reason.ends_with(": " + column.toStdString()),
                         report.problem->reason.c_str());
                ++columns;
            }
        }
        qInfo("%d columns, each changed and named", columns);
        QVERIFY(columns > 100);
    }

    void intrusion_isNamed_data()
    {
        QTest::addColumn<QString>("sql");
        QTest::addColumn<QString>("table");
        QTest::addColumn<int>("row");
        QTest::addColumn<QString>("says");
        QTest::newRow("row deleted") << "DELETE FROM measurement WHERE rowid = 3"
                                     << "measurement" << 3 << "missing";
        QTest::newRow("last journal row deleted")
            << "DELETE FROM journal WHERE seq = (SELECT max(seq) FROM journal); UPDATE "
               "sqlite_sequence SET seq = seq - 1 WHERE name = 'journal'"
            << "journal" << 0 << "missing";
        QTest::newRow("row inserted")
            << "INSERT INTO measurement SELECT 77, attempt_id, 9, name, number, words, flag, "
               "minimum, maximum, unit, verdict FROM measurement WHERE rowid = 1"
            << "measurement" << 77 << "did not write it";
        QTest::newRow("rows swapped")
            << "UPDATE attempt SET attempt_id = -attempt_id; UPDATE attempt SET attempt_id = "
               "3 + attempt_id"
            << "attempt" << 1 << "changed";
        QTest::newRow("verdict and its journal row")
            << "UPDATE run SET verdict = 'pass' WHERE run_id = 2; UPDATE journal SET payload = "
               "'pass' WHERE run_id = 2 AND kind = 'finish'"
            << "run" << 2 << ": verdict";
        QTest::newRow("state of a unit")
            << "UPDATE unit SET state = 'pass' WHERE unit_id = 2" << "unit" << 2 << ": state";
        QTest::newRow("number as text")
            << "UPDATE outbox SET payload = CAST('PEM' AS BLOB) || '' WHERE outbox_id = 1; "
               "UPDATE outbox SET tries = 1 WHERE outbox_id = 1"
            << "outbox" << 1 << ": tries";
        QTest::newRow("entry changed")
            << "UPDATE chain_entry SET row_id = row_id + 1 WHERE entry = 5" << "chain_entry" << 5
            << "link";
        QTest::newRow("time of an entry")
            << "UPDATE chain_entry SET at_utc = at_utc + 1 WHERE entry = 9" << "chain_entry" << 9
            << "link";
        QTest::newRow("mark of an entry")
            << "UPDATE chain_entry SET marks = zeroblob(length(marks)) WHERE entry = 9"
            << "chain_entry" << 9 << "link";
        QTest::newRow("entry deleted")
            << "DELETE FROM chain_entry WHERE entry = 7" << "chain_entry" << 8 << "7 to 7";
        QTest::newRow("last entries deleted")
            << "DELETE FROM chain_entry WHERE entry > 30" << "run" << 2 << "verdict";
        QTest::newRow("origin") << "UPDATE chain_origin SET at_utc = at_utc - 1"
                                << "chain_entry" << 1 << "link";
        QTest::newRow("layout")
            << "UPDATE chain_layout SET columns = replace(columns, 'verdict', 'verdiCt') WHERE "
               "table_name = 'run'"
            << "chain_layout" << 0 << "run";
        QTest::newRow("checkpoint forged")
            << "UPDATE chain_checkpoint SET entry = entry - 1, link = (SELECT e.link FROM "
               "chain_entry AS e WHERE e.entry = chain_checkpoint.entry - 1) "
               "WHERE chain_checkpoint_id = 1"
            << "chain_checkpoint" << 1 << "signature";
        QTest::newRow("checkpoint deleted")
            << "DELETE FROM chain_checkpoint WHERE chain_checkpoint_id = 1" << "chain_checkpoint"
            << 2 << "missing";
        QTest::newRow("all checkpoints deleted")
            << "DELETE FROM chain_checkpoint" << "chain_checkpoint" << 0 << "did not sign";
        QTest::newRow("counter") << "UPDATE sqlite_sequence SET seq = 99 WHERE name = 'journal'"
                                 << "journal" << 99 << "counted";
        QTest::newRow("table put in")
            << "CREATE TABLE left_behind (x)" << "sqlite_schema" << 0 << "left_behind";
    }
    void intrusion_isNamed()
    {
        QFETCH(QString, sql);
        QFETCH(QString, table);
        QFETCH(int, row);
        QFETCH(QString, says);
        QCOMPARE(m_records->intrude(sql), QString());
        const auto report = m_records->verifyAlone();
        QVERIFY(report.problem);
        qInfo("%s %lld: %s", report.problem->table.c_str(),
              static_cast<long long>(report.problem->row), report.problem->reason.c_str());
        QCOMPARE(QString::fromStdString(report.problem->table), table);
        if (row > 0)
            QCOMPARE(static_cast<int>(report.problem->row), row);
        QVERIFY(report.problem->reason.find(says.toStdString()) != std::string::npos);
    }

    void aTriggerThatIsGone_isNamed()
    {
        m_records->shell("DROP TRIGGER run_verdict_is_final");
        const auto report = m_records->verifyAlone();
        QVERIFY(report.problem);
        QCOMPARE(report.problem->table, std::string("sqlite_schema"));
        QVERIFY(report.problem->reason.find("run_verdict_is_final is missing") !=
                std::string::npos);
    }

    // Whoever can write to the file can also make entries; what he lacks is the key.
    void rewrittenHistory_contradictsItsCheckpoint()
    {
        const auto entry = m_records->shell("SELECT entry FROM chain_checkpoint LIMIT 1").toInt();
        rewriteChainFrom(entry - 3);
        const auto report = m_records->verifyAlone();
        QVERIFY(report.problem);
        QCOMPARE(report.problem->table, std::string("chain_entry"));
        QCOMPARE(report.problem->row, std::int64_t{entry});
        QVERIFY(report.problem->reason.find("checkpoint 1") != std::string::npos);
    }

    void whatComesBehindTheLastSignature_isCounted()
    {
        must(recordStationEvent(m_records->file, m_records->clock, {.kind = "k"}));
        const auto report = m_records->verify();
        QVERIFY(!report.problem);
        QCOMPARE(report.unsignedEntries, 1);
        m_records->open().reset();
        QCOMPARE(m_records->verify().unsignedEntries, 0);
    }

    void entriesThatTheStationNeverMakes_areRefused()
    {
        // A forger with the program's own writer, behind the last signature.
        QCOMPARE(m_records->shell("DROP TRIGGER journal_refuses_update"), QString());
        {
            auto db = must(sqlite::Connection::open(m_records->file, sqlite::Access::ReadWrite));
            auto writer = must(chain::Writer::open(db));
            must(chain::writeSealed(db, writer, std::int64_t{1} << 50, [&](sqlite::Connection& in) {
                return in.execute("UPDATE journal SET payload = 'x' WHERE seq = 3");
            }));
        }
        m_records->shell("CREATE TRIGGER journal_refuses_update BEFORE UPDATE ON journal\nBEGIN\n"
                         "    SELECT RAISE(ABORT, 'the journal is append-only');\nEND");
        const auto report = m_records->verifyAlone();
        QVERIFY(report.problem);
        QCOMPARE(report.problem->table, std::string("journal"));
        QCOMPARE(report.problem->row, std::int64_t{3});
    }

    void anotherKey_isNotTheStations()
    {
        const auto other = must(SigningKey::generate());
        const auto report = must(verifyChain(m_records->file, other.verifyingKey()));
        QVERIFY(report.problem);
        QCOMPARE(report.problem->table, std::string("chain_checkpoint"));
    }

    void olderCopy_isFoundByCheckpointsKeptElsewhere()
    {
        const auto older = m_records->path("older.db");
        QFile::copy(QString::fromStdString(m_records->file), QString::fromStdString(older));
        {
            const auto journal = m_records->open();
            m_records->fillRun(*journal, Verdict::Pass, 'c');
        }
        QVERIFY(!m_records->verify().problem);
        QFile::remove(QString::fromStdString(m_records->file));
        QFile::rename(QString::fromStdString(older), QString::fromStdString(m_records->file));
        QVERIFY(!m_records->verifyAlone().problem); // by itself it is sound
        const auto report = m_records->verify();
        QVERIFY(report.problem);
        QVERIFY(report.problem->reason.find("older copy") != std::string::npos);
        // The station itself does not go on with it either.
        const auto journal = must(Journal::open(m_records->file, m_records->clock));
        const auto goingOn =
            journal->signCheckpoints({.key = m_records->key, .elsewhere = m_records->elsewhere});
        QCOMPARE(goingOn.error().code, Errc::Corrupt);
    }

    void tailCutCleanly_isFoundByCheckpointsKeptElsewhere()
    {
        // Everything behind the first checkpoint, and every trace of it.
        const auto entry =
            m_records->shell("SELECT entry FROM chain_checkpoint LIMIT 1").toLongLong();
        QCOMPARE(m_records->intrude(cutBehindCheckpoint(1)), QString());
        auto alone = m_records->verifyAlone();
        QVERIFY(alone.problem);
        QCOMPARE(alone.problem->table, std::string("chain_entry"));
        QCOMPARE(alone.problem->row, entry + 1);
        QVERIFY(alone.problem->reason.find("cut off") != std::string::npos);
        QCOMPARE(m_records->intrude("DELETE FROM chain_checkpoint WHERE chain_checkpoint_id > 1"),
                 QString());
        alone = m_records->verifyAlone();
        QVERIFY2(!alone.problem, alone.problem ? alone.problem->reason.c_str() : "");
        const auto report = m_records->verify();
        QVERIFY(report.problem);
        QCOMPARE(report.problem->row, std::int64_t{2});
    }

    void clockThatWentBack_isNamed()
    {
        const auto before = m_records->shell("SELECT max(entry) FROM chain_entry").toLongLong();
        m_records->clock.move(-30s); // a correction
        must(recordStationEvent(m_records->file, m_records->clock, {.kind = "k"}));
        QVERIFY(!m_records->verifyAlone().problem);
        m_records->clock.move(-2h);
        {
            const auto journal = m_records->open();
            must(journal->recordSlotAct({.slot = 1, .on = false, .actor = "line", .why = "x"}));
        }
        const auto report = m_records->verifyAlone();
        QVERIFY(report.problem);
        QCOMPARE(report.problem->row, before + 2);
        QVERIFY(report.problem->reason.find("clock went back") != std::string::npos);
    }

    void olderDatabase_isVouchedForFromItsMigrationOn()
    {
        m_records = std::make_unique<ChainedRecords>();
        must(migrate(m_records->file, releasedMigrations().first(6)));
        m_records->shell(
            "INSERT INTO unit (device_id, simulated, first_seen_utc, last_seen_utc) "
            "VALUES ('0123456789abcdef01234567', 0, 1, 2); INSERT INTO run (unit_id, slot, label, "
            "plan_id, plan_revision, plan_digest, station, simulated, started_utc, finished_utc, "
            "seconds, verdict) VALUES (1, 1, '', 'p', 1, '', '', 0, 1, 2, 1, 'fail'); "
            "INSERT INTO journal (run_id, at_utc, kind, subject, payload) VALUES (1, 1, 'begin', "
            "'', ''), (1, 1, 'finish', '', 'fail'); INSERT INTO handshake_arrow VALUES "
            "(1, 1, 1, 0, 'nonce', '', 40, 0.5, 0), (1, 1, 2, 1, 'reply', '', 40, 1.5, 0)");
        QCOMPARE(must(verifyChainError()), Errc::Unsupported);
        m_records->open().reset();
        const auto report = m_records->verify();
        QVERIFY2(!report.problem, report.problem ? report.problem->reason.c_str() : "");
        QCOMPARE(report.adopted, 6);
        QVERIFY(!report.originUtc.empty());
        QCOMPARE(m_records->shell("SELECT group_concat(what) FROM handshake_arrow"),
                 QString("nonce,reply"));
        QCOMPARE(m_records->intrude("UPDATE run SET verdict = 'pass'"), QString());
        QCOMPARE(m_records->verify().problem->table, std::string("run"));
    }

    void aColumnThatANewerProgramAdds_holdsItsDefaultUntilTheRowIsWritten()
    {
        auto steps = std::vector(releasedMigrations().begin(), releasedMigrations().end());
        const int next = static_cast<int>(steps.size()) + 1;
        steps.push_back({next, "next",
                         "ALTER TABLE unit ADD COLUMN colour TEXT NOT NULL DEFAULT "
                         "'grey'; UPDATE unit SET label = 'new' WHERE unit_id = 2"});
        must(migrate(m_records->file, steps));
        QVERIFY(!walked().problem);
        QCOMPARE(m_records->intrude("UPDATE unit SET colour = 'red' WHERE unit_id = 1"), QString());
        auto report = walked();
        QVERIFY(report.problem);
        QCOMPARE(report.problem->row, std::int64_t{1});
        QCOMPARE(m_records->intrude("UPDATE unit SET colour = 'grey' WHERE unit_id = 1; "
                                    "UPDATE unit SET colour = 'red' WHERE unit_id = 2"),
                 QString());
        report = walked();
        QVERIFY(report.problem);
        QVERIFY(report.problem->reason.ends_with(": colour"));
        // What would leave older entries without their columns is refused.
        steps.push_back({next + 1, "worse", "ALTER TABLE station_act RENAME COLUMN why TO reason"});
        QVERIFY(!migrate(m_records->file, steps));
    }

private:
    static QString changeOf(const QString& table, const QString& column, const QString& row)
    {
        const QString c = '"' + column + '"';
        return "UPDATE " + table + " SET " + c + " = CASE typeof(" + c + ") WHEN 'integer' THEN " +
               c + " + 1 WHEN 'real' THEN " + c + " + 1 WHEN 'text' THEN " + c +
               " || 'x' WHEN 'blob' THEN zeroblob(7) ELSE "
               "CASE (SELECT type FROM pragma_table_info('" +
               table + "') WHERE name = '" + column +
               "') WHEN 'TEXT' THEN 'x' ELSE 7 END END WHERE rowid = " + row;
    }

    Result<Errc> verifyChainError() const
    {
        const auto report = verifyChain(m_records->file, m_records->key->verifyingKey());
        return report ? Errc::Internal : report.error().code;
    }

    /// The chain and the rows alone, of a schema that is not released.
    ChainReport walked() const
    {
        ChainReport report;
        auto db = must(sqlite::Connection::open(m_records->file, sqlite::Access::Inspect));
        const auto layouts = must(chain::readLayouts(db));
        const auto wrong = must(detail::checkLayouts(db, layouts));
        if (wrong) {
            report.problem = wrong;
            return report;
        }
        detail::ChainWalk walk(db, report);
        must(walk.run(layouts, {}));
        return report;
    }

    /// Another time in every entry from `first` on, and links that fit.
    void rewriteChainFrom(int first)
    {
        QString script;
        auto db = must(sqlite::Connection::open(m_records->file, sqlite::Access::ReadOnly));
        auto before = must(db.query("SELECT link FROM chain_entry WHERE entry = ?", {first - 1}));
        must(before.step());
        Sha256 link = chain::sha256In(before, 0);
        auto rows = must(
            db.query(concat(chain::kEntryColumns, "WHERE entry >= ? ORDER BY entry"), {first}));
        while (must(rows.step())) {
            auto entry = chain::entryIn(rows);
            entry.atUtc += 1;
            link = chain::linkOf(link, entry);
            script += QString("UPDATE chain_entry SET at_utc = at_utc + 1, link = x'%1' WHERE "
                              "entry = %2;")
                          .arg(QString::fromStdString(toHex(link)))
                          .arg(entry.number);
        }
        QCOMPARE(m_records->intrude(script), QString());
    }

    QString cutBehindCheckpoint(int number) const
    {
        const auto entry = m_records->shell(
            QString("SELECT entry FROM chain_checkpoint WHERE chain_checkpoint_id = %1")
                .arg(number));
        QString script;
        // Rows that are older stay: they were not written again since.
        for (const auto& table : linesOf(m_records->shell(kCoveredTables)))
            script += QString("DELETE FROM %1 WHERE rowid NOT IN (SELECT e.row_id FROM chain_entry "
                              "AS e JOIN chain_layout USING (chain_layout_id) WHERE table_name = "
                              "'%1' AND entry <= %2); UPDATE sqlite_sequence SET seq = "
                              "(SELECT max(rowid) FROM %1) WHERE name = '%1';")
                          .arg(table, entry);
        return script + "DELETE FROM sqlite_sequence WHERE seq IS NULL;" +
               "DELETE FROM chain_entry WHERE entry > " + entry;
    }

    std::unique_ptr<ChainedRecords> m_filled;
    std::unique_ptr<ChainedRecords> m_records;
};

} // namespace

PROVOST_TEST("chain", TstChain)
#include "tst_chain.moc"
