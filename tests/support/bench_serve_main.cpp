// A virtual bench for tests and for trying foreign programs by hand:
//
//   test-bench BENCH.toml DIR [instant|demo|timed]
//
// Serves USB/IP on a free loopback port and pseudo-terminals in DIR, says so in JSON lines, and
// ends with its input or by SIGTERM.

#include "bench_control.h"
#include "core/text.h"
#include "sim/pty_server.h"
#include "sim/usbip_server.h"

#include <csignal>
#include <cstdio>
#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

namespace {

using namespace provost;

constexpr int kUsage = 64;
constexpr int kError = 2;

std::optional<sim::Speed> speedOf(std::string_view word)
{
    if (word == "instant")
        return sim::Speed::Instant;
    if (word == "demo")
        return sim::Speed::Demo;
    if (word == "timed")
        return sim::Speed::Timed;
    return std::nullopt;
}

/// Quotes and escapes.
std::string json(std::string_view text)
{
    std::string quoted = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\')
            quoted += '\\';
        quoted += c;
    }
    return quoted + '"';
}

void say(const std::string& line)
{
    std::puts(line.c_str());
    std::fflush(stdout);
}

void waitForEnd()
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    const int ends = ::signalfd(-1, &signals, SFD_CLOEXEC);
    pollfd fds[] = {{.fd = STDIN_FILENO, .events = POLLIN, .revents = 0},
                    {.fd = ends, .events = POLLIN, .revents = 0}};
    char ignored[256];
    while (::poll(fds, 2, -1) >= 0 && fds[1].revents == 0)
        if (fds[0].revents != 0 && ::read(STDIN_FILENO, ignored, sizeof ignored) <= 0)
            break;
    ::close(ends);
}

Result<> serve(const std::string& file, const std::string& directory,
               std::optional<sim::Speed> speed)
{
    const auto bench = TRY(sim::Bench::load(file, speed));
    std::vector<sim::PtySlot> terminals;
    std::vector<std::string> lines;
    std::size_t index = 0;
    for (const sim::BenchSlot& slot : bench->slots()) {
        const auto unit = TRY(bench->insertNext(slot.number));
        terminals.push_back({.number = slot.number, .port = toText(slot.port)});
        lines.push_back(concat(R"({"event":"unit","slot":)", slot.number,
                               R"(,"platform":"photon","device_id":)",
                               unit ? json(unit->deviceId) : "null", R"(,"busid":)",
                               json(sim::UsbIpServer::busId(index++)), R"(,"tty":)",
                               json(sim::PtyServer::linkOf(directory, slot.number)), "}"));
    }
    const auto usb =
        TRY(sim::UsbIpServer::start(bench->ports(), sim::Pace{.speed = bench->speed()}));
    const auto serial = TRY(sim::PtyServer::start(bench->serial(), terminals, directory));
    const auto control = TRY(test::BenchControlServer::start(*bench));
    say(concat(R"({"event":"listening","usbip":"127.0.0.1:)", usb->port(), R"(","control":)",
               control->port(), "}"));
    for (const std::string& line : lines)
        say(line);
    waitForEnd();
    return {};
}

} // namespace

int main(int argc, char** argv)
{
    const auto speed = argc > 3 ? speedOf(argv[3]) : std::nullopt;
    if (argc < 3 || argc > 4 || (argc == 4 && !speed)) {
        std::fputs("usage: test-bench BENCH.toml DIR [instant|demo|timed]\n", stderr);
        return kUsage;
    }
    // Before any thread is made, so that all of them leave the signals to waitForEnd().
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    if (const auto served = serve(argv[1], argv[2], speed); !served) {
        std::fprintf(stderr, "test-bench: %s\n", describe(served.error()).c_str());
        return kError;
    }
    return 0;
}
