// `provost bench serve`: starts provost-bench, which serves the virtual bench to anything.
#include "cli/commands.h"
#include "cli/device_address.h"
#include "cli/output.h"
#include "core/text.h"
#include "host/host.h"

#include <cerrno>
#include <filesystem>
#include <unistd.h>

namespace provost::cli {

namespace {

/// Beside this program, where the build and the package put it.
Result<std::filesystem::path> benchProgram()
{
    std::error_code error;
    const auto own = std::filesystem::read_symlink("/proc/self/exe", error);
    const auto program = own.parent_path() / "provost-bench";
    if (error || !std::filesystem::exists(program, error))
        return fail(Errc::NotFound, Blame::Station,
                    concat("start ", program.string(),
                           ": it is not there; build or install provost-bench"));
    return program;
}

/// This process becomes the bench: nothing of the station stays behind it.
Result<> serveBench(const Arguments& arguments)
{
    const auto program = TRY(benchProgram());
    const auto file = fileOf(arguments.positionals()[0], dataFolders().benches);
    std::vector<std::string> words{program.string(), file.string()};
    if (arguments.has("usbip")) {
        TRY(parseHostPort(arguments.text("usbip")));
        words.insert(words.end(), {"--usbip", arguments.text("usbip")});
    }
    if (arguments.has("dir"))
        words.insert(words.end(), {"--dir", arguments.text("dir")});
    if (arguments.has("json"))
        words.emplace_back("--json");
    std::vector<char*> pointers;
    for (std::string& word : words)
        pointers.push_back(word.data());
    pointers.push_back(nullptr);
    ::execv(pointers[0], pointers.data());
    const int code = errno;
    return fail(Errc::Io, Blame::Station,
                concat("start ", program.string(), ": ", systemMessage(code)), code);
}

} // namespace

std::vector<Command> benchCommands()
{
    return {
        {.path = "bench serve",
         .summary = "Serves a virtual bench over USB/IP and pseudo-terminals",
         .positionals = "BENCH",
         .minPositionals = 1,
         .maxPositionals = 1,
         .options = {{.name = "usbip",
                      .value = "HOST:PORT",
                      .help = "127.0.0.1 and any free port by default"},
                     {.name = "dir", .value = "DIR", .help = "for the pseudo-terminals slot1, …"}},
         .example = "provost bench serve photon-quick --usbip 127.0.0.1:3240 --dir bench",
         .run = [](const Arguments& a) { return reportIfFailed(serveBench(a), a); },
         .notes = "BENCH is a path or the id of a bench of this installation: boards in slots, "
                  "debug probes, or both."}};
}

} // namespace provost::cli
