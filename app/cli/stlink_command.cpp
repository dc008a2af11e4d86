// `provost stlink …`: a debug probe by itself, for engineers and as an independent check.
#include "cli/commands.h"
#include "cli/key_storage.h"
#include "cli/module_guard.h"
#include "cli/output.h"
#include "cli/probe_session.h"
#include "core/byte_io.h"
#include "core/file_io.h"
#include "core/text.h"
#include "crypto/digest.h"
#include "crypto/secret_file.h"
#include "device/chip_platform.h"
#include "host/host.h"
#include "image/module_info.h"
#include "protocol/stm32_flash.h"

#include <charconv>

namespace provost::cli {

using namespace std::chrono_literals;

namespace {

constexpr auto kProbeBudget = 10min;
constexpr auto kLeaveBudget = 10s;
constexpr std::uint32_t kLargestProbeRead = 1U << 20;
constexpr std::uint32_t kProbeIdcode = 0xE0042000;

Result<> listProbes(const Arguments& arguments)
{
    const SystemClock clock;
    const StopSignal stop;
    const auto op = commandContext(clock, kProbeBudget, nullptr, stop);
    const std::string address =
        arguments.positionals().empty() ? std::string{} : arguments.positionals()[0];
    const auto opened = TRY(openProbeBus(address, op));
    const AddressedBus& bus = opened.bus;
    std::size_t count = 0;
    const auto devices = TRY(bus.usb->enumerate());
    for (auto info : devices) {
        if (!isStLink(info.id))
            continue; // never opened
        info.simulated = info.simulated || opened.bench;
        const std::string device = addressOf(info, opened, address);
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
                       {"device", device},
                       {"id", concat(hex16(info.id.vendor), ":", hex16(info.id.product))},
                       {"serial", textOrNull(serial)},
                       {"version", textOrNull(version)},
                       {"error", textOrNull(trouble)},
                       {"simulated", info.simulated}});
        else
            printText(concat(leftIn(12, device), "  ", orDash(version), "  ", orDash(serial),
                             info.simulated ? "  SIMULATED" : "", trouble.empty() ? "" : "  ",
                             trouble));
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
    // It may hold keys: traced without payload, kept in wiped memory, read by its owner only.
    const auto op =
        commandContext(clock, kProbeBudget, &bar, stop).phase("reading", 0, 1).withSecrets();
    const MemoryRange range{.address = address, .length = length};
    // Where the address says enough, nothing is touched before it is decided.
    std::optional<MemoryStorage> storage;
    if (namesRealDevice(arguments))
        storage = TRY(memoryStorageOf(arguments, range, false, file));
    auto opened = TRY(connectProbe(arguments, op));
    auto raw = [&]() -> Result<Bytes> {
        if (!storage)
            storage = TRY(memoryStorageOf(arguments, range, opened.device.info.simulated, file));
        return opened.probe->read(address, length, op);
    }();
    const auto left = opened.probe->disconnect(op.shielded(kLeaveBudget));
    if (!raw)
        return Unexpected(raw.error());
    const SecretBytes bytes{ByteView(*raw)};
    wipe(*raw);
    TRY(Result<>(left));
    TRY(writeMemoryFile(file, bytes, *storage));
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

/// @param platform  of the modules that are there; nothing: the flash is blank, or not ours
Result<> madeForTarget(const ModuleInfo& module, const Stm32Part& part,
                       std::optional<std::uint16_t> platform)
{
    constexpr std::uint16_t kCore = 0; // particle-devices 1.1: the only one with an F103
    if ((module.platformId == kCore) != (part.family == Stm32Part::Family::F1))
        return fail(Errc::Denied, Blame::Operator,
                    concat("write the file: it is a module for platform ", module.platformId,
                           ", the target is an ", name(part.family)));
    if (platform && *platform != module.platformId)
        return fail(Errc::Denied, Blame::Operator,
                    concat("write the file: it is a module for platform ", module.platformId, " ",
                           platformName(module.platformId), ", what the unit runs is for ",
                           *platform, " ", platformName(*platform),
                           "; take the file for this platform, or erase the unit first"));
    return {};
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
        const auto& part = flash.part();
        const auto platform = TRY(platformInFlash(*opened.probe, part.family, op));
        TRY(checkModule(
            bytes.reveal(), address, opened.device.info.simulated,
            [&](const ModuleInfo& module) { return madeForTarget(module, part, platform); }));
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

/// @returns the port by its word: dp, or the number of an access port
Result<std::uint16_t> dapPort(const std::string& word)
{
    if (lowerCase(word) == "dp")
        return StLinkProbe::kDebugPort;
    unsigned number = 0;
    const char* const end = word.data() + word.size();
    if (std::from_chars(word.data(), end, number).ptr != end || word.empty() || number > 255)
        return fail(Errc::InvalidArgument, Blame::Operator,
                    concat("--port ", word, ": must be dp, or the number of an access port"));
    return static_cast<std::uint16_t>(number);
}

Result<> accessPort(const Arguments& arguments)
{
    const auto port = TRY(dapPort(arguments.text("port")));
    const auto reg = TRY(arguments.hex("register"));
    if (reg > 0xFC || reg % 4 != 0)
        return fail(Errc::InvalidArgument, Blame::Operator,
                    concat("--register ", hex32(reg), ": must be a multiple of 4 up to 0xfc"));
    const bool writes = arguments.has("value");
    const auto value = writes ? TRY(arguments.hex("value")) : 0;
    const SystemClock clock;
    const StopSignal stop;
    const auto op = commandContext(clock, kProbeBudget, nullptr, stop);
    auto opened = TRY(connectProbe(arguments, op));
    StLinkProbe& probe = *opened.probe;
    const auto number = static_cast<std::uint16_t>(reg);
    const auto done = writes ? probe.writeDap(port, number, value, op) : Result<>();
    const auto found = writes ? Result<std::uint32_t>(value) : probe.readDap(port, number, op);
    const auto left = probe.disconnect(op.shielded(kLeaveBudget));
    TRY(Result<>(done));
    const std::uint32_t shown = TRY(Result<std::uint32_t>(found));
    TRY(Result<>(left));
    if (arguments.has("json"))
        printJson({{"event", writes ? "dap-write" : "dap-read"},
                   {"device", toText(opened.device.info.port)},
                   {"port", arguments.text("port")},
                   {"register", hex32(reg)},
                   {"value", hex32(shown)}});
    else
        printText(hex32(shown));
    return {};
}

Result<> optionBytes(const Arguments& arguments)
{
    const bool sets = arguments.has("write-protect");
    const auto units = sets ? TRY(arguments.hex("write-protect")) : 0;
    const SystemClock clock;
    const StopSignal stop;
    const auto op = commandContext(clock, kProbeBudget, nullptr, stop);
    auto opened = TRY(connectProbe(arguments, op));
    auto flash = TRY(Stm32Flash::attach(*opened.probe, op));
    const auto set = sets ? flash.setWriteProtection(units, op) : Result<>();
    const auto now = flash.protection(op);
    const auto bytes = flash.optionBytes(op);
    const auto left = flash.leave(op.shielded(kLeaveBudget));
    TRY(Result<>(set));
    const Stm32Protection shown = TRY(Result<Stm32Protection>(now));
    const Bytes raw = TRY(Result<Bytes>(bytes));
    TRY(Result<>(left));
    if (arguments.has("json"))
        printJson({{"event", "options"},
                   {"device", toText(opened.device.info.port)},
                   {"read_protected", shown.readProtected},
                   {"write_protected", hex32(shown.writeProtected)},
                   {"bytes", toHex(raw)}});
    else
        printText(concat("read protection   ", shown.readProtected ? "on" : "off",
                         "\nwrite protection  ", hex32(shown.writeProtected),
                         flash.part().family == Stm32Part::Family::F1
                             ? "  four pages a bit, the last one all the rest"
                             : "  a sector a bit",
                         "\nbytes             ", toHex(raw)));
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
    const Option address{.name = "address", .value = "HEX", .help = "first byte", .required = true};
    const std::string image = (dataFolders().images / "photon-2.3.1-user-demo.bin").string();
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
         .example = "provost stlink list usbip:127.0.0.1:3240 --json",
         .run = [](const Arguments& a) { return reportIfFailed(listProbes(a), a); },
         .notes = busNotes()},
        probeCommand("stlink info", "Connects and says what answers; the firmware goes on", 1, {},
                     "provost stlink info usbip:127.0.0.1:3240/1-3", showTarget),
        probeCommand("stlink read", "Reads memory into a new file; the length is mandatory", 1,
                     withMemoryOptions({address, length, std::move(fileOption)}),
                     "provost stlink read usbip:127.0.0.1:3240/1-3 --address 0x08004000 --length "
                     "32768 -o dct.bin",
                     readTarget),
        probeCommand(
            "stlink write",
            "Writes a file into flash, sector by sector, and verifies it on the target", 2,
            {address,
             {.name = "lift-protection",
              .help = "lift write protection that is in the way, and put it back"}},
            concat("provost stlink write usbip:127.0.0.1:3240/1-3 --address 0x080a0000 ", image),
            writeTarget),
        probeCommand(
            "stlink erase", "Erases every sector that a range touches, or all of flash", 1,
            {eraseAddress, eraseLength, {.name = "all", .help = "the whole flash"}},
            "provost stlink erase usbip:127.0.0.1:3240/1-3 --address 0x080a0000 --length 131072",
            eraseTarget),
        probeCommand("stlink options", "Shows the option bytes; sets write protection", 1,
                     {{.name = "write-protect",
                       .value = "HEX",
                       .help = "units to protect, all others are opened; read protection stays"}},
                     "provost stlink options usbip:127.0.0.1:3240/1-3", optionBytes),
        probeCommand(
            "stlink dap", "Reads or writes a register of the debug port or an access port", 1,
            {{.name = "port", .value = "PORT", .help = "dp, or 0", .required = true},
             {.name = "register", .value = "HEX", .help = "byte offset", .required = true},
             {.name = "value", .value = "HEX", .help = "written; else it is read"}},
            "provost stlink dap usbip:127.0.0.1:3240/1-3 --port 0 --register 0xfc", accessPort),
        probeCommand("stlink reset", "Resets the target and lets it run", 1, {},
                     "provost stlink reset usbip:127.0.0.1:3240/1-3", resetTarget)};
}

} // namespace provost::cli
