#include "cli/probe_session.h"

#include "cli/output.h"
#include "core/text.h"
#include "host/host.h"
#include "transport/usbip_bus.h"

#include <algorithm>
#include <charconv>

namespace provost::cli {

namespace {

constexpr unsigned kDefaultKilohertz = 4000;
constexpr std::string_view kSimulatedScheme = "sim:";

UsbPortPath portOf(const ServedBench& bench, const ServedBench::Probe& probe)
{
    return portPathOf({.host = "127.0.0.1", .port = bench.port(), .busId = probe.busId});
}

/// `sim:BENCH#SLOT`: the probe that is wired to the unit in that slot; where the bench has none in
/// slots, SLOT is the number of a probe.
Result<OpenedProbe> findSimulatedProbe(const std::string& address, const OpContext& op)
{
    const auto hash = address.rfind('#');
    int slot = 0;
    const char* const end = address.data() + address.size();
    if (hash == std::string::npos || hash + 1 == address.size() ||
        std::from_chars(address.data() + hash + 1, end, slot).ptr != end)
        return fail(Errc::InvalidArgument, Blame::Operator,
                    concat("address \"", address, "\": must be sim:BENCH#SLOT"));
    auto opened = TRY(openProbeBus(address.substr(0, hash), op));
    const auto& probes = opened.bench->probes();
    const auto found = std::ranges::find_if(probes, [slot](const ServedBench::Probe& probe) {
        return probe.slot.value_or(probe.number) == slot;
    });
    if (found == probes.end())
        return fail(Errc::NotFound, Blame::Operator,
                    concat("find ", address,
                           ": the bench has no probe there; see provost stlink "
                           "list ",
                           address.substr(0, hash)));
    const auto port = portOf(*opened.bench, *found);
    OpenedProbe probe{.bench = std::move(opened.bench), .device = {std::move(opened.bus), {}}};
    probe.device.info = TRY(probe.device.usb->waitFor(port, {}, op));
    probe.device.info.simulated = true;
    return probe;
}

std::string probeNotes()
{
    return "DEVICE  usb:BUS-PORT[.PORT…]   physical port, as stlink list shows it\n"
           "        usb:VID:PID            only if exactly one matches\n"
           "        usbip:HOST:PORT/BUSID  a probe of provost bench serve probes, for one\n"
           "        sim:BENCH#SLOT         of a virtual bench by path or id: the probe on the new "
           "unit\n"
           "                               in that slot, or the probe of that number";
}

} // namespace

Command probeCommand(std::string path, std::string summary, std::size_t positionals,
                     std::vector<Option> options, std::string example,
                     Result<> (*run)(const Arguments&))
{
    options.push_back({.name = "khz", .value = "N", .help = "SWD clock at most, 4000 by default"});
    options.push_back({.name = "under-reset",
                       .help = "hold NRST while connecting: for firmware that uses the SWD pins"});
    return {.path = std::move(path),
            .summary = std::move(summary),
            .positionals = positionals == 1 ? "DEVICE" : "DEVICE FILE",
            .minPositionals = positionals,
            .maxPositionals = positionals,
            .options = std::move(options),
            .example = std::move(example),
            .run = [run](const Arguments& a) { return reportIfFailed(run(a), a); },
            .notes = probeNotes()};
}

Result<ProbeBus> openProbeBus(const std::string& address, const OpContext& op)
{
    ProbeBus opened;
    if (!address.starts_with(kSimulatedScheme) || address.find('#') != std::string::npos) {
        opened.bus = TRY(openBus(address, op));
        return opened;
    }
    const auto file = fileOf(address.substr(kSimulatedScheme.size()), dataFolders().benches);
    opened.bench = TRY(ServedBench::start(file, op));
    opened.bus = TRY(openBus(concat("usbip:127.0.0.1:", opened.bench->port()), op));
    return opened;
}

std::string addressOf(const UsbDeviceInfo& info, const ProbeBus& bus, const std::string& address)
{
    if (bus.bench)
        for (const ServedBench::Probe& probe : bus.bench->probes())
            if (info.port == portOf(*bus.bench, probe))
                return concat(address, '#', probe.slot.value_or(probe.number));
    return toText(info.port);
}

Result<OpenedProbe> openProbe(const Arguments& arguments, const OpContext& op)
{
    const std::string& address = arguments.positionals()[0];
    OpenedProbe opened;
    if (address.starts_with(kSimulatedScheme))
        opened = TRY(findSimulatedProbe(address, op));
    else
        opened.device = TRY(findDevice(address, op));
    const UsbDeviceInfo& info = opened.device.info;
    if (!isStLink(info.id))
        return fail(Errc::Denied, Blame::Operator,
                    concat("open ", toText(info.port), " as a probe: ", hex16(info.id.vendor), ":",
                           hex16(info.id.product),
                           " is no ST-Link V2, V2-1 or V3; see provost stlink list"));
    auto probe = TRY(StLinkProbe::open(TRY(opened.device.usb->open(info)), op));
    opened.probe = std::make_unique<StLinkProbe>(std::move(probe));
    return opened;
}

Result<OpenedProbe> connectProbe(const Arguments& arguments, const OpContext& op)
{
    const auto kilohertz = TRY(arguments.number("khz", kDefaultKilohertz));
    auto opened = TRY(openProbe(arguments, op));
    TRY(opened.probe->connect({.kilohertz = kilohertz, .underReset = arguments.has("under-reset")},
                              op));
    return opened;
}

} // namespace provost::cli
