// A virtual bench served to programs of other people: over USB/IP, behind umock-bridge, and as
// pseudo-terminals.
#pragma once

// Qt's keyword macro would eat Bench::slots().
#ifndef QT_NO_KEYWORDS
#define QT_NO_KEYWORDS
#endif

#include "bench_control.h"
#include "sim/bench.h"
#include "sim/pty_server.h"
#include "sim/usbip_server.h"

#include <QString>
#include <QStringList>
#include <QTemporaryDir>

namespace provost::test {

struct ProgramEnd {
    int exitCode = -1; ///< -1: did not start, or had to be killed
    QString output{};  ///< of both channels
};

struct ProgramCall {
    QString program{};
    QStringList arguments{};
    QString terminal{}; ///< a device for input and output; empty: none
    std::chrono::milliseconds patience = std::chrono::seconds(120);
};
ProgramEnd runProgram(const ProgramCall& call);

/// Used by one thread. The constructor throws with the reason when the bench cannot be served.
class ServedBench {
public:
    explicit ServedBench(const std::string& toml);

    sim::Bench& bench() { return *m_bench; }
    UsbPortPath port(int slot) const;
    /// The link to the slot's pseudo-terminal.
    QString terminal(int slot) const;
    std::uint16_t usbIpPort() const { return m_usbIp->port(); }
    std::uint16_t controlPort() const { return m_control->port(); }
    /// Runs it where the bench's units are plugged into /sys and /dev.
    ProgramEnd runAtBench(ProgramCall call) const;

    /// Replaces the slot's unit by the next one of its supply; waits until `id` is on the bus.
    UsbDeviceInfo insertUnit(int slot, UsbId id);
    UsbDeviceInfo waitFor(int slot, UsbId id);
    /// By 14400 baud.
    UsbDeviceInfo bringToDfu(int slot);

private:
    QTemporaryDir m_directory{};
    std::unique_ptr<sim::Bench> m_bench;
    std::unique_ptr<sim::UsbIpServer> m_usbIp;
    std::unique_ptr<sim::PtyServer> m_serial;
    std::unique_ptr<BenchControlServer> m_control;
};

constexpr UsbId kPhotonFirmware{.vendor = 0x2B04, .product = 0xC006};
constexpr UsbId kPhotonDfu{.vendor = 0x2B04, .product = 0xD006};

} // namespace provost::test
