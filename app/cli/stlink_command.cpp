// `provost stlink …`: a debug probe by itself, for engineers and as an independent check.
#include "cli/commands.h"
#include "cli/device_address.h"
#include "cli/key_storage.h"
#include "cli/module_guard.h"
#include "cli/output.h"
#include "core/byte_io.h"
#include "core/file_io.h"
#include "core/text.h"
#include "crypto/digest.h"
#include "crypto/secret_file.h"
#include "host/host.h"
#include "image/module_info.h"
#include "protocol/stm32_flash.h"

namespace provost::cli {

using namespace std::chrono_literals;

namespace {

constexpr auto kProbeBudget = 10min;
constexpr auto kLeaveBudget = 10s;
constexpr std::uint32_t kLargestProbeRead = 1U << 20;
constexpr std::uint32_t kProbeIdcode = 0xE0042000;
constexpr unsigned kDefaultKilohertz = 4000;

/// A connected probe, its bus kept alive.
struct OpenedProbe {
    AddressedDevice device{};
    std::unique_ptr<StLinkProbe> probe{};
};

Result<OpenedProbe> openProbe(const Arguments& arguments, const OpContext& op)
{
    OpenedProbe opened;
    opened.device = TRY(findDevice(arguments.positionals()[0], op));
    if (!isStLink(opened.device.info.id))
        return fail(Errc::Denied, Blame::Operator,
                    concat("open ", toText(opened.device.info.port),
                           " as a probe: ", hex16(opened.device.info.id.vendor), ":",
                           hex16(opened.device.info.id.product),
                           " is no ST-Link V2, V2-1 or V3; see provost stlink list"));
    auto usb = TRY(opened.device.usb->open(opened.device.info));
    auto probe = TRY(StLinkProbe::open(std::move(usb), op));
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

Result<> listProbes(const Arguments& arguments)
{
    const SystemClock clock;
    const StopSignal stop;
    const auto op = commandContext(clock, kProbeBudget, nullptr, stop);
    const auto bus = TRY(
        openBus(arguments.positionals().empty() ? std::string{} : arguments.positionals()[0], op));
    std::size_t count = 0;
    const auto devices = TRY(bus.usb->enumerate());
    for (const auto& info : devices) {
        if (!isStLink(info.id))
            continue; // never opened
        ++count;
        std::string version;
        std::string serial = info.serial;
        std::string trouble;
        if (auto usb = bus.usb->open(info)) {
            const auto raw = (*usb)->descriptor(3, 3);
            if (raw)
                serial = stlinkSerial(*raw);
            const auto probe = StLinkProbe::open(std::move(*usb), op.within(5s));
            if (!probe && probe.error().code == Errc::Cancelled)
                return Unexpected(probe.error());
            version = probe ? toText(probe->version()) : std::string{};
            trouble = probe ? std::string{} : describe(probe.error());
        } else {
            trouble = describe(usb.error());
        }
        if (arguments.has("json"))
            printJson({{"event", "probe"},
                       {"device", toText(info.port)},
                       {"id", concat(hex16(info.id.vendor), ":", hex16(info.id.product))},
                       {"serial", textOrNull(serial)},
                       {"version", textOrNull(version)},
                       {"error", textOrNull(trouble)},
                       {"simulated", info.simulated}});
        else
            printText(concat(leftIn(12, toText(info.port)), "  ", orDash(version), "  ",
                             orDash(serial), info.simulated ? "  SIMULATED" : "",
                             trouble.empty() ? "" : "  ", trouble));
    }
    if (arguments.has("json"))
        printJson({{"event", "probes"}, {"count", count}});
    else if (count == 0)
        printText("no probe; plug an ST-Link V2, V2-1 or V3 in");
    return {};
}

Result<> showTarget(const Arguments& arguments)
{
    const SystemClock clock;
    const StopSignal stop;
    const auto op = commandContext(clock, kProbeBudget, nullptr, stop);
    auto opened = TRY(connectProbe(arguments, op));
    StLinkProbe& probe = *opened.probe;
    const auto volts = TRY(probe.targetVoltage(op));
    const std::uint32_t idcode = TRY(probe.readWord(kProbeIdcode, op));
    const CoreStatus core = TRY(probe.coreStatus(op));
    const SwdTarget target = probe.target();
    TRY(probe.disconnect(op));
    const double shown = roundedTo(2, volts.value_or(0));
    if (arguments.has("json"))
        printJson({{"event", "target"},
                   {"device", toText(opened.device.info.port)},
                   {"version", toText(probe.version())},
                   {"volts", volts ? JsonValue(shown) : JsonValue()},
                   {"khz", target.kilohertz},
                   {"dpidr", hex32(target.dpidr)},
                   {"cpuid", hex32(target.cpuid)},
                   {"idcode", hex32(idcode)},
                   {"halted", core.halted}});
    else
        printText(concat("probe   ", toText(probe.version()), "\nsupply  ",
                         volts ? concat(fixed(*volts, 2), " V") : std::string("not measured"),
                         "\nclock   ", target.kilohertz, " kHz\nDPIDR   ", hex32(target.dpidr),
                         "\nCPUID   ", hex32(target.cpuid), "\nIDCODE  ", hex32(idcode)));
    return {};
}

Result<> readTarget(const Arguments& arguments)
{
    const auto address = TRY(arguments.hex("address"));
    const auto length = TRY(arguments.number("length", 0));
    const std::string file = arguments.text("output");
    if (length == 0 || length > kLargestProbeRead)
        return fail(Errc::InvalidArgument, Blame::Operator,
                    concat("--length ", length, ": must be 1 to ", kLargestProbeRead));
    if (std::filesystem::exists(std::filesystem::symlink_status(file)))
        return fail(Errc::Denied, Blame::Operator,
                    concat("write ", file,
                           ": it exists already and is never overwritten; name another file"));
    const SystemClock clock;
    const StopSignal stop;
    ProgressBar bar;
    TRY(refuseKeyMemoryInProduction(arguments, {.address = address, .length = length}, file));
    // It may hold keys: traced without payload, kept in wiped memory, read by its owner only.
    const auto op =
        commandContext(clock, kProbeBudget, &bar, stop).phase("reading", 0, 1).withSecrets();
    auto opened = TRY(connectProbe(arguments, op));
    auto raw = opened.probe->read(address, length, op);
    const auto left = opened.probe->disconnect(op.shielded(kLeaveBudget));
    if (!raw)
        return Unexpected(raw.error());
    const SecretBytes bytes{ByteView(*raw)};
    wipe(*raw);
    TRY(Result<>(left));
    TRY(writeNewFile(file, bytes.reveal(), 0600));
    bar.clear();
    if (arguments.has("json"))
        printJson({{"event", "read"},
                   {"device", toText(opened.device.info.port)},
                   {"address", hex32(address)},
                   {"length", length},
                   {"file", file},
                   {"sha256", sha256Hex(bytes.reveal())}});
    else
        printText(concat(file, ": ", counted(length, "byte"), " from ", hex32(address)));
    return {};
}

Result<> madeForPart(const ModuleInfo& module, const Stm32Part& part)
{
    constexpr std::uint16_t kCore = 0; // particle-devices 1.1: the only one with an F103
    if ((module.platformId == kCore) == (part.family == Stm32Part::Family::F1))
        return {};
    return fail(Errc::Denied, Blame::Operator,
                concat("write the file: it is a module for platform ", module.platformId,
                       ", the target is an ", name(part.family)));
}

Result<> writeTarget(const Arguments& arguments)
{
    const auto address = TRY(arguments.hex("address"));
    const std::string& file = arguments.positionals()[1];
    const SecretBytes bytes = TRY(readSecretFile(file, kLargestProbeRead));
    if (bytes.empty())
        return fail(Errc::InvalidArgument, Blame::Operator,
                    concat("write ", file, ": the file is empty"));
    const SystemClock clock;
    const StopSignal stop;
    ProgressBar bar;
    const auto op =
        commandContext(clock, kProbeBudget, &bar, stop).phase("writing", 0, 1).withSecrets();
    auto opened = TRY(connectProbe(arguments, op));
    auto flash = TRY(Stm32Flash::attach(*opened.probe, op));
    const auto work = [&]() -> Result<Stm32WriteOutcome> {
        TRY(checkModule(
            bytes.reveal(), address, opened.device.info.simulated,
            [&](const ModuleInfo& module) { return madeForPart(module, flash.part()); }));
        MemoryBlock block{.address = address, .bytes = toBytes(bytes.reveal())};
        auto done = flash.writeVerified(block, arguments.has("lift-protection"), op);
        wipe(block.bytes);
        return done;
    };
    const auto written = work();
    // Whatever came of it, the unit is not left halted.
    const auto left = flash.leave(op.shielded(kLeaveBudget));
    if (!written)
        return Unexpected(inFrame(written.error(), file));
    TRY(Result<>(left));
    bar.clear();
    if (arguments.has("json"))
        printJson({{"event", "write"},
                   {"device", toText(opened.device.info.port)},
                   {"address", hex32(address)},
                   {"length", bytes.size()},
                   {"skipped", written->skipped},
                   {"verified", true},
                   {"protection_lifted", written->protectionLifted}});
    else
        printText(concat("wrote ", counted(written->written, "byte"), " at ", hex32(address),
                         written->skipped > 0
                             ? concat(", ", written->skipped, " bytes were there already")
                             : std::string{},
                         ", verified by the target's CRC",
                         written->protectionLifted ? "; write protection is back" : ""));
    return {};
}

Result<> eraseTarget(const Arguments& arguments)
{
    const bool all = arguments.has("all");
    if (all == (arguments.has("address") && arguments.has("length")))
        return fail(Errc::InvalidArgument, Blame::Operator,
                    "erase: either --all, or --address and --length, are meant");
    const auto address = all ? 0 : TRY(arguments.hex("address"));
    const auto length = TRY(arguments.number("length", 0));
    if (!all && length == 0)
        return fail(Errc::InvalidArgument, Blame::Operator, "--length 0: must be at least 1");
    const SystemClock clock;
    const StopSignal stop;
    ProgressBar bar;
    const auto op = commandContext(clock, kProbeBudget, &bar, stop).phase("erasing", 0, 1);
    auto opened = TRY(connectProbe(arguments, op));
    auto flash = TRY(Stm32Flash::attach(*opened.probe, op));
    const auto erased = all ? flash.massErase(op) : flash.erase(address, length, op);
    const auto left = flash.leave(op.shielded(kLeaveBudget));
    TRY(Result<>(erased));
    TRY(Result<>(left));
    bar.clear();
    if (arguments.has("json"))
        printJson({{"event", "erase"},
                   {"device", toText(opened.device.info.port)},
                   {"address", all ? JsonValue() : JsonValue(hex32(address))},
                   {"length", all ? flash.part().flashBytes : length}});
    else
        printText(all ? std::string("erased all of flash")
                      : concat("erased every sector that holds one of ", counted(length, "byte"),
                               " from ", hex32(address)));
    return {};
}

Result<> resetTarget(const Arguments& arguments)
{
    const SystemClock clock;
    const StopSignal stop;
    const auto op = commandContext(clock, kProbeBudget, nullptr, stop);
    auto opened = TRY(connectProbe(arguments, op));
    TRY(opened.probe->reset(op));
    TRY(opened.probe->disconnect(op));
    if (arguments.has("json"))
        printJson({{"event", "reset"}, {"device", toText(opened.device.info.port)}});
    else
        printText("the target was reset and runs");
    return {};
}

} // namespace

std::vector<Command> stlinkCommands()
{
    const Option khz{.name = "khz", .value = "N", .help = "SWD clock at most, 4000 by default"};
    const Option reset{.name = "under-reset",
                       .help = "hold NRST while connecting: for firmware that uses the SWD pins"};
    const Option address{.name = "address", .value = "HEX", .help = "first byte", .required = true};
    const std::string notes =
        "DEVICE  usb:BUS-PORT[.PORT…]   physical port, as stlink list shows it\n"
        "        usb:VID:PID            only if exactly one matches\n"
        "        usbip:HOST:PORT/BUSID  a probe of provost bench serve probes, for one";
    const auto command = [&](std::string path, std::string summary, std::size_t positionals,
                             std::vector<Option> options, std::string example, auto run) {
        options.push_back(khz);
        options.push_back(reset);
        return Command{.path = std::move(path),
                       .summary = std::move(summary),
                       .positionals = positionals == 1 ? "DEVICE" : "DEVICE FILE",
                       .minPositionals = positionals,
                       .maxPositionals = positionals,
                       .options = std::move(options),
                       .example = std::move(example),
                       .run = [run](const Arguments& a) { return reportIfFailed(run(a), a); },
                       .notes = notes};
    };
    Option fileOption{.name = "output",
                      .value = "FILE",
                      .help = "new file, mode 0600; also -o",
                      .required = true};
    const Option length{.name = "length", .value = "N", .help = "bytes", .required = true};
    Option eraseAddress = address;
    Option eraseLength = length;
    eraseAddress.required = eraseLength.required = false;
    return {
        {.path = "stlink list",
         .summary = "Lists ST-Link probes",
         .positionals = "[BUS]",
         .maxPositionals = 1,
         .example = "provost stlink list --json",
         .run = [](const Arguments& a) { return reportIfFailed(listProbes(a), a); },
         .notes = busNotes()},
        command("stlink info", "Connects and says what answers; the firmware goes on", 1, {},
                "provost stlink info usb:0483:374b", showTarget),
        command("stlink read", "Reads memory into a new file; the length is mandatory", 1,
                {address, length, std::move(fileOption)},
                "provost stlink read usb:0483:374b --address 0x08004000 --length 32768 -o dct.bin",
                readTarget),
        command("stlink write",
                "Writes a file into flash, sector by sector, and verifies it on the target", 2,
                {address,
                 {.name = "lift-protection",
                  .help = "lift write protection that is in the way, and put it back"}},
                "provost stlink write usb:0483:374b --address 0x08020000 system.bin", writeTarget),
        command("stlink erase", "Erases every sector that a range touches, or all of flash", 1,
                {eraseAddress, eraseLength, {.name = "all", .help = "the whole flash"}},
                "provost stlink erase usb:0483:374b --address 0x08020000 --length 131072",
                eraseTarget),
        command("stlink reset", "Resets the target and lets it run", 1, {},
                "provost stlink reset usb:0483:374b", resetTarget)};
}

} // namespace provost::cli
