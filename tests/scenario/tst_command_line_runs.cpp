// `run`, `unit`, `plan` and `db` as a script meets them: verdict lines, exit codes, rows.
#include "support/command_line.h"
#include "support/test_program.h"

#include <QHostAddress>
#include <QTcpServer>
#include <QTcpSocket>

using namespace provost::test;

namespace {

/// One slot with units of the demo's stock; `more` goes into each unit's table.
QByteArray benchOf(const QByteArray& speed, const QByteArray& more, int count)
{
    return "[bench]\nname = \"test\"\nspeed = \"" + speed +
           "\"\nmode_button = true\n[network]\nssid = \"Plant\"\npassword = "
           "\"virtual-plant-wifi\"\n"
           "security = 3\n[[slot]]\nnumber = 1\n[[slot.unit]]\nstock = \"1.5.2\"\n" +
           more + "count = " + QByteArray::number(count) + "\n";
}

QJsonObject summary(int pass, int fail, int aborted, int error)
{
    return {{"event", "summary"}, {"pass", pass},       {"hold", 0},
            {"fail", fail},       {"aborted", aborted}, {"error", error}};
}

class TstCommandLineRuns : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void run_passesUnitsAndSumsUp();
    void run_takesThePlanOfTheBenchsPlatform_data();
    void run_takesThePlanOfTheBenchsPlatform();
    void run_ofUnitsWithoutUsb();
    void run_failsAMislabelledUnit();
    void run_takesTheLabelFromTheCommandLine();
    void run_saysWhereTheSupplyEnds();
    void run_interruptedHasAnAbortedVerdictOnRecord();
    void run_printsForPeopleWithoutJson();
    void run_refusesToBegin_data();
    void run_refusesToBegin();
    void run_refusesADatabaseInUse();
    void run_keepsSecretsOutOfEverythingItWrites();
    void run_thatIsHeldExitsWithFive();
    void run_leavesSlotsThatAreOff();
    void slot_isSwitchedOffAndOn();
    void unit_showsTheTraceOfWhatFailed();
    void unit_isFoundByIdLabelAndBeginning();
    void unit_thatIsNotOnRecordIsAnError();
    void verify_tellsIntactFromDamaged();
    void verify_namesTheBadRow();
    void verify_knowsWhatTheStationSigned();
    void plan_isCheckedAndShown();
    void plan_withAMistakeNamesTheLine();
};

void TstCommandLineRuns::run_passesUnitsAndSumsUp()
{
    const CommandFolder folder;
    const auto ran =
        folder.json({"run", "--plan", "photon-full", "--simulate", "photon-quick", "--units", "3"});
    QVERIFY2(ran.exitCode == 0, ran.err);
    const auto lines = ran.lines();
    QCOMPARE(lines.size(), 4);
    QSet<QString> units;
    for (qsizetype i = 0; i < 3; ++i) {
        QStringList keys = lines[i].keys();
        QCOMPARE(keys, (QStringList{"cause", "event", "run", "seconds", "simulated", "slot", "unit",
                                    "verdict"}));
        QCOMPARE(lines[i]["event"], QJsonValue("verdict"));
        QCOMPARE(lines[i]["verdict"], QJsonValue("pass"));
        QCOMPARE(lines[i]["cause"], QJsonValue(QJsonValue::Null));
        QCOMPARE(lines[i]["simulated"], QJsonValue(true));
        QVERIFY(lines[i]["run"].toInteger() > 0 && lines[i]["seconds"].toDouble() > 0);
        units.insert(lines[i]["unit"].toString());
        QCOMPARE(lines[i]["unit"].toString().size(), 24);
    }
    QCOMPARE(units.size(), 3);
    QCOMPARE(ran.last(), summary(3, 0, 0, 0));
    // Members stand in the order of the contract, for people and for grep.
    QVERIFY(ran.out.startsWith("{\"event\":\"verdict\",\"slot\":"));
    QVERIFY(ran.err.contains("/.local/state/provost/provost.db"));
    const auto rows = folder.run("sqlite3", {folder.path(".local/state/provost/provost.db"),
                                             "select count(*) from unit where state='pass'"});
    QCOMPARE(rows.out.trimmed(), QByteArray("3"));
}

void TstCommandLineRuns::run_takesThePlanOfTheBenchsPlatform_data()
{
    QTest::addColumn<QString>("platform");
    QTest::newRow("p1") << "p1";
    QTest::newRow("core") << "core";
}

void TstCommandLineRuns::run_takesThePlanOfTheBenchsPlatform()
{
    QFETCH(QString, platform);
    const CommandFolder folder;
    const auto ran = folder.json({"run", "--simulate", platform + "-quick", "--units", "1"});
    QVERIFY2(ran.exitCode == 0, ran.err);
    QCOMPARE(ran.last(), summary(1, 0, 0, 0));
}

void TstCommandLineRuns::run_ofUnitsWithoutUsb()
{
    const CommandFolder folder;
    const auto ran =
        folder.json({"run", "--plan", "p1-serial1", "--simulate", "p1-serial1", "--units", "2"});
    QVERIFY2(ran.exitCode == 0, ran.err);
    QCOMPARE(ran.last(), summary(2, 0, 0, 0));
}

void TstCommandLineRuns::run_failsAMislabelledUnit()
{
    const CommandFolder folder;
    QVERIFY(folder.write("bench.toml", benchOf("instant", "label = \"mislabelled\"\n", 1)));
    const auto ran = folder.json({"run", "--simulate", "bench.toml", "--db", "line.db"});
    QCOMPARE(ran.exitCode, 1);
    QCOMPARE(ran.lines()[0]["verdict"], QJsonValue("fail"));
    QCOMPARE(ran.lines()[0]["cause"], QJsonValue("F101"));
    QCOMPARE(ran.last(), summary(0, 1, 0, 0));
    QVERIFY(ran.err.contains("label"));
}

void TstCommandLineRuns::run_takesTheLabelFromTheCommandLine()
{
    const CommandFolder folder;
    const auto ran = folder.json({"run", "--simulate", "photon-quick", "--slot", "5", "--label",
                                  "0123456789abcdef01234567", "--db", "line.db"});
    QCOMPARE(ran.exitCode, 1);
    QCOMPARE(ran.lines()[0]["slot"], QJsonValue(5));
    QCOMPARE(ran.lines()[0]["cause"], QJsonValue("F101"));
}

void TstCommandLineRuns::run_saysWhereTheSupplyEnds()
{
    const CommandFolder folder;
    QVERIFY(folder.write("bench.toml", benchOf("instant", "", 1)));
    const auto ran =
        folder.json({"run", "--simulate", "bench.toml", "--units", "2", "--db", "line.db"});
    QCOMPARE(ran.exitCode, 2);
    QCOMPARE(ran.last(), summary(1, 0, 0, 0));
    QVERIFY(ran.err.contains("1 unit of 2 not run"));
}

void TstCommandLineRuns::run_interruptedHasAnAbortedVerdictOnRecord()
{
    const CommandFolder folder;
    QVERIFY(folder.write("bench.toml", benchOf("demo", "", 5)));
    RunningCommand running(
        folder, {"run", "--simulate", "bench.toml", "--units", "5", "--db", "line.db", "--json"});
    // As soon as the run is on record, somewhere in its steps.
    QTRY_VERIFY_WITH_TIMEOUT(
        folder.run("sqlite3", {"line.db", "select count(*) from attempt"}).out.trimmed() > "0",
        kPatienceMs);
    const auto ended = running.interrupt();
    QCOMPARE(ended.exitCode, 3);
    QCOMPARE(ended.lines().size(), 2);
    const auto verdict = ended.lines()[0];
    QCOMPARE(verdict["verdict"], QJsonValue("aborted"));
    QCOMPARE(ended.last(), summary(0, 0, 1, 0));
    QVERIFY(ended.err.contains("not run: stopped"));
    const auto row = folder.run(
        "sqlite3", {"line.db", QString("select verdict || ' ' || (finished_utc is not null) from "
                                       "run where run_id = %1")
                                   .arg(verdict["run"].toInteger())});
    QCOMPARE(row.out.trimmed(), QByteArray("aborted 1"));
    QCOMPARE(folder.typed("db verify line.db").exitCode, 0);
}

void TstCommandLineRuns::run_printsForPeopleWithoutJson()
{
    const CommandFolder folder;
    const auto ran = folder.typed("run --simulate photon-quick --units 2 --db line.db");
    QCOMPARE(ran.exitCode, 0);
    QVERIFY(ran.out.contains("PASS") && ran.out.contains("2 units · 2 PASS"));
    QVERIFY(!ran.says("\x1B[")); // no progress in a pipe
    const auto list = folder.typed("unit list --db line.db");
    QVERIFY(list.out.contains("2 units") && list.out.contains("SIMULATED"));
}

void TstCommandLineRuns::run_refusesToBegin_data()
{
    QTest::addColumn<QString>("words");
    QTest::addColumn<int>("exitCode");
    QTest::addColumn<QString>("message");
    QTest::addColumn<QString>("cause");
    const QString quick = "run --simulate photon-quick";
    QTest::newRow("no such bench")
        << "run --simulate nowhere.toml" << 2 << "nowhere.toml" << "C045";
    QTest::newRow("no such plan") << "run --plan nothing --simulate photon-quick" << 2 << "nothing"
                                  << "C042";
    QTest::newRow("no probe for the plan")
        << "run --plan p1-serial1 --simulate p1-no-usb" << 4 << "no debug probe" << "C042";
    QTest::newRow("password that cannot be told")
        << "run --simulate short.toml" << 4 << "7 characters" << "C042";
    QTest::newRow("no such station")
        << "run --station nowhere.toml" << 2 << "nowhere.toml" << "C044";
    QTest::newRow("database is a folder") << quick + " --db ." << 2 << "database" << "C057";
    QTest::newRow("database in a folder that cannot be")
        << quick + " --db /proc/nope/x.db" << 2 << "/proc/nope" << "C057";
    QTest::newRow("no database") << quick + " --db text.db" << 2 << "text.db" << "C058";
    QTest::newRow("no such token")
        << "run --station token.toml --training" << 2 << "no-module" << "C059";
    QTest::newRow("nothing to run on") << "run" << 64 << "--station" << "C043";
    QTest::newRow("no such speed") << quick + " --speed slow" << 64 << "slow" << "C043";
    QTest::newRow("no units") << quick + " --units 0" << 64 << "--units" << "C043";
    QTest::newRow("no such slot") << quick + " --slot 9" << 64 << "--slot 9" << "C043";
    QTest::newRow("no such option") << "run --slots 9" << 64 << "--slots" << "C043";
}

void TstCommandLineRuns::run_refusesToBegin()
{
    QFETCH(const QString, words);
    QFETCH(const int, exitCode);
    QFETCH(const QString, message);
    QFETCH(const QString, cause);
    const CommandFolder folder;
    QVERIFY(folder.write("text.db", QByteArray(8192, 'x')));
    QVERIFY(folder.write("short.toml",
                         benchOf("instant", "", 1).replace("virtual-plant-wifi", "virtual")));
    QVERIFY(folder.write("pin", "1234\n"));
    QVERIFY(folder.write("token.toml",
                         "[station]\nname = \"T\"\n[[slot]]\nnumber = 1\nusb = \"1-1\"\n"
                         "[token]\nmodule = \"/no-module.so\"\nlabel = \"units\"\npin_file = "
                         "\"pin\"\n[network]\nssid = \"n\"\n[handshake]\nhost = "
                         "\"127.0.0.1\"\nport = 0\n"));
    QVERIFY(QFile::setPermissions(folder.path("pin"), QFile::ReadOwner | QFile::WriteOwner));
    const auto ran = folder.json(words.split(' '));
    QVERIFY2(ran.exitCode == exitCode, ran.err);
    QCOMPARE(ran.lines().size(), 1);
    QCOMPARE(ran.last()["event"], QJsonValue("error"));
    QVERIFY2(ran.err.contains(message.toUtf8()), ran.err);
    // Somebody can act on it: an id of the table, and what to do.
    QCOMPARE(ran.last()["cause"].toString(), cause);
    QVERIFY2(!ran.last()["advice"].toString().isEmpty(), ran.out);
}

void TstCommandLineRuns::run_refusesADatabaseInUse()
{
    const CommandFolder folder;
    QVERIFY(folder.write("bench.toml", benchOf("demo", "", 1)));
    RunningCommand first(folder, {"run", "--simulate", "bench.toml", "--db", "line.db", "--json"});
    QTRY_VERIFY_WITH_TIMEOUT(
        folder.run("sqlite3", {"line.db", "select count(*) from run"}).out.trimmed() == "1",
        kPatienceMs);
    const auto second = folder.json({"run", "--simulate", "bench.toml", "--db", "line.db"});
    QCOMPARE(second.exitCode, 2);
    QCOMPARE(second.last()["code"], QJsonValue("busy"));
    QCOMPARE(second.last()["cause"], QJsonValue("C051"));
    QVERIFY(!second.last()["advice"].toString().isEmpty());
    // Those that only look are welcome beside it.
    QCOMPARE(folder.typed("unit list --db line.db").exitCode, 0);
    QCOMPARE(folder.typed("db verify line.db").exitCode, 0);
    QCOMPARE(first.interrupt().exitCode, 3);
}

void TstCommandLineRuns::run_keepsSecretsOutOfEverythingItWrites()
{
    const CommandFolder folder;
    const auto ran = folder.json({"run", "--simulate", "photon-quick", "--db", "line.db"});
    QCOMPARE(ran.exitCode, 0);
    const auto shown = folder.json({"unit", "show", "--db", "line.db"});
    for (const char* secret : {"virtual-plant-wifi", "PRIVATE KEY", "30820"})
        QVERIFY2(!ran.says(secret) && !shown.says(secret), secret);
    const auto found =
        folder.run("grep", {"-rlc", "--binary-files=text", "virtual-plant-wifi", folder.path("")});
    QVERIFY2(found.out.isEmpty(), found.out);
}

/// A cloud that answers every request with 503, for as long as it lives.
class BusyCloud {
public:
    BusyCloud()
    {
        QObject::connect(&m_server, &QTcpServer::newConnection, &m_server, [this] {
            auto* socket = m_server.nextPendingConnection();
            QObject::connect(socket, &QTcpSocket::readyRead, socket, [socket] {
                const QByteArray sent = socket->property("sent").toByteArray() + socket->readAll();
                socket->setProperty("sent", sent);
                const auto head = sent.indexOf("\r\n\r\n");
                const auto at = sent.toLower().indexOf("content-length:");
                const auto length =
                    at < 0 ? 0 : sent.mid(at + 15, sent.indexOf('\r', at) - at - 15).toInt();
                if (head < 0 || sent.size() < head + 4 + length)
                    return;
                socket->write("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n"
                              "Connection: close\r\n\r\n{}");
                socket->disconnectFromHost();
            });
        });
        if (!m_server.listen(QHostAddress::LocalHost))
            qFatal("no port for a cloud");
    }
    QByteArray url() const
    {
        return "http://127.0.0.1:" + QByteArray::number(m_server.serverPort());
    }

private:
    QTcpServer m_server{};
};

/// Slot 1 in use, slot 2 as `slotTwo` says.
QByteArray stationOf(const QByteArray& slotTwo, const QByteArray& more = {})
{
    return "[station]\nname = \"Station T\"\n[[slot]]\nnumber = 1\nusb = \"1-1\"\n"
           "[[slot]]\nnumber = 2\nusb = \"1-2\"\n" +
           slotTwo +
           "[network]\nssid = \"Plant\"\n[handshake]\nhost = \"127.0.0.1\"\n"
           "port = 0\n" +
           more;
}

void TstCommandLineRuns::run_thatIsHeldExitsWithFive()
{
    const CommandFolder folder;
    const BusyCloud cloud;
    QVERIFY(folder.write("bench.toml", benchOf("instant", "", 1)));
    QVERIFY(
        folder.write("station.toml", stationOf("", "[cloud]\nurl = \"" + cloud.url() + "\"\n")));
    // In this thread's event loop: the cloud answers while the command runs.
    QProcess process;
    folder.prepare(process);
    process.start(provostProgram(), {"run", "--station", "station.toml", "--simulate", "bench.toml",
                                     "--slot", "1", "--db", "line.db", "--json"});
    QTRY_VERIFY_WITH_TIMEOUT(process.state() == QProcess::NotRunning, kPatienceMs);
    const auto ran = CommandFolder::ended(process);
    QVERIFY2(ran.exitCode == 5, ran.err);
    QCOMPARE(ran.lines()[0]["verdict"], QJsonValue("hold"));
    QCOMPARE(ran.lines()[0]["cause"], QJsonValue("H311"));
    QCOMPARE(ran.last()["hold"], QJsonValue(1));
    QCOMPARE(ran.last()["pass"], QJsonValue(0));
    const auto waiting = folder.run(
        "sqlite3", {"line.db", "select state || tries from outbox where kind = 'registration'"});
    QVERIFY2(waiting.out.startsWith("waiting"), waiting.out);
    // A run that is held has a trace as well.
    const auto trace = folder.provost({"unit", "show", "--trace", "1", "--db", "line.db"});
    QCOMPARE(trace.exitCode, 0);
    QVERIFY(trace.out.startsWith("provost-trace 1\n"));
    QVERIFY(!trace.out.contains(QByteArray("virtual-plant-wifi").toHex()));
    QVERIFY(!folder.read("line.db").contains("virtual-plant-wifi"));
}

void TstCommandLineRuns::run_leavesSlotsThatAreOff()
{
    const CommandFolder folder;
    QVERIFY(folder.write("bench.toml", benchOf("instant", "", 4) +
                                           "[[slot]]\nnumber = 2\n[[slot.unit]]\n"
                                           "stock = \"1.5.2\"\ncount = 4\n"));
    QVERIFY(folder.write("station.toml", stationOf("enabled = false\nwhy = \"fixture cable\"\n")));
    const auto ran = folder.json({"run", "--station", "station.toml", "--simulate", "bench.toml",
                                  "--units", "3", "--db", "line.db"});
    QVERIFY2(ran.exitCode == 0, ran.err);
    for (qsizetype i = 0; i < 3; ++i)
        QCOMPARE(ran.lines()[i]["slot"], QJsonValue(1));
    // Whoever names the slot is told why.
    const auto refused = folder.json({"run", "--station", "station.toml", "--simulate",
                                      "bench.toml", "--slot", "2", "--db", "line.db"});
    QCOMPARE(refused.exitCode, 2);
    QVERIFY2(refused.err.contains("slot 2") && refused.err.contains("fixture cable"), refused.err);
}

void TstCommandLineRuns::unit_showsTheTraceOfWhatFailed()
{
    const CommandFolder folder;
    QVERIFY(folder.write("bench.toml", benchOf("instant", "label = \"mislabelled\"\n", 1)));
    QCOMPARE(folder.json({"run", "--simulate", "bench.toml", "--db", "line.db"}).exitCode, 1);
    const auto shown = folder.json({"unit", "show", "--db", "line.db"});
    const auto trace = shown.lines()[0]["trace"].toObject();
    QVERIFY(trace["transfers"].toInt() > 0);
    QCOMPARE(trace["dropped"], QJsonValue(0));
    const auto text = folder.provost({"unit", "show", "--db", "line.db"});
    QVERIFY2(text.out.contains("unit show --trace 1"), text.out);
    const auto json = folder.json({"unit", "show", "--trace", "1", "--db", "line.db"});
    QCOMPARE(json.last()["event"], QJsonValue("trace"));
    const auto lines = json.last()["text"].toString().split('\n', Qt::SkipEmptyParts);
    QCOMPARE(lines.size(), trace["transfers"].toInt() + 3); // and its head
    QCOMPARE(lines[0], QString("provost-trace 1"));
    // A run that passed has none, and says so.
    QVERIFY(folder.write("good.toml", benchOf("instant", "", 1)));
    QCOMPARE(folder.json({"run", "--simulate", "good.toml", "--db", "line.db"}).exitCode, 0);
    const auto none = folder.json({"unit", "show", "--trace", "2", "--db", "line.db"});
    QCOMPARE(none.exitCode, 2);
    QVERIFY2(none.err.contains("PASS"), none.err);
    const auto good = folder.json({"unit", "show", "--db", "line.db"});
    QCOMPARE(good.lines()[0]["trace"], QJsonValue(QJsonValue::Null));
}

void TstCommandLineRuns::unit_isFoundByIdLabelAndBeginning()
{
    const CommandFolder folder;
    const auto ran =
        folder.json({"run", "--simulate", "photon-quick", "--units", "2", "--db", "line.db"});
    QCOMPARE(ran.exitCode, 0);
    const QString id = ran.lines()[0]["unit"].toString();
    const auto list = folder.json({"unit", "list", "--db", "line.db"});
    QCOMPARE(list.lines().size(), 3);
    QCOMPARE(list.last(), (QJsonObject{{"event", "units"}, {"count", 2}}));
    const auto shown = folder.json({"unit", "show", id.left(10), "--db", "line.db"});
    QCOMPARE(shown.exitCode, 0);
    QCOMPARE(shown.lines().size(), 2);
    const auto run = shown.lines()[0];
    QCOMPARE(run["event"], QJsonValue("run"));
    QCOMPARE(run["verdict"], QJsonValue("pass"));
    QCOMPARE(run["plan"], QJsonValue("photon-full"));
    QCOMPARE(run["plan_digest"].toString().size(), 64);
    QVERIFY(run["steps"].toArray().size() >= 10 && !run["handshake"].toArray().isEmpty());
    QCOMPARE(run["images"].toArray().size(), 4);
    QCOMPARE(shown.last()["unit"].toString(), id);
    QCOMPARE(shown.last()["state"], QJsonValue("pass"));
    QCOMPARE(shown.last()["platform"], QJsonValue("photon"));
    QCOMPARE(shown.last()["key"].toString().size(), 64);
    QCOMPARE(shown.last()["cause"], QJsonValue(QJsonValue::Null));
    const auto text = folder.provost({"unit", "show", id, "--db", "line.db"});
    QVERIFY(text.out.contains("PASS") && text.out.contains("SIMULATED"));
    QVERIFY(text.out.contains("hello"));
}

void TstCommandLineRuns::unit_thatIsNotOnRecordIsAnError()
{
    const CommandFolder folder;
    QCOMPARE(folder.json({"unit", "list", "--db", "no.db"}).exitCode, 2);
    QVERIFY(!folder.exists("no.db"));
    QCOMPARE(folder.json({"run", "--simulate", "photon-quick", "--db", "line.db"}).exitCode, 0);
    const auto unknown = folder.json({"unit", "show", "ffffffff", "--db", "line.db"});
    QCOMPARE(unknown.exitCode, 2);
    QCOMPARE(unknown.last()["code"], QJsonValue("not-found"));
    QVERIFY(unknown.err.contains("ffffffff"));
}

void TstCommandLineRuns::verify_tellsIntactFromDamaged()
{
    const CommandFolder folder;
    QCOMPARE(folder.json({"run", "--simulate", "photon-quick", "--db", "line.db"}).exitCode, 0);
    const auto intact = folder.json({"db", "verify", "line.db"});
    QCOMPARE(intact.exitCode, 0);
    QCOMPARE(intact.last()["ok"], QJsonValue(true));
    const auto missing = folder.json({"db", "verify", "no.db"});
    QCOMPARE(missing.exitCode, 2);
    QVERIFY(!folder.exists("no.db"));
    QVERIFY(folder.write("text.db", QByteArray("not a database at all\n").repeated(300)));
    const auto text = folder.json({"db", "verify", "text.db"});
    QCOMPARE(text.exitCode, 1);
    QCOMPARE(text.last()["row"], QJsonValue(QJsonValue::Null));
    QVERIFY(text.last()["reason"].toString().contains("not a database"));
    QCOMPARE(folder.run("sqlite3", {"line.db", "pragma wal_checkpoint(truncate)"}).exitCode, 0);
    QByteArray content = folder.read("line.db");
    content.replace(8192, 4096, QByteArray(4096, '\x5A'));
    QVERIFY(folder.write("torn.db", content));
    QCOMPARE(folder.json({"db", "verify", "torn.db"}).exitCode, 1);
}

void TstCommandLineRuns::verify_namesTheBadRow()
{
    const CommandFolder folder;
    QVERIFY(folder.write("bench.toml", benchOf("instant", "label = \"mislabelled\"\n", 1)));
    QCOMPARE(folder.json({"run", "--simulate", "bench.toml", "--db", "line.db"}).exitCode, 1);
    QCOMPARE(folder
                 .run("sqlite3", {"line.db", "drop trigger run_verdict_is_final; "
                                             "update run set verdict = 'pass', cause = ''"})
                 .exitCode,
             0);
    const auto ran = folder.json({"db", "verify", "line.db"});
    QCOMPARE(ran.exitCode, 1);
    QCOMPARE(ran.last()["event"], QJsonValue("verify"));
    QCOMPARE(ran.last()["table"], QJsonValue("run"));
    QCOMPARE(ran.last()["row"], QJsonValue(1));
    QVERIFY(!ran.last()["reason"].toString().isEmpty());
}

void TstCommandLineRuns::verify_knowsWhatTheStationSigned()
{
    const CommandFolder folder;
    QVERIFY(folder.write("bench.toml", benchOf("instant", "", 4)));
    QVERIFY(folder.write(
        "station.toml",
        stationOf("").replace("[[slot]]\nnumber = 1",
                              "checkpoints = \"kept.checkpoints\"\n[[slot]]\nnumber = 1")));
    const QStringList run{"run",    "--station", "station.toml", "--simulate", "bench.toml",
                          "--slot", "1",         "--db",         "line.db"};
    const auto first = folder.json(run);
    QVERIFY2(first.exitCode == 0, first.err);
    QCOMPARE(folder.run("cp", {"line.db", "older.db"}).exitCode, 0);
    QCOMPARE(folder.json(run).exitCode, 0);

    const QStringList verify{"db",
                             "verify",
                             "line.db",
                             "--public-key",
                             "station-key.pub.pem",
                             "--checkpoints",
                             "kept.checkpoints"};
    const auto whole = folder.json(verify);
    QVERIFY2(whole.exitCode == 0, whole.err + whole.out);
    QCOMPARE(whole.last()["event"], QJsonValue("verify"));
    QVERIFY(whole.last()["table"].isNull() && whole.last()["row"].isNull());
    QVERIFY(whole.last()["rows"].toInt() > 20);
    QCOMPARE(whole.last()["unsigned_entries"], QJsonValue(0));
    QVERIFY(whole.last()["checkpoints_elsewhere"].toInt() >= 2);
    const auto text = folder.provost(verify);
    QVERIFY2(text.out.contains("as the station wrote them"), text.out);

    const auto older = QStringList(verify).replaceInStrings("line.db", "older.db");
    const auto cut = folder.json(older);
    QCOMPARE(cut.exitCode, 1);
    QVERIFY(cut.last()["reason"].toString().contains("older copy"));

    QCOMPARE(folder
                 .run("sqlite3", {"line.db", "update measurement set name = name || 'x' "
                                             "where measurement_id = 1"})
                 .exitCode,
             0);
    const auto changed = folder.json(verify);
    QCOMPARE(changed.exitCode, 1);
    QCOMPARE(changed.last()["table"], QJsonValue("measurement"));
    QCOMPARE(changed.last()["row"], QJsonValue(1));
    QVERIFY(changed.last()["reason"].toString().endsWith(": name"));
    QCOMPARE(folder.typed("db verify line.db").exitCode, 0); // structure and rules are as they were

    QCOMPARE(folder.typed("db verify line.db --public-key none.pem").exitCode, 2);
    QCOMPARE(folder.typed("db verify line.db --public-key line.db").exitCode, 2);
    QCOMPARE(folder.typed("db verify line.db --checkpoints kept.checkpoints").exitCode, 64);
    QCOMPARE(folder.typed("db verify line.db --public-key station-key.pub.pem --checkpoint none")
                 .exitCode,
             2);
}

void TstCommandLineRuns::plan_isCheckedAndShown()
{
    const CommandFolder folder;
    const auto checked = folder.json({"plan", "check", "photon-full"});
    QCOMPARE(checked.exitCode, 0);
    QCOMPARE(checked.last()["ok"], QJsonValue(true));
    const auto shown = folder.json({"plan", "show", "photon-full"});
    QCOMPARE(shown.exitCode, 0);
    const auto steps = shown.last()["steps"].toInt() + shown.last()["teardown"].toInt();
    QCOMPARE(shown.lines().size(), steps + 1);
    QCOMPARE(shown.lines()[0]["use"], QJsonValue("identify"));
    QCOMPARE(folder.json({"plan", "check", "nothing.toml"}).exitCode, 2);
}

void TstCommandLineRuns::plan_withAMistakeNamesTheLine()
{
    const CommandFolder folder;
    QFile original(PROVOST_SOURCE_DIR "/stations/plans/photon-full.toml");
    QVERIFY(original.open(QIODevice::ReadOnly));
    QByteArray plan = original.readAll();
    QVERIFY(folder.write("wrong.toml", plan.replace("use = \"identify\"", "use = \"divine\"")));
    const auto ran = folder.json({"plan", "check", "wrong.toml"});
    QCOMPARE(ran.exitCode, 1);
    QCOMPARE(ran.last()["ok"], QJsonValue(false));
    QVERIFY2(ran.last()["reason"].toString().contains("wrong.toml:"), ran.out);
    QVERIFY(ran.err.contains("divine"));
}

void TstCommandLineRuns::slot_isSwitchedOffAndOn()
{
    const CommandFolder folder;
    const QStringList where{"--simulate", "photon-quick", "--db", "slots.db"};
    QCOMPARE(folder.json(QStringList{"run", "--units", "1"} + where).exitCode, 0);
    const auto off = folder.json(QStringList{"slot", "off", "2", "--why", "worn"} + where);
    QVERIFY2(off.exitCode == 0, off.err);
    QCOMPARE(off.last()["why"], QJsonValue("worn"));
    QVERIFY2(!off.last()["actor"].toString().isEmpty(), off.out);
    QVERIFY2(off.last()["at_utc"].toString().endsWith('Z'), off.out);
    const auto list = folder.json(QStringList{"slot", "list"} + where);
    QCOMPARE(list.lines().size(), 9);
    QCOMPARE(list.lines()[1]["off"], QJsonValue(true));
    QCOMPARE(list.last()["off"], QJsonValue(1));
    const auto refused = folder.json(QStringList{"run", "--slot", "2"} + where);
    QCOMPARE(refused.exitCode, 2);
    QVERIFY2(refused.err.contains("worn"), refused.err);
    QCOMPARE(folder.json(QStringList{"slot", "on", "2"} + where).exitCode, 0);
    QCOMPARE(folder.json(QStringList{"run", "--slot", "2"} + where).exitCode, 0);
    // Off in station.toml: by whoever keeps that file only.
    QVERIFY(folder.write("line.toml", "[station]\nname = \"T\"\n[[slot]]\nnumber = 1\n"
                                      "usb = \"1-1\"\nenabled = false\nwhy = \"cable\"\n"
                                      "[network]\nssid = \"a\"\n[handshake]\n"
                                      "host = \"127.0.0.1\"\nport = 0\n"));
    const auto fixed =
        folder.json({"slot", "on", "1", "--station", "line.toml", "--db", "slots.db"});
    QCOMPARE(fixed.exitCode, 4);
    QVERIFY2(fixed.err.contains("cable"), fixed.err);
    QCOMPARE(folder.json(QStringList{"slot", "off", "9"} + where).exitCode, 64);
    QCOMPARE(folder.json({"slot", "list", "--db", "slots.db"}).exitCode, 64);
}

} // namespace

PROVOST_TEST("command_line_runs", TstCommandLineRuns)
#include "tst_command_line_runs.moc"
