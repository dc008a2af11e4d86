#include "cli/dfu_write.h"

#include "cli/device_address.h"
#include "cli/module_guard.h"
#include "cli/output.h"
#include "config/load_plan.h"
#include "core/byte_io.h"
#include "core/text.h"
#include "crypto/secret_file.h"
#include "device/dfu_target.h"
#include "device/particle_unit.h"
#include "host/host.h"
#include "image/dfu_file.h"
#include "image/module_info.h"

#include <algorithm>
#include <set>

namespace provost::cli {

using namespace std::chrono_literals;

namespace {

constexpr auto kWriteBudget = 10min;
constexpr auto kReturn = 10s; // protocol sheet 6.4
constexpr std::size_t kLargestWrite = 4UL << 20;

/// One run of bytes for one memory; a view into the file.
struct WriteItem {
    std::uint8_t alternate = 0;
    std::uint32_t address = 0;
    ByteView bytes{};
};

/// A file that cannot be trusted is refused, not mistyped.
Unexpected refusedFile(Error error, const std::string& file)
{
    error.code = Errc::Denied;
    return Unexpected(inFrame(std::move(error), file));
}

Result<DfuFile> readDfuFile(const std::string& name, ByteView bytes)
{
    auto file = parseDfuFile(bytes);
    if (!file)
        return refusedFile(std::move(file).error(), name);
    if (!file->suffix && std::filesystem::path(name).extension() == ".dfu")
        return fail(Errc::Denied, Blame::Operator,
                    concat("write ", name,
                           ": a .dfu file without its suffix: it was cut off; get it anew"));
    if (file->images.empty() && file->content.empty())
        return fail(Errc::InvalidArgument, Blame::Operator,
                    concat("write ", name, ": the file is empty"));
    return file;
}

Result<std::vector<WriteItem>> itemsOf(const Arguments& arguments, const DfuFile& file)
{
    const bool hasAlternate = arguments.has("alt");
    if (file.images.empty()) {
        if (!hasAlternate || !arguments.has("address"))
            return fail(Errc::InvalidArgument, Blame::Operator,
                        "--alt and --address: this file names no addresses of its own");
        const auto alternate = TRY(alternateOf(arguments));
        const auto address = TRY(arguments.hex("address"));
        return std::vector{
            WriteItem{.alternate = alternate, .address = address, .bytes = file.content}};
    }
    if (arguments.has("address"))
        return fail(Errc::InvalidArgument, Blame::Operator,
                    "--address: a DfuSe file names its own addresses, leave this out");
    const auto wanted = TRY(alternateOf(arguments));
    std::vector<WriteItem> items;
    for (const auto& image : file.images) {
        for (const auto& element : image.elements) {
            if (!hasAlternate || image.alternate == wanted)
                items.push_back({.alternate = image.alternate,
                                 .address = element.address,
                                 .bytes = element.bytes});
        }
    }
    if (items.empty())
        return fail(Errc::Denied, Blame::Operator,
                    concat("--alt ", static_cast<int>(wanted),
                           ": the file has nothing for this memory; leave this out"));
    return items;
}

Result<> madeFor(const ModuleInfo& module, const PlatformSpec& platform)
{
    if (module.platformId == platform.id)
        return {};
    return fail(Errc::Denied, Blame::Operator,
                concat("write the file: it is a module for platform ", module.platformId,
                       ", the unit is ", platform.name, " (", platform.id, ")"));
}

Result<> checkPlaces(const DfuDevice& dfu, const std::vector<WriteItem>& items)
{
    for (const auto& item : items) {
        const auto memories = dfu.alternates();
        const auto memory = std::ranges::find(memories, item.alternate, &DfuAlternate::number);
        if (memory == memories.end())
            return fail(Errc::Denied, Blame::Operator,
                        concat("write to memory ", static_cast<int>(item.alternate),
                               ": the unit has ", memories.size(), "; see provost dfu list"));
        TRY(checkProgrammable(memory->layout, item.address, item.bytes.size()));
    }
    return {};
}

/// A table in plain flash is erased by whole sectors: the second write would lose the first.
Result<> checkTable(const DfuDevice& dfu, const DctLayout& table, std::vector<WriteItem> items)
{
    if (table.format != DctFormat::Plain)
        return {};
    std::erase_if(items, [&](const WriteItem& item) { return item.alternate != table.alternate; });
    const auto memories = dfu.alternates();
    const auto memory = std::ranges::find(memories, table.alternate, &DfuAlternate::number);
    if (items.size() < 2 || memory == memories.end())
        return {};
    std::vector<MemoryBlock> places; // content is not needed, and it may be keys
    for (const auto& item : items)
        places.push_back({.address = item.address, .bytes = Bytes(item.bytes.size())});
    if (TRY(mergedBySector(memory->layout, std::move(places))).size() == items.size())
        return {};
    return fail(Errc::Denied, Blame::Operator,
                concat("write ", items.size(), " elements to memory ",
                       static_cast<int>(table.alternate),
                       ": two of them share a sector, which is erased as a whole; make them one"));
}

void add(ProgramOutcome& total, const ProgramOutcome& part)
{
    total.written += part.written;
    total.skipped += part.skipped;
    total.sectors += part.sectors;
    total.sectorsSkipped += part.sectorsSkipped;
}

/// Memory other than flash: it may take keys, so the bytes stay in wiped memory all the way.
Result<ProgramOutcome> writeTable(DfuDevice& dfu, const DctLayout& table, const WriteItem& item,
                                  bool verify, const OpContext& op)
{
    const auto size = static_cast<std::uint32_t>(item.bytes.size());
    if (verify) {
        const auto present =
            TRY(dfu.uploadSecret(item.address, size, op.phase("comparing", 0, 0.2)));
        if (equalBytes(present.reveal(), item.bytes))
            return ProgramOutcome{.skipped = size, .sectorsSkipped = 1};
    }
    if (table.format == DctFormat::Plain) // the Core's is flash; the others see to it themselves
        TRY(dfu.erase(item.address, size, op));
    TRY(dfu.downloadSecret(item.address, SecretBytes(item.bytes), op.phase("writing", 0.2, 0.7)));
    if (verify) {
        const auto found = TRY(dfu.uploadSecret(item.address, size, op.phase("verifying", 0.7, 1)));
        if (!equalBytes(found.reveal(), item.bytes))
            return fail(Errc::Mismatch, Blame::Unit,
                        concat("verify ", size, " bytes at ", hex32(item.address),
                               ": the unit holds something else; write again"));
    }
    return ProgramOutcome{.written = size, .sectors = 1};
}

Result<ProgramOutcome> writeBlock(DfuDevice& dfu, const MemoryBlock& block, bool verify,
                                  const OpContext& op)
{
    if (verify) {
        DfuTarget target(dfu);
        return programAndVerify(target, block, op);
    }
    const auto size = static_cast<std::uint32_t>(block.bytes.size());
    TRY(dfu.erase(block.address, size, op.phase("erasing", 0, 0.3)));
    TRY(dfu.download(block, op.phase("writing", 0.3, 1)));
    return ProgramOutcome{.written = size};
}

Result<ProgramOutcome> writeFlash(DfuDevice& dfu, const std::vector<WriteItem>& items, bool verify,
                                  const OpContext& op)
{
    std::vector<MemoryBlock> given;
    for (const auto& item : items)
        given.push_back({.address = item.address, .bytes = toBytes(item.bytes)});
    const auto blocks = TRY(mergedBySector(dfu.layout(), std::move(given)));
    ProgramOutcome total;
    for (std::size_t i = 0; i < blocks.size(); ++i)
        add(total, TRY(writeBlock(dfu, blocks[i], verify, op.part(i, blocks.size()))));
    return total;
}

Result<ProgramOutcome> writeItems(DfuDevice& dfu, const DctLayout& table,
                                  const std::vector<WriteItem>& items, bool verify,
                                  const OpContext& op)
{
    std::set<std::uint8_t> memories;
    for (const auto& item : items)
        memories.insert(item.alternate);
    ProgramOutcome total;
    std::size_t done = 0;
    for (const auto memory : memories) {
        TRY(dfu.select(memory, op));
        std::vector<WriteItem> here;
        std::ranges::copy_if(items, std::back_inserter(here),
                             [memory](const WriteItem& item) { return item.alternate == memory; });
        const auto share = op.part(done++, memories.size());
        if (memory != table.alternate) {
            add(total, TRY(writeFlash(dfu, here, verify, share)));
            continue;
        }
        for (std::size_t i = 0; i < here.size(); ++i)
            add(total, TRY(writeTable(dfu, table, here[i], verify, share.part(i, here.size()))));
    }
    return total;
}

/// Starts the firmware; that the board shows up anew as such is the proof.
Result<> leaveDfu(AddressedDevice& device, const PlatformSpec& platform, DfuDevice& dfu,
                  std::uint32_t entry, const OpContext& op)
{
    ParticleUnit unit({.usb = *device.usb, .serial = *device.serial, .port = device.info.port},
                      platform);
    TRY(dfu.leave(entry, op));
    TRY(unit.waitForNewIncarnation(device.info.incarnation, op));
    const auto seen = TRY(device.usb->waitFor(device.info.port, {}, op.within(kReturn)));
    if (seen.id != platform.firmware)
        return fail(Errc::Unavailable, Blame::Unit,
                    concat("start the firmware of ", toText(device.info.port), ": ",
                           hex16(seen.id.vendor), ":", hex16(seen.id.product),
                           " came back; the unit holds no firmware that starts, write one"));
    return {};
}

void printWritten(const Arguments& arguments, const UsbDeviceInfo& device,
                  const std::vector<WriteItem>& items, const ProgramOutcome& outcome)
{
    const bool verified = !arguments.has("no-verify");
    std::size_t length = 0;
    for (const auto& item : items)
        length += item.bytes.size();
    const auto& first = items.front();
    const bool single = items.size() == 1;
    const bool oneMemory = std::ranges::all_of(
        items, [&](const WriteItem& item) { return item.alternate == first.alternate; });
    if (arguments.has("json"))
        printJson({{"event", "write"},
                   {"device", toText(device.port)},
                   {"alt", oneMemory ? JsonValue(first.alternate) : JsonValue()},
                   {"address", single ? JsonValue(hex32(first.address)) : JsonValue()},
                   {"elements", items.size()},
                   {"length", length},
                   {"skipped", outcome.skipped},
                   {"sectors", outcome.sectors},
                   {"sectors_skipped", outcome.sectorsSkipped},
                   {"verified", verified}});
    else
        printText(
            concat("wrote ", counted(outcome.written, "byte"),
                   single ? concat(" at ", hex32(first.address))
                          : concat(" of ", items.size(), " elements"),
                   outcome.skipped > 0
                       ? concat(", ", outcome.skipped, " bytes in ",
                                counted(static_cast<std::size_t>(outcome.sectorsSkipped), "sector"),
                                " were there already")
                       : std::string{},
                   verified ? ", verified" : ", NOT verified"));
}

} // namespace

Result<std::uint8_t> alternateOf(const Arguments& arguments)
{
    const auto alternate = TRY(arguments.number("alt", 0));
    if (alternate > 255)
        return fail(Errc::InvalidArgument, Blame::Operator,
                    concat("--alt ", alternate, ": must be 0 to 255; see provost dfu list"));
    return static_cast<std::uint8_t>(alternate);
}

Result<> writeMemory(const Arguments& arguments)
{
    const std::string& name = arguments.positionals()[1];
    const SecretBytes bytes = TRY(readSecretFile(name, kLargestWrite));
    const DfuFile file = TRY(readDfuFile(name, bytes.reveal()));
    const auto items = TRY(itemsOf(arguments, file));
    const SystemClock clock;
    const StopSignal stop;
    ProgressBar bar;
    const auto op = commandContext(clock, kWriteBudget, &bar, stop).phase("writing", 0, 1);
    auto device = TRY(findDevice(arguments.positionals()[0], op));
    const auto platform = TRY(platformOf(device.info));
    for (const auto& item : items) {
        const auto fits = [&](const ModuleInfo& module) { return madeFor(module, platform); };
        if (auto allowed = checkModule(item.bytes, item.address, device.info.simulated, fits);
            !allowed)
            return Unexpected(inFrame(std::move(allowed).error(), name));
    }
    auto dfu = TRY(openDfu(device, op));
    if (file.suffix)
        TRY(checkDfuRecipient(*file.suffix, device.info.id.vendor, device.info.id.product));
    TRY(checkPlaces(dfu, items));
    TRY(checkTable(dfu, platform.dct, items));
    const auto outcome = TRY(writeItems(dfu, platform.dct, items, !arguments.has("no-verify"), op));
    if (arguments.has("leave"))
        TRY(leaveDfu(device, platform, dfu, items.front().address, op));
    bar.clear();
    printWritten(arguments, device.info, items, outcome);
    return {};
}

} // namespace provost::cli
