#include "sim/stock.h"

#include "core/byte_io.h"
#include "core/crc.h"
#include "core/text.h"
#include "crypto/digest.h"

#include <algorithm>

namespace provost::sim {

namespace {

constexpr std::size_t kVectorTable = 0x184;
constexpr auto kBootloader = static_cast<std::uint8_t>(ModuleFunction::Bootloader);
constexpr auto kSystem = static_cast<std::uint8_t>(ModuleFunction::SystemPart);

// Versions: particle-devices 6.5. Lengths: of the usual order for these parts.
constexpr std::array kStock{
    StockRelease{.name = "0.4.9",
                 .bootloader = 7,
                 .system = 11,
                 .part1Length = 0x33A40,
                 .part2Length = 0x2F0C8},
    StockRelease{.name = "0.6.3",
                 .bootloader = 11,
                 .system = 109,
                 .part1Length = 0x391F4,
                 .part2Length = 0x33C60},
    StockRelease{.name = "1.5.2",
                 .bootloader = 502,
                 .system = 1512,
                 .demandedBootloader = 400,
                 .demandedByPart1 = 207,
                 .part1Length = 0x3BE9C,
                 .part2Length = 0x3A5D4},
    StockRelease{.name = "2.3.1",
                 .bootloader = 1006,
                 .system = 2302,
                 .demandedBootloader = 1003,
                 .demandedByPart1 = 207,
                 .part1Length = 0x3C410,
                 .part2Length = 0x3BB08},
    StockRelease{.name = "empty", .bootloader = 502},
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

void putServerRecord(DctStore& store)
{
    // The public cloud's key stands here on a real board. Nobody holds the private part of this
    // one.
    Bytes slot = *fromHex("30820122300d06092a864886f70d01010105000382010f003082010a0282010100");
    for (unsigned block = 0; block < 8; ++block) {
        const Sha256 part = sha256(viewOf(concat("virtual public cloud ", block)));
        slot.insert(slot.end(), part.begin(), part.end());
    }
    slot[33] |= std::byte{0x80};
    slot.back() |= std::byte{1};
    ByteWriter(slot).u8(2).u8(3).u8(1).u8(0).u8(1);
    slot.resize(384, std::byte{0xFF});
    // particle-devices 3.1: 01 0f "device.spark.io" 00
    ByteWriter(slot).u8(1).u8(15).text("device.spark.io").u8(0);
    store.writeSlot(dct::kServerKey, dct::kServerKeySlot, slot);
}

} // namespace

Bytes buildModule(const ModuleSpec& spec)
{
    Bytes file(spec.length);
    fillBody(file, spec);
    std::size_t at = 0;
    if (spec.function != ModuleFunction::UserPart) {
        at = kVectorTable;
        writeLe32(file, 0, 0x20020000);
        writeLe32(file, 4, spec.start + 0x1C1);
    }
    writeLe32(file, at, spec.start);
    writeLe32(file, at + 4, spec.start + spec.length);
    file[at + 8] = std::byte{0};
    file[at + 9] = std::byte{0};
    writeLe16(file, at + 10, spec.version);
    writeLe16(file, at + 12, spec.platform);
    file[at + 14] = static_cast<std::byte>(spec.function);
    file[at + 15] = std::byte{spec.index};
    for (std::size_t i = 0; i < 2; ++i) {
        file[at + 16 + 4 * i] = std::byte{spec.dependencies[i].function};
        file[at + 17 + 4 * i] = std::byte{spec.dependencies[i].index};
        writeLe16(file, at + 18 + 4 * i, spec.dependencies[i].version);
    }
    const std::size_t end = file.size();
    writeLe32(file, end - 40, 0xFFFFFFFF); // product id and version: none
    writeLe16(file, end - 36, 0);
    writeLe16(file, end - 2, 40);
    const Sha256 digest = sha256(ByteView(file).first(end - 34));
    std::copy(digest.begin(), digest.end(), file.end() - 34);
    const std::uint32_t crc = crc32(file);
    ByteWriter(file).be32(crc);
    return file;
}

Result<StockRelease> stockRelease(std::string_view name)
{
    const auto found = std::find_if(kStock.begin(), kStock.end(),
                                    [name](const auto& each) { return each.name == name; });
    if (found == kStock.end())
        return fail(
            Errc::InvalidArgument, Blame::Operator,
            concat("no stock \"", name, "\": one of 0.4.9, 0.6.3, 1.5.2, 2.3.1, empty is meant"));
    return *found;
}

FlashMemory buildStock(const StockRelease& release)
{
    FlashMemory flash;
    flash.protectBootloader(false);
    const auto put = [&flash](const ModuleSpec& spec) {
        flash.program(spec.start, buildModule(spec));
    };
    put({.start = region::kBootloader.address,
         .length = 0x3C80,
         .version = release.bootloader,
         .function = ModuleFunction::Bootloader});
    const std::uint16_t system = release.system;
    if (system != 0) {
        ModuleSpec part1{.start = region::kPart1.address,
                         .length = release.part1Length,
                         .version = system,
                         .function = ModuleFunction::SystemPart,
                         .index = 1};
        if (release.demandedByPart1 != 0)
            part1.dependencies[0] = {kSystem, 2, release.demandedByPart1};
        put(part1);
        ModuleSpec part2{.start = region::kPart2.address,
                         .length = release.part2Length,
                         .version = system,
                         .function = ModuleFunction::SystemPart,
                         .index = 2,
                         .dependencies = {{{kSystem, 1, system}}}};
        if (release.demandedBootloader != 0)
            part2.dependencies[1] = {kBootloader, 0, release.demandedBootloader};
        put(part2);
        put({.start = region::kUser.address,
             .length = 0x2A60,
             .version = 6,
             .function = ModuleFunction::UserPart,
             .index = 1,
             .dependencies = {{{kSystem, 2, system}}}});
    }
    flash.protectBootloader(true);
    DctStore store(flash);
    store.format(release.bootloader >= 100);
    putServerRecord(store);
    return flash;
}

Bytes embeddedBootloader()
{
    return buildModule({.start = region::kBootloader.address,
                        .length = 0x3C80,
                        .version = 11,
                        .function = ModuleFunction::Bootloader});
}

} // namespace provost::sim
