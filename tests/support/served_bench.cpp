#include "served_bench.h"

#include "core/text.h"
#include "must.h"

#include <QProcess>
#include <QProcessEnvironment>
#include <stdexcept>

namespace provost::test {

namespace {

using namespace std::chrono_literals;

constexpr auto kUnitPatience = 60s;

std::vector<sim::PtySlot> terminalsOf(const sim::Bench& bench)
{
    std::vector<sim::PtySlot> terminals;
    for (const sim::BenchSlot& slot : bench.slots())
        terminals.push_back({.number = slot.number, .port = toText(slot.port)});
    return terminals;
}

} // namespace

ProgramEnd runProgram(const ProgramCall& call)
{
    QProcess process;
    process.setProcessChannelMode(QProcess::MergedChannels);
    process.setStandardInputFile(call.terminal.isEmpty() ? QProcess::nullDevice() : call.terminal);
    if (!call.terminal.isEmpty()) {
        process.setProcessChannelMode(QProcess::SeparateChannels);
        process.setStandardOutputFile(call.terminal);
    }
    QProcessEnvironment environment = QProcessEnvironment::systemEnvironment();
    environment.insert("LC_ALL", "C.UTF-8");
    // A sanitizer's runtime cannot be the first library below umockdev-wrapper.
    environment.insert("ASAN_OPTIONS", environment.value("ASAN_OPTIONS") +
                                           ":verify_asan_link_order=0:detect_leaks=0");
    // Where this program runs itself again: a crash ends it, and is not looked at by a debugger.
    environment.insert("QTEST_DISABLE_STACK_DUMP", "1");
    process.setProcessEnvironment(environment);
    process.start(call.program, call.arguments);
    const bool ended = process.waitForStarted() &&
                       process.waitForFinished(static_cast<int>(call.patience.count()));
    if (!ended) {
        process.kill();
        process.waitForFinished();
    }
    process.setReadChannel(call.terminal.isEmpty() ? QProcess::StandardOutput
                                                   : QProcess::StandardError);
    const QString output = QString::fromUtf8(process.readAll());
    const bool normal = ended && process.exitStatus() == QProcess::NormalExit;
    return {.exitCode = normal ? process.exitCode() : -1, .output = output};
}

ServedBench::ServedBench(const std::string& toml)
    : m_bench(must(sim::Bench::parse(toml, "served.toml"))),
      m_usbIp(must(sim::UsbIpServer::start(m_bench->ports(), m_bench->pace()))),
      m_serial(must(sim::PtyServer::start(m_bench->serial(), terminalsOf(*m_bench),
                                          m_directory.path().toStdString()))),
      m_control(must(BenchControlServer::start(*m_bench)))
{
}

UsbPortPath ServedBench::port(int slot) const
{
    for (const sim::BenchSlot& each : m_bench->slots())
        if (each.number == slot)
            return each.port;
    throw std::runtime_error("no such slot");
}

QString ServedBench::terminal(int slot) const
{
    return QString::fromStdString(sim::PtyServer::linkOf(m_directory.path().toStdString(), slot));
}

ProgramEnd ServedBench::runAtBench(ProgramCall call) const
{
    QStringList arguments{PROVOST_UMOCK_BRIDGE, QStringLiteral("127.0.0.1:%1").arg(usbIpPort())};
    const auto& ports = m_bench->ports();
    for (std::size_t index = 0; index < ports.size(); ++index)
        if (ports[index]->current().function)
            arguments << QString::fromStdString(sim::UsbIpServer::busId(index));
    arguments << "--" << call.program << call.arguments;
    call.program = "umockdev-wrapper";
    call.arguments = arguments;
    return runProgram(call);
}

UsbDeviceInfo ServedBench::insertUnit(int slot, UsbId id)
{
    if (!must(m_bench->insertNext(slot)))
        throw std::runtime_error("the supply is used up");
    return waitFor(slot, id);
}

UsbDeviceInfo ServedBench::waitFor(int slot, UsbId id)
{
    const SystemClock clock;
    const OpContext op{.clock = clock, .deadline = {clock.now() + kUnitPatience}};
    return must(m_bench->usb().waitFor(port(slot), std::span(&id, 1), op));
}

UsbDeviceInfo ServedBench::bringToDfu(int slot)
{
    const sim::BoardProfile& profile = m_bench->board(slot)->profile();
    waitFor(slot, profile.cdc.id);
    {
        const auto serial = must(m_bench->serial().open(toText(port(slot))));
        static_cast<void>(serial->setBaud(14400)); // the unit may leave while it obeys
    }
    return waitFor(slot, profile.dfu.id);
}

} // namespace provost::test
