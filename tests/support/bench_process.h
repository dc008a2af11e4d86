// provost-bench as a program of its own, and other people's programs where its devices are plugged
// in.
#pragma once

#include "served_bench.h"

#include <QProcess>

namespace provost::test {

/// Used by one thread. The constructor throws with the reason when the bench does not start.
class BenchProcess {
public:
    explicit BenchProcess(const QByteArray& toml);
    ~BenchProcess();
    std::uint16_t usbIpPort() const { return m_port; }
    /// Runs it where the devices with these bus ids are plugged into /sys and /dev.
    ProgramEnd runAt(const QStringList& busIds, ProgramCall call) const;
    /// Lines of the program so far, the last one says that it listens.
    QByteArray lines() const { return m_lines; }
    /// As Ctrl-C does; the exit code.
    int stop();

private:
    QTemporaryDir m_directory{};
    QProcess m_process{};
    QByteArray m_lines{};
    std::uint16_t m_port = 0;
};

} // namespace provost::test
