// `provost dfu …`: DFU by itself, for engineers and as an independent check.
#include "cli/commands.h"
#include "cli/device_address.h"
#include "cli/dfu_write.h"
#include "cli/key_storage.h"
#include "cli/output.h"
#include "config/load_plan.h"
#include "core/byte_io.h"
#include "core/file_io.h"
#include "core/text.h"
#include "crypto/digest.h"
#include "device/particle_unit.h"
#include "host/host.h"

#include <algorithm>

namespace provost::cli {

using namespace std::chrono_literals;

namespace {

constexpr auto kBudget = 10min;
constexpr std::uint32_t kLargestRead = 2U << 20;

constexpr const char* kToDfu = "A unit that runs firmware is brought to DFU mode first.";

struct Listed {
    UsbDeviceInfo info{};
    std::vector<DfuAlternate> alternates{};
};

/// Devices of other makers are not opened, and of our own only descriptors are read.
Result<std::vector<Listed>> listOn(UsbBus& bus, const OpContext& op)
{
    const auto platforms = TRY(loadPlatforms(dataFolders().platforms));
    std::vector<Listed> found;
    const auto devices = TRY(bus.enumerate());
    for (const auto& info : devices) {
        if (std::ranges::find(platforms, info.id, &PlatformSpec::dfu) == platforms.end())
            continue;
        auto usb = bus.open(info);
        if (!usb)
            continue; // in use, or another user's
        auto memories = DfuDevice::describe(**usb, op.within(5s));
        if (!memories && memories.error().code == Errc::Cancelled)
            return Unexpected(memories.error());
        if (memories)
            found.push_back({.info = info, .alternates = std::move(*memories)});
    }
    return found;
}

/// New units on a bench of our own have nobody who would press their buttons. One that does not
/// come to DFU mode is not listed, as on a real bus.
void bringToDfu(const AddressedBus& bus, const OpContext& op)
{
    for (const auto& slot : bus.bench->slots()) {
        const auto info = bus.usb->waitFor(slot.port, {}, op.within(1s));
        const auto platform = info ? platformOf(*info) : fail(Errc::NotFound, Blame::Unit, "");
        if (!platform || info->id != platform->firmware)
            continue;
        ParticleUnit unit({.usb = *bus.usb, .serial = *bus.serial, .port = slot.port}, *platform);
        static_cast<void>(unit.bringTo(UnitMode::Dfu, op));
    }
}

std::uint64_t sizeOf(const DfuAlternate& alternate)
{
    std::uint64_t size = 0;
    for (const auto& region : alternate.layout)
        size += region.size;
    return size;
}

std::string toText(const UsbId& id)
{
    return concat(hex16(id.vendor), ":", hex16(id.product));
}

void print(const Listed& device, bool json)
{
    JsonArray memories;
    std::string text =
        concat(leftIn(12, toText(device.info.port)), "  ", toText(device.info.id), "  ",
               orDash(device.info.serial), device.info.simulated ? "  SIMULATED" : "");
    for (const auto& alternate : device.alternates) {
        const auto size = sizeOf(alternate);
        memories.add(
            JsonObject{{"alt", alternate.number}, {"name", alternate.name}, {"size", size}});
        text += concat("\n  alt ", static_cast<int>(alternate.number), "  ",
                       leftIn(24, alternate.name), rightIn(6, std::to_string(size / 1024)), " KiB");
    }
    if (json)
        printJson({{"event", "device"},
                   {"device", toText(device.info.port)},
                   {"id", toText(device.info.id)},
                   {"serial", textOrNull(device.info.serial)},
                   {"simulated", device.info.simulated},
                   {"memories", memories}});
    else
        printText(text);
}

Result<> list(const Arguments& arguments)
{
    const SystemClock clock;
    const StopSignal stop;
    const auto op = commandContext(clock, kBudget, nullptr, stop);
    const auto bus = TRY(
        openBus(arguments.positionals().empty() ? std::string{} : arguments.positionals()[0], op));
    if (bus.bench)
        bringToDfu(bus, op);
    const auto found = TRY(listOn(*bus.usb, op));
    for (const auto& device : found)
        print(device, arguments.has("json"));
    if (arguments.has("json"))
        printJson({{"event", "devices"}, {"count", found.size()}});
    else if (found.empty())
        printText("no device in DFU mode; a board goes there when SETUP is held over a tap on "
                  "RESET until the LED blinks yellow");
    return {};
}

Result<> readMemory(const Arguments& arguments)
{
    const auto address = TRY(arguments.hex("address"));
    const auto length = TRY(arguments.number("length", 0));
    const auto alternate = TRY(alternateOf(arguments));
    const std::string file = arguments.text("output");
    if (length == 0 || length > kLargestRead)
        return fail(Errc::InvalidArgument, Blame::Operator,
                    concat("--length ", length, ": must be 1 to ", kLargestRead));
    if (std::filesystem::exists(std::filesystem::symlink_status(file)))
        return fail(Errc::Denied, Blame::Operator,
                    concat("write ", file,
                           ": it exists already and is never overwritten; name "
                           "another file"));
    const SystemClock clock;
    const StopSignal stop;
    ProgressBar bar;
    const auto op = commandContext(clock, kBudget, &bar, stop).phase("reading", 0, 1);
    auto device = TRY(findDevice(arguments.positionals()[0], op));
    const auto storage = TRY(
        memoryStorageOf(arguments, {.alternate = alternate, .address = address, .length = length},
                        device.info.simulated, file));
    auto dfu = TRY(openDfu(device, op));
    TRY(dfu.select(alternate, op));
    // It may hold keys: kept in wiped memory, in a file that only its owner reads.
    const auto bytes = TRY(dfu.uploadSecret(address, length, op));
    TRY(writeMemoryFile(file, bytes, storage));
    bar.clear();
    if (arguments.has("json"))
        printJson({{"event", "read"},
                   {"device", toText(device.info.port)},
                   {"alt", alternate},
                   {"address", hex32(address)},
                   {"length", length},
                   {"file", file},
                   {"sha256", sha256Hex(bytes.reveal())}});
    else
        printText(concat(file, ": ", counted(length, "byte"), " from ", hex32(address),
                         " of memory ", static_cast<int>(alternate)));
    return {};
}

Result<> eraseMemory(const Arguments& arguments)
{
    const auto address = TRY(arguments.hex("address"));
    const auto length = TRY(arguments.number("length", 0));
    const auto alternate = TRY(alternateOf(arguments));
    if (length == 0)
        return fail(Errc::InvalidArgument, Blame::Operator, "--length 0: must be at least 1");
    const SystemClock clock;
    const StopSignal stop;
    ProgressBar bar;
    const auto op = commandContext(clock, kBudget, &bar, stop).phase("erasing", 0, 1);
    auto device = TRY(findDevice(arguments.positionals()[0], op));
    auto dfu = TRY(openDfu(device, op));
    TRY(dfu.select(alternate, op));
    TRY(dfu.erase(address, length, op));
    bar.clear();
    if (arguments.has("json"))
        printJson({{"event", "erase"},
                   {"device", toText(device.info.port)},
                   {"alt", alternate},
                   {"address", hex32(address)},
                   {"length", length}});
    else
        printText(concat("erased every sector that holds one of ", counted(length, "byte"),
                         " from ", hex32(address)));
    return {};
}

} // namespace

std::vector<Command> dfuCommands()
{
    const Option alt{.name = "alt",
                     .value = "A",
                     .help = "memory: 0 flash, 1 configuration of the unit",
                     .required = true};
    const Option address{.name = "address", .value = "HEX", .help = "first byte", .required = true};
    const std::string image = (dataFolders().images / "photon-2.3.1-user-demo.bin").string();
    return {
        {.path = "dfu list",
         .summary = "Lists devices in DFU mode with their memories",
         .positionals = "[BUS]",
         .maxPositionals = 1,
         .example = "provost dfu list sim:photon-quick --json",
         .run = [](const Arguments& a) { return reportIfFailed(list(a), a); },
         .notes = busNotes() + ", brought to DFU mode"},
        {.path = "dfu read",
         .summary = "Reads memory into a new file; the length is mandatory",
         .positionals = "DEVICE",
         .minPositionals = 1,
         .maxPositionals = 1,
         .options =
             withMemoryOptions({alt,
                                address,
                                {.name = "length", .value = "N", .help = "bytes", .required = true},
                                {.name = "output",
                                 .value = "FILE",
                                 .help = "new file, mode 0600; also -o",
                                 .required = true}}),
         .example =
             "provost dfu read sim:photon-quick#1 --alt 1 --address 0x22 --length 612 -o slot.der",
         .run = [](const Arguments& a) { return reportIfFailed(readMemory(a), a); },
         .notes = deviceNotes() + "\n" + kToDfu},
        {.path = "dfu write",
         .summary = "Writes a file, sector by sector, and verifies it by read-back",
         .positionals = "DEVICE FILE",
         .minPositionals = 2,
         .maxPositionals = 2,
         .options = {{.name = "alt",
                      .value = "A",
                      .help = "memory: 0 flash, 1 configuration; all of a DfuSe file without"},
                     {.name = "address",
                      .value = "HEX",
                      .help = "first byte; a DfuSe file names its own"},
                     {.name = "no-verify", .help = "do not read back"},
                     {.name = "leave", .help = "start the firmware afterwards"}},
         .example =
             concat("provost dfu write sim:photon-quick#1 --alt 0 --address 0x080a0000 ", image),
         .run = [](const Arguments& a) { return reportIfFailed(writeMemory(a), a); },
         .notes = deviceNotes() + "\n" + kToDfu +
                  "\nFILE  any content; with a DFU suffix it is checked for damage and for the "
                  "device it is\n      meant for, and written without it; a DfuSe file is written "
                  "where it says\nSectors that hold the wanted bytes already are left alone; of "
                  "others, whole sectors go."},
        {.path = "dfu erase",
         .summary = "Erases every sector that a range touches: whole sectors go",
         .positionals = "DEVICE",
         .minPositionals = 1,
         .maxPositionals = 1,
         .options = {alt,
                     address,
                     {.name = "length", .value = "N", .help = "bytes", .required = true}},
         .example =
             "provost dfu erase sim:photon-quick#1 --alt 0 --address 0x080a0000 --length 131072",
         .run = [](const Arguments& a) { return reportIfFailed(eraseMemory(a), a); },
         .notes = deviceNotes() + "\n" + kToDfu}};
}

} // namespace provost::cli
