// `provost run`: the plan on each slot until N units are done.
#include "cli/commands.h"
#include "cli/output.h"
#include "cli/terminal_operator.h"
#include "core/text.h"
#include "engine/causes.h"
#include "host/bench_operator.h"
#include "host/host.h"

#include <algorithm>
#include <array>
#include <condition_variable>
#include <iostream>
#include <numeric>
#include <unistd.h>

namespace provost::cli {

namespace {

/// Prints verdicts as they come and keeps the sum.
class VerdictPrinter final : public EventSink, public QuestionLine {
public:
    /// @param asks  what runs ask is put to a person, not only told
    VerdictPrinter(bool json, bool asks)
        : m_json(json), m_asks(asks), m_terminal(isatty(STDERR_FILENO) == 1)
    {
    }

    void ask(const std::string& question) override
    {
        const MutexLock lock(m_mutex);
        clearLine();
        m_question = question;
        std::cerr << m_question << std::flush;
    }

    void answered() override
    {
        const MutexLock lock(m_mutex);
        // The terminal's own echo ended the line, unless nobody answered.
        m_question.clear();
    }

    void post(StationEvent event) override
    {
        const MutexLock lock(m_mutex);
        if (const auto* moved = std::get_if<ProgressMoved>(&event))
            show(*moved);
        else if (const auto* asked = std::get_if<PromptRaised>(&event))
            print(*asked);
        else if (const auto* finished = std::get_if<RunFinished>(&event))
            print(*finished);
    }

    void printSummary()
    {
        const MutexLock lock(m_mutex);
        clearLine();
        if (m_json) {
            printJson({{"event", "summary"},
                       {"pass", countOf(Verdict::Pass)},
                       {"hold", countOf(Verdict::Hold)},
                       {"fail", countOf(Verdict::Fail)},
                       {"aborted", countOf(Verdict::Aborted)},
                       {"error", countOf(Verdict::Error)}});
            return;
        }
        std::string text = counted(total(), "unit");
        for (const auto verdict :
             {Verdict::Pass, Verdict::Hold, Verdict::Fail, Verdict::Aborted, Verdict::Error}) {
            if (countOf(verdict) > 0)
                text += concat(" · ", countOf(verdict), " ", shownName(verdict));
        }
        printText(text);
    }

    /// A run that could not begin: nothing was judged.
    void refused(SlotId slot, const Error& error)
    {
        const MutexLock lock(m_mutex);
        clearLine();
        printNote(concat("slot ", slot.value, ": ", describe(error)));
        m_worst = std::max(m_worst, Verdict::Error);
    }

    std::size_t finished()
    {
        const MutexLock lock(m_mutex);
        return total();
    }

    Verdict worst()
    {
        const MutexLock lock(m_mutex);
        return m_worst;
    }

    void waitFor(std::size_t count)
    {
        MutexLock lock(m_mutex);
        while (total() < count)
            m_changed.wait(lock);
    }

private:
    std::size_t countOf(Verdict verdict) const PROVOST_REQUIRES(m_mutex)
    {
        return m_count.at(static_cast<std::size_t>(verdict));
    }

    std::size_t total() const PROVOST_REQUIRES(m_mutex)
    {
        return std::accumulate(m_count.begin(), m_count.end(), std::size_t{0});
    }

    void clearLine() PROVOST_REQUIRES(m_mutex)
    {
        if (!m_question.empty())
            std::cerr << "\n" << std::flush;
        if (m_terminal && m_lineShown)
            std::cerr << "\r\033[K" << std::flush;
        m_lineShown = false;
    }

    void show(const ProgressMoved& moved) PROVOST_REQUIRES(m_mutex)
    {
        if (!m_terminal || !m_question.empty())
            return;
        const int percent = static_cast<int>(moved.fraction * 100);
        if (m_percent[moved.slot] == percent)
            return;
        m_percent[moved.slot] = percent;
        // Cut to the width of the terminal: a line that wraps cannot be taken back.
        std::cerr << "\r\033[K" << progressLine(moved.phase).substr(0, terminalColumns() - 1)
                  << std::flush;
        m_lineShown = true;
    }

    std::string progressLine(std::string_view phase) PROVOST_REQUIRES(m_mutex)
    {
        constexpr int kWidth = 10;
        constexpr std::size_t kSlotsWithBars = 3;
        std::string line;
        for (const auto& [slot, done] : m_percent) {
            line += concat(line.empty() ? "" : "   ", slot.value, " ");
            if (m_percent.size() <= kSlotsWithBars) {
                std::string bar(static_cast<std::size_t>(done * kWidth / 100), '#');
                bar.resize(kWidth, '.');
                line += concat("[", bar, "] ");
            }
            line += rightIn(4, concat(done, "%"));
        }
        return m_percent.size() == 1 ? concat(line, "  ", phase) : line;
    }

    void print(const PromptRaised& asked) PROVOST_REQUIRES(m_mutex)
    {
        if (m_asks)
            return;
        clearLine();
        printNote(concat("slot ", asked.slot.value, " asks: ", asked.text));
    }

    void print(const RunFinished& finished) PROVOST_REQUIRES(m_mutex)
    {
        clearLine();
        m_percent.erase(finished.slot);
        ++m_count.at(static_cast<std::size_t>(finished.verdict));
        m_worst = std::max(m_worst, finished.verdict);
        m_changed.notify_all();
        if (m_json)
            printJson({{"event", "verdict"},
                       {"slot", finished.slot.value},
                       {"unit", textOrNull(finished.unit.deviceId)},
                       {"verdict", name(finished.verdict)},
                       {"cause", textOrNull(finished.cause)},
                       {"seconds", roundedTo(1, finished.seconds)},
                       {"run", finished.run.value},
                       {"simulated", finished.simulated}});
        else
            printText(lineOf(finished));
        if (finished.verdict != Verdict::Pass && !finished.error.empty())
            printNote(concat("slot ", finished.slot.value, ": ", finished.error));
        std::cerr << m_question << std::flush; // still open, of another slot
    }

    static std::string lineOf(const RunFinished& finished)
    {
        std::string line = concat("slot ", leftIn(2, std::to_string(finished.slot.value)), " ",
                                  leftIn(24, orDash(finished.unit.deviceId)), "  ",
                                  leftIn(7, shownName(finished.verdict)),
                                  rightIn(7, fixed(finished.seconds, 1)), " s");
        if (finished.verdict != Verdict::Pass) {
            const auto& cause = causeById(finished.cause);
            line += concat("  ", cause.id, "  ", cause.title, " · ", cause.action);
        }
        return line + (finished.simulated ? "  SIMULATED" : "");
    }

    const bool m_json;
    const bool m_asks;
    const bool m_terminal;
    Mutex m_mutex;
    std::condition_variable_any m_changed;
    std::string m_question PROVOST_GUARDED_BY(m_mutex); ///< that is open
    bool m_lineShown PROVOST_GUARDED_BY(m_mutex) = false;
    Verdict m_worst PROVOST_GUARDED_BY(m_mutex) = Verdict::NotRun;
    std::array<std::size_t, 6> m_count PROVOST_GUARDED_BY(m_mutex){};
    std::map<SlotId, int> m_percent PROVOST_GUARDED_BY(m_mutex);
};

/// A virtual bench has an operator of its own, who is not to be kept waiting unasked.
bool asksSomebody(const Arguments& arguments)
{
    return arguments.has("ask") ||
           (arguments.text("simulate").empty() && ::isatty(STDIN_FILENO) == 1);
}

Result<HostOptions> hostOptions(const Arguments& arguments)
{
    HostOptions options;
    options.plan = arguments.text("plan", options.plan);
    options.bench = arguments.text("simulate");
    options.database = arguments.text("db");
    options.training = arguments.has("training");
    if (arguments.has("station"))
        options.station = arguments.text("station");
    const auto speed = arguments.text("speed");
    if (!speed.empty())
        options.speed = TRY(speedNamed(speed));
    options.operatorAnswers = !options.bench.empty() || asksSomebody(arguments);
    return options;
}

struct Order {
    std::size_t units = 1;
    std::vector<SlotId> slots{}; ///< at least one
};

Result<Order> orderOf(const Host& host, const Arguments& arguments)
{
    Order order{.slots = host.slotsInUse()};
    order.units = TRY(arguments.number("units", 1));
    if (order.units == 0)
        return fail(Errc::InvalidArgument, Blame::Operator, "--units 0: must be at least 1");
    if (!arguments.has("slot"))
        return order;
    const SlotId slot{static_cast<int>(TRY(arguments.number("slot", 1)))};
    const auto all = host.slots();
    if (std::ranges::find(all, slot) == all.end())
        return fail(Errc::InvalidArgument, Blame::Operator,
                    concat("--slot ", slot.value, ": this station has slots 1 to ", all.size()));
    order.slots = {slot};
    return order;
}

/// What one command works with.
struct Line {
    Host& host;
    const Order& order;
    const std::string& label; ///< of the command line; empty: the bench's, or asked for
    VerdictPrinter& printer;
    bool asks = false;
};

/// @returns true where the user stopped it
bool runOnBench(const Line& line)
{
    auto& engine = line.host.engine();
    BenchOperator* fingers = nullptr;
    // Whoever is asked says "done"; the button of a virtual unit has to be held by somebody.
    TerminalOperator person(line.printer,
                            [&](const PromptRaised& prompt, const std::string& reply) {
                                const bool held = reply != "done" || fingers->hold(prompt);
                                engine.answer(prompt.run, held ? reply : "cannot");
                            });
    BenchOperator bench(
        *line.host.bench(), line.host.events(), line.host.clock(),
        [&](SlotId slot, const std::string& printed) {
            std::string label = line.label.empty() ? printed : line.label;
            if (line.asks && line.label.empty()) {
                const auto scanned = person.label(slot);
                if (!scanned)
                    return Result<>(fail(Errc::Cancelled, Blame::Operator,
                                         concat("scan the label in slot ", slot.value,
                                                ": stopped, run the unit again")));
                label = *scanned;
            }
            auto started = line.host.start(slot, label);
            if (!started)
                line.printer.refused(slot, started.error());
            return started;
        },
        {.units = static_cast<int>(line.order.units),
         .obeysPrompts = !line.asks,
         .slots = line.order.slots},
        [&](RunId run, const std::string& reply) { engine.answer(run, reply); });
    fingers = &bench;
    line.host.events().add(bench);
    if (line.asks)
        line.host.events().add(person);
    const StopSignal stop([&] {
        person.stop();
        bench.pause();
        engine.abortAll();
    });
    bench.begin();
    bench.waitUntilDone();
    if (line.asks)
        line.host.events().remove(person);
    person.finish(); // it speaks to the bench
    line.host.events().remove(bench);
    return stop.stopped();
}

/// One unit a slot: hands have to change them.
bool runOnHardware(const Line& line)
{
    auto& engine = line.host.engine();
    TerminalOperator person(line.printer,
                            [&](const PromptRaised& prompt, const std::string& reply) {
                                engine.answer(prompt.run, reply);
                            });
    if (line.asks)
        line.host.events().add(person);
    const StopSignal stop([&] {
        person.stop();
        engine.abortAll();
    });
    std::size_t started = 0;
    for (const auto slot : line.order.slots) {
        if (started == line.order.units || stop.stopped())
            break;
        std::string label = line.label;
        if (line.asks && label.empty()) {
            const auto scanned = person.label(slot);
            if (!scanned)
                break;
            label = *scanned;
        }
        if (const auto begun = line.host.start(slot, label); begun)
            ++started;
        else
            line.printer.refused(slot, begun.error());
    }
    line.printer.waitFor(started);
    if (line.asks)
        line.host.events().remove(person);
    return stop.stopped();
}

Exit runOrder(Host& host, const Order& order, const Arguments& arguments)
{
    const bool asks = asksSomebody(arguments);
    VerdictPrinter printer(arguments.has("json"), asks);
    host.events().add(printer);
    const std::string label = arguments.text("label");
    const Line line{.host = host, .order = order, .label = label, .printer = printer, .asks = asks};
    const bool stopped = host.bench() != nullptr ? runOnBench(line) : runOnHardware(line);
    host.events().remove(printer);
    printer.printSummary();
    const auto missing = order.units - std::min(order.units, printer.finished());
    if (missing == 0)
        return exitFor(printer.worst());
    printNote(concat("provost: ", counted(missing, "unit"), " of ", order.units,
                     " not run: ", stopped ? "stopped" : "no further unit can be had"));
    return exitFor(std::max(printer.worst(), stopped ? Verdict::Aborted : Verdict::Error));
}

/// Whoever reads the line is told by the one table who has to act, and how.
Exit refused(const Error& error, std::string_view cause, const Arguments& arguments)
{
    return report(withCause(error, cause), arguments);
}

Exit run(const Arguments& arguments)
{
    constexpr std::string_view kCommandCause = "C043";
    const auto options = hostOptions(arguments);
    if (!options)
        return refused(options.error(), kCommandCause, arguments);
    auto host = Host::create(*options);
    if (!host)
        return refused(host.error(), causeOf(host.error()).id, arguments);
    const auto order = orderOf(**host, arguments);
    if (!order)
        return refused(order.error(), kCommandCause, arguments);
    printNote("database: " + (*host)->database().string());
    for (const auto& each : (*host)->overridden())
        printNote("TRAINING, keys are not protected: " + each);
    return runOrder(**host, *order, arguments);
}

} // namespace

std::vector<Command> runCommands()
{
    return {
        {.path = "run",
         .summary = "Runs a plan on each slot until N units are done",
         .options =
             {{.name = "plan",
               .value = "PLAN",
               .help = "plan by id or path; PLATFORM-full of the bench, else photon-full"},
              {.name = "station", .value = "STATION.toml", .help = "a real line, by its file"},
              {.name = "simulate", .value = "BENCH.toml", .help = "a virtual bench, by id or path"},
              {.name = "speed", .value = "SPEED", .help = "of the bench: instant, demo or timed"},
              {.name = "units",
               .value = "N",
               .help = "how many units over all slots, 1 by default"},
              {.name = "slot", .value = "S", .help = "this slot only"},
              {.name = "label",
               .value = "TEXT",
               .help = "the label as scanned, instead of the bench's"},
              {.name = "ask",
               .help = "labels and what hands must do are asked for on stderr and answered on "
                       "stdin; on a real line so wherever stdin is a terminal"},
              {.name = "training",
               .help = "run although this computer cannot protect keys; it says what it lacks"},
              {.name = "db",
               .value = "FILE",
               .help = "database, else provost.db in the user's state folder"}},
         .example = "provost run --plan photon-full --simulate photon-quick --units 8 --json",
         .run = run,
         .notes = "Ctrl-C ends every run at its next safe point, with a verdict on record."}};
}

} // namespace provost::cli
