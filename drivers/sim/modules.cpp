#include "sim/modules.h"

#include "core/text.h"
#include "sim/board_profile.h"
#include "sim/checksums.h"
#include "sim/octets.h"

#include <algorithm>

namespace provost::sim {

namespace {

constexpr std::size_t kHeaderSize = 24;

struct Release {
    unsigned system = 0;
    const char* name = "";
    unsigned demandedBootloader = 0;
};
// 6.5; where the column is empty the demand of the release before still holds.
constexpr std::array kReleases{Release{5, "0.4.4", 0},           Release{6, "0.4.5", 0},
                               Release{7, "0.4.6", 0},           Release{8, "0.4.7", 0},
                               Release{11, "0.4.9", 0},          Release{13, "0.5.0", 0},
                               Release{15, "0.5.1", 0},          Release{17, "0.5.2", 0},
                               Release{21, "0.5.3", 0},          Release{102, "0.6.0", 0},
                               Release{105, "0.6.1", 0},         Release{108, "0.6.2", 0},
                               Release{109, "0.6.3", 0},         Release{110, "0.6.4", 0},
                               Release{200, "0.7.0-rc.1", 100},  Release{207, "0.7.0", 101},
                               Release{300, "0.8.0-rc.1", 101},  Release{309, "0.8.0-rc.10", 101},
                               Release{311, "0.8.0-rc.12", 101}, Release{1000, "1.0.0", 201},
                               Release{1002, "1.0.1", 201},      Release{1102, "1.1.0", 201},
                               Release{1104, "1.1.1", 201},      Release{1213, "1.2.1", 311},
                               Release{1321, "1.3.1", 400},      Release{1401, "1.4.0", 400},
                               Release{1403, "1.4.1", 400},      Release{1404, "1.4.2", 400},
                               Release{1405, "1.4.3", 400},      Release{1406, "1.4.4", 400},
                               Release{1502, "1.5.0", 400},      Release{1511, "1.5.1", 400},
                               Release{1512, "1.5.2", 400},      Release{2008, "2.0.0", 1003},
                               Release{2011, "2.0.1", 1003},     Release{2101, "2.1.0", 1003},
                               Release{2202, "2.2.0", 1003},     Release{2301, "2.3.0", 1003},
                               Release{2302, "2.3.1", 1003}};

const Release* releaseOf(unsigned systemVersion)
{
    const Release* found = nullptr;
    for (const Release& release : kReleases)
        if (release.system <= systemVersion)
            found = &release;
    return found;
}

/// On-device rule of 6.1: an image that starts with a stack pointer has its header behind a vector
/// table.
std::size_t headerOffset(const BoardProfile& board, ByteView bytes)
{
    return (le32At(bytes) & 0x2FF10000) == 0x20000000 ? board.vectorTable : 0;
}

char letter(std::uint8_t function)
{
    constexpr std::string_view kLetters = "nrbmsuca";
    return function < kLetters.size() ? kLetters[function] : 'n';
}

std::string dependencyJson(const ModuleDependency& dependency)
{
    return concat("{\"f\":\"", letter(dependency.function), "\",\"n\":\"",
                  unsigned{dependency.index}, "\",\"v\":", dependency.version, ",\"_\":\"\"}");
}

} // namespace

std::string nameOf(const ModuleRegion& region)
{
    switch (region.function) {
    case ModuleFunction::Bootloader:
        return "bootloader";
    case ModuleFunction::Monolithic:
        return "monolithic";
    case ModuleFunction::SystemPart:
        return concat("system-", unsigned{region.index});
    case ModuleFunction::UserPart:
        return "user";
    default:
        return "none";
    }
}

std::optional<ModuleInfo> readModule(const BoardProfile& board, ByteView bytes)
{
    if (bytes.size() < board.vectorTable + kHeaderSize)
        return std::nullopt;
    const ByteView header = bytes.subspan(headerOffset(board, bytes), kHeaderSize);
    ModuleInfo module{.start = le32At(header, 0),
                      .end = le32At(header, 4),
                      .version = le16At(header, 10),
                      .platform = le16At(header, 12),
                      .function = octet(header[14]),
                      .index = octet(header[15])};
    for (std::size_t i = 0; i < 2; ++i) {
        const ByteView field = header.subspan(16 + 4 * i, 4);
        module.dependencies[i] = {
            .function = octet(field[0]), .index = octet(field[1]), .version = le16At(field, 2)};
    }
    const bool plausible = module.end > module.start &&
                           module.end - module.start >= board.vectorTable + kHeaderSize + 40 &&
                           module.function >= 1 && module.function <= 8;
    if (!plausible)
        return std::nullopt;
    const std::size_t length = module.end - module.start;
    if (length + 4 <= bytes.size()) {
        const ByteView sha = bytes.subspan(length - 34, 32);
        std::copy(sha.begin(), sha.end(), module.sha.begin());
        module.intact = unitCrc32(bytes.first(length)) == be32At(bytes, length);
    }
    return module;
}

std::optional<ModuleInfo> moduleIn(const BoardProfile& board, const FlashMemory& flash,
                                   const ModuleRegion& region)
{
    return readModule(board, flash.view(region.address, region.size));
}

std::optional<ModuleInfo> runnable(const BoardProfile& board, const FlashMemory& flash,
                                   const ModuleRegion& region)
{
    auto module = moduleIn(board, flash, region);
    const bool runs =
        module && module->intact && module->start == region.address &&
        module->platform == board.platform &&
        module->function == static_cast<std::uint8_t>(region.function) &&
        (region.function != ModuleFunction::SystemPart || module->index == region.index);
    return runs ? module : std::nullopt;
}

const ModuleRegion* homeOf(const BoardProfile& board, const ModuleInfo& module)
{
    return board.find(static_cast<ModuleFunction>(module.function), module.index);
}

bool systemRuns(const BoardProfile& board, const FlashMemory& flash)
{
    return std::all_of(board.regions.begin(), board.regions.end(), [&](const ModuleRegion& each) {
        return each.function != board.system || runnable(board, flash, each).has_value();
    });
}

bool dependenciesMet(const BoardProfile& board, const FlashMemory& flash, const ModuleInfo& module)
{
    bool namesBootloader = false;
    for (const ModuleDependency& dependency : module.dependencies) {
        if (dependency.function == 0 || dependency.function == 0xFF)
            continue;
        const auto bootloader = static_cast<std::uint8_t>(ModuleFunction::Bootloader);
        namesBootloader = namesBootloader || dependency.function == bootloader;
        const auto* const home =
            homeOf(board, {.function = dependency.function, .index = dependency.index});
        const auto found = home ? runnable(board, flash, *home) : std::nullopt;
        if (!found || found->version < dependency.version)
            return false;
    }
    const bool isPart2 = module.function == static_cast<std::uint8_t>(ModuleFunction::SystemPart) &&
                         module.index == board.systemIndex;
    if (!isPart2 || namesBootloader)
        return true;
    const auto bootloader = runnable(board, flash, board.bootloader());
    return (bootloader ? bootloader->version : 0U) >= demandedBootloader(module.version);
}

unsigned passedChecks(const BoardProfile& board, const FlashMemory& flash,
                      const std::optional<ModuleInfo>& module)
{
    if (!module)
        return 0;
    unsigned passed = module->intact ? check::kIntegrity : 0;
    if (dependenciesMet(board, flash, *module))
        passed |= check::kDependencies;
    const auto* const home = homeOf(board, *module);
    if (home && module->start == home->address && module->fileSize() <= home->size)
        passed |= check::kRange;
    if (module->platform == board.platform)
        passed |= check::kPlatform;
    return passed;
}

std::string moduleReport(const BoardProfile& board, const FlashMemory& flash,
                         const ModuleRegion& region)
{
    auto module = moduleIn(board, flash, region);
    // A factory image is a user part that waits at another address than its own.
    if (module && region.function != ModuleFunction::None &&
        module->function != static_cast<std::uint8_t>(region.function))
        module.reset();
    std::string text =
        concat("{\"s\":", region.size, ",\"l\":\"", region.location, "\",\"vc\":", check::kAll,
               ",\"vv\":", passedChecks(board, flash, module));
    if (!module)
        return text + ",\"d\":[]}";
    if (module->function == static_cast<std::uint8_t>(ModuleFunction::UserPart))
        text += concat(",\"u\":\"", hexText(module->sha), '"');
    text += concat(",\"f\":\"", letter(module->function), "\",\"n\":\"", unsigned{module->index},
                   "\",\"v\":", module->version, ",\"d\":[");
    bool first = true;
    for (const ModuleDependency& dependency : module->dependencies) {
        if (dependency.function == 0 || dependency.function == 0xFF)
            continue;
        text += first ? "" : ",";
        text += dependencyJson(dependency);
        first = false;
    }
    return text + "]}";
}

std::string moduleReport(const BoardProfile& board, const FlashMemory& flash)
{
    std::string text = concat("\"p\":", board.platform);
    if (board.radio == Radio::Cellular)
        text += concat(",\"imei\":\"", kImei, "\",\"iccid\":\"", kIccid, '"');
    text += ",\"m\":[";
    bool first = true;
    for (const ModuleRegion& each : board.regions) {
        text += first ? "" : ",";
        text += moduleReport(board, flash, each);
        first = false;
    }
    return text + "]";
}

std::string releaseName(unsigned systemVersion)
{
    const Release* release = releaseOf(systemVersion);
    return release ? release->name : "0.4.3";
}

unsigned demandedBootloader(unsigned systemVersion)
{
    const Release* release = releaseOf(systemVersion);
    return release ? release->demandedBootloader : 0;
}

} // namespace provost::sim
