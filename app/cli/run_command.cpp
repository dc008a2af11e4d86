// `provost run`: the plan on each slot until N units are done.
#include "cli/commands.h"
#include "cli/output.h"
#include "core/text.h"
#include "engine/causes.h"
#include "host/bench_operator.h"
#include "host/host.h"

#include <array>
#include <cmath>
#include <condition_variable>
#include <iostream>
#include <unistd.h>

namespace provost::cli {

namespace {

/// Prints verdicts as they come and keeps the sum.
class VerdictPrinter final : public EventSink {
public:
    explicit VerdictPrinter(bool json) : m_json(json), m_terminal(isatty(STDERR_FILENO) == 1) {}

    void post(StationEvent event) override
    {
        const MutexLock lock(m_mutex);
        if (const auto* moved = std::get_if<ProgressMoved>(&event))
            show(*moved);
        else if (const auto* finished = std::get_if<RunFinished>(&event))
            print(*finished);
    }

    void printSummary()
    {
        const MutexLock lock(m_mutex);
        clearLine();
        if (m_json) {
            printJson({{"event", "summary"},
                       {"pass", m_count.at(1)},
                       {"hold", m_count.at(2)},
                       {"fail", m_count.at(3)},
                       {"aborted", m_count.at(4)},
                       {"error", m_count.at(5)}});
            return;
        }
        std::string text;
        for (std::size_t i = 1; i < m_count.size(); ++i) {
            if (m_count.at(i) > 0 || i == 1)
                text += concat(text.empty() ? "" : ", ", m_count.at(i), " ",
                               shownName(static_cast<Verdict>(i)));
        }
        printText(text);
    }

    Verdict worst()
    {
        const MutexLock lock(m_mutex);
        return m_worst;
    }

    void waitForOne()
    {
        MutexLock lock(m_mutex);
        while (m_worst == Verdict::NotRun)
            m_changed.wait(lock);
    }

private:
    void clearLine()
    {
        if (m_terminal && m_lineShown)
            std::cerr << "\r\033[K" << std::flush;
        m_lineShown = false;
    }

    void show(const ProgressMoved& moved)
    {
        if (!m_terminal)
            return;
        const int percent = static_cast<int>(moved.fraction * 100);
        if (m_percent[moved.slot] == percent)
            return;
        m_percent[moved.slot] = percent;
        std::string line;
        for (const auto& [slot, done] : m_percent)
            line += concat(line.empty() ? "" : "  ", slot.value, ":", done, "%");
        std::cerr << "\r\033[K" << line << "  " << moved.phase << std::flush;
        m_lineShown = true;
    }

    void print(const RunFinished& finished)
    {
        clearLine();
        m_percent.erase(finished.slot);
        ++m_count.at(static_cast<std::size_t>(finished.verdict));
        m_worst = std::max(m_worst, finished.verdict);
        m_changed.notify_all();
        const double seconds = static_cast<double>(std::llround(finished.seconds * 10)) / 10;
        if (m_json) {
            printJson({{"event", "verdict"},
                       {"slot", finished.slot.value},
                       {"unit", textOrNull(finished.unit.deviceId)},
                       {"verdict", toQt(name(finished.verdict))},
                       {"cause", textOrNull(finished.cause)},
                       {"seconds", seconds},
                       {"run", static_cast<qint64>(finished.run.value)},
                       {"simulated", finished.simulated}});
        } else {
            std::string unit = finished.unit.deviceId.empty() ? "-" : finished.unit.deviceId;
            unit.resize(24, ' ');
            std::string line = concat("slot ", finished.slot.value, "  ", unit, "  ",
                                      shownName(finished.verdict), "  ", fixed(seconds, 1), " s");
            if (finished.verdict != Verdict::Pass) {
                const auto& cause = causeById(finished.cause);
                line += concat("  ", cause.id, " ", cause.title, " · ", cause.action);
            }
            printText(line);
        }
        if (finished.verdict != Verdict::Pass && !finished.error.empty())
            std::cerr << "slot " << finished.slot.value << ": " << finished.error << std::endl;
    }

    bool m_json;
    bool m_terminal;
    Mutex m_mutex;
    std::condition_variable_any m_changed;
    bool m_lineShown PROVOST_GUARDED_BY(m_mutex) = false;
    Verdict m_worst PROVOST_GUARDED_BY(m_mutex) = Verdict::NotRun;
    std::array<int, 6> m_count PROVOST_GUARDED_BY(m_mutex){};
    std::map<SlotId, int> m_percent PROVOST_GUARDED_BY(m_mutex);
};

Result<HostOptions> hostOptions(const Arguments& arguments)
{
    HostOptions options;
    options.plan = arguments.text("plan", options.plan);
    options.bench = arguments.text("simulate");
    options.database = arguments.text("db");
    if (arguments.has("station"))
        options.station = arguments.text("station");
    const auto speed = arguments.text("speed");
    if (speed == "instant")
        options.speed = sim::Speed::Instant;
    else if (speed == "demo")
        options.speed = sim::Speed::Demo;
    else if (speed == "timed")
        options.speed = sim::Speed::Timed;
    else if (!speed.empty())
        return fail(Errc::InvalidArgument, Blame::Operator,
                    concat("--speed ", speed, ": must be instant, demo or timed"));
    return options;
}

Result<Verdict> runOnBench(Host& host, const Arguments& arguments, VerdictPrinter& printer)
{
    BenchOperatorOptions options;
    if (arguments.has("units") || !arguments.has("slot"))
        options.units = static_cast<int>(TRY(arguments.number("units", 1)));
    if (arguments.has("slot"))
        options.slots = {SlotId{static_cast<int>(TRY(arguments.number("slot", 1)))}};
    const std::string label = arguments.text("label");
    BenchOperator bench(
        *host.bench(), host.events(), host.clock(),
        [&host, &label](SlotId slot, const std::string& printed) {
            return host.start(slot, label.empty() ? printed : label);
        },
        options);
    host.events().add(bench);
    const StopSignal stop([&] {
        bench.pause();
        host.engine().abortAll();
    });
    bench.begin();
    bench.waitUntilDone();
    host.events().remove(bench);
    return printer.worst();
}

Result<Verdict> runOnHardware(Host& host, const Arguments& arguments, VerdictPrinter& printer)
{
    const SlotId slot{static_cast<int>(TRY(arguments.number("slot", 1)))};
    const StopSignal stop([&] { host.engine().abortAll(); });
    TRY(host.start(slot, arguments.text("label")));
    printer.waitForOne();
    return printer.worst();
}

Exit run(const Arguments& arguments)
{
    const auto options = hostOptions(arguments);
    if (!options)
        return report(options.error(), arguments);
    auto host = Host::create(*options);
    if (!host)
        return report(host.error(), arguments);
    std::cerr << "database: " << (*host)->database().string() << std::endl;
    VerdictPrinter printer(arguments.has("json"));
    (*host)->events().add(printer);
    const auto worst = (*host)->bench() != nullptr ? runOnBench(**host, arguments, printer)
                                                   : runOnHardware(**host, arguments, printer);
    (*host)->events().remove(printer);
    if (!worst)
        return report(worst.error(), arguments);
    printer.printSummary();
    return exitFor(*worst);
}

} // namespace

std::vector<Command> runCommands()
{
    return {
        {.path = "run",
         .summary = "Runs a plan on each slot until N units are done",
         .options = {{.name = "plan", .value = "PLAN", .help = "plan by id or path"},
                     {.name = "station", .value = "STATION.toml", .help = "the station's file"},
                     {.name = "simulate", .value = "BENCH", .help = "virtual bench, id or path"},
                     {.name = "speed",
                      .value = "SPEED",
                      .help = "of the bench: instant, demo or timed"},
                     {.name = "units", .value = "N", .help = "how many units, 1 by default"},
                     {.name = "slot", .value = "S", .help = "this slot only"},
                     {.name = "label", .value = "TEXT", .help = "the label as scanned"},
                     {.name = "db", .value = "FILE", .help = "database, else the state folder"}},
         .example = "provost run --plan photon-full --simulate photon-quick --units 8 --json",
         .run = run}};
}

} // namespace provost::cli
