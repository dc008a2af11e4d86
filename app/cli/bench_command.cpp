// `provost bench serve`: the virtual bench, served to anything.
#include "cli/commands.h"
#include "cli/device_address.h"
#include "cli/output.h"
#include "core/text.h"
#include "host/host.h"
#include "sim/bench.h"
#include "sim/pty_server.h"
#include "sim/usbip_server.h"

namespace provost::cli {

using namespace std::chrono_literals;

namespace {

void print(const Arguments& arguments, int slot, const sim::InsertedUnit& unit,
           const std::string& busId, const std::string& tty)
{
    if (arguments.has("json"))
        printJson({{"event", "unit"},
                   {"slot", slot},
                   {"platform", unit.platform},
                   {"device_id", unit.deviceId},
                   {"busid", busId},
                   {"tty", tty},
                   {"label", textOrNull(unit.label)},
                   {"stock", unit.stock}});
    else
        printText(concat("slot ", slot, "  ", leftIn(8, unit.platform), " ", unit.deviceId, "  ",
                         leftIn(6, unit.stock), " usbip ", leftIn(5, busId), " ", tty));
}

Result<> serveBench(const Arguments& arguments)
{
    const auto bench =
        TRY(sim::Bench::load(fileOf(arguments.positionals()[0], dataFolders().benches)));
    const auto at = TRY(parseHostPort(arguments.text("usbip", "127.0.0.1:0")));
    const auto usbip =
        TRY(sim::UsbIpServer::start(bench->ports(), bench->pace(), {at.host, at.port}));
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
        if (unit)
            print(arguments, slots[i].number, *unit, sim::UsbIpServer::busId(i),
                  sim::PtyServer::linkOf(folder.string(), slots[i].number));
    }
    if (arguments.has("json"))
        printJson({{"event", "listening"}, {"host", at.host}, {"port", usbip->port()}});
    else
        printText(concat("USB/IP at ", at.host, ":", usbip->port(), "; stop with Ctrl-C"));
    while (clock.sleepUntil(clock.now() + 1h, stop.token())) {
    }
    if (arguments.has("json"))
        printJson({{"event", "stopped"}});
    return {};
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
         .notes = "BENCH is a path or the id of a bench of this installation."}};
}

} // namespace provost::cli
