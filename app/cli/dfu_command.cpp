// `provost dfu …`: DFU by itself, for engineers and as an independent check.
#include "cli/commands.h"
#include "cli/device_address.h"
#include "cli/output.h"
#include "core/byte_io.h"
#include "core/file_io.h"
#include "core/text.h"
#include "crypto/digest.h"
#include "device/dfu_target.h"
#include "image/module_info.h"
#include "transport/libusb_bus.h"

#include <QJsonArray>

namespace provost::cli {

using namespace std::chrono_literals;

namespace {

constexpr auto kBudget = 10min;
constexpr std::uint32_t kLargestRead = 2U << 20;

QJsonObject toJson(const UsbDeviceInfo& info)
{
    return {{"event", "device"},
            {"device", toQt(toText(info.port))},
            {"id", toQt(concat(hex16(info.id.vendor), ":", hex16(info.id.product)))},
            {"serial", textOrNull(info.serial)}};
}

Result<int> listOn(UsbBus& bus, const Arguments& arguments, const OpContext& op)
{
    int count = 0;
    const auto devices = TRY(bus.enumerate());
    for (const auto& info : devices) {
        auto usb = bus.open(info);
        if (!usb)
            continue; // not ours to open: it is no DFU device of this user
        auto dfu = DfuDevice::open(std::move(*usb), op.within(5s));
        if (!dfu)
            continue;
        ++count;
        auto object = toJson(info);
        QJsonArray memories;
        std::string text = concat(toText(info.port), "  ", hex16(info.id.vendor), ":",
                                  hex16(info.id.product), "  ", info.serial);
        for (const auto& alternate : dfu->alternates()) {
            std::uint64_t size = 0;
            for (const auto& region : alternate.layout)
                size += region.size;
            memories.append(QJsonObject{{"alt", alternate.number},
                                        {"name", toQt(alternate.name)},
                                        {"size", static_cast<qint64>(size)}});
            text += concat("\n  alt ", static_cast<int>(alternate.number), "  ", alternate.name,
                           "  ", size / 1024, " KiB");
        }
        object["memories"] = memories;
        if (arguments.has("json"))
            printJson(object);
        else
            printText(text);
    }
    return count;
}

Exit list(const Arguments& arguments)
{
    const SystemClock clock;
    const StopSignal stop;
    const auto op = commandContext(clock, kBudget, nullptr, stop);
    auto bus = LibusbBus::create();
    if (!bus)
        return report(bus.error(), arguments);
    const auto count = listOn(**bus, arguments, op);
    if (!count)
        return report(count.error(), arguments);
    if (arguments.has("json"))
        printJson({{"event", "devices"}, {"count", *count}});
    else if (*count == 0)
        printText("no device in DFU mode");
    return Exit::Pass;
}

Result<> readMemory(const Arguments& arguments)
{
    const auto address = TRY(arguments.number("address", 0));
    const auto length = TRY(arguments.number("length", 0));
    const auto alternate = TRY(arguments.number("alt", 0));
    if (length == 0 || length > kLargestRead)
        return fail(Errc::InvalidArgument, Blame::Operator,
                    concat("--length ", length, ": must be 1 to ", kLargestRead));
    if (std::filesystem::exists(arguments.text("output")))
        return fail(Errc::Denied, Blame::Operator,
                    concat("write ", arguments.text("output"), ": it exists already"));
    const SystemClock clock;
    const StopSignal stop;
    ProgressBar bar;
    const auto op = commandContext(clock, kBudget, &bar, stop).phase("reading", 0, 1);
    auto device = TRY(findDevice(arguments.positionals()[0], op));
    auto dfu = TRY(openDfu(device, op));
    TRY(dfu.select(static_cast<std::uint8_t>(alternate), op));
    // It may hold keys: kept in wiped memory, in a file that only its owner reads.
    const auto bytes = TRY(dfu.uploadSecret(address, length, op));
    TRY(writeNewFile(arguments.text("output"), bytes.reveal(), 0600));
    if (arguments.has("json"))
        printJson({{"event", "read"},
                   {"device", toQt(toText(device.info.port))},
                   {"alt", static_cast<int>(alternate)},
                   {"address", toQt(hex32(address))},
                   {"length", static_cast<qint64>(length)},
                   {"sha256", toQt(sha256Hex(bytes.reveal()))}});
    else
        printText(concat("read ", length, " bytes at ", hex32(address), " of memory ", alternate,
                         " into ", arguments.text("output")));
    return {};
}

Exit read(const Arguments& arguments)
{
    const auto done = readMemory(arguments);
    return done ? Exit::Pass : report(done.error(), arguments);
}

/// A module that belongs elsewhere is refused before the first write.
Result<> checkModule(ByteView file, std::uint32_t address, bool simulated)
{
    const auto module = parseModule(file);
    if (!module)
        return {}; // plain data
    if (!module->crcOk())
        return fail(Errc::Denied, Blame::Operator,
                    "write the file: it is a module whose CRC is wrong");
    constexpr std::uint16_t kPhoton = 6; // particle-devices 1.1
    if (module->platformId != kPhoton)
        return fail(Errc::Denied, Blame::Operator,
                    concat("write the file: it is a module for platform ", module->platformId,
                           ", the unit is ", kPhoton));
    if (module->start != address)
        return fail(Errc::Denied, Blame::Operator,
                    concat("write the file at ", hex32(address), ": its header says ",
                           hex32(module->start)));
    if (module->demo && !simulated)
        return Unexpected(Error{.code = Errc::Denied,
                                .blame = Blame::Operator,
                                .message = "write the file: a demo image never goes to a real unit",
                                .frames = {},
                                .native = {},
                                .cause = "C041"});
    return {};
}

Result<> writeDct(DfuDevice& dfu, const MemoryBlock& block, bool verify, const OpContext& op)
{
    TRY(dfu.download(block, op.phase("writing", 0, 0.7)));
    if (!verify)
        return {};
    const auto size = static_cast<std::uint32_t>(block.bytes.size());
    const auto found = TRY(dfu.uploadSecret(block.address, size, op.phase("verifying", 0.7, 1)));
    if (!equalBytes(found.reveal(), block.bytes))
        return fail(Errc::Mismatch, Blame::Unit,
                    concat("verify ", size, " bytes at ", hex32(block.address),
                           ": the unit holds something else"));
    return {};
}

Result<> writeMemory(const Arguments& arguments)
{
    const auto address = TRY(arguments.number("address", 0));
    const auto alternate = static_cast<std::uint8_t>(TRY(arguments.number("alt", 0)));
    MemoryBlock block{.address = address,
                      .bytes = TRY(readFile(arguments.positionals()[1], 4UL << 20))};
    if (block.bytes.empty())
        return fail(Errc::InvalidArgument, Blame::Operator,
                    concat(arguments.positionals()[1], ": the file is empty"));
    const SystemClock clock;
    const StopSignal stop;
    ProgressBar bar;
    const auto op = commandContext(clock, kBudget, &bar, stop).phase("writing", 0, 1);
    auto device = TRY(findDevice(arguments.positionals()[0], op));
    TRY(checkModule(block.bytes, address, device.info.simulated));
    auto dfu = TRY(openDfu(device, op));
    TRY(dfu.select(alternate, op));
    const bool verify = !arguments.has("no-verify");
    ProgramOutcome outcome{.written = static_cast<std::uint32_t>(block.bytes.size())};
    if (alternate == 0 && verify) {
        DfuTarget target(dfu);
        outcome = TRY(programAndVerify(target, block, op));
    } else if (alternate == 0) {
        TRY(dfu.erase(address, outcome.written, op.phase("erasing", 0, 0.3)));
        TRY(dfu.download(block, op.phase("writing", 0.3, 1)));
    } else {
        TRY(writeDct(dfu, block, verify, op));
    }
    if (arguments.has("leave"))
        TRY(dfu.leave(address, op));
    if (arguments.has("json"))
        printJson({{"event", "write"},
                   {"device", toQt(toText(device.info.port))},
                   {"alt", alternate},
                   {"address", toQt(hex32(address))},
                   {"length", static_cast<qint64>(block.bytes.size())},
                   {"skipped", static_cast<qint64>(outcome.skipped)},
                   {"verified", verify}});
    else
        printText(concat("wrote ", outcome.written, " bytes at ", hex32(address),
                         outcome.skipped > 0
                             ? concat(", ", outcome.skipped, " bytes were there already")
                             : std::string{},
                         verify ? ", verified" : ", NOT verified"));
    return {};
}

Exit write(const Arguments& arguments)
{
    const auto done = writeMemory(arguments);
    return done ? Exit::Pass : report(done.error(), arguments);
}

} // namespace

std::vector<Command> dfuCommands()
{
    const Option alt{
        .name = "alt", .value = "A", .help = "memory: alternate setting", .required = true};
    const Option address{.name = "address", .value = "HEX", .help = "first byte", .required = true};
    return {
        {.path = "dfu list",
         .summary = "Lists devices in DFU mode with their memories",
         .example = "provost dfu list --json",
         .run = list},
        {.path = "dfu read",
         .summary = "Reads memory into a new file; the length is mandatory",
         .positionals = "DEVICE",
         .minPositionals = 1,
         .maxPositionals = 1,
         .options = {alt,
                     address,
                     {.name = "length", .value = "N", .help = "bytes", .required = true},
                     {.name = "output",
                      .value = "FILE",
                      .help = "new file, mode 0600; also -o",
                      .required = true}},
         .example = "provost dfu read usb:2b04:d006 --alt 1 --address 0x22 --length 612 -o key.der",
         .run = read},
        {.path = "dfu write",
         .summary = "Writes a file, sector by sector, and verifies it by read-back",
         .positionals = "DEVICE FILE",
         .minPositionals = 2,
         .maxPositionals = 2,
         .options = {alt,
                     address,
                     {.name = "no-verify", .help = "do not read back"},
                     {.name = "leave", .help = "start the firmware afterwards"}},
         .example = "provost dfu write usb:2b04:d006 --alt 0 --address 0x080a0000 user.bin --leave",
         .run = write}};
}

} // namespace provost::cli
