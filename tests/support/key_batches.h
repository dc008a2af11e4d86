// What tests of key injection share: the order of three units, what is on a unit, and who watches a
// folder being written.
#pragma once

#include "crypto/unit_key.h"
#include "support/proven_unit.h"
#include "support/remote_line.h"

#include <functional>
#include <sys/inotify.h>
#include <thread>

namespace provost::test {

constexpr int kBatchUnits = 3;
inline const QByteArray kKeyStation = "kind = \"key-injection\"";

inline QStringList injectArguments(bool resume, const std::string& platform = "photon")
{
    QStringList arguments{"keys",     "batch",     "--platform",   QString::fromStdString(platform),
                          "--count",  "3",         "--name",       "lot-1",
                          "--inject", "--station", "station.toml", "--training",
                          "--db",     "line.db",   "--json"};
    return resume ? arguments + QStringList{"--resume"} : arguments;
}

inline BenchWish threeUnits(const UnitWish& unit = {})
{
    return {.supplies = {{unit}, {unit}, {unit}}};
}

/// What is on the unit, by the firmware's own reader; empty: nothing that it could use.
inline std::string fingerprintOn(const sim::VirtualBoard& board)
{
    const auto reading = readAsUnit(privateSlot(board));
    return reading.fingerprint();
}

/// Calls `seen` with the number of each write to a file of that name in the folder (to any: empty),
/// from 1, until it goes.
class WriteWatch {
public:
    WriteWatch(const QString& folder, std::string name, std::function<void(int)> seen)
        : m_name(std::move(name)), m_fd(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC)),
          m_thread(
              [this, seen = std::move(seen)](const std::stop_token& stop) { watch(stop, seen); })
    {
        ::inotify_add_watch(m_fd, qPrintable(folder), IN_MODIFY | IN_CREATE);
    }
    ~WriteWatch()
    {
        m_thread.request_stop();
        m_thread.join();
        ::close(m_fd);
    }

private:
    void watch(const std::stop_token& stop, const std::function<void(int)>& seen) const
    {
        int count = 0;
        alignas(inotify_event) char buffer[4096];
        while (!stop.stop_requested()) {
            const auto got = ::read(m_fd, buffer, sizeof buffer);
            for (ssize_t at = 0; at < got;) {
                const auto* event = reinterpret_cast<const inotify_event*>(buffer + at);
                at += static_cast<ssize_t>(sizeof(inotify_event) + event->len);
                if (event->len > 0 && (m_name.empty() || m_name == event->name))
                    seen(++count);
            }
            if (got <= 0)
                std::this_thread::sleep_for(std::chrono::microseconds(200));
        }
    }

    const std::string m_name;
    const int m_fd;
    std::jthread m_thread;
};

} // namespace provost::test
