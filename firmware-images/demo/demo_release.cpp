#include "demo/demo_release.h"

#include "core/text.h"
#include "crypto/digest.h"

namespace provost::demo {

namespace {

// particle-devices 6.1
constexpr std::uint8_t kBootloader = 2;
constexpr std::uint8_t kSystemPart = 4;
constexpr std::uint8_t kUserPart = 5;

/// What differs between two releases (particle-devices 6.5); the rest is the same.
struct Release {
    std::string_view version{};
    std::uint16_t system = 0;
    std::uint16_t bootloader = 0;
    std::uint16_t bootloaderWanted = 0; ///< by system part 2
    std::uint16_t user = 0;
    std::uint32_t bootloaderBytes = 0;
    std::uint32_t part1Bytes = 0;
    std::uint32_t part2Bytes = 0;
    std::uint32_t userBytes = 0;
};

constexpr std::array kReleases{
    Release{"1.5.2", 1512, 502, 400, 1, 14'968, 243'508, 254'836, 88'724},
    Release{"2.3.1", 2302, 1006, 1003, 2, 15'372, 245'764, 257'028, 90'116},
};

constexpr std::uint16_t kPart2WantedByPart1 = 207; // particle-devices 6.4, both releases

DemoImage image(const Release& release, std::string_view role, ModulePlan plan)
{
    return {.platform = "photon",
            .version = std::string(release.version),
            .role = std::string(role),
            .fileName = concat("photon-", release.version, "-", role, "-demo.bin"),
            .plan = plan};
}

DemoImage bootloader(const Release& release)
{
    return image(release, "bootloader",
                 {.start = 0x08000000,
                  .fileSize = release.bootloaderBytes,
                  .version = release.bootloader,
                  .function = kBootloader,
                  .index = 0});
}

DemoImage systemPart1(const Release& release)
{
    return image(release, "system-1",
                 {.start = 0x08020000,
                  .fileSize = release.part1Bytes,
                  .version = release.system,
                  .function = kSystemPart,
                  .index = 1,
                  .requirements = {Requirement{kSystemPart, 2, kPart2WantedByPart1}}});
}

DemoImage systemPart2(const Release& release)
{
    return image(release, "system-2",
                 {.start = 0x08060000,
                  .fileSize = release.part2Bytes,
                  .version = release.system,
                  .function = kSystemPart,
                  .index = 2,
                  .requirements = {Requirement{kSystemPart, 1, release.system},
                                   Requirement{kBootloader, 0, release.bootloaderWanted}}});
}

DemoImage user(const Release& release)
{
    return image(release, "user",
                 {.start = 0x080A0000,
                  .fileSize = release.userBytes,
                  .version = release.user,
                  .function = kUserPart,
                  .index = 1,
                  .requirements = {Requirement{kSystemPart, 2, release.system}},
                  .productId = kProductId,
                  .productVersion = release.user,
                  .vectorTable = false});
}

} // namespace

std::vector<DemoImage> demoImages()
{
    std::vector<DemoImage> images;
    for (const Release& release : kReleases)
        for (const auto make : {bootloader, systemPart1, systemPart2, user})
            images.push_back(make(release));
    return images;
}

std::string demoManifest(std::string_view version)
{
    std::string text;
    for (const DemoImage& each : demoImages()) {
        if (each.version != version)
            continue;
        if (text.empty())
            text = concat("# Demo images of provost-demo-images for virtual units, no firmware.\n",
                          "platform = \"", each.platform, "\"\nversion  = \"", version, "\"\n");
        text += concat("\n[[image]]\nrole           = \"", each.role, "\"\nfile           = \"",
                       each.fileName, "\"\nsha256         = \"", sha256Hex(buildModule(each.plan)),
                       "\"\nmodule_version = ", each.plan.version, "\n");
    }
    return text;
}

} // namespace provost::demo
