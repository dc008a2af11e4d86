// The two Photon releases that training, tests and simulated benches flash.
#pragma once

#include "demo/demo_module.h"

#include <string>
#include <vector>

namespace provost::demo {

/// The product of both user parts; their product versions are 1 (1.5.2) and 2 (2.3.1).
inline constexpr std::uint16_t kProductId = 60000;

struct DemoImage {
    std::string platform{};
    std::string version{}; ///< of the release
    std::string role{};
    std::string fileName{};
    ModulePlan plan{};
};

/// Sorted by release, then bootloader, system-1, system-2, user.
std::vector<DemoImage> demoImages();

/// The manifest of one release, empty where there is no such release.
std::string demoManifest(std::string_view version);

} // namespace provost::demo
