#include "image/module_info.h"

#include "core/byte_io.h"
#include "core/crc.h"
#include "core/text.h"
#include "crypto/digest.h"

#include <algorithm>
#include <charconv>

namespace provost {

namespace {

// particle-devices 6.1
constexpr std::size_t kHeaderBytes = 24;
constexpr std::uint32_t kHeaderAtStart = 0;
constexpr std::uint32_t kHeaderBehindVectors = 0x184;
constexpr std::uint32_t kHeaderOfCore = 0x10C;
constexpr std::uint32_t kHeaderOfThirdGeneration = 0x200;
constexpr std::uint32_t kStackPointerMask = 0x2FF10000;
constexpr std::uint32_t kStackPointerValue = 0x20000000;

// particle-devices 6.2; positions count back from the end address
constexpr std::size_t kCrcBytes = 4;
constexpr std::size_t kSuffixBytes = 40;
constexpr std::size_t kSuffixBytesWithoutProduct = 36;
constexpr std::size_t kProductIdBack = 40;
constexpr std::size_t kProductVersionBack = 38;
constexpr std::size_t kSha256Back = 34;
constexpr std::size_t kSuffixSizeBack = 2;
constexpr std::uint32_t kPlaceholderCrc = 0x78563412;

// Provost's own: follows the header of a demo image (firmware-images/README.md).
constexpr std::string_view kDemoMark = "PROVOST-DEMO";

constexpr std::uint16_t kCorePlatform = 0;
constexpr std::uint16_t kLastSecondGeneration = 10;

struct Platform {
    std::uint16_t id = 0;
    std::string_view name{};
};
// particle-devices 1.1
constexpr std::array kPlatforms{
    Platform{0, "core"},   Platform{6, "photon"}, Platform{8, "p1"},     Platform{10, "electron"},
    Platform{12, "argon"}, Platform{13, "boron"}, Platform{14, "xenon"},
};

Unexpected noModule(std::string why)
{
    return fail(Errc::InvalidData, Blame::Station, "read module: " + std::move(why));
}

bool isKnown(ModuleFunction function)
{
    return function >= ModuleFunction::Resource && function <= ModuleFunction::RadioStack;
}

/// Precondition: the header lies inside the file.
ModuleInfo readHeader(ByteView file, std::uint32_t at)
{
    const ByteView header = file.subspan(at, kHeaderBytes);
    ModuleInfo info{
        .headerOffset = at,
        .start = readLe32(header, 0),
        .end = readLe32(header, 4),
        .flags = u8(header[9]),
        .version = readLe16(header, 10),
        .platformId = readLe16(header, 12),
        .function = static_cast<ModuleFunction>(u8(header[14])),
        .index = u8(header[15]),
    };
    for (const std::size_t field : {std::size_t{16}, std::size_t{20}}) {
        const auto function = static_cast<ModuleFunction>(u8(header[field]));
        if (function != ModuleFunction::None)
            info.dependencies.push_back({.function = function,
                                         .index = u8(header[field + 1]),
                                         .version = readLe16(header, field + 2)});
    }
    return info;
}

/// Where images of a platform keep a header that follows a vector table.
std::uint32_t offsetBehindVectors(std::uint16_t platformId)
{
    if (platformId == kCorePlatform)
        return kHeaderOfCore;
    return platformId > kLastSecondGeneration ? kHeaderOfThirdGeneration : kHeaderBehindVectors;
}

/// The header's own fields, before anything is read at the places they name.
Result<> checkHeader(const ModuleInfo& info, std::size_t fileBytes)
{
    const std::string where = concat(" in the header at ", hex32(info.headerOffset));
    if (!isKnown(info.function))
        return noModule(
            concat("function ", static_cast<unsigned>(info.function), where, " is none of 1 to 8"));
    if (info.end <= info.start)
        return noModule(concat("end address ", hex32(info.end), where,
                               " does not lie behind start address ", hex32(info.start)));
    if (info.headerOffset != kHeaderAtStart &&
        info.headerOffset != offsetBehindVectors(info.platformId))
        return noModule(concat("platform id ", info.platformId, where, " belongs to a header at ",
                               hex32(offsetBehindVectors(info.platformId))));
    const std::uint64_t needed = std::uint64_t{info.end} - info.start + kCrcBytes;
    if (needed > fileBytes)
        return noModule(concat("addresses ", hex32(info.start), " to ", hex32(info.end), where,
                               " need ", needed, " bytes, the file has ", fileBytes));
    if (needed < info.headerOffset + kHeaderBytes + kSuffixBytesWithoutProduct + kCrcBytes)
        return noModule(concat("end address ", hex32(info.end), where,
                               " leaves no room for header and suffix"));
    return {};
}

Result<ModuleInfo> findHeader(ByteView file)
{
    if (file.size() < kHeaderBytes)
        return noModule(concat("file size ", file.size(), " is less than a header of ",
                               kHeaderBytes, " bytes"));
    if ((readLe32(file) & kStackPointerMask) != kStackPointerValue) {
        const ModuleInfo info = readHeader(file, kHeaderAtStart);
        TRY(checkHeader(info, file.size()));
        return info;
    }
    for (const std::uint32_t at : {kHeaderBehindVectors, kHeaderOfCore, kHeaderOfThirdGeneration}) {
        if (file.size() < at + kHeaderBytes)
            continue;
        const ModuleInfo info = readHeader(file, at);
        if (checkHeader(info, file.size()))
            return info;
    }
    if (file.size() < kHeaderBehindVectors + kHeaderBytes)
        return noModule(concat("file size ", file.size(),
                               " ends before the header that should follow the vector table at ",
                               hex32(kHeaderBehindVectors)));
    // Nothing fits: report what the on-device rule finds.
    TRY(checkHeader(readHeader(file, kHeaderBehindVectors), file.size()));
    return noModule("no header");
}

/// Reads the fields behind the code. Precondition: checkHeader() passed.
Result<> readTail(ModuleInfo& info, ByteView file)
{
    const std::size_t end = info.end - info.start;
    info.moduleSize = end + kCrcBytes;
    info.suffixSize = readLe16(file, end - kSuffixSizeBack);
    if (info.suffixSize != kSuffixBytes && info.suffixSize != kSuffixBytesWithoutProduct)
        return noModule(concat("suffix size ", info.suffixSize, " before end address ",
                               hex32(info.end), " is neither 36 nor 40"));
    if (end < info.headerOffset + kHeaderBytes + info.suffixSize)
        return noModule(concat("suffix size ", info.suffixSize, " before end address ",
                               hex32(info.end), " reaches into the header"));
    if (info.suffixSize == kSuffixBytes)
        info.product = ModuleProduct{.id = readLe16(file, end - kProductIdBack),
                                     .version = readLe16(file, end - kProductVersionBack)};
    const ByteView sha = file.subspan(end - kSha256Back, info.sha256Stored.size());
    std::copy(sha.begin(), sha.end(), info.sha256Stored.begin());
    info.crcStored = readBe32(file, end);

    const ByteView padding = file.subspan(info.moduleSize);
    const auto stray = std::find_if(padding.begin(), padding.end(),
                                    [](std::byte b) { return b != std::byte{0xFF}; });
    if (stray != padding.end())
        return noModule(concat("byte ", toHex(ByteView(&*stray, 1)), " at file offset ",
                               info.moduleSize + static_cast<std::size_t>(stray - padding.begin()),
                               " behind the CRC is no padding (ff)"));
    return {};
}

/// Linker's values 01 02 03 … 20 in the SHA-256 field.
bool isPlaceholder(const std::array<std::byte, 32>& sha256)
{
    for (std::size_t i = 0; i < sha256.size(); ++i)
        if (u8(sha256[i]) != i + 1)
            return false;
    return true;
}

bool hasDemoMark(const ModuleInfo& info, ByteView file)
{
    const std::size_t at = info.headerOffset + kHeaderBytes;
    return at + kDemoMark.size() <= info.end - info.start &&
           equalBytes(file.subspan(at, kDemoMark.size()), viewOf(kDemoMark));
}

} // namespace

Result<ModuleInfo> parseModule(ByteView file)
{
    ModuleInfo info = TRY(findHeader(file));
    TRY(readTail(info, file));
    const std::size_t end = info.end - info.start;
    info.crcComputed = crc32(file.first(end));
    info.sha256Ok = sha256(file.first(end - kSha256Back)) == info.sha256Stored;
    // One value alone is enough: either field shows that its step was skipped. A CRC that is right
    // may look like anything.
    info.placeholders =
        isPlaceholder(info.sha256Stored) || (info.crcStored == kPlaceholderCrc && !info.crcOk());
    info.demo = hasDemoMark(info, file);
    return info;
}

std::vector<std::string> defects(const ModuleInfo& module)
{
    std::vector<std::string> found;
    if (module.placeholders)
        found.push_back(
            "SHA-256 or CRC is the linker's placeholder: the last build step was skipped");
    if (!module.crcOk())
        found.push_back(concat("CRC is ", hex32(module.crcStored), ", the content gives ",
                               hex32(module.crcComputed)));
    return found;
}

std::string roleOf(const ModuleInfo& module)
{
    switch (module.function) {
    case ModuleFunction::Bootloader:
        return "bootloader";
    case ModuleFunction::SystemPart:
        return concat("system-", static_cast<unsigned>(module.index));
    case ModuleFunction::UserPart:
        return "user";
    case ModuleFunction::Monolithic:
        return "monolithic";
    default:
        return {};
    }
}

std::string_view name(ModuleFunction function)
{
    switch (function) {
    case ModuleFunction::None:
        return "none";
    case ModuleFunction::Resource:
        return "resource";
    case ModuleFunction::Bootloader:
        return "bootloader";
    case ModuleFunction::Monolithic:
        return "monolithic";
    case ModuleFunction::SystemPart:
        return "system-part";
    case ModuleFunction::UserPart:
        return "user-part";
    case ModuleFunction::Settings:
        return "settings";
    case ModuleFunction::NetworkCoprocessor:
        return "network-coprocessor";
    case ModuleFunction::RadioStack:
        return "radio-stack";
    }
    return "unknown"; // a dependency may name any number
}

char reportLetter(ModuleFunction function)
{
    switch (function) {
    case ModuleFunction::None:
        return 'n';
    case ModuleFunction::Resource:
        return 'r';
    case ModuleFunction::Bootloader:
        return 'b';
    case ModuleFunction::Monolithic:
        return 'm';
    case ModuleFunction::SystemPart:
        return 's';
    case ModuleFunction::UserPart:
        return 'u';
    case ModuleFunction::NetworkCoprocessor:
        return 'c';
    case ModuleFunction::RadioStack:
        return 'a';
    case ModuleFunction::Settings:
        break; // the firmware's table has no letter for it
    }
    return '_';
}

std::string_view platformName(std::uint16_t platformId)
{
    const auto found = std::find_if(kPlatforms.begin(), kPlatforms.end(),
                                    [&](const Platform& each) { return each.id == platformId; });
    return found == kPlatforms.end() ? std::string_view() : found->name;
}

Result<std::uint16_t> parsePlatform(std::string_view text)
{
    const std::string wanted = lowerCase(text);
    for (const Platform& platform : kPlatforms)
        if (platform.name == wanted)
            return platform.id;
    std::uint16_t id = 0;
    const char* const last = text.data() + text.size();
    const auto [rest, code] = std::from_chars(text.data(), last, id);
    if (text.empty() || code != std::errc() || rest != last)
        return fail(Errc::InvalidArgument, Blame::Operator,
                    concat("read platform '", text,
                           "': neither a number nor one of core, photon, p1, electron, argon, "
                           "boron, xenon"));
    return id;
}

} // namespace provost
