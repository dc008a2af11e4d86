#include "protocol/dfu_descriptors_p.h"

#include "core/byte_io.h"
#include "core/text.h"
#include "protocol/unit_text_p.h"

#include <algorithm>

namespace provost {

namespace {

constexpr std::uint8_t kDevice = 1;
constexpr std::uint8_t kConfiguration = 2;
constexpr std::uint8_t kString = 3;
constexpr std::uint8_t kInterface = 4;
constexpr std::uint8_t kFunctional = 0x21;
constexpr std::uint8_t kDfuClass = 0xFE;
constexpr std::uint8_t kDfuSubClass = 0x01;
constexpr std::uint8_t kRunTime = 0x01;
constexpr std::uint8_t kDfuMode = 0x02;
constexpr std::uint16_t kDfuSeVersion = 0x011A;
// libusb's Linux back end refuses more in one control transfer (sheet 1.8).
constexpr std::uint16_t kMaxTransferSize = 4096;

struct Found {
    std::optional<std::uint8_t> runTime{};
    std::optional<DfuAttributes> runTimeAttributes{};
    std::optional<std::uint8_t> number{};
    std::vector<std::pair<std::uint8_t, std::uint8_t>> alternates{}; ///< number, string index
    std::optional<DfuAttributes> attributes{};
};

std::optional<DfuAttributes> parseFunctional(ByteView bytes)
{
    // 7 bytes: DFU 1.0, without a version.
    if (bytes.size() < 7 || u8(bytes[1]) != kFunctional)
        return std::nullopt;
    const std::uint8_t bits = u8(bytes[2]);
    return DfuAttributes{.canDownload = (bits & 1) != 0,
                         .canUpload = (bits & 2) != 0,
                         .manifestationTolerant = (bits & 4) != 0,
                         .willDetach = (bits & 8) != 0,
                         .detachTimeoutMs = readLe16(bytes, 3),
                         .transferSize = readLe16(bytes, 5),
                         .version = bytes.size() >= 9 ? readLe16(bytes, 7) : std::uint16_t{0x0100}};
}

/// To which interface the descriptors that follow belong.
enum class Owner : std::uint8_t { Other, RunTime, DfuMode };

Owner noteInterface(ByteView bytes, Found& found)
{
    if (bytes.size() < 9 || u8(bytes[5]) != kDfuClass || u8(bytes[6]) != kDfuSubClass)
        return Owner::Other;
    if (u8(bytes[7]) == kRunTime) {
        found.runTime = u8(bytes[2]);
        return Owner::RunTime;
    }
    if (u8(bytes[7]) != kDfuMode || (found.number && *found.number != u8(bytes[2])))
        return Owner::Other;
    found.number = u8(bytes[2]);
    found.alternates.emplace_back(u8(bytes[3]), u8(bytes[8]));
    return Owner::DfuMode;
}

Found walk(ByteView configuration)
{
    Found found;
    Owner owner = Owner::Other;
    while (configuration.size() >= 2) {
        const std::size_t length = u8(configuration[0]);
        if (length < 2 || length > configuration.size())
            break;
        const ByteView item = configuration.first(length);
        if (u8(item[1]) == kInterface)
            owner = noteInterface(item, found);
        else if (u8(item[1]) == kFunctional && owner == Owner::DfuMode && !found.attributes)
            found.attributes = parseFunctional(item);
        else if (u8(item[1]) == kFunctional && owner == Owner::RunTime)
            found.runTimeAttributes = parseFunctional(item);
        configuration = configuration.subspan(length);
    }
    return found;
}

std::string readString(UsbDevice& usb, std::uint8_t index)
{
    if (index == 0)
        return {};
    const auto raw = usb.descriptor(kString, index);
    std::string text;
    for (std::size_t i = 2; raw && i + 1 < raw->size(); i += 2) {
        const std::uint16_t unit = readLe16(*raw, i);
        text.push_back(unit < 0x80 ? static_cast<char>(unit) : '?');
    }
    // Compile-time lengths leave NULs behind the text.
    while (!text.empty() && text.back() == '\0')
        text.pop_back();
    return text;
}

DfuAlternate describe(std::uint8_t number, const std::string& text)
{
    DfuAlternate alternate{.number = number, .name = printable(text)};
    if (text.empty() || text.front() != '@')
        return alternate;
    alternate.name = printable(std::string_view(text).substr(1, text.find('/') - 1));
    if (auto layout = parseMemoryLayout(text))
        alternate.layout = std::move(*layout);
    return alternate;
}

Result<DfuAttributes> usableAttributes(UsbDevice& usb, std::optional<DfuAttributes> found)
{
    if (!found) {
        if (const auto raw = usb.descriptor(kFunctional, 0))
            found = parseFunctional(*raw);
    }
    if (!found || found->version != kDfuSeVersion)
        return fail(Errc::Unsupported, Blame::Unit,
                    concat("open DFU: version ", found ? hex16(found->version) : "unknown",
                           " instead of 011a, DfuSe"));
    if (found->transferSize == 0)
        return fail(Errc::Unsupported, Blame::Unit, "open DFU: the unit takes 0 bytes a block");
    return *found;
}

} // namespace

Result<DfuInterface> readDfuInterface(UsbDevice& usb, const OpContext& op)
{
    const Bytes configuration = TRY(usb.descriptor(kConfiguration, 0));
    const Found found = walk(configuration);
    if (!found.number)
        return fail(
            Errc::Unsupported, Blame::Unit,
            concat("open DFU at ", toText(usb.info().port), ": ",
                   found.runTime ? "the firmware runs, not the boot loader" : "no DFU interface"));
    DfuInterface result{.number = *found.number};
    result.attributes = TRY(usableAttributes(usb, found.attributes));
    result.announcedTransferSize = result.attributes.transferSize;
    const Bytes device = TRY(usb.descriptor(kDevice, 0));
    const std::uint16_t packet = device.size() >= 8 ? u8(device[7]) : std::uint16_t{64};
    result.attributes.transferSize =
        std::min(std::max(result.attributes.transferSize, packet), kMaxTransferSize);
    for (const auto& [number, name] : found.alternates) {
        TRY(op.checkpoint());
        result.alternates.push_back(describe(number, readString(usb, name)));
    }
    return result;
}

Result<DfuRunTime> readDfuRunTime(UsbDevice& usb)
{
    const Bytes configuration = TRY(usb.descriptor(kConfiguration, 0));
    const Found found = walk(configuration);
    if (!found.runTime)
        return fail(Errc::Unsupported, Blame::Unit,
                    concat("detach ", toText(usb.info().port), ": no run-time DFU interface"));
    return DfuRunTime{.number = *found.runTime,
                      .attributes = found.runTimeAttributes.value_or(DfuAttributes{})};
}

} // namespace provost
