#include "bench_process.h"

#include <QFile>
#include <QJsonDocument>
#include <QJsonObject>
#include <stdexcept>

namespace provost::test {

namespace {

constexpr int kStartPatience = 30'000; // ms; emulated cores take a moment on a busy machine
constexpr int kStopPatience = 10'000;

std::uint16_t listeningPort(const QByteArray& line)
{
    const QJsonObject object = QJsonDocument::fromJson(line).object();
    return object["event"] == "listening" ? static_cast<std::uint16_t>(object["port"].toInt()) : 0;
}

} // namespace

BenchProcess::BenchProcess(const QByteArray& toml)
{
    QFile file(m_directory.filePath("bench.toml"));
    if (!file.open(QIODevice::WriteOnly) || file.write(toml) != toml.size())
        throw std::runtime_error("cannot write the bench file");
    file.close();
    m_process.setProcessChannelMode(QProcess::ForwardedErrorChannel);
    m_process.start(PROVOST_BENCH_PROGRAM,
                    {file.fileName(), "--json", "--dir", m_directory.filePath("tty")});
    while (m_port == 0) {
        if (!m_process.canReadLine() && !m_process.waitForReadyRead(kStartPatience))
            throw std::runtime_error("provost-bench does not say that it listens");
        const QByteArray line = m_process.readLine();
        m_lines += line;
        m_port = listeningPort(line);
    }
}

BenchProcess::~BenchProcess()
{
    stop();
}

int BenchProcess::stop()
{
    if (m_process.state() != QProcess::NotRunning) {
        m_process.terminate();
        if (!m_process.waitForFinished(kStopPatience))
            m_process.kill();
        m_process.waitForFinished();
    }
    return m_process.exitStatus() == QProcess::NormalExit ? m_process.exitCode() : -1;
}

ProgramEnd BenchProcess::runAt(const QStringList& busIds, ProgramCall call) const
{
    const QStringList arguments =
        QStringList{PROVOST_UMOCK_BRIDGE, QStringLiteral("127.0.0.1:%1").arg(m_port)} + busIds +
        QStringList{"--", call.program} + call.arguments;
    call.program = "umockdev-wrapper";
    call.arguments = arguments;
    return runProgram(call);
}

} // namespace provost::test
