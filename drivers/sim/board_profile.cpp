#include "sim/board_profile.h"

#include "sim/octets.h"

#include <algorithm>
#include <array>

namespace provost::sim {

namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using F = ModuleFunction;

// The sheets give the bootloader's poll times only; these are of the order of such parts.
constexpr FlashGeometry kSst25{.groups = {{{512, 0x1000, milliseconds(18)}}},
                               .programUnit = 1,
                               .programTime = std::chrono::nanoseconds(7000)};
constexpr FlashGeometry kSerialFlash{.groups = {{{256, 0x1000, milliseconds(40)}}},
                                     .programUnit = 256,
                                     .programTime = std::chrono::nanoseconds(600000)};

constexpr std::string_view kF2Layout =
    "@Internal Flash   /0x08000000/03*016Ka,01*016Kg,01*064Kg,07*128Kg";
constexpr std::string_view kDctLayout = "@DCT Flash   /0x00000000/01*016Kg";
constexpr std::array kPhotonMemories{DfuMemory{MemorySpace::Internal, kF2Layout},
                                     DfuMemory{MemorySpace::Dct, kDctLayout}};
constexpr std::array kP1Memories{
    DfuMemory{MemorySpace::Internal, kF2Layout}, DfuMemory{MemorySpace::Dct, kDctLayout},
    DfuMemory{MemorySpace::External, "@Serial Flash   /0x00000000/256*004Kg"}};
constexpr std::array kCoreMemories{
    DfuMemory{MemorySpace::Internal, "@Internal Flash  /0x08000000/20*001Ka,108*001Kg", 1},
    DfuMemory{MemorySpace::External, "@SPI Flash : SST25x/0x00000000/512*04Kg", 9}};

// 2.2
constexpr std::array kPhotonRegions{ModuleRegion{0x08000000, 0x4000, 'm', F::Bootloader, 0},
                                    ModuleRegion{0x08020000, 0x40000, 'm', F::SystemPart, 1},
                                    ModuleRegion{0x08060000, 0x40000, 'm', F::SystemPart, 2},
                                    ModuleRegion{0x080A0000, 0x20000, 'm', F::UserPart, 1},
                                    ModuleRegion{0x080E0000, 0x20000, 'f', F::UserPart, 1}};
constexpr std::array kElectronRegions{
    ModuleRegion{0x08000000, 0x4000, 'm', F::Bootloader, 0},
    ModuleRegion{0x08020000, 0x20000, 'm', F::SystemPart, 1},
    ModuleRegion{0x08040000, 0x20000, 'm', F::SystemPart, 2},
    ModuleRegion{0x08060000, 0x20000, 'm', F::SystemPart, 3, false},
    ModuleRegion{0x08080000, 0x20000, 'm', F::UserPart, 1},
    ModuleRegion{0x080A0000, 0x20000, 'f', F::UserPart, 1}};
// 2.3
constexpr std::array kCoreRegions{ModuleRegion{0x08000000, 0x4000, 'm', F::Bootloader, 0},
                                  ModuleRegion{0x08005000, 0x1B000, 'm', F::Monolithic, 0}};

// 3.3, 4.3
constexpr KeyFields kTableKeys{.space = MemorySpace::Dct,
                               .privateKey = {dct::kPrivateKey, dct::kPrivateKeySlot},
                               .publicKey = {dct::kPublicKey, dct::kPublicKeySlot},
                               .serverKey = {dct::kServerKey, 384},
                               .serverAddress = {dct::kServerAddress, dct::kServerAddressSize}};
// 2.3
constexpr KeyFields kCoreKeys{.space = MemorySpace::External,
                              .privateKey = {0x2000, 0x400},
                              .publicKey = {},
                              .serverKey = {0x1000, 384},
                              .serverAddress = {0x1180, 128}};

// F2 parts: wafer position, then the lot number as text in bytes 5..11 (1.2): letter, six digits.
constexpr std::string_view kF2Id = "..00..00..473.3.3.3.3.3.";

constexpr std::uint16_t kParticle = 0x2B04;
constexpr std::uint16_t kSparkLabs = 0x1D50;

constexpr DfuProfile f2Dfu(std::uint16_t product, std::string_view name,
                           std::span<const DfuMemory> memories)
{
    return {.id = {kParticle, product},
            .product = name,
            .firstWritable = 0x08020000,
            .memories = memories};
}

constexpr std::array kBoards{
    BoardProfile{
        .name = "photon",
        .spoken = "Photon",
        .platform = 6,
        .chip = &kF205,
        .dfu = f2Dfu(0xD006, "Photon DFU Mode", kPhotonMemories),
        .cdc = {{kParticle, 0xC006}, "Photon", "Photon with WiFi"},
        .regions = kPhotonRegions,
        .received = {0x080C0000, 0x40000, 't', F::None, 0},
        .lentDctCode = true,
        .keys = kTableKeys,
        .idPattern = kF2Id,
    },
    BoardProfile{
        .name = "p1",
        .spoken = "P1",
        .platform = 8,
        .chip = &kF205,
        .external = &kSerialFlash,
        .dfu = f2Dfu(0xD008, "P1 DFU Mode", kP1Memories),
        .cdc = {{kParticle, 0xC008}, "P1", "P1 with WiFi"},
        .regions = kPhotonRegions,
        .received = {0x080C0000, 0x40000, 't', F::None, 0},
        .lentDctCode = true,
        .keys = kTableKeys,
        .idPattern = kF2Id,
    },
    BoardProfile{
        .name = "electron",
        .spoken = "Electron",
        .platform = 10,
        .chip = &kF205,
        .dfu = f2Dfu(0xD00A, "Electron DFU Mode", kPhotonMemories),
        .cdc = {{kParticle, 0xC00A}, "Electron", "Electron"},
        .regions = kElectronRegions,
        .received = {0x080C0000, 0x20000, 't', F::None, 0},
        .dct = DctFormat::Dcd,
        .keys = kTableKeys,
        .radio = Radio::Cellular,
        .credentials = CredentialPlace::None,
        .transportByte = true,
        .lightSslSince = 0,
        .idPattern = kF2Id,
    },
    BoardProfile{
        .name = "core",
        .spoken = "Core",
        .platform = 0,
        .manufacturer = "Particle    ",
        .chip = &kF103,
        .external = &kSst25,
        .dfu = {.code = BootloaderCode::F1,
                .id = {kSparkLabs, 0x607F},
                .usbVersion = 0x0100,
                .product = "CORE DFU ",
                .transferSize = 1024,
                .firstWritable = 0x08005000,
                .memories = kCoreMemories},
        .cdc = {{kSparkLabs, 0x607D}, "Spark Core with WiFi  ", "Spark Core with WiFi  ", false},
        .regions = kCoreRegions,
        .system = F::Monolithic,
        .systemIndex = 0,
        .vectorTable = 0x10C,
        .dct = DctFormat::None,
        .keys = kCoreKeys,
        .credentials = CredentialPlace::RadioModule,
        .makesOwnKey = false,
        .idPattern = "..ff6e06........87......",
    },
};

} // namespace

const ModuleRegion* BoardProfile::find(ModuleFunction function, std::uint8_t index) const
{
    const auto found = std::find_if(regions.begin(), regions.end(), [&](const auto& each) {
        const bool sameIndex = function != ModuleFunction::SystemPart || each.index == index;
        return each.location == 'm' && each.function == function && sameIndex;
    });
    return found == regions.end() ? nullptr : &*found;
}

std::string upperHex(ByteView id)
{
    std::string text = hexText(id);
    std::transform(text.begin(), text.end(), text.begin(),
                   [](char c) { return c >= 'a' && c <= 'f' ? static_cast<char>(c - 32) : c; });
    return text;
}

std::string shortSerial(ByteView id)
{
    Bytes digits(6);
    putBe32(digits, 0, le32At(id, 0) + le32At(id, 8));
    putBe16(digits, 4, static_cast<std::uint16_t>(le32At(id, 4) >> 16));
    return upperHex(digits);
}

const BoardProfile* boardProfile(std::string_view name)
{
    const auto found = std::find_if(kBoards.begin(), kBoards.end(),
                                    [name](const auto& each) { return each.name == name; });
    return found == kBoards.end() ? nullptr : &*found;
}

} // namespace provost::sim
