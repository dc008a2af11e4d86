// `provost run` asks whoever sits at the terminal: labels, and what only hands can do.
#include "support/command_line.h"
#include "support/pseudo_terminal.h"
#include "support/test_program.h"

using namespace provost::test;

namespace {

constexpr const char* kPromptUnit = "2b0014000447373030323331";

/// `run` with a person at its stdin, who answers each question as it comes.
class AskedRun {
public:
    AskedRun(const CommandFolder& folder, const QString& program, const QStringList& arguments)
    {
        folder.prepare(m_process);
        m_process.setStandardInputFile(m_terminal.path());
        m_process.start(program, arguments);
    }
    /// Waits for words on stderr behind those that were awaited before, then types.
    bool answer(const QByteArray& question, const QByteArray& typed)
    {
        const auto asked = QTest::qWaitFor(
            [&] {
                m_err += m_process.readAllStandardError();
                return m_err.indexOf(question, m_seen) >= 0;
            },
            kPatienceMs);
        if (!asked)
            return false;
        m_seen = m_err.indexOf(question, m_seen) + question.size();
        return m_terminal.type(typed);
    }
    CommandEnd end()
    {
        auto ended = CommandFolder::ended(m_process);
        ended.err = m_err + ended.err;
        return ended;
    }

private:
    PseudoTerminal m_terminal;
    QProcess m_process;
    QByteArray m_err{};
    qsizetype m_seen = 0;
};

class TstCommandLinePrompts : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void init();
    void labelAndHands_areAskedForAtTheTerminal();
    void whatCannotBeDone_isACheck();
    void answerToNothing_isAskedAgain();
    void endOfInput_answersNothing();
    void stop_endsAQuestion();
    void realLine_asksWhereStdinIsATerminal();

private:
    /// A unit with old credentials, an old system and no finger on its button (particle-devices 8).
    void writeBench() const;
    std::unique_ptr<CommandFolder> m_folder{};
    const QStringList m_asked{"run",     "--simulate", "./bench.toml", "--db",
                              "line.db", "--json",     "--ask"};
};

void TstCommandLinePrompts::init()
{
    m_folder = std::make_unique<CommandFolder>();
    writeBench();
}

void TstCommandLinePrompts::writeBench() const
{
    QVERIFY(m_folder->write(
        "bench.toml",
        QByteArray("[bench]\nname = \"test\"\nspeed = \"instant\"\nmode_button = false\n"
                   "[network]\nssid = \"Plant\"\npassword = \"virtual-plant\"\nsecurity = 3\n"
                   "[[slot]]\nnumber = 1\n[[slot.unit]]\nstock = \"0.4.9\"\n"
                   "credentials = \"foreign\"\ndevice_id = \"") +
            kPromptUnit + "\"\n"));
}

void TstCommandLinePrompts::labelAndHands_areAskedForAtTheTerminal()
{
    AskedRun run(*m_folder, provostProgram(), m_asked);
    QVERIFY(run.answer("slot 1: scan the label", QByteArray(kPromptUnit) + "\n"));
    QVERIFY(run.answer("Hold SETUP for 3 s", "\n"));
    QVERIFY(run.answer("Hold SETUP for 10 s", "1\n"));
    const auto ended = run.end();
    QVERIFY2(ended.exitCode == 0, ended.out + ended.err);
    // Standard output has verdict and summary, nothing of the talk.
    QCOMPARE(ended.lines().size(), 2);
    QCOMPARE(ended.lines()[0]["verdict"], QJsonValue("pass"));
    const auto shown = m_folder->json({"unit", "show", kPromptUnit, "--db", "line.db"});
    QCOMPARE(shown.last()["label"], QJsonValue(kPromptUnit));
}

void TstCommandLinePrompts::whatCannotBeDone_isACheck()
{
    AskedRun run(*m_folder, provostProgram(), m_asked);
    QVERIFY(run.answer("slot 1: scan the label", QByteArray(kPromptUnit) + "\n"));
    QVERIFY(run.answer("Hold SETUP for 3 s", "2\n"));
    const auto ended = run.end();
    QCOMPARE(ended.exitCode, 2);
    QCOMPARE(ended.lines()[0]["verdict"], QJsonValue("error"));
    QCOMPARE(ended.lines()[0]["cause"], QJsonValue("C012"));
}

void TstCommandLinePrompts::answerToNothing_isAskedAgain()
{
    AskedRun run(*m_folder, provostProgram(), m_asked);
    QVERIFY(run.answer("slot 1: scan the label", "not the label of this one\n"));
    QVERIFY(run.answer("Hold SETUP for 3 s", "maybe\n"));
    QVERIFY(run.answer("Hold SETUP for 3 s", "DONE\n"));
    const auto ended = run.end();
    QCOMPARE(ended.exitCode, 1);
    QCOMPARE(ended.lines()[0]["cause"], QJsonValue("F101"));
}

void TstCommandLinePrompts::endOfInput_answersNothing()
{
    // Without a terminal, and nobody who types.
    const auto ended = m_folder->run(provostProgram(), m_asked);
    QCOMPARE(ended.exitCode, 2);
    QCOMPARE(ended.lines().size(), 2);
    QCOMPARE(ended.lines()[0]["verdict"], QJsonValue("error"));
    // From a pipe the answers may come before the questions.
    const auto piped = m_folder->run(provostProgram(), m_asked, QByteArray(kPromptUnit) + "\n\n\n");
    QVERIFY2(piped.exitCode == 0, piped.out + piped.err);
}

void TstCommandLinePrompts::stop_endsAQuestion()
{
    const PseudoTerminal terminal;
    QProcess process;
    m_folder->prepare(process);
    process.setStandardInputFile(terminal.path());
    process.start(provostProgram(), m_asked);
    QByteArray err;
    QVERIFY(QTest::qWaitFor(
        [&] {
            err += process.readAllStandardError();
            return err.contains("scan the label");
        },
        kPatienceMs));
    process.terminate();
    const auto ended = CommandFolder::ended(process);
    QCOMPARE(ended.exitCode, 3);
    QCOMPARE(ended.lines().size(), 1);
    QCOMPARE(ended.last()["event"], QJsonValue("summary"));
}

void TstCommandLinePrompts::realLine_asksWhereStdinIsATerminal()
{
    BenchCommand bench(*m_folder);
    const auto id = bench.unit()["device_id"].toString().toLatin1();
    QVERIFY(m_folder->write("wifi-password", "secret-of-the-line\n"));
    QVERIFY(m_folder->write("line.toml", "[station]\nname = \"Line\"\n[[slot]]\nnumber = 1\n"
                                         "usb = \"1-1\"\n[network]\nssid = \"test\"\n"
                                         "password_file = \"wifi-password\"\nsecurity = 3\n"
                                         "[handshake]\nhost = \"127.0.0.1\"\nport = 0\n"));
    const QStringList command{PROVOST_UMOCK_BRIDGE, bench.server(), "1-1",    "--",
                              provostProgram(),     "run",          "--json", "--station",
                              "line.toml"};
    AskedRun run(*m_folder, "umockdev-wrapper", command);
    QVERIFY(run.answer("slot 1: scan the label", id + "\n"));
    const auto ended = run.end();
    // The demo images of this tree go on no real unit: the label got as far as it can.
    QCOMPARE(ended.lines().size(), 2);
    QCOMPARE(ended.lines()[0]["cause"], QJsonValue("C041"));
    // Where nobody sits there, nobody is asked.
    const auto unasked = m_folder->run("umockdev-wrapper", command);
    QVERIFY(!unasked.err.contains("scan the label"));
    QCOMPARE(unasked.lines()[0]["cause"], QJsonValue("C041"));
}

} // namespace

PROVOST_TEST("command_line_prompts", TstCommandLinePrompts)
#include "tst_command_line_prompts.moc"
