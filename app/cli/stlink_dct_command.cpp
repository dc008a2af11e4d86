// `provost stlink dct-…`: the configuration table of a unit by SWD (particle-devices 11).
#include "cli/commands.h"
#include "cli/key_storage.h"
#include "cli/output.h"
#include "cli/probe_session.h"
#include "config/load_plan.h"
#include "core/file_io.h"
#include "core/text.h"
#include "crypto/digest.h"
#include "crypto/secret_file.h"
#include "device/chip_platform.h"
#include "device/dct_memory.h"
#include "device/probe_target.h"
#include "host/host.h"
#include "image/module_info.h"

#include <charconv>

namespace provost::cli {

namespace {

using namespace std::chrono_literals;

constexpr auto kTableBudget = 2min;
constexpr auto kTableLeaveBudget = 10s;
constexpr std::size_t kBothSectors = 0x8000;

/// By name or number.
Result<PlatformSpec> platformNamed(const std::string& word)
{
    unsigned number = 0;
    const char* const end = word.data() + word.size();
    const bool isNumber = std::from_chars(word.data(), end, number).ptr == end && !word.empty();
    auto platforms = TRY(loadPlatforms(dataFolders().platforms));
    for (auto& platform : platforms)
        if (isNumber ? platform.id == number : platform.name == lowerCase(word))
            return std::move(platform);
    return fail(Errc::InvalidArgument, Blame::Operator,
                concat("--platform ", word, ": must be photon, p1 or electron"));
}

/// @returns Denied  the unit's own modules are for another platform
Result<> isPlatform(StLinkProbe& probe, const Stm32Part& part, const PlatformSpec& platform,
                    const OpContext& op)
{
    const auto found = TRY(platformInFlash(probe, part.family, op));
    if (!found || *found == platform.id)
        return {};
    return fail(Errc::Denied, Blame::Operator,
                concat("reach the table of a ", platform.name,
                       ": what the unit runs is for platform ", *found, " ", platformName(*found),
                       "; name that as --platform"));
}

/// Connects, halts, works on the table, and lets the unit run whatever came of it.
template <class Work>
Result<> withTable(const Arguments& arguments, std::string_view phase, Work work)
{
    const auto platform = TRY(platformNamed(arguments.text("platform")));
    const SystemClock clock;
    const StopSignal stop;
    ProgressBar bar;
    const auto op =
        commandContext(clock, kTableBudget, &bar, stop).phase(phase, 0, 1).withSecrets();
    auto opened = TRY(connectProbe(arguments, op));
    auto flash = TRY(Stm32Flash::attach(*opened.probe, op));
    ProbeTarget target(flash);
    ProbeDct table(target, platform.dct);
    Result<> done = isPlatform(*opened.probe, flash.part(), platform, op);
    if (done)
        done = work(table, opened.device.info, op);
    const auto left = flash.leave(op.shielded(kTableLeaveBudget));
    bar.clear();
    TRY(Result<>(done));
    return left;
}

Result<> readTable(const Arguments& arguments)
{
    const auto offset = TRY(arguments.number("offset", 0));
    const auto length = TRY(arguments.number("length", 0));
    const std::string file = arguments.text("output");
    if (length == 0)
        return fail(Errc::InvalidArgument, Blame::Operator, "--length 0: must be at least 1");
    if (std::filesystem::exists(std::filesystem::symlink_status(file)))
        return fail(Errc::Denied, Blame::Operator,
                    concat("write ", file,
                           ": it exists already and is never overwritten; name another file"));
    const MemoryRange range{.alternate = 1, .address = offset, .length = length};
    // Where the address says enough, nothing is touched before it is decided.
    std::optional<MemoryStorage> storage;
    if (namesRealDevice(arguments))
        storage = TRY(memoryStorageOf(arguments, range, false, file));
    return withTable(
        arguments, "reading",
        [&](ProbeDct& table, const UsbDeviceInfo& device, const OpContext& op) -> Result<> {
            if (!storage)
                storage = TRY(memoryStorageOf(arguments, range, device.simulated, file));
            const auto bytes = TRY(table.readSecret(offset, length, op));
            TRY(writeMemoryFile(file, bytes, *storage));
            if (arguments.has("json"))
                printJson({{"event", "read"},
                           {"device", toText(device.port)},
                           {"offset", offset},
                           {"length", length},
                           {"file", file},
                           {"sha256", sha256Hex(bytes.reveal())}});
            else
                printText(concat(file, ": ", counted(length, "byte"), " from DCT offset ", offset));
            return {};
        });
}

Result<> writeTable(const Arguments& arguments)
{
    const auto offset = TRY(arguments.number("offset", 0));
    const std::string& file = arguments.positionals()[1];
    const SecretBytes bytes = TRY(readSecretFile(file, kBothSectors));
    if (bytes.empty())
        return fail(Errc::InvalidArgument, Blame::Operator,
                    concat("write ", file, ": the file is empty"));
    return withTable(
        arguments, "writing",
        [&](ProbeDct& table, const UsbDeviceInfo& device, const OpContext& op) -> Result<> {
            TRY(table.writeSecret(offset, bytes, op));
            if (arguments.has("json"))
                printJson({{"event", "write"},
                           {"device", toText(device.port)},
                           {"offset", offset},
                           {"length", bytes.size()},
                           {"verified", true}});
            else
                printText(concat("wrote ", counted(bytes.size(), "byte"), " at DCT offset ", offset,
                                 ", read back equal"));
            return {};
        });
}

Result<> restoreTable(const Arguments& arguments)
{
    const std::string& file = arguments.positionals()[1];
    const SecretBytes bytes = TRY(readSecretFile(file, kBothSectors));
    return withTable(
        arguments, "restoring",
        [&](ProbeDct& table, const UsbDeviceInfo& device, const OpContext& op) -> Result<> {
            TRY(table.restore(bytes, op));
            if (arguments.has("json"))
                printJson({{"event", "restore"},
                           {"device", toText(device.port)},
                           {"length", bytes.size()},
                           {"verified", true}});
            else
                printText("restored both DCT sectors, read back equal");
            return {};
        });
}

} // namespace

std::vector<Command> stlinkDctCommands()
{
    const Option platform{
        .name = "platform", .value = "P", .help = "photon, p1 or electron", .required = true};
    const Option offset{
        .name = "offset", .value = "N", .help = "of the application DCT", .required = true};
    return {
        probeCommand(
            "stlink dct-read", "Reads a field of the DCT copy that counts", 1,
            withMemoryOptions({platform,
                               offset,
                               {.name = "length", .value = "N", .help = "bytes", .required = true},
                               {.name = "output",
                                .value = "FILE",
                                .help = "new file, mode 0600; also -o",
                                .required = true}}),
            "provost stlink dct-read sim:p1-serial1#1 --platform p1 --offset 2082 --length 512 "
            "-o server.bin",
            readTable),
        probeCommand(
            "stlink dct-write",
            "Patches the DCT; refused where firmware 0.7.0 and later has sealed it", 2,
            {platform, offset},
            "provost stlink dct-write sim:p1-serial1#1 server.bin --platform p1 --offset 2082",
            writeTable),
        probeCommand(
            "stlink dct-restore",
            "Writes both DCT sectors as they were once read from 0x08004000 on", 2, {platform},
            "provost stlink read sim:p1-serial1#1 --address 0x08004000 --length 32768 -o both.bin\n"
            "provost stlink dct-restore sim:p1-serial1#1 both.bin --platform p1",
            restoreTable)};
}

} // namespace provost::cli
