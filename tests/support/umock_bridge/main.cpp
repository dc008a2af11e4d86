// Shows the devices of a USB/IP server to one command and its children as if they were in /sys and
// /dev: no kernel support, no root (virtual-usb-testing 2).
//
//   umockdev-wrapper umock-bridge HOST:PORT BUSID... -- COMMAND...

#include "test_bed.h"

#include <csignal>
#include <cstdio>
#include <cstring>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace {

using namespace std::chrono_literals;
using provost::bridge::ServerAddress;
using provost::bridge::TestBed;

constexpr int kUsage = 64;
constexpr int kSoftware = 70;
constexpr auto kLook = 10ms;         ///< for units that come and go
constexpr auto kFirstPatience = 30s; ///< for all of them at the start

struct Options {
    ServerAddress server{};
    std::vector<std::string> busIds{};
    char** command = nullptr;
};

std::optional<Options> readOptions(std::span<char*> arguments)
{
    Options options;
    std::size_t at = 1;
    const auto more = [&] { return at < arguments.size(); };
    if (!more())
        return std::nullopt;
    const std::string address = arguments[at++];
    const auto colon = address.rfind(':');
    if (colon == std::string::npos)
        return std::nullopt;
    options.server = {.host = address.substr(0, colon), .port = address.substr(colon + 1)};
    while (more() && std::strcmp(arguments[at], "--") != 0)
        options.busIds.emplace_back(arguments[at++]);
    if (at + 1 >= arguments.size() || options.busIds.empty())
        return std::nullopt;
    options.command = &arguments[at + 1];
    return options;
}

bool refreshAll(TestBed& bed, const Options& options)
{
    bool all = true;
    for (const std::string& busId : options.busIds)
        all = bed.refresh(options.server, busId) && all;
    return all;
}

pid_t start(char** command)
{
    const pid_t child = ::fork();
    if (child != 0)
        return child;
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    ::execvp(command[0], command);
    std::perror(command[0]);
    ::_exit(kSoftware);
}

} // namespace

int main(int argc, char** argv)
{
    const auto options = readOptions(std::span(argv, static_cast<std::size_t>(argc)));
    if (!options) {
        std::fputs("usage: umockdev-wrapper umock-bridge HOST:PORT BUSID... -- COMMAND...\n",
                   stderr);
        return kUsage;
    }
    std::unique_ptr<TestBed> bed = TestBed::create();
    if (!bed)
        return kSoftware;
    const auto patience = std::chrono::steady_clock::now() + kFirstPatience;
    while (!refreshAll(*bed, *options) && std::chrono::steady_clock::now() < patience)
        std::this_thread::sleep_for(kLook);
    const pid_t child = start(options->command);
    int status = 0;
    while (::waitpid(child, &status, WNOHANG) == 0) {
        refreshAll(*bed, *options);
        std::this_thread::sleep_for(kLook);
    }
    bed.reset();
    // Without destructors: libumockdev's own threads are not ready for them.
    ::_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}
