// 512 KiB by DFU: `provost dfu write`, which verifies, beside dfu-util's download and upload, both
// through the bridge; and how close a timed board gets to what it is made of.
#include "bench/ratios.h"
#include "device/dfu_target.h"
#include "support/served_bench.h"

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

using SteadyClock = std::chrono::steady_clock;

constexpr std::uint32_t kAddress = 0x08020000; // both system parts: four sectors of 128 KiB
constexpr std::size_t kBytes = 512 * 1024;
constexpr double kBlocks = kBytes / 4096.0;

constexpr auto kBenchFile = R"(
[bench]
name = "speed"
speed = "%1"
[network]
ssid = "plant"
password = "line-four"
security = 3
[[slot]]
number = 1
[[slot.unit]]
stock = "1.5.2"
count = "endless"
)";

Bytes freshNoise()
{
    static std::mt19937 random(20261121);
    Bytes bytes(kBytes);
    for (auto& byte : bytes)
        byte = static_cast<std::byte>(random() & 0xFF);
    return bytes;
}

/// The unit's own view of what a host sends: when the first DFU request came and the last one was
/// answered. Starting a program and enumerating do not count.
class CountedFunction final : public sim::VirtualUsbFunction {
public:
    explicit CountedFunction(std::shared_ptr<VirtualUsbFunction> inner) : m_inner(std::move(inner))
    {
    }
    Bytes deviceDescriptor() const override { return m_inner->deviceDescriptor(); }
    Bytes configurationDescriptor() const override { return m_inner->configurationDescriptor(); }
    Bytes stringDescriptor(std::uint8_t index) const override
    {
        return m_inner->stringDescriptor(index);
    }
    sim::UsbReply control(const sim::UsbSetup& setup, ByteView data) override
    {
        const bool isDfu = (setup.requestType & 0x60) == 0x20;
        const auto began = SteadyClock::now();
        auto reply = m_inner->control(setup, data);
        if (isDfu && reply.kind != sim::UsbReply::Kind::Nak) {
            const MutexLock lock(m_mutex);
            if (m_transfers++ == 0)
                m_first = began;
            m_last = SteadyClock::now();
        }
        return reply;
    }
    sim::UsbReply bulkOut(std::uint8_t endpoint, ByteView data) override
    {
        return m_inner->bulkOut(endpoint, data);
    }
    sim::UsbReply bulkIn(std::uint8_t endpoint, std::size_t most) override
    {
        return m_inner->bulkIn(endpoint, most);
    }
    void busReset() override { m_inner->busReset(); }

    /// Since the last call.
    std::pair<int, double> take()
    {
        const MutexLock lock(m_mutex);
        const std::chrono::duration<double> span = m_last - m_first;
        return {std::exchange(m_transfers, 0), span.count()};
    }

private:
    const std::shared_ptr<VirtualUsbFunction> m_inner;
    Mutex m_mutex;
    int m_transfers = 0;
    SteadyClock::time_point m_first{};
    SteadyClock::time_point m_last{};
};

/// One unit in DFU mode behind the bridge.
class DfuBench {
public:
    DfuBench() : m_served(QString(kBenchFile).arg("instant").toStdString())
    {
        m_served.insertUnit(1, kPhotonFirmware);
        m_served.bringToDfu(1);
        const auto& port = m_served.bench().ports().front();
        m_counted = std::make_shared<CountedFunction>(port->current().function);
        port->attach(m_counted);
    }
    QString file(const QString& name) const { return m_folder.filePath(name); }
    QString newContent()
    {
        const std::string text = toText(freshNoise());
        QFile out(file("content.bin"));
        if (!out.open(QIODevice::WriteOnly) ||
            out.write(text.data(), static_cast<qint64>(text.size())) != qint64(kBytes))
            throw std::runtime_error("no content");
        return file("content.bin");
    }
    std::pair<int, double> run(const QString& program, const QStringList& arguments)
    {
        m_counted->take();
        const auto ended = m_served.runAtBench({.program = program, .arguments = arguments});
        if (ended.exitCode != 0)
            throw std::runtime_error(ended.output.toStdString());
        return m_counted->take();
    }

private:
    QTemporaryDir m_folder{};
    ServedBench m_served;
    std::shared_ptr<CountedFunction> m_counted{};
};

void dfuUtil(benchmark::State& state)
{
    DfuBench bench;
    double perBlock = 0;
    for (auto _ : state) {
        const auto [sent, writing] =
            bench.run("dfu-util", {"-a", "0", "-s", "0x08020000", "-D", bench.newContent()});
        QFile::remove(bench.file("back.bin"));
        const auto [read, reading] = bench.run(
            "dfu-util", {"-a", "0", "-s", "0x08020000:524288", "-U", bench.file("back.bin")});
        state.SetIterationTime(writing + reading);
        note("dfu-util", writing + reading);
        perBlock = (sent + read) / kBlocks;
    }
    state.counters["transfers/block"] = perBlock;
}

void provostDfu(benchmark::State& state)
{
    DfuBench bench;
    double perBlock = 0;
    for (auto _ : state) {
        const auto [sent, span] = bench.run(PROVOST_BUILD_DIR "/bin/provost",
                                            {"dfu", "write", "usb:2b04:d006", bench.newContent(),
                                             "--alt", "0", "--address", "08020000"});
        state.SetIterationTime(span);
        note("provost dfu", span);
        perBlock = sent / kBlocks;
    }
    state.counters["transfers/block"] = perBlock;
}

/// What a session is made of besides flash.
struct Charges {
    sim::Pace pace{}; ///< of the bench file: what the bus takes
    std::chrono::microseconds bus{0};
    std::chrono::milliseconds polls{0}; ///< that the unit prescribes while it works
};

class ChargedDevice final : public UsbDevice {
public:
    ChargedDevice(std::unique_ptr<UsbDevice> inner, Charges& charges)
        : m_inner(std::move(inner)), m_charges(charges)
    {
    }
    const UsbDeviceInfo& info() const override { return m_inner->info(); }
    Result<Bytes> descriptor(std::uint8_t type, std::uint8_t index) override
    {
        return m_inner->descriptor(type, index);
    }
    Result<> claim(std::uint8_t number) override { return m_inner->claim(number); }
    Result<> selectAlternate(std::uint8_t number, std::uint8_t alternate) override
    {
        return m_inner->selectAlternate(number, alternate);
    }
    Result<std::size_t> controlIn(ControlSetup setup, ByteSpan to, const OpContext& op) override
    {
        constexpr std::uint8_t kGetStatus = 3, kBusy = 4; // DFU 1.1
        m_charges.bus += m_charges.pace.usbTime(true, to.size());
        auto count = m_inner->controlIn(setup, to, op);
        if (count && *count == 6 && setup.request == kGetStatus && u8(to[4]) == kBusy)
            m_charges.polls += std::chrono::milliseconds(readLe16(to, 1) | u8(to[3]) << 16);
        return count;
    }
    Result<> controlOut(ControlSetup setup, ByteView data, const OpContext& op) override
    {
        m_charges.bus += m_charges.pace.usbTime(true, data.size());
        return m_inner->controlOut(setup, data, op);
    }
    Result<std::size_t> bulkIn(std::uint8_t endpoint, ByteSpan to, const OpContext& op) override
    {
        return m_inner->bulkIn(endpoint, to, op);
    }
    Result<> bulkOut(std::uint8_t endpoint, ByteView data, const OpContext& op) override
    {
        return m_inner->bulkOut(endpoint, data, op);
    }
    Result<> reset() override { return m_inner->reset(); }

private:
    std::unique_ptr<UsbDevice> m_inner;
    Charges& m_charges;
};

struct TimedWork {
    const char* platform;
    const char* stock;
    std::uint32_t address;
    std::size_t bytes;
    std::string time;  ///< name of what was measured
    std::string model; ///< and of what it is made of
};

void timedBoard(benchmark::State& state, const TimedWork& work)
{
    auto bench = must(sim::Bench::parse(
        QString(kBenchFile)
            .arg("timed")
            .replace("stock = \"1.5.2\"",
                     QString("platform = \"%1\"\nstock = \"%2\"").arg(work.platform, work.stock))
            .toStdString(),
        "timed"));
    static_cast<void>(must(bench->insertNext(1)));
    const SystemClock clock;
    const OpContext op{.clock = clock, .deadline = {clock.now() + 120s}};
    const auto port = bench->slots().front().port;
    const auto waitFor = [&](UsbId id) {
        return must(bench->usb().waitFor(port, std::span(&id, 1), op));
    };
    const auto& profile = bench->board(1)->profile();
    waitFor(profile.cdc.id);
    {
        const auto serial = must(bench->serial().open(toText(port)));
        static_cast<void>(serial->setBaud(14400));
    }
    const auto info = waitFor(profile.dfu.id);
    Charges charges{.pace = bench->pace()};
    for (auto _ : state) {
        auto dfu = must(DfuDevice::open(
            std::make_unique<ChargedDevice>(must(bench->usb().open(info)), charges), op));
        DfuTarget target(dfu);
        MemoryBlock block{.address = work.address, .bytes = freshNoise()};
        block.bytes.resize(work.bytes);
        charges.bus = {};
        charges.polls = {};
        const auto flashBefore = bench->board(1)->flashTime(); // typical, by sheet 3.5
        const auto began = SteadyClock::now();
        must(programAndVerify(target, block, op));
        const std::chrono::duration<double> span = SteadyClock::now() - began;
        const std::chrono::duration<double> model =
            bench->board(1)->flashTime() - flashBefore + charges.bus + charges.polls;
        state.SetIterationTime(span.count());
        note(work.time, span.count());
        note(work.model, model.count());
    }
}

void registerDfu()
{
    const auto few = [](benchmark::internal::Benchmark* each, int times) {
        each->UseManualTime()->Iterations(times)->Unit(benchmark::kMillisecond);
    };
    few(benchmark::RegisterBenchmark("dfu-util, 512 KiB down and up", dfuUtil), 3);
    few(benchmark::RegisterBenchmark("provost dfu write, 512 KiB verified", provostDfu), 3);
    static const TimedWork kPhoton{"photon", "1.5.2",       kAddress,
                                   kBytes,   "timed board", "flash, bus and polls"};
    static const TimedWork kCore{"core",    "0.7.0",      0x08008000,
                                 64 * 1024, "timed Core", "the Core's flash, bus and polls"};
    few(benchmark::RegisterBenchmark("timed board, 512 KiB verified", timedBoard, kPhoton), 1);
    few(benchmark::RegisterBenchmark("timed Core, 64 KiB verified", timedBoard, kCore), 1);
    compare({.text = "DFU write+verify: dfu-util's time over ours",
             .over = "dfu-util",
             .under = "provost dfu",
             .aim = 1.5});
    compare({.text = "DFU on a timed board: time over flash, bus, polls and read-back",
             .over = kPhoton.time,
             .under = kPhoton.model,
             .aim = 1.05,
             .atMost = true});
    compare({.text = "DFU on a timed Core: time over flash, bus, polls and read-back",
             .over = kCore.time,
             .under = kCore.model,
             .aim = 1.05,
             .atMost = true});
}

const bool kRegistered = (registerDfu(), true);

} // namespace
