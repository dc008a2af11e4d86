// Journal: what survives crashes, full disks, second programs, old and damaged files.
#include "core/text.h"
#include "store/journal.h"
#include "store/migrator.h"
#include "store/sqlite_p.h"
#include "support/must.h"
#include "support/test_program.h"

#include <QDir>
#include <QFile>
#include <QProcess>
#include <QTemporaryDir>
#include <QTest>
#include <csignal>
#include <functional>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace provost;
using provost::test::must;
using namespace std::chrono_literals;
using sqlite::Access;
using sqlite::Connection;

namespace {

const std::string kUnit = "0123456789abcdef01234567";

Result<RunId> beginWith(Journal& journal, const std::string& deviceId)
{
    const auto run = TRY(journal.beginRun({.planId = "p", .planDigest = std::string(64, 'd')}));
    TRY(journal.identify(run, {.deviceId = deviceId}, "dfu"));
    return run;
}

/// While it lives no file of this process can grow beyond `bytes`: a full disk.
class FullDisk {
public:
    explicit FullDisk(rlim_t bytes)
    {
        std::signal(SIGXFSZ, SIG_IGN);
        getrlimit(RLIMIT_FSIZE, &m_before);
        const rlimit tight{.rlim_cur = bytes, .rlim_max = m_before.rlim_max};
        setrlimit(RLIMIT_FSIZE, &tight);
    }
    ~FullDisk() { setrlimit(RLIMIT_FSIZE, &m_before); }
    FullDisk(const FullDisk&) = delete;
    FullDisk& operator=(const FullDisk&) = delete;

private:
    rlimit m_before{};
};

class TstStoreSafety : public QObject {
    Q_OBJECT

private:
    std::unique_ptr<Journal> opened()
    {
        auto journal = Journal::open(m_file, m_clock);
        return journal ? std::move(*journal) : nullptr;
    }
    /// One passed and one failed run.
    void fillFile()
    {
        const auto journal = opened();
        for (const Verdict verdict : {Verdict::Pass, Verdict::Fail}) {
            const auto run = beginWith(*journal, kUnit).value();
            must(journal->recordAttempt(run, {.step = "s",
                                              .name = "Step",
                                              .verdict = verdict,
                                              .seconds = 1,
                                              .measurements = {{.name = "vdd", .value = 3.3}}}));
            must(journal->finishRun(run, verdict, "", "", 1));
        }
    }
    /// As somebody with the sqlite3 program would; "refused: …" where it was.
    QString shell(const QString& sql)
    {
        QProcess process;
        process.start("sqlite3", {QString::fromStdString(m_file), sql});
        process.waitForFinished();
        if (process.exitStatus() != QProcess::NormalExit || process.exitCode() != 0)
            return "refused: " + QString::fromUtf8(process.readAllStandardError()).trimmed();
        return QString::fromUtf8(process.readAllStandardOutput()).trimmed();
    }
    /// The first so many of seven writes. The Journal stays open: its process is about to die.
    Result<> workUntil(int steps)
    {
        static std::unique_ptr<Journal> journal;
        journal = TRY(Journal::open(m_file, m_clock));
        const auto run = TRY(journal->beginRun({.planId = "p"}));
        const std::vector<std::function<Result<>()>> rest{
            [&] { return journal->identify(run, {.deviceId = kUnit}, "dfu"); },
            [&] {
                return journal->journalKey(run, {.fingerprint = std::string(64, 'a'),
                                                 .publicDer = Bytes(162),
                                                 .origin = "generated"});
            },
            [&] { return journal->intend(run, "burn-key"); },
            [&] { return journal->recordAttempt(run, {.step = "s", .name = "Burn"}); },
            [&] { return journal->settle(run, "burn-key", Verdict::Pass); },
            [&] { return journal->finishRun(run, Verdict::Pass, "", "", 1); }};
        for (int i = 1; i < steps; ++i)
            TRY(rest[static_cast<std::size_t>(i - 1)]());
        return {};
    }
    VerifyProblem problem()
    {
        const auto found = verifyDatabase(m_file);
        return found && *found ? **found : VerifyProblem{};
    }

    std::unique_ptr<QTemporaryDir> m_folder;
    std::string m_file;
    VirtualClock m_clock;

private Q_SLOTS:
    void init()
    {
        m_folder = std::make_unique<QTemporaryDir>();
        m_file = m_folder->filePath("station.db").toStdString();
    }

    void kill_leavesWhatWasDone_data()
    {
        QTest::addColumn<int>("steps");
        QTest::addColumn<QString>("verdict");
        QTest::addColumn<QString>("state");
        QTest::newRow("after begin") << 1 << "aborted" << "";
        QTest::newRow("after identify") << 2 << "aborted" << "new";
        QTest::newRow("after the key was journalled") << 3 << "aborted" << "new";
        QTest::newRow("after the intent") << 4 << "aborted" << "inspect";
        QTest::newRow("after an attempt") << 5 << "aborted" << "inspect";
        QTest::newRow("after the settlement") << 6 << "aborted" << "new";
        QTest::newRow("after the verdict") << 7 << "pass" << "pass";
    }
    /// A child process does so many things to the journal and is killed.
    void kill_leavesWhatWasDone()
    {
        QFETCH(int, steps);
        QFETCH(QString, verdict);
        QFETCH(QString, state);
        const pid_t child = fork();
        if (child == 0) {
            if (!workUntil(steps))
                _exit(1);
            kill(getpid(), SIGKILL);
        }
        int status = 0;
        waitpid(child, &status, 0);
        QVERIFY(WIFSIGNALED(status));

        m_clock.advance(1min);
        const auto journal = opened();
        QVERIFY(journal);
        const auto record = journal->run(RunId{1}).value();
        QCOMPARE(QString::fromStdString(std::string(name(record.verdict))), verdict);
        QCOMPARE(record.cause, std::string(verdict == "pass" ? "" : "C001"));
        QCOMPARE(record.error,
                 std::string(verdict == "pass" ? "" : "station stopped during the run"));
        const auto unit = journal->unit(kUnit);
        QCOMPARE(unit ? QString::fromStdString(unit->state) : QString(), state);
        QCOMPARE(journal->needsInspection(kUnit).value(), state == "inspect");
        QCOMPARE(journal->keyOf(kUnit).value().has_value(), steps >= 3);
        const auto found = verifyDatabase(m_file).value();
        QVERIFY2(!found, found ? found->reason.c_str() : "");
    }

    void reopen_leavesSettledUnitsAlone()
    {
        RunId open{};
        {
            const auto journal = opened();
            const auto run = beginWith(*journal, kUnit).value();
            must(journal->finishRun(run, Verdict::Pass, "", "", 1));
            open = beginWith(*journal, kUnit).value();
            must(journal->intend(open, "burn-key"));
            must(journal->settle(open, "burn-key", Verdict::Pass));
            must(journal->beginRun({})); // its unit was never read
        }
        const auto journal = opened();
        QCOMPARE(journal->run(open).value().verdict, Verdict::Aborted);
        QCOMPARE(journal->run(RunId{3}).value().verdict, Verdict::Aborted);
        QCOMPARE(journal->unit(kUnit).value().state, std::string("pass"));
        QVERIFY(!journal->needsInspection(kUnit).value());
    }

    void secondOpener_isTold()
    {
        const auto first = opened();
        const auto run = beginWith(*first, kUnit).value();
        const auto second = Journal::open(m_file, m_clock);
        QCOMPARE(second.error().code, Errc::Busy);
        QVERIFY(second.error().message.find(std::to_string(getpid())) != std::string::npos);
        QCOMPARE(first->run(run).value().verdict, Verdict::NotRun); // and nothing was recovered
    }

    void otherName_isTheSameFile()
    {
        const auto first = opened();
        const auto link = m_folder->filePath("other.db");
        QVERIFY(QFile::link(QString::fromStdString(m_file), link));
        QCOMPARE(Journal::open(link.toStdString(), m_clock).error().code, Errc::Busy);
    }

    void readOnly_looksBesideARunningStation()
    {
        const auto station = opened();
        const auto run = beginWith(*station, kUnit).value();
        const auto reader = Journal::openReadOnly(m_file, m_clock).value();
        QCOMPARE(reader->run(run).value().verdict, Verdict::NotRun);
        must(station->finishRun(run, Verdict::Pass, "", "", 1));
        QCOMPARE(reader->run(run).value().verdict, Verdict::Pass);
        QCOMPARE(reader->note(run, "note", "x").error().code, Errc::Denied);
        const auto none = m_folder->filePath("none.db").toStdString();
        QCOMPARE(Journal::openReadOnly(none, m_clock).error().code, Errc::NotFound);
        QVERIFY(!QFile::exists(QString::fromStdString(none)));
    }

    void open_reportsAFolderThatIsMissing()
    {
        const auto journal = Journal::open("/nonexistent/folder/station.db", m_clock);
        QCOMPARE(journal.error().code, Errc::Io);
        QCOMPARE(journal.error().blame, Blame::Station);
    }

    void journalRows_cannotBeChangedOrDeleted()
    {
        fillFile();
        QVERIFY(shell("UPDATE journal SET payload = 'x'").contains("append-only"));
        QVERIFY(shell("DELETE FROM journal").contains("append-only"));
        QVERIFY(shell("INSERT OR REPLACE INTO journal SELECT * FROM journal WHERE seq = 2")
                    .contains("append-only"));
        QVERIFY(shell("UPDATE run SET verdict = 'pass' WHERE run_id = 2").contains("final"));
        QVERIFY(shell("INSERT OR REPLACE INTO run SELECT * FROM run").contains("never replaced"));
        QVERIFY(shell("DELETE FROM run").contains("never deleted"));
        QCOMPARE(shell("SELECT count(*) FROM journal"), QString("8"));
        QCOMPARE(shell("SELECT verdict FROM run WHERE run_id = 2"), QString("fail"));
    }

    void tables_areStrictAndReadableByTheShell()
    {
        fillFile();
        QCOMPARE(shell("SELECT group_concat(name) FROM pragma_table_list WHERE type = 'table' "
                       "AND schema = 'main' AND name NOT LIKE 'sqlite_%' AND NOT strict"),
                 QString());
        QCOMPARE(shell("SELECT count(*) FROM pragma_table_list WHERE strict"), QString("18"));
        QCOMPARE(shell("SELECT run_id, verdict FROM run ORDER BY run_id"),
                 QString("1|pass\n2|fail"));
        QCOMPARE(shell("SELECT kind FROM journal WHERE run_id = 1"),
                 QString("begin\nidentify\nattempt\nfinish"));
        QVERIFY(shell("UPDATE measurement SET number = 'three'").contains("cannot store TEXT"));
        QVERIFY(shell("INSERT INTO unit (device_id, simulated, first_seen_utc, last_seen_utc) "
                      "VALUES ('XYZ', 0, 0, 0)")
                    .contains("CHECK"));
    }

    void connection_hasThePragmasOfTheHouse()
    {
        auto db = Connection::open(m_file, Access::Create).value();
        QCOMPARE(db.integer("PRAGMA synchronous").value(), 2); // FULL
        QCOMPARE(db.text("PRAGMA journal_mode").value(), std::string("wal"));
        QCOMPARE(db.integer("PRAGMA foreign_keys").value(), 1);
        QVERIFY(db.integer("PRAGMA busy_timeout").value() > 0);
        QCOMPARE(db.query("SELECT ?").error().code, Errc::Internal);
        QCOMPARE(db.script("SELECT nothing").error().code, Errc::Internal);
    }

    void fullDatabase_isAnErrorOfTheStation()
    {
        auto db = Connection::open(m_file, Access::Create).value();
        must(db.script("CREATE TABLE t (x BLOB) STRICT; PRAGMA max_page_count = 4;"));
        const auto full = db.execute("INSERT INTO t VALUES (zeroblob(100000))");
        QCOMPARE(full.error().code, Errc::Io);
        QCOMPARE(full.error().blame, Blame::Station);
        QVERIFY(full.error().message.find(m_file) != std::string::npos);
        QVERIFY(full.error().message.find("free space") != std::string::npos);
    }

    void fullDisk_losesNothingAndPassesNothing()
    {
        const auto journal = opened();
        const auto run = beginWith(*journal, kUnit).value();
        const auto log = QFile(QString::fromStdString(m_file + "-wal")).size();
        {
            const FullDisk full(static_cast<rlim_t>(log));
            const auto refused = journal->finishRun(run, Verdict::Pass, "", "", 1);
            QVERIFY(!refused);
            QCOMPARE(refused.error().code, Errc::Io);
            QCOMPARE(refused.error().blame, Blame::Station);
            QVERIFY(!journal->intend(run, "burn-key"));
        }
        QCOMPARE(journal->run(run).value().verdict, Verdict::NotRun);
        QVERIFY(!journal->needsInspection(kUnit).value());
        must(journal->finishRun(run, Verdict::Pass, "", "", 1));
        QCOMPARE(journal->run(run).value().verdict, Verdict::Pass);
        QVERIFY(!verifyDatabase(m_file).value());
    }

    void migration_startsFromNothingAndKeepsACopy()
    {
        const auto released = static_cast<int>(releasedMigrations().size());
        std::vector<Migration> steps(releasedMigrations().begin(), releasedMigrations().end());
        steps.push_back({released + 1, "two", "ALTER TABLE unit ADD COLUMN colour TEXT"});
        steps.push_back({released + 2, "three",
                         "CREATE TABLE extra (x INTEGER) STRICT; CREATE TABLE unit (y)"});
        fillFile();
        must(migrate(m_file, std::span(steps).first(steps.size() - 1)));
        QCOMPARE(shell("SELECT colour IS NULL FROM unit"), QString("1"));
        QCOMPARE(shell("PRAGMA user_version"), QString::number(released + 1));
        auto copy =
            Connection::open(concat(m_file, ".v", released, ".bak"), Access::ReadOnly).value();
        QCOMPARE(copy.integer("PRAGMA user_version").value(), released);
        QCOMPARE(copy.integer("SELECT count(*) FROM run").value(), 2);

        const auto broken = migrate(m_file, steps);
        QVERIFY(!broken);
        QVERIFY(describe(broken.error()).find("three") != std::string::npos);
        QCOMPARE(shell("PRAGMA user_version"), QString::number(released + 1));
        QCOMPARE(shell("SELECT count(*) FROM sqlite_schema WHERE name = 'extra'"), QString("0"));
        // The program of before refuses what it does not know.
        QCOMPARE(Journal::open(m_file, m_clock).error().code, Errc::InvalidData);
        QCOMPARE(Journal::openReadOnly(m_file, m_clock).error().code, Errc::InvalidData);
    }

    void migration_takesAnEmptyFile()
    {
        QFile file(QString::fromStdString(m_file));
        QVERIFY(file.open(QIODevice::WriteOnly));
        file.close();
        QVERIFY(opened());
        QCOMPARE(shell("PRAGMA user_version"), QString::number(releasedMigrations().size()));
    }

    void migration_bringsTheFirstReleaseToThePresentOne()
    {
        must(migrate(m_file, releasedMigrations().first(1)));
        shell("INSERT INTO unit (device_id, simulated, first_seen_utc, last_seen_utc) "
              "VALUES ('0123456789abcdef01234567', 0, 1, 2)");
        shell("INSERT INTO run (unit_id, slot, label, plan_id, plan_revision, plan_digest, station,"
              " simulated, started_utc) VALUES (1, 1, '', 'p', 1, '', '', 0, 1)");
        shell("INSERT INTO journal (run_id, at_utc, kind, subject, payload) "
              "VALUES (1, 1, 'begin', '', ''), (1, 1, 'key', 'a', 'generated')");
        shell("INSERT INTO unit_key (unit_id, fingerprint, public_der, state, origin, run_id, "
              "journal_seq) VALUES (1, replace(hex(zeroblob(32)), '00', 'ab'), "
              "CAST(replace(hex(zeroblob(81)), '00', 'xy') AS BLOB), 'proved', 'generated', 1, 2)");
        const auto journal = opened();
        QVERIFY(journal);
        const auto keys = journal->allKeys().value();
        QCOMPARE(keys.size(), std::size_t{1});
        QCOMPARE(journal->unitsWithSameNumber(keys[0].publicDer).value(),
                 std::vector<std::string>{"0123456789abcdef01234567"});
        QCOMPARE(shell("SELECT count(*) FROM key_custody"), QString("0"));
        QVERIFY(std::filesystem::exists(m_file + ".v1.bak"));
    }

    void migration_ofTheFirstRelease_keepsItsRecords()
    {
        must(migrate(m_file, releasedMigrations().first(1)));
        shell("INSERT INTO unit (device_id, label, simulated, first_seen_utc, last_seen_utc) "
              "VALUES ('0123456789abcdef01234567', 'old', 0, 1, 2)");
        shell("INSERT INTO run (unit_id, slot, label, plan_id, plan_revision, plan_digest, "
              "station, simulated, started_utc) VALUES (1, 1, 'old', 'p', 1, '', 'A', 0, 1)");
        shell("INSERT INTO journal (run_id, at_utc, kind, subject, payload) "
              "VALUES (1, 1, 'begin', 'p', '')");
        const auto journal = opened();
        QVERIFY(journal);
        // Recovery closes what its program did not; a trace of it there never was.
        QCOMPARE(journal->run(RunId{1}).value().verdict, Verdict::Aborted);
        QVERIFY(!journal->traceOf(RunId{1}).value());
        QVERIFY(journal->slotActs(false).value().empty());
        must(journal->recordSlotAct({.slot = 2, .on = false, .actor = "line", .why = "cable"}));
        QCOMPARE(journal->slotActs(false).value().size(), std::size_t{1});
        QVERIFY(journal->slotActs(true).value().empty());
        QCOMPARE(journal->unit("old").value().deviceId, kUnit);
        QVERIFY(QFile::exists(QString::fromStdString(m_file + ".v1.bak")));
        const auto run = beginWith(*journal, kUnit).value();
        must(journal->recordTrace(run, {.transfers = 1, .dropped = 0, .text = "provost-trace 1"}));
        must(journal->finishRun(run, Verdict::Fail, "F101", "", 1));
        QVERIFY(!verifyDatabase(m_file).value());
    }

    void foreignDatabase_isLeftUntouched()
    {
        shell("CREATE TABLE theirs (x)");
        QFile file(QString::fromStdString(m_file));
        QVERIFY(file.open(QIODevice::ReadOnly));
        const auto before = file.readAll();
        QCOMPARE(Journal::open(m_file, m_clock).error().code, Errc::InvalidData);
        file.seek(0);
        QCOMPARE(file.readAll(), before);
        shell("PRAGMA user_version = 1");
        QCOMPARE(Journal::open(m_file, m_clock).error().code, Errc::InvalidData);
    }

    void copy_isWholeAndNeverOverwrites()
    {
        fillFile();
        const auto journal = opened();
        const std::string to = m_file + ".copy";
        must(copyDatabase(m_file, to));
        QVERIFY(!verifyDatabase(to).value());
        QCOMPARE(copyDatabase(m_file, to).error().code, Errc::InvalidArgument);
        QCOMPARE(copyDatabase(m_file, "/nonexistent/copy").error().code, Errc::Io);
    }

    void verify_isSatisfiedWithASoundFile()
    {
        fillFile();
        const auto found = verifyDatabase(m_file).value();
        QVERIFY2(!found, found ? found->reason.c_str() : "");
        QCOMPARE(verifyDatabase(m_file + ".none").error().code, Errc::NotFound);
    }

    void verify_findsWhatWasTamperedWith_data()
    {
        QTest::addColumn<QString>("sql");
        QTest::addColumn<QString>("table");
        QTest::addColumn<int>("row");
        const QString drop = "DROP TRIGGER journal_refuses_delete; DROP TRIGGER "
                             "journal_refuses_update; DROP TRIGGER run_verdict_is_final;";
        QTest::newRow("missing journal row")
            << drop + "DELETE FROM journal WHERE seq = 3" << "journal" << 4;
        QTest::newRow("missing last journal row")
            << drop + "DELETE FROM journal WHERE seq = 8" << "journal" << 8;
        QTest::newRow("other verdict")
            << drop + "UPDATE run SET verdict = 'pass' WHERE run_id = 2" << "run" << 2;
        QTest::newRow("no verdict")
            << drop + "UPDATE run SET verdict = NULL, finished_utc = NULL, seconds = NULL "
                      "WHERE run_id = 2"
            << "run" << 2;
        QTest::newRow("finished before it began")
            << drop + "UPDATE run SET finished_utc = started_utc - 1 WHERE run_id = 1" << "run"
            << 1;
        QTest::newRow("failed attempt in a passed run")
            << "UPDATE attempt SET verdict = 'fail' WHERE attempt_id = 1" << "attempt" << 1;
        QTest::newRow("attempt gone")
            << "DROP TRIGGER measurement_stays; DROP TRIGGER attempt_stays; "
               "DELETE FROM measurement; DELETE FROM attempt WHERE run_id = 1"
            << "run" << 1;
        QTest::newRow("attempt added")
            << "INSERT INTO attempt SELECT 9, run_id, 2, step, name, 2, verdict, seconds, note, "
               "cause, error FROM attempt WHERE attempt_id = 1"
            << "run" << 1;
        QTest::newRow("passed outside limits")
            << "UPDATE measurement SET maximum = 1, verdict = 'pass' WHERE measurement_id = 2"
            << "measurement" << 2;
        QTest::newRow("broken reference")
            << "PRAGMA foreign_keys = OFF; UPDATE measurement SET attempt_id = 77 "
               "WHERE measurement_id = 2"
            << "measurement" << 2;
        QTest::newRow("broken rule")
            << "PRAGMA ignore_check_constraints = ON; UPDATE unit SET state = 'fine'"
            << "unit" << 0;
        QTest::newRow("other schema number") << "PRAGMA user_version = 9" << "database" << 0;
    }
    void verify_findsWhatWasTamperedWith()
    {
        QFETCH(QString, sql);
        QFETCH(QString, table);
        QFETCH(int, row);
        fillFile();
        QCOMPARE(shell(sql), QString());
        const VerifyProblem found = problem();
        QCOMPARE(QString::fromStdString(found.table), table);
        QCOMPARE(static_cast<int>(found.row), row);
        QVERIFY(!found.reason.empty());
    }

    void verify_findsFlippedBytes()
    {
        fillFile();
        QFile file(QString::fromStdString(m_file));
        QVERIFY(file.open(QIODevice::ReadWrite));
        for (qint64 page = 1; page * 4096 < file.size(); ++page) {
            file.seek(page * 4096);
            file.write(QByteArray(16, '\x5a')); // the header of every page but the first
        }
        file.close();
        QVERIFY(!problem().reason.empty());
        QVERIFY(file.open(QIODevice::ReadWrite));
        file.write(QByteArray(16, '\x5a')); // "SQLite format 3"
        file.close();
        QCOMPARE(problem().table, std::string("database"));
        QCOMPARE(Journal::open(m_file, m_clock).error().code, Errc::Corrupt);
    }
};

} // namespace

PROVOST_TEST("store_safety", TstStoreSafety)
#include "tst_store_safety.moc"
