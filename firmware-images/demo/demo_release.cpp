#include "demo/demo_release.h"

#include "core/text.h"
#include "crypto/digest.h"

namespace provost::demo {

namespace {

// particle-devices 6.1
constexpr std::uint8_t kBootloader = 2;
constexpr std::uint8_t kMonolithic = 3;
constexpr std::uint8_t kSystemPart = 4;
constexpr std::uint8_t kUserPart = 5;
constexpr std::uint32_t kCoreVectors = 0x10C;
constexpr std::uint32_t kCoreStackTop = 0x20005000; // 20 KB of RAM, 1.1

/// What differs between two releases (particle-devices 6.5).
struct Release {
    std::string_view platform{};
    std::string_view version{};
    std::uint16_t platformId = 0;
    std::uint16_t system = 0;
    std::uint16_t bootloader = 0;
    std::uint16_t bootloaderWanted = 0; ///< by system part 2
    std::uint16_t part2Wanted = 0;      ///< by the part that asks for a minimum of part 2 (6.4)
    std::uint16_t user = 0;
    std::uint32_t bootloaderBytes = 0;
    std::array<std::uint32_t, 3> partBytes{}; ///< by index; 0: no such part
    std::uint32_t userBytes = 0;
};

constexpr std::array kReleases{
    Release{"photon", "1.5.2", 6, 1512, 502, 400, 207, 1, 14'968, {243'508, 254'836}, 88'724},
    Release{"photon", "2.3.1", 6, 2302, 1006, 1003, 207, 2, 15'372, {245'764, 257'028}, 90'116},
    Release{"p1", "0.4.9", 8, 11, 7, 0, 0, 1, 14'212, {212'008, 193'380}, 72'516},
    Release{"p1", "2.3.1", 8, 2302, 1006, 1003, 207, 2, 15'452, {246'300, 257'516}, 90'404},
    Release{"electron",
            "2.3.1",
            10,
            2302,
            1006,
            1003,
            110,
            2,
            15'804,
            {121'348, 113'716, 119'060},
            87'640},
};

constexpr std::uint32_t kFirmware = 0x08020000; // particle-devices 2.2

DemoImage image(std::string_view platform, std::string_view version, std::string role,
                ModulePlan plan)
{
    return {.platform = std::string(platform),
            .version = std::string(version),
            .role = role,
            .fileName = concat(platform, "-", version, "-", role, "-demo.bin"),
            .plan = plan};
}

/// Electron: three parts of half the size (2.2), chained in another way (6.4).
bool hasThreeParts(const Release& release)
{
    return release.partBytes[2] != 0;
}

std::uint32_t partSpace(const Release& release)
{
    return hasThreeParts(release) ? 0x20000 : 0x40000;
}

DemoImage bootloader(const Release& release)
{
    return image(release.platform, release.version, "bootloader",
                 {.start = 0x08000000,
                  .fileSize = release.bootloaderBytes,
                  .version = release.bootloader,
                  .platformId = release.platformId,
                  .function = kBootloader,
                  .index = 0});
}

std::array<Requirement, 2> requirements(const Release& release, std::uint8_t index)
{
    // Early releases ask for nothing but their own part 1.
    const auto asked = [](std::uint8_t function, std::uint8_t part, std::uint16_t version) {
        return version == 0 ? Requirement{} : Requirement{function, part, version};
    };
    if (index == 2)
        return {Requirement{kSystemPart, 1, release.system},
                asked(kBootloader, 0, release.bootloaderWanted)};
    if (index == 1 && hasThreeParts(release))
        return {Requirement{kSystemPart, 3, release.system}};
    return {asked(kSystemPart, 2, release.part2Wanted)};
}

DemoImage systemPart(const Release& release, std::uint8_t index)
{
    const auto place = static_cast<std::uint32_t>(index - 1);
    return image(release.platform, release.version, concat("system-", int{index}),
                 {.start = kFirmware + place * partSpace(release),
                  .fileSize = release.partBytes.at(place),
                  .version = release.system,
                  .platformId = release.platformId,
                  .function = kSystemPart,
                  .index = index,
                  .requirements = requirements(release, index),
                  .vectorTableBytes = index == 3 ? 0U : 0x184U}); // 6.1
}

DemoImage user(const Release& release)
{
    const std::uint32_t parts = hasThreeParts(release) ? 3 : 2;
    return image(release.platform, release.version, "user",
                 {.start = kFirmware + parts * partSpace(release),
                  .fileSize = release.userBytes,
                  .version = release.user,
                  .platformId = release.platformId,
                  .function = kUserPart,
                  .index = 1,
                  .requirements = {Requirement{kSystemPart, 2, release.system}},
                  .productId = kProductId,
                  .productVersion = release.user,
                  .vectorTableBytes = 0});
}

/// The Core's last release (6.5): one image, header behind its own vector table (6.1).
DemoImage coreFirmware()
{
    return image("core", "0.7.0", "monolithic",
                 {.start = 0x08005000,
                  .fileSize = 98'652,
                  .version = 207,
                  .platformId = 0,
                  .function = kMonolithic,
                  .index = 0,
                  .productId = kProductId,
                  .productVersion = 1,
                  .vectorTableBytes = kCoreVectors,
                  .stackTop = kCoreStackTop});
}

} // namespace

std::vector<DemoImage> demoImages()
{
    std::vector<DemoImage> images;
    for (const Release& release : kReleases) {
        images.push_back(bootloader(release));
        for (std::uint8_t index = 1; index <= (hasThreeParts(release) ? 3 : 2); ++index)
            images.push_back(systemPart(release, index));
        images.push_back(user(release));
    }
    images.push_back(coreFirmware());
    return images;
}

std::string demoManifest(std::string_view release)
{
    std::string text;
    for (const DemoImage& each : demoImages()) {
        if (concat(each.platform, "-", each.version) != release)
            continue;
        if (text.empty())
            text =
                concat("# Demo images of provost-demo-images for virtual units, no firmware.\n",
                       "platform = \"", each.platform, "\"\nversion  = \"", each.version, "\"\n");
        text += concat("\n[[image]]\nrole           = \"", each.role, "\"\nfile           = \"",
                       each.fileName, "\"\nsha256         = \"", sha256Hex(buildModule(each.plan)),
                       "\"\nmodule_version = ", each.plan.version, "\n");
    }
    return text;
}

} // namespace provost::demo
