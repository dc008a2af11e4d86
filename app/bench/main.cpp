// provost-bench BENCH.toml [--usbip HOST:PORT] [--dir DIR] [--json]
//
// Serves every board and probe of a bench file over USB/IP and the boards' serial ports as
// pseudo-terminals. `provost bench serve` starts it; SIGTERM or SIGINT ends it.
#include "core/text.h"
#include "sim/bench.h"
#include "sim/probe_bench.h"
#include "sim/pty_server.h"
#include "sim/usbip_server.h"
#include "sim_unicorn/unicorn_core.h"

#include <charconv>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace {

using namespace provost;

constexpr int kError = 2;
constexpr int kUsage = 64;
constexpr std::string_view kHelp =
    "usage: provost-bench BENCH.toml [--usbip HOST:PORT] [--dir DIR] [--json]\n"
    "Serves a virtual bench over USB/IP (127.0.0.1 and a free port by default) and its serial\n"
    "ports as pseudo-terminals in DIR.\n"
    "Example: provost-bench stations/benches/probes.toml --usbip 127.0.0.1:3240 --dir bench\n";

struct Options {
    std::string file{};
    sim::UsbIpAddress at{};
    std::filesystem::path directory{};
    bool json = false;
    bool help = false;
};

/// Quotes and escapes.
std::string jsonText(std::string_view text)
{
    std::string out = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\')
            out += '\\';
        out += c;
    }
    return out + '"';
}

void say(const std::string& line)
{
    std::puts(line.c_str());
    std::fflush(stdout);
}

Result<sim::UsbIpAddress> addressOf(const std::string& text)
{
    const auto colon = text.rfind(':');
    sim::UsbIpAddress at;
    const char* end = text.data() + text.size();
    const char* digits = colon == std::string::npos ? end : text.data() + colon + 1;
    const auto parsed = std::from_chars(digits, end, at.port);
    if (digits == end || parsed.ec != std::errc{} || parsed.ptr != end)
        return fail(Errc::InvalidArgument, Blame::Operator,
                    concat("--usbip ", text, ": HOST:PORT is meant, such as 127.0.0.1:3240"));
    at.host = text.substr(0, colon);
    return at;
}

Result<Options> optionsOf(std::span<char* const> arguments)
{
    Options options;
    for (std::size_t i = 0; i < arguments.size(); ++i) {
        const std::string word = arguments[i];
        const bool takesValue = word == "--usbip" || word == "--dir";
        if (takesValue && i + 1 == arguments.size())
            return fail(Errc::InvalidArgument, Blame::Operator, concat(word, " needs a value"));
        if (word == "--help")
            options.help = true;
        else if (word == "--json")
            options.json = true;
        else if (word == "--usbip")
            options.at = TRY(addressOf(arguments[++i]));
        else if (word == "--dir")
            options.directory = arguments[++i];
        else if (word.starts_with("--") || !options.file.empty())
            return fail(Errc::InvalidArgument, Blame::Operator,
                        concat("\"", word, "\" is unknown"));
        else
            options.file = word;
    }
    if (options.file.empty() && !options.help)
        return fail(Errc::InvalidArgument, Blame::Operator, "a bench file is needed");
    if (options.directory.empty())
        options.directory = std::filesystem::temp_directory_path() / "provost-bench";
    return options;
}

/// What a bench file serves: boards in slots, probes, or both.
struct Served {
    std::unique_ptr<sim::ProbeBench> probes{};
    std::unique_ptr<sim::Bench> boards{}; ///< null: the file has no slots
    sim::VirtualPorts ports{};            ///< boards first
};

Result<Served> loadBench(const std::string& file)
{
    Served served;
    served.probes = TRY(sim::ProbeBench::load(file, sim::unicornCores()));
    std::ifstream in(file);
    std::ostringstream text;
    text << in.rdbuf();
    if (served.probes->probes().empty() || text.str().find("[[slot]]") != std::string::npos) {
        served.boards = TRY(sim::Bench::load(file, {}, sim::unicornCores()));
        served.ports = served.boards->ports();
    }
    const auto& ports = served.probes->ports();
    served.ports.insert(served.ports.end(), ports.begin(), ports.end());
    return served;
}

/// Whoever reads its line finds the unit on the bus. One without USB never comes there.
void awaitOnBus(sim::Bench& bench, const sim::BenchSlot& slot)
{
    const SystemClock clock;
    const OpContext op{.clock = clock, .deadline = {clock.now() + std::chrono::seconds(3)}};
    static_cast<void>(bench.usb().waitFor(slot.port, {}, op));
}

Result<> insertBoards(sim::Bench& bench, const Options& options)
{
    std::size_t index = 0;
    for (const sim::BenchSlot& slot : bench.slots()) {
        const auto unit = TRY(bench.insertNext(slot.number));
        const std::string busId = sim::UsbIpServer::busId(index++);
        if (!unit)
            continue;
        awaitOnBus(bench, slot);
        const std::string tty = sim::PtyServer::linkOf(options.directory.string(), slot.number);
        if (options.json)
            say(concat(R"({"event":"unit","slot":)", slot.number, R"(,"platform":)",
                       jsonText(unit->platform), R"(,"device_id":)", jsonText(unit->deviceId),
                       R"(,"busid":)", jsonText(busId), R"(,"tty":)", jsonText(tty), R"(,"label":)",
                       unit->label.empty() ? std::string("null") : jsonText(unit->label),
                       R"(,"stock":)", jsonText(unit->stock), "}"));
        else
            say(concat("slot ", slot.number, "  ", unit->platform, " ", unit->deviceId, "  ",
                       unit->stock, "  usbip ", busId, "  ", tty));
    }
    return {};
}

std::string_view nameOf(sim::StLinkModel model)
{
    switch (model) {
    case sim::StLinkModel::V2:
        return "v2";
    case sim::StLinkModel::V2_1:
        return "v2-1";
    case sim::StLinkModel::V3:
        break;
    }
    return "v3";
}

void printProbe(const sim::ProbeSupply& probe, const std::string& busId, const Options& options)
{
    const bool wired = probe.slot != 0;
    const std::string_view chip = wired ? std::string_view() : probe.chip->name;
    if (options.json)
        say(concat(R"({"event":"probe","number":)", probe.number, R"(,"model":)",
                   jsonText(nameOf(probe.model)), R"(,"chip":)",
                   wired ? std::string("null") : jsonText(chip), R"(,"slot":)",
                   wired ? concat(probe.slot) : std::string("null"), R"(,"serial":)",
                   jsonText(probe.serial), R"(,"busid":)", jsonText(busId), "}"));
    else
        say(concat("probe ", probe.number, "  st-link ", nameOf(probe.model), "  ",
                   wired ? concat("slot ", probe.slot) : std::string(chip), "  ", probe.serial,
                   "  usbip ", busId));
}

void printProbes(const Served& served, const Options& options)
{
    std::size_t index = 0;
    if (served.boards) {
        index = served.boards->slots().size();
        for (const sim::ProbeSupply& probe : served.boards->probes())
            printProbe(probe, sim::UsbIpServer::busId(index++), options);
    }
    for (const sim::ProbeSupply& probe : served.probes->probes())
        printProbe(probe, sim::UsbIpServer::busId(index++), options);
}

Result<> serve(const Options& options)
{
    const Served served = TRY(loadBench(options.file));
    const sim::Pace pace =
        served.boards ? served.boards->pace() : sim::Pace{.speed = served.probes->speed()};
    const auto usb = TRY(sim::UsbIpServer::start(served.ports, pace, options.at));
    std::unique_ptr<sim::PtyServer> terminals;
    if (served.boards) {
        std::vector<sim::PtySlot> lines;
        for (const sim::BenchSlot& slot : served.boards->slots())
            lines.push_back({.number = slot.number, .port = toText(slot.port)});
        terminals = TRY(sim::PtyServer::start(served.boards->serial(), std::move(lines),
                                              options.directory.string()));
        TRY(insertBoards(*served.boards, options));
    }
    printProbes(served, options);
    if (options.json)
        say(concat(R"({"event":"listening","host":)", jsonText(options.at.host), R"(,"port":)",
                   usb->port(), "}"));
    else
        say(concat("USB/IP at ", options.at.host, ":", usb->port(), "; stop with Ctrl-C"));
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    int signal = 0;
    ::sigwait(&ends, &signal);
    if (options.json)
        say(R"({"event":"stopped"})");
    return {};
}

/// As `provost` reports: people's words on stderr, with --json an object on stdout, too.
int report(const Error& error, bool json)
{
    const std::string what = describe(error);
    std::fprintf(stderr, "provost-bench: %s\n", what.c_str());
    if (json)
        say(concat(R"({"event":"error","error":)", jsonText(what), R"(,"code":)",
                   jsonText(name(error.code)), R"(,"blame":)", jsonText(name(error.blame)),
                   R"(,"cause":null,"advice":null})"));
    return error.code == Errc::InvalidArgument ? kUsage : kError;
}

} // namespace

int main(int argc, char** argv)
{
    const auto options =
        optionsOf(std::span(argv, static_cast<std::size_t>(argc)).subspan(argc > 0 ? 1 : 0));
    if (!options) {
        std::fputs(std::string(kHelp).c_str(), stderr);
        return report(options.error(), false);
    }
    if (options->help) {
        std::fputs(std::string(kHelp).c_str(), stdout);
        return 0;
    }
    // Before any thread is made, so that all of them leave the signals to serve().
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    const auto served = serve(*options);
    return served ? 0 : report(served.error(), options->json);
}
