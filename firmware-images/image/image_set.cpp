// The rules that a set of images has to keep before one unit is touched.
#include "core/text.h"
#include "image/image_catalog.h"

#include <algorithm>

namespace provost {

namespace {

using ImagePointer = std::shared_ptr<const FlashImage>;

/// Where a unit keeps modules of one kind.
struct Place {
    std::uint16_t platformId = 0;
    ModuleFunction function = ModuleFunction::None;
    int index = kAnyIndex;
    std::uint32_t start = 0;
    std::uint32_t size = 0; ///< bytes

    static constexpr int kAnyIndex = -1; ///< the kind has one place only
};

constexpr std::uint32_t kKilobyte = 1024;

// particle-devices 2.2, 2.3. The monolithic layout of the Electron is not verified: no entry.
constexpr std::array kPlaces{
    Place{0, ModuleFunction::Bootloader, Place::kAnyIndex, 0x08000000, 16 * kKilobyte},
    Place{0, ModuleFunction::Monolithic, Place::kAnyIndex, 0x08005000, 108 * kKilobyte},
    Place{6, ModuleFunction::Bootloader, Place::kAnyIndex, 0x08000000, 16 * kKilobyte},
    Place{6, ModuleFunction::SystemPart, 1, 0x08020000, 256 * kKilobyte},
    Place{6, ModuleFunction::SystemPart, 2, 0x08060000, 256 * kKilobyte},
    Place{6, ModuleFunction::UserPart, Place::kAnyIndex, 0x080A0000, 128 * kKilobyte},
    Place{6, ModuleFunction::Monolithic, Place::kAnyIndex, 0x08020000, 384 * kKilobyte},
    Place{8, ModuleFunction::Bootloader, Place::kAnyIndex, 0x08000000, 16 * kKilobyte},
    Place{8, ModuleFunction::SystemPart, 1, 0x08020000, 256 * kKilobyte},
    Place{8, ModuleFunction::SystemPart, 2, 0x08060000, 256 * kKilobyte},
    Place{8, ModuleFunction::UserPart, Place::kAnyIndex, 0x080A0000, 128 * kKilobyte},
    Place{8, ModuleFunction::Monolithic, Place::kAnyIndex, 0x08020000, 384 * kKilobyte},
    Place{10, ModuleFunction::Bootloader, Place::kAnyIndex, 0x08000000, 16 * kKilobyte},
    Place{10, ModuleFunction::SystemPart, 1, 0x08020000, 128 * kKilobyte},
    Place{10, ModuleFunction::SystemPart, 2, 0x08040000, 128 * kKilobyte},
    Place{10, ModuleFunction::SystemPart, 3, 0x08060000, 128 * kKilobyte},
    Place{10, ModuleFunction::UserPart, Place::kAnyIndex, 0x08080000, 128 * kKilobyte},
};

constexpr std::uint8_t kDropHeaderFlag = 0x01;           // particle-devices 6.1
constexpr std::uint16_t kFirstBorrowingBootloader = 100; // particle-devices 3.4
constexpr std::uint16_t kFirstLendingSystem = 200;

Unexpected broken(const FlashImage& image, std::string why)
{
    const std::string& name = image.fileName.empty() ? image.role : image.fileName;
    return fail(Errc::InvalidData, Blame::Station,
                concat("check image set: ", name, ": ", std::move(why)));
}

std::string kindOf(ModuleFunction function, std::uint8_t index)
{
    return concat(name(function), " ", static_cast<unsigned>(index));
}

std::string platformText(std::uint16_t id)
{
    const std::string_view known = platformName(id);
    return known.empty() ? concat("platform ", id) : concat(known, " (platform ", id, ")");
}

/// Integrity and platform: what needs no knowledge of the unit's memory.
Result<> checkContent(std::uint16_t platformId, const FlashImage& image)
{
    const ModuleInfo& module = image.module;
    if (module.platformId != platformId)
        return broken(image, concat("is made for ", platformText(module.platformId),
                                    ", the unit is ", platformText(platformId)));
    if (const auto found = defects(module); !found.empty())
        return broken(image, found.front());
    return {};
}

/// @returns the place of the module's kind, nullptr where the platform has none
const Place* placeOf(const ModuleInfo& module)
{
    const auto found = std::find_if(kPlaces.begin(), kPlaces.end(), [&](const Place& each) {
        return each.platformId == module.platformId && each.function == module.function &&
               (each.index == Place::kAnyIndex || each.index == module.index);
    });
    return found == kPlaces.end() ? nullptr : &*found;
}

Result<> checkPlace(const FlashImage& image)
{
    const ModuleInfo& module = image.module;
    const Place* const place = placeOf(module);
    if (!place)
        return broken(image, concat(platformText(module.platformId), " has no known place for ",
                                    kindOf(module.function, module.index)));
    if (module.start != place->start)
        return broken(image,
                      concat(kindOf(module.function, module.index), " starts at ",
                             hex32(module.start), ", its place is at ", hex32(place->start)));
    if (module.moduleSize > place->size)
        return broken(image, concat(kindOf(module.function, module.index), " has ",
                                    module.moduleSize, " bytes, its place ", place->size));
    if (module.flags & kDropHeaderFlag)
        return broken(image, "asks to be installed without its header, which no memory write does");
    return {};
}

/// The same image listed for two segments (user and factory) is no conflict.
bool isSame(const FlashImage& a, const FlashImage& b)
{
    return a.sha256 == b.sha256 && a.module.start == b.module.start;
}

Result<> checkPair(const FlashImage& a, const FlashImage& b)
{
    if (isSame(a, b))
        return {};
    const ModuleInfo& first = a.module;
    const ModuleInfo& second = b.module;
    if (first.start < second.start + second.moduleSize &&
        second.start < first.start + first.moduleSize)
        return broken(b, concat("takes the place of ", a.fileName.empty() ? a.role : a.fileName,
                                " at ", hex32(std::max(first.start, second.start))));
    // Parts of two releases may meet each other's minimum and still not fit (6.4: same version).
    if (first.function == ModuleFunction::SystemPart &&
        second.function == ModuleFunction::SystemPart && first.version != second.version)
        return broken(b, concat("is version ", second.version, ", system part ",
                                static_cast<unsigned>(first.index), " is version ", first.version));
    return {};
}

Result<> checkDependencies(const FlashImage& image, const std::vector<ImagePointer>& images)
{
    for (const ModuleDependency& needed : image.module.dependencies) {
        const auto provider =
            std::find_if(images.begin(), images.end(), [&](const ImagePointer& each) {
                return each->module.function == needed.function &&
                       each->module.index == needed.index;
            });
        const std::string what = concat("needs ", kindOf(needed.function, needed.index),
                                        " of version ", needed.version, " or later, the set has ");
        if (provider == images.end())
            return broken(image, what + "none");
        if ((*provider)->module.version < needed.version)
            return broken(image, concat(what, "version ", (*provider)->module.version));
    }
    return {};
}

/// A bootloader from 0.7.0 on borrows its configuration-table code from system part 2; an older
/// system either lacks it or puts bootloader 11 back (particle-devices 3.4, 6.5).
Result<> checkBootloaderGeneration(const FlashImage& bootloader, const FlashImage& part)
{
    const bool borrows = bootloader.module.function == ModuleFunction::Bootloader &&
                         (bootloader.module.platformId == 6 || bootloader.module.platformId == 8) &&
                         bootloader.module.version >= kFirstBorrowingBootloader;
    if (borrows && part.module.function == ModuleFunction::SystemPart &&
        part.module.version < kFirstLendingSystem)
        return broken(bootloader, concat("bootloader ", bootloader.module.version,
                                         " needs system parts of version ", kFirstLendingSystem,
                                         " or later, the set has version ", part.module.version));
    return {};
}

} // namespace

Result<> checkSet(std::uint16_t platformId, const std::vector<ImagePointer>& images)
{
    if (images.empty())
        return fail(Errc::InvalidData, Blame::Station, "check image set: it is empty");
    for (const ImagePointer& image : images)
        ENSURE(image != nullptr);
    for (const ImagePointer& image : images) {
        TRY(checkContent(platformId, *image));
        TRY(checkPlace(*image));
    }
    for (std::size_t i = 0; i < images.size(); ++i)
        for (std::size_t j = i + 1; j < images.size(); ++j)
            TRY(checkPair(*images[i], *images[j]));
    for (const ImagePointer& image : images) {
        TRY(checkDependencies(*image, images));
        for (const ImagePointer& other : images)
            TRY(checkBootloaderGeneration(*image, *other));
    }
    return {};
}

} // namespace provost
