// Runs the built command line as a script would.
#pragma once

#include <QByteArray>
#include <QDir>
#include <QElapsedTimer>
#include <QFile>
#include <QJsonArray>
#include <QJsonDocument>
#include <QJsonObject>
#include <QProcess>
#include <QTemporaryDir>
#include <QTest>

#include <algorithm>
#include <csignal>
#include <functional>

namespace provost::test {

constexpr int kPatienceMs = 60'000;

inline QString provostProgram()
{
    return QStringLiteral(PROVOST_BUILD_DIR "/bin/provost");
}

inline QString demoImage(const QString& name)
{
    return QStringLiteral(PROVOST_BUILD_DIR "/images/") + name;
}

struct CommandEnd {
    int exitCode = -1; ///< -1: did not start, crashed, or had to be killed
    QByteArray out{};
    QByteArray err{};

    /// Standard output as JSON lines; empty where any line is something else.
    QList<QJsonObject> lines() const
    {
        QList<QJsonObject> objects;
        const auto rows = out.split('\n');
        for (qsizetype i = 0; i + 1 < rows.size(); ++i) {
            const auto document = QJsonDocument::fromJson(rows[i]);
            if (!document.isObject())
                return {};
            objects.append(document.object());
        }
        return rows.isEmpty() || rows.last().isEmpty() ? objects : QList<QJsonObject>();
    }
    QJsonObject last() const
    {
        const auto objects = lines();
        return objects.isEmpty() ? QJsonObject() : objects.last();
    }
    bool says(const char* words) const { return (out + err).contains(words); }
};

/// A folder of its own, in which every command runs: nothing of the user's is read or written.
class CommandFolder {
public:
    CommandFolder()
    {
        m_environment.insert("HOME", m_folder.path());
        m_environment.remove("XDG_STATE_HOME");
        m_environment.insert("PATH", QStringLiteral(PROVOST_BUILD_DIR "/bin:") +
                                         m_environment.value("PATH"));
    }

    QString path(const QString& name) const { return m_folder.filePath(name); }
    QProcessEnvironment& environment() { return m_environment; }

    QByteArray read(const QString& name) const
    {
        QFile file(path(name));
        return file.open(QIODevice::ReadOnly) ? file.readAll() : QByteArray();
    }
    bool write(const QString& name, const QByteArray& content) const
    {
        QFile file(path(name));
        return file.open(QIODevice::WriteOnly) && file.write(content) == content.size();
    }
    bool exists(const QString& name) const { return QFile::exists(path(name)); }
    QFile::Permissions permissions(const QString& name) const
    {
        return QFile::permissions(path(name));
    }

    void prepare(QProcess& process) const
    {
        process.setWorkingDirectory(m_folder.path());
        process.setProcessEnvironment(m_environment);
    }

    /// Any program.
    CommandEnd run(const QString& program, const QStringList& arguments,
                   const QByteArray& input = {}) const
    {
        QProcess process;
        prepare(process);
        process.start(program, arguments);
        process.write(input);
        process.closeWriteChannel();
        return ended(process);
    }
    CommandEnd provost(const QStringList& arguments) const
    {
        return run(provostProgram(), arguments);
    }
    /// With --json.
    CommandEnd json(const QStringList& arguments) const
    {
        return provost(arguments + QStringList{"--json"});
    }
    /// As typed: words are separated by blanks.
    CommandEnd typed(const char* words) const { return provost(QString(words).split(' ')); }

    static CommandEnd ended(QProcess& process)
    {
        if (process.state() != QProcess::NotRunning && !process.waitForFinished(kPatienceMs)) {
            process.kill();
            process.waitForFinished();
            return {};
        }
        return {.exitCode = process.exitStatus() == QProcess::NormalExit ? process.exitCode() : -1,
                .out = process.readAllStandardOutput(),
                .err = process.readAllStandardError()};
    }

private:
    QTemporaryDir m_folder{};
    QProcessEnvironment m_environment = QProcessEnvironment::systemEnvironment();
};

/// A command that serves until it is interrupted; ended at the latest when this goes.
class RunningCommand {
public:
    RunningCommand(const CommandFolder& folder, const QStringList& arguments)
    {
        folder.prepare(m_process);
        m_process.start(provostProgram(), arguments);
    }
    ~RunningCommand()
    {
        if (m_process.state() != QProcess::NotRunning)
            interrupt();
    }
    RunningCommand(const RunningCommand&) = delete;
    RunningCommand& operator=(const RunningCommand&) = delete;

    /// The first JSON line that fits; empty where the command ends or stays silent before.
    QJsonObject waitFor(const std::function<bool(const QJsonObject&)>& fits)
    {
        QElapsedTimer timer;
        timer.start();
        while (timer.elapsed() < kPatienceMs) {
            for (; m_read < m_lines.size(); ++m_read) {
                if (fits(m_lines[m_read]))
                    return m_lines[m_read++];
            }
            if (!m_process.waitForReadyRead(kSliceMs) &&
                m_process.state() == QProcess::NotRunning && m_process.bytesAvailable() == 0)
                return {};
            while (m_process.canReadLine())
                m_lines.append(QJsonDocument::fromJson(m_process.readLine()).object());
        }
        return {};
    }
    QJsonObject waitForEvent(const QString& event)
    {
        return waitFor([&](const QJsonObject& line) { return line["event"] == event; });
    }
    bool hasOpen(const QString& path) const
    {
        const QDir files(QStringLiteral("/proc/%1/fd").arg(m_process.processId()));
        const auto all = files.entryInfoList(QDir::Files | QDir::System);
        return std::ranges::any_of(
            all, [&](const QFileInfo& file) { return file.symLinkTarget() == path; });
    }
    qint64 pid() const { return m_process.processId(); }
    void signal(int number) const { ::kill(static_cast<pid_t>(m_process.processId()), number); }
    CommandEnd interrupt()
    {
        signal(SIGINT);
        return CommandFolder::ended(m_process);
    }
    CommandEnd end() { return CommandFolder::ended(m_process); }

private:
    static constexpr int kSliceMs = 50;
    QProcess m_process{};
    QList<QJsonObject> m_lines{};
    qsizetype m_read = 0;
};

/// A served bench of eight new Photons.
class BenchCommand {
public:
    explicit BenchCommand(const CommandFolder& folder, const QString& bench = "photon-quick")
        : m_serving(folder,
                    {"bench", "serve", bench, "--usbip", "127.0.0.1:0", "--dir", "bench", "--json"})
    {
        m_unit = m_serving.waitForEvent("unit");
        m_port = m_serving.waitForEvent("listening")["port"].toInt();
    }
    QJsonObject unit() const { return m_unit; }
    QString server() const { return QString("127.0.0.1:%1").arg(m_port); }
    QString device(const QString& busId = "1-1") const { return "usbip:" + server() + "/" + busId; }
    CommandEnd stop() { return m_serving.interrupt(); }

private:
    RunningCommand m_serving;
    QJsonObject m_unit{};
    int m_port = 0;
};

} // namespace provost::test
