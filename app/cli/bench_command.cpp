// `provost bench serve`: the virtual bench, served to anything.
#include "cli/commands.h"
#include "cli/device_address.h"
#include "cli/output.h"
#include "core/text.h"
#include "host/host.h"
#include "sim/bench.h"
#include "sim/pty_server.h"
#include "sim/usbip_server.h"

#include <algorithm>

namespace provost::cli {

using namespace std::chrono_literals;

namespace {

Result<> serveBench(const Arguments& arguments)
{
    const std::string& given = arguments.positionals()[0];
    const bool isPath = given.find('/') != std::string::npos || given.ends_with(".toml");
    const auto bench = TRY(sim::Bench::load(isPath ? std::filesystem::path(given)
                                                   : dataFolders().benches / (given + ".toml")));
    const auto at = TRY(parseHostPort(arguments.text("usbip", "127.0.0.1:0")));
    const auto usbip =
        TRY(sim::UsbIpServer::start(bench->ports(), {.speed = bench->speed()}, {at.host, at.port}));
    const std::filesystem::path folder(
        arguments.text("dir", (std::filesystem::temp_directory_path() / "provost-bench").string()));
    const auto slots = bench->slots();
    std::vector<sim::PtySlot> lines;
    for (const auto& slot : slots)
        lines.push_back(
            {.number = slot.number, .port = concat("sim:", bench->name(), "#", slot.number)});
    const auto terminals =
        TRY(sim::PtyServer::start(bench->serial(), std::move(lines), folder.string()));
    const SystemClock clock;
    const StopSignal stop;
    for (std::size_t i = 0; i < slots.size(); ++i) {
        const auto unit = TRY(bench->insertNext(slots[i].number));
        if (!unit)
            continue;
        const std::string busId = sim::UsbIpServer::busId(i);
        const std::string tty = sim::PtyServer::linkOf(folder.string(), slots[i].number);
        if (arguments.has("json"))
            printJson({{"event", "unit"},
                       {"slot", slots[i].number},
                       {"platform", "photon"},
                       {"device_id", toQt(unit->deviceId)},
                       {"label", toQt(unit->label)},
                       {"stock", toQt(unit->stock)},
                       {"busid", toQt(busId)},
                       {"tty", toQt(tty)}});
        else
            printText(concat("slot ", slots[i].number, "  photon ", unit->deviceId, "  ",
                             unit->stock, "  usbip ", busId, "  ", tty));
    }
    if (arguments.has("json"))
        printJson({{"event", "listening"}, {"usbip_port", usbip->port()}});
    else
        printText(concat("USB/IP at ", at.host, ":", usbip->port(), "; stop with Ctrl-C"));
    while (clock.sleepUntil(clock.now() + 1h, stop.token())) {
    }
    return {};
}

Exit serve(const Arguments& arguments)
{
    const auto done = serveBench(arguments);
    return done ? Exit::Pass : report(done.error(), arguments);
}

} // namespace

std::vector<Command> benchCommands()
{
    return {
        {.path = "bench serve",
         .summary = "Serves a virtual bench over USB/IP and pseudo-terminals",
         .positionals = "BENCH.toml",
         .minPositionals = 1,
         .maxPositionals = 1,
         .options = {{.name = "usbip",
                      .value = "HOST:PORT",
                      .help = "127.0.0.1 and any free port by default"},
                     {.name = "dir", .value = "DIR", .help = "for the pseudo-terminals slot1, …"}},
         .example = "provost bench serve photon-quick --usbip 127.0.0.1:3240 --dir bench",
         .run = serve}};
}

} // namespace provost::cli
