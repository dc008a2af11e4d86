// Every example of every command's help, in the order of the overview and as it is printed, in one
// folder that is empty at first. Servers go on meanwhile.
#include "support/command_line.h"
#include "support/test_program.h"

#include <QRegularExpression>
#include <QTcpServer>

#include <map>
#include <memory>
#include <vector>

using namespace provost::test;

namespace {

/// Fixed ports may be taken where tests run; each becomes a free one, always the same.
class FreePorts {
public:
    QString in(QString example)
    {
        static const QRegularExpression fixed("127\\.0\\.0\\.1:(\\d+)");
        qsizetype from = 0;
        for (auto found = fixed.match(example); found.hasMatch();
             found = fixed.match(example, from)) {
            const QString free = portFor(found.captured(1));
            example.replace(found.capturedStart(1), found.capturedLength(1), free);
            from = found.capturedStart(1) + free.size();
        }
        return example;
    }

private:
    QString portFor(const QString& printed)
    {
        auto& port = m_ports[printed];
        if (port.isEmpty()) {
            QTcpServer server;
            if (server.listen(QHostAddress::LocalHost))
                port = QString::number(server.serverPort());
        }
        return port;
    }
    std::map<QString, QString> m_ports{};
};

/// An example that serves until Ctrl-C.
class ServingExample {
public:
    ServingExample(const CommandFolder& folder, const QString& example)
    {
        folder.prepare(m_process);
        m_process.start("bash", {"-c", "exec " + example});
    }
    /// Until it names the port that it listens on.
    bool awaitPort(const QString& port)
    {
        QByteArray said;
        while (!said.contains(port.toUtf8()) && m_process.waitForReadyRead(kPatienceMs))
            said += m_process.readAllStandardOutput();
        return said.contains(port.toUtf8());
    }
    CommandEnd interrupt()
    {
        ::kill(static_cast<pid_t>(m_process.processId()), SIGINT);
        return CommandFolder::ended(m_process);
    }
    ~ServingExample()
    {
        if (m_process.state() != QProcess::NotRunning)
            interrupt();
    }
    ServingExample(const ServingExample&) = delete;
    ServingExample& operator=(const ServingExample&) = delete;

private:
    QProcess m_process{};
};

class TstCommandLineExamples : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void examples_runAsPrinted();
    void overviews_showOneThatIsAmongThem();
};

QStringList commandsOf(const CommandFolder& folder)
{
    QStringList paths;
    for (const auto& each : folder.json({"help"}).last()["commands"].toArray()) {
        const QString path = each.toObject()["command"].toString();
        if (!path.startsWith("--"))
            paths.append(path.startsWith("completion") || path.startsWith("help")
                             ? path.section(' ', 0, 0)
                             : path);
    }
    return paths;
}

QString exampleOf(const CommandFolder& folder, const QString& path)
{
    return folder.json(path.split(' ') + QStringList{"--help"}).last()["example"].toString();
}

/// As people see it below "Example".
QString printedExample(const CommandFolder& folder, const QString& path)
{
    const QString help = folder.provost(path.split(' ') + QStringList{"--help"}).out;
    QStringList lines = help.section("\nExample\n", 1).section("\n\n", 0, 0).trimmed().split('\n');
    for (QString& line : lines)
        line = line.trimmed();
    return lines.join('\n');
}

void TstCommandLineExamples::examples_runAsPrinted()
{
    const CommandFolder folder;
    FreePorts ports;
    std::vector<std::pair<QString, std::unique_ptr<ServingExample>>> servers;
    const QStringList paths = commandsOf(folder);
    QVERIFY(paths.size() > 30);
    for (const QString& path : paths) {
        QVERIFY2(exampleOf(folder, path) == printedExample(folder, path), qPrintable(path));
        const QString example = ports.in(exampleOf(folder, path));
        QVERIFY2(!example.isEmpty(), qPrintable(path));
        if (path.endsWith(" serve")) {
            const auto port = QRegularExpression("127\\.0\\.0\\.1:(\\d+)").match(example);
            auto server = std::make_unique<ServingExample>(folder, example);
            QVERIFY2(server->awaitPort(port.captured(1)), qPrintable(example));
            servers.emplace_back(example, std::move(server));
            continue;
        }
        const auto ran = folder.run("bash", {"-e", "-c", example});
        // No unit waits for its cloud where these examples run: that is an error, and no usage.
        const bool needsAPlant =
            path == "unit release" || path == "cloud reconcile" || path == "cloud import";
        QVERIFY2(ran.exitCode == (needsAPlant ? 2 : 0),
                 qPrintable(example + ": " + ran.out + ran.err));
    }
    for (auto& [example, server] : servers)
        QVERIFY2(server->interrupt().exitCode == 0, qPrintable(example));
}

void TstCommandLineExamples::overviews_showOneThatIsAmongThem()
{
    const CommandFolder folder;
    QStringList known;
    for (const QString& path : commandsOf(folder))
        known.append(exampleOf(folder, path));
    for (const char* overview : {"--help", "dfu --help", "keys --help", "stlink --help"}) {
        const QString shown =
            QString(folder.typed(overview).out).section("\nExample\n  ", 1).section('\n', 0, 0);
        QVERIFY2(known.contains(shown), overview);
    }
}

} // namespace

PROVOST_TEST("command_line_examples", TstCommandLineExamples)
#include "tst_command_line_examples.moc"
