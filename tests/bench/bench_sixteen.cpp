// Sixteen boards at once: 512 KiB written and verified by DFU on each, at the pace of real boards,
// beside one board alone. The boards live in provost-bench, so that the processor time of this
// program is the station's.
#include "bench/ratios.h"
#include "device/dfu_target.h"
#include "support/bench_process.h"
#include "support/must.h"
#include "transport/usbip_bus.h"
#include "transport/usbip_serial.h"

#include "core/text.h"

#include <algorithm>
#include <benchmark/benchmark.h>
#include <latch>
#include <numeric>
#include <random>
#include <sys/resource.h>
#include <thread>

using namespace provost;
using namespace provost::test;
using namespace std::chrono_literals;

namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr int kBoards = 16;
constexpr std::uint32_t kBothParts = 0x08020000; // four sectors of 128 KiB

QByteArray sixteenSlots()
{
    std::string text = R"(
[bench]
name = "sixteen"
speed = "timed"
[network]
ssid = "plant"
password = "line-four"
security = 3
)";
    for (int slot = 1; slot <= kBoards; ++slot)
        text += concat("[[slot]]\nnumber = ", slot, "\n[[slot.unit]]\nstock = \"1.5.2\"\n");
    return QByteArray::fromStdString(text);
}

Bytes noiseOf(unsigned seed)
{
    std::mt19937 random(seed);
    Bytes bytes(512 * 1024);
    for (auto& byte : bytes)
        byte = static_cast<std::byte>(random() & 0xFF);
    return bytes;
}

double processorSeconds()
{
    rusage used{};
    getrusage(RUSAGE_SELF, &used);
    const auto seconds = [](const timeval& time) {
        return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
    };
    return seconds(used.ru_utime) + seconds(used.ru_stime);
}

/// The boards of a bench in another process, all in DFU mode.
class BoardRow {
public:
    BoardRow() : m_bus(must(UsbIpBus::create("127.0.0.1", m_bench.usbIpPort())))
    {
        UsbIpPorts ports(*m_bus);
        for (int board = 0; board < kBoards; ++board)
            waitFor(board, kPhotonFirmware);
        for (int board = 0; board < kBoards; ++board) {
            const auto line = must(ports.open(toText(portOf(board))));
            static_cast<void>(line->setBaud(14400)); // the unit may leave while it obeys
        }
        for (int board = 0; board < kBoards; ++board)
            m_boards.push_back(waitFor(board, kPhotonDfu));
    }

    /// Seconds that each of the first `count` boards takes, all at once.
    std::vector<double> write(int count)
    {
        std::vector<Bytes> contents;
        for (int board = 0; board < count; ++board)
            contents.push_back(noiseOf(m_seed++));
        std::vector<double> seconds(contents.size());
        std::latch start(count);
        {
            std::vector<std::jthread> slots;
            for (std::size_t board = 0; board < contents.size(); ++board)
                slots.emplace_back([&, board] {
                    const OpContext op = operation();
                    auto dfu = must(DfuDevice::open(must(m_bus->open(m_boards[board])), op));
                    DfuTarget target(dfu);
                    const MemoryBlock block{.address = kBothParts, .bytes = contents[board]};
                    start.arrive_and_wait();
                    const auto began = SteadyClock::now();
                    must(programAndVerify(target, block, op));
                    seconds[board] =
                        std::chrono::duration<double>(SteadyClock::now() - began).count();
                });
        }
        return seconds;
    }

private:
    UsbPortPath portOf(int board) const
    {
        const auto busId = sim::UsbIpServer::busId(static_cast<std::size_t>(board));
        return portPathOf({.host = "127.0.0.1", .port = m_bench.usbIpPort(), .busId = busId});
    }
    OpContext operation() const { return {.clock = m_clock, .deadline = {m_clock.now() + 120s}}; }
    UsbDeviceInfo waitFor(int board, UsbId id)
    {
        return must(m_bus->waitFor(portOf(board), std::span(&id, 1), operation()));
    }

    const SystemClock m_clock{};
    BenchProcess m_bench{sixteenSlots()};
    std::unique_ptr<UsbIpBus> m_bus;
    std::vector<UsbDeviceInfo> m_boards{};
    unsigned m_seed = 1;
};

void sixteenBoards(benchmark::State& state)
{
    BoardRow row;
    double processor = 0;
    double mean = 0;
    for (auto _ : state) {
        note("one board alone", row.write(1).front());
        const double before = processorSeconds();
        const auto each = row.write(kBoards);
        processor += (processorSeconds() - before) / kBoards;
        const double slowest = *std::ranges::max_element(each);
        mean += std::accumulate(each.begin(), each.end(), 0.0) / kBoards;
        note("slowest of sixteen boards", slowest);
        state.SetIterationTime(slowest);
    }
    const auto rounds = static_cast<double>(state.iterations());
    state.counters["mean ms"] = 1000 * mean / rounds;
    state.counters["CPU s/unit"] = processor / rounds;
}

void registerSixteen()
{
    benchmark::RegisterBenchmark("sixteen timed boards, 512 KiB verified on each", sixteenBoards)
        ->UseManualTime()
        ->Iterations(3)
        ->Unit(benchmark::kMillisecond);
    compare({.text = "16 boards at once: the slowest one's time over one board alone",
             .over = "slowest of sixteen boards",
             .under = "one board alone",
             .aim = 1.05,
             .atMost = true});
}

const bool kSixteenRegistered = (registerSixteen(), true);

} // namespace
