// A bench in this process and the station's program in another one: units reach it over USB/IP and
// live on whatever becomes of it.
#pragma once

#include "core/text.h"
#include "sim/bench.h"
#include "sim/usbip_server.h"
#include "support/command_line.h"
#include "support/must.h"
#include "support/station_fixture.h"

#include <atomic>
#include <csignal>

namespace provost::test {

/// One slot of the station file for each slot of the bench.
class RemoteLine {
public:
    /// @param folder  of the program: station.toml and what it names go there
    RemoteLine(const BenchWish& wish, CommandFolder& folder)
        : m_folder(folder), m_bench(must(sim::Bench::parse(benchToml(wish), "remote.toml"))),
          m_server(must(sim::UsbIpServer::start(m_bench->ports(), {.speed = sim::Speed::Instant})))
    {
        for (const auto& slot : m_bench->slots())
            must(m_bench->insertNext(slot.number));
    }

    sim::Bench& bench() { return *m_bench; }
    int slots() const { return static_cast<int>(m_bench->slots().size()); }

    /// @param head  further lines of [station]; @param tail  further tables
    bool writeStation(const QByteArray& head, const QByteArray& tail = {}) const
    {
        QByteArray text = "[station]\nname = \"Remote\"\n" + head + "\n";
        for (int slot = 1; slot <= slots(); ++slot)
            text += QString("[[slot]]\nnumber = %1\nusb = \"usbip:127.0.0.1:%2/1-%1\"\n")
                        .arg(slot)
                        .arg(m_server->port())
                        .toUtf8();
        const auto& network = m_bench->network();
        const auto password = network.password.reveal();
        return m_folder.write("station.toml", text + tail) &&
               m_folder.write("wifi-password",
                              QByteArray(reinterpret_cast<const char*>(password.data()),
                                         static_cast<qsizetype>(password.size())) +
                                  "\n");
    }
    /// Of a line: network and endpoint, which a key-injection station needs none of.
    QByteArray lineTables() const
    {
        return "[network]\nssid = \"" + QByteArray::fromStdString(m_bench->network().ssid) +
               "\"\npassword_file = \"wifi-password\"\nsecurity = 3\n"
               "[handshake]\nhost = \"127.0.0.1\"\nport = 0\nfolder = \"" +
               m_folder.path("cloud").toUtf8() + "\"\n";
    }
    /// An RSA-2048 key takes longer to make than a unit to run.
    bool shareServerKey(const QString& cloudFolder) const
    {
        return QDir().mkpath(m_folder.path(cloudFolder)) &&
               QFile::copy(QString::fromStdString(sharedServerKey().string()),
                           m_folder.path(cloudFolder + "/server-key.pem"));
    }

    /// `seen` is called with the number of each change of any unit's flash, from 1.
    void watchFlash(std::function<void(int)> seen)
    {
        auto count = std::make_shared<std::atomic<int>>(0);
        for (const auto& slot : m_bench->slots())
            m_bench->board(slot.number)->watchFlash([count, seen](std::uint32_t, std::size_t) {
                seen(++*count);
            });
    }

private:
    CommandFolder& m_folder;
    std::unique_ptr<sim::Bench> m_bench;
    std::unique_ptr<sim::UsbIpServer> m_server;
};

/// A program that somebody may kill at any moment.
class MortalCommand {
public:
    /// Dies of SIGKILL; harmless before it was started and when it has ended.
    void kill() const
    {
        if (const auto pid = m_pid.load(); pid > 0)
            ::kill(pid, SIGKILL);
    }
    /// @returns true where it was killed
    bool run(const CommandFolder& folder, const QStringList& arguments)
    {
        QProcess process;
        folder.prepare(process);
        process.start(provostProgram(), arguments);
        if (!process.waitForStarted(kPatienceMs))
            return false;
        m_pid = static_cast<pid_t>(process.processId());
        end = CommandFolder::ended(process);
        m_pid = 0;
        return process.exitStatus() == QProcess::CrashExit;
    }
    CommandEnd end{};

private:
    std::atomic<pid_t> m_pid = 0;
};

} // namespace provost::test
