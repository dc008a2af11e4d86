// Plans, platforms and shipping states: TOML into validated structs.
#pragma once

#include "engine/step.h"

#include <filesystem>

namespace provost {

/// Where the data files of the program lie.
struct DataFolders {
    std::filesystem::path plans{};
    std::filesystem::path platforms{};
    std::filesystem::path shipping{};
    std::filesystem::path manifests{};
    std::filesystem::path images{};
    std::filesystem::path benches{};
};

Result<PlatformSpec> loadPlatform(const std::filesystem::path& file);
/// Every platform of the folder, by name of the file.
Result<std::vector<PlatformSpec>> loadPlatforms(const std::filesystem::path& folder);
/// Names a server key file beside it (PEM).
Result<ShippingState> loadShippingState(const std::filesystem::path& file);

/// A plan by id (in folders.plans) or path, resolved against registry, platform, shipping state and
/// catalogue before it is accepted: an unknown step, a missing image, a limit without a unit is
/// found here, not at unit 400.
/// @returns InvalidData, InvalidArgument  with file:line:column; NotFound
Result<std::shared_ptr<const TestPlan>> loadPlan(const std::string& idOrPath,
                                                 const DataFolders& folders,
                                                 const StepRegistry& steps, ImageCatalog& images);

} // namespace provost
