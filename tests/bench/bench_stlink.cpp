// 512 KiB into an STM32F205 by SWD: how close a timed chip gets to what it is made of, our verify
// included; and beside st-flash and openocd on the same probe, with their own verify.
#include "bench/ratios.h"
#include "protocol/stm32_flash.h"
#include "sim/probe_bench.h"
#include "sim_unicorn/unicorn_core.h"
#include "support/bench_process.h"

#include "core/byte_io.h"
#include "core/text.h"
#include "support/must.h"

#include <QFile>
#include <benchmark/benchmark.h>

#include <random>
#include <stdexcept>

using namespace provost;
using namespace provost::test;
using namespace std::chrono_literals;

namespace {

using ProbeClock = std::chrono::steady_clock;

constexpr std::uint32_t kSwdAddress = 0x08020000; // four sectors of 128 KiB
constexpr std::size_t kSwdBytes = 512 * 1024;
constexpr unsigned kSwdKilohertz = 24000;

constexpr auto kProbeFile = R"(
[bench]
name = "probes"
speed = "%1"
[[probe]]
number = 1
model = "v3"
chip = "f205"
)";

Bytes swdNoise()
{
    static std::mt19937 random(20261122);
    Bytes bytes(kSwdBytes);
    for (auto& byte : bytes)
        byte = static_cast<std::byte>(random() & 0xFF);
    return bytes;
}

double secondsSince(ProbeClock::time_point began)
{
    return std::chrono::duration<double>(ProbeClock::now() - began).count();
}

void timedChip(benchmark::State& state)
{
    // DS6329, typical, x32 (sheet 3.5): erase of 128 KiB, a word of programming; 46 clocks a word.
    const double erase = 4 * 1.0;
    const double program = kSwdBytes / 4 * 16e-6;
    const double wire = kSwdBytes / 4 * 46.0 / (kSwdKilohertz * 1e3);
    const auto bench = must(sim::ProbeBench::parse(QString(kProbeFile).arg("timed").toStdString(),
                                                   "timed.toml", sim::unicornCores()));
    const SystemClock clock;
    const OpContext op{.clock = clock, .deadline = {clock.now() + 120s}};
    const auto info = must(bench->usb().enumerate()).at(0);
    for (auto _ : state) {
        const MemoryBlock block{.address = kSwdAddress, .bytes = swdNoise()};
        const auto began = ProbeClock::now();
        StLinkProbe probe = must(StLinkProbe::open(must(bench->usb().open(info)), op));
        must(probe.connect({.kilohertz = kSwdKilohertz}, op));
        Stm32Flash flash = must(Stm32Flash::attach(probe, op));
        const double connect = secondsSince(began);
        must(flash.writeVerified(block, false, op));
        const double whole = secondsSince(began);
        state.SetIterationTime(whole);
        note("timed chip", whole);
        note("erase, program, connect", erase + std::max(program, wire) + connect);
    }
}

/// One probe behind the bridge, programs by their whole run time.
class ProbeRun {
public:
    explicit ProbeRun(const char* speed) : m_bench(QString(kProbeFile).arg(speed).toUtf8()) {}
    double run(const QString& program, const QStringList& arguments)
    {
        const auto began = ProbeClock::now();
        const auto ended = m_bench.runAt({"1-1"}, {.program = program, .arguments = arguments});
        if (ended.exitCode != 0)
            throw std::runtime_error(ended.output.toStdString());
        return secondsSince(began);
    }
    QString newContent()
    {
        const std::string text = toText(swdNoise());
        QFile out(m_folder.filePath("content.bin"));
        if (!out.open(QIODevice::WriteOnly) ||
            out.write(text.data(), static_cast<qint64>(text.size())) != qint64(kSwdBytes))
            throw std::runtime_error("no content");
        return out.fileName();
    }

private:
    QTemporaryDir m_folder{};
    BenchProcess m_bench;
};

enum class Tool : std::uint8_t { Ours, StFlash, OpenOcd };

double writeBy(Tool tool, ProbeRun& probe)
{
    const QString file = probe.newContent();
    const QString address = QString::fromStdString(hex32(kSwdAddress));
    switch (tool) {
    case Tool::Ours:
        return probe.run(PROVOST_BUILD_DIR "/bin/provost",
                         {"stlink", "write", "usb:0483:374f", file, "--address", address, "--khz",
                          QString::number(kSwdKilohertz)});
    case Tool::StFlash:
        return probe.run("st-flash", {"--freq=24M", "write", file, address});
    case Tool::OpenOcd:
        break;
    }
    return probe.run("openocd", {"-c", "gdb_port disabled; tcl_port disabled; telnet_port disabled",
                                 "-f", "interface/stlink.cfg", "-f", "target/stm32f2x.cfg", "-c",
                                 QString("adapter speed %1").arg(kSwdKilohertz), "-c",
                                 "program " + file + " " + address + " verify reset exit"});
}

/// Where nothing takes time, what is left is the emulated core and the path to it.
void programs(benchmark::State& state, Tool tool, const std::string& name)
{
    ProbeRun instant("instant");
    ProbeRun timed("timed");
    for (auto _ : state) {
        const double emulation = writeBy(tool, instant);
        const double whole = writeBy(tool, timed);
        state.SetIterationTime(whole);
        note(name, whole);
        note(name + ", emulation", emulation);
    }
}

void registerStLink()
{
    const auto few = [](benchmark::internal::Benchmark* each, int times) {
        each->UseManualTime()->Iterations(times)->Unit(benchmark::kMillisecond);
    };
    few(benchmark::RegisterBenchmark("timed chip by SWD, 512 KiB verified", timedChip), 3);
    const auto add = [&](const char* title, Tool tool, const std::string& name) {
        few(benchmark::RegisterBenchmark(
                title, [tool, name](benchmark::State& state) { programs(state, tool, name); }),
            1);
    };
    add("provost stlink write, 512 KiB verified", Tool::Ours, "provost stlink");
    add("st-flash write, 512 KiB verified", Tool::StFlash, "st-flash");
    add("openocd program verify, 512 KiB", Tool::OpenOcd, "openocd");
    compare({.text = "SWD on a timed chip: time over erase, program and connect",
             .over = "timed chip",
             .under = "erase, program, connect",
             .aim = 1.10,
             .atMost = true});
    compare({.text = "SWD write+verify: st-flash's time over ours",
             .over = "st-flash",
             .under = "provost stlink",
             .aim = 1.0,
             .unlessMostIs = "st-flash, emulation"});
    compare({.text = "SWD write+verify: openocd's time over ours",
             .over = "openocd",
             .under = "provost stlink",
             .aim = 1.0,
             .unlessMostIs = "openocd, emulation"});
}

const bool kStLinkRegistered = (registerStLink(), true);

} // namespace
