#include "sim/stock.h"

#include "core/text.h"
#include "sim/checksums.h"
#include "sim/octets.h"
#include "sim/public_cloud.h"

#include <algorithm>

namespace provost::sim {

namespace {

constexpr std::uint32_t kBootloaderLength = 0x3C80;
constexpr std::uint32_t kUserLength = 0x2A60;
constexpr auto kBootloader = static_cast<std::uint8_t>(ModuleFunction::Bootloader);
constexpr auto kSystem = static_cast<std::uint8_t>(ModuleFunction::SystemPart);

// Versions: particle-devices 6.5. Lengths: of the usual order for these parts.
constexpr std::array kStock{
    StockRelease{.board = "photon",
                 .name = "0.4.9",
                 .bootloader = 7,
                 .system = 11,
                 .length = {0x33A40, 0x2F0C8}},
    StockRelease{.board = "photon",
                 .name = "0.6.3",
                 .bootloader = 11,
                 .system = 109,
                 .length = {0x391F4, 0x33C60}},
    StockRelease{.board = "photon",
                 .name = "1.5.2",
                 .bootloader = 502,
                 .system = 1512,
                 .demandedBootloader = 400,
                 .demandedByPart1 = 207,
                 .length = {0x3BE9C, 0x3A5D4}},
    StockRelease{.board = "photon",
                 .name = "2.3.1",
                 .bootloader = 1006,
                 .system = 2302,
                 .demandedBootloader = 1003,
                 .demandedByPart1 = 207,
                 .length = {0x3C410, 0x3BB08}},
    StockRelease{.board = "photon", .name = "empty", .bootloader = 502},
    StockRelease{.board = "p1",
                 .name = "0.4.9",
                 .bootloader = 7,
                 .system = 11,
                 .length = {0x33C10, 0x2F344}},
    StockRelease{.board = "p1",
                 .name = "1.5.2",
                 .bootloader = 502,
                 .system = 1512,
                 .demandedBootloader = 400,
                 .demandedByPart1 = 207,
                 .length = {0x3C0A4, 0x3A7F0}},
    StockRelease{.board = "p1",
                 .name = "2.3.1",
                 .bootloader = 1006,
                 .system = 2302,
                 .demandedBootloader = 1003,
                 .demandedByPart1 = 207,
                 .length = {0x3C628, 0x3BD1C}},
    StockRelease{.board = "p1", .name = "empty", .bootloader = 502},
    StockRelease{.board = "electron",
                 .name = "1.5.2",
                 .bootloader = 502,
                 .system = 1512,
                 .demandedBootloader = 400,
                 .demandedByPart1 = 110,
                 .length = {0x1D2F8, 0x1B4A0, 0x1C880}},
    StockRelease{.board = "electron",
                 .name = "2.3.1",
                 .bootloader = 1006,
                 .system = 2302,
                 .demandedBootloader = 1003,
                 .demandedByPart1 = 110,
                 .length = {0x1D90C, 0x1BC34, 0x1D018}},
    StockRelease{.board = "electron", .name = "empty", .bootloader = 502},
    StockRelease{
        .board = "core", .name = "0.7.0", .bootloader = 7, .system = 207, .length = {0x18E40}},
    StockRelease{.board = "core", .name = "empty", .bootloader = 7},
};

/// Filler in place of code, the same on each run.
void fillBody(Bytes& file, const ModuleSpec& spec)
{
    std::uint64_t state = (std::uint64_t{spec.version} << 32) ^ spec.start ^ 0x9E3779B97F4A7C15ULL;
    for (std::byte& byte : file) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        byte = static_cast<std::byte>(state >> 24);
    }
}

void putServer(BoardMemory& memory)
{
    Bytes slot = publicCloudKey();
    slot.resize(384, std::byte{0xFF});
    // particle-devices 3.1: 01 0f "device.spark.io" 00
    Fields(slot)
        .u8(1)
        .u8(static_cast<unsigned>(kPublicCloudHost.size()))
        .text(kPublicCloudHost)
        .u8(0);
    memory.putKey(memory.profile->keys.serverKey, slot);
    if (!memory.profile->transportByte)
        return;
    // 3.2: the cellular default is UDP, with a key and an address of its own.
    Bytes address;
    Fields(address).u8(1).u8(19).text("$id.udp.particle.io").u8(0);
    memory.table().write(dct::kAlternateServerAddress, address, dct::kUsableOld);
}

/// What system part `index` needs (6.4).
std::array<ModuleDependency, 2> demands(const StockRelease& release, const BoardProfile& board,
                                        std::uint8_t index)
{
    const std::uint16_t version = release.system;
    const ModuleDependency part2{kSystem, 2, release.demandedByPart1};
    if (board.find(ModuleFunction::SystemPart, 3) != nullptr) {
        if (index == 1)
            return {{{kSystem, 3, version}}};
        if (index == 3)
            return {{part2}};
    } else if (index == 1) {
        return {{release.demandedByPart1 != 0 ? part2 : ModuleDependency{}}};
    }
    const ModuleDependency bootloader{kBootloader, 0, release.demandedBootloader};
    return {
        {{kSystem, 1, version}, release.demandedBootloader != 0 ? bootloader : ModuleDependency{}}};
}

void putModule(BoardMemory& memory, const ModuleRegion& home, ModuleSpec spec)
{
    const BoardProfile& board = *memory.profile;
    spec.start = home.address;
    spec.function = home.function;
    spec.index = home.index;
    spec.platform = board.platform;
    spec.vectorTable = home.vectorTable ? board.vectorTable : 0;
    memory.flash.program(home.address, buildModule(spec));
}

} // namespace

Bytes buildModule(const ModuleSpec& spec)
{
    Bytes file(spec.length);
    fillBody(file, spec);
    std::size_t at = 0;
    if (spec.function != ModuleFunction::UserPart && spec.vectorTable != 0) {
        at = spec.vectorTable;
        putLe32(file, 0, 0x20020000);
        putLe32(file, 4, spec.start + 0x1C1);
    }
    putLe32(file, at, spec.start);
    putLe32(file, at + 4, spec.start + spec.length);
    file[at + 8] = std::byte{0};
    file[at + 9] = std::byte{0};
    putLe16(file, at + 10, spec.version);
    putLe16(file, at + 12, spec.platform);
    file[at + 14] = static_cast<std::byte>(spec.function);
    file[at + 15] = std::byte{spec.index};
    for (std::size_t i = 0; i < 2; ++i) {
        file[at + 16 + 4 * i] = std::byte{spec.dependencies[i].function};
        file[at + 17 + 4 * i] = std::byte{spec.dependencies[i].index};
        putLe16(file, at + 18 + 4 * i, spec.dependencies[i].version);
    }
    const std::size_t end = file.size();
    putLe32(file, end - 40, 0xFFFFFFFF); // product id and version: none
    putLe16(file, end - 36, 0);
    putLe16(file, end - 2, 40);
    const auto digest = unitSha256(ByteView(file).first(end - 34));
    std::copy(digest.begin(), digest.end(), file.end() - 34);
    const std::uint32_t crc = unitCrc32(file);
    Fields(file).be32(crc);
    return file;
}

Result<StockRelease> stockRelease(std::string_view board, std::string_view name)
{
    std::string known;
    for (const StockRelease& each : kStock) {
        if (each.board != board)
            continue;
        if (each.name == name)
            return each;
        known += concat(known.empty() ? "" : ", ", each.name);
    }
    if (known.empty())
        return fail(
            Errc::InvalidArgument, Blame::Operator,
            concat("no platform \"", board, "\": one of photon, p1, electron, core is meant"));
    return fail(Errc::InvalidArgument, Blame::Operator,
                concat("no stock \"", name, "\" of ", board, ": one of ", known, " is meant"));
}

BoardMemory buildStock(const StockRelease& release)
{
    const BoardProfile& board = *boardProfile(release.board);
    BoardMemory memory(board);
    memory.flash.protectBootloader(false);
    for (const ModuleRegion& home : board.regions) {
        const bool shipped = home.location == 'm' &&
                             (release.system != 0 || home.function == ModuleFunction::Bootloader);
        if (!shipped)
            continue;
        if (home.function == ModuleFunction::Bootloader)
            putModule(memory, home, {.length = kBootloaderLength, .version = release.bootloader});
        else if (home.function == ModuleFunction::UserPart)
            putModule(memory, home,
                      {.length = kUserLength,
                       .version = 6,
                       .dependencies = {{{kSystem, board.systemIndex, release.system}}}});
        else if (home.function == ModuleFunction::Monolithic)
            putModule(memory, home, {.length = release.length[0], .version = release.system});
        else
            putModule(memory, home,
                      {.length = release.length.at(home.index - 1U),
                       .version = release.system,
                       .dependencies = demands(release, board, home.index)});
    }
    memory.flash.protectBootloader(true);
    if (board.dct != DctFormat::None)
        memory.table().format(release.bootloader >= 100);
    putServer(memory);
    return memory;
}

Bytes embeddedBootloader(const BoardProfile& board)
{
    return buildModule({.start = board.bootloader().address,
                        .length = kBootloaderLength,
                        .version = 11,
                        .function = ModuleFunction::Bootloader,
                        .platform = board.platform});
}

} // namespace provost::sim
