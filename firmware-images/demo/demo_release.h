// The releases that training, tests and simulated benches flash.
#pragma once

#include "demo/demo_module.h"

#include <string>
#include <vector>

namespace provost::demo {

/// The product of all user parts.
inline constexpr std::uint16_t kProductId = 60000;

struct DemoImage {
    std::string platform{};
    std::string version{}; ///< of the release
    std::string role{};
    std::string fileName{};
    ModulePlan plan{};
};

/// Sorted by platform and release, then bootloader, system parts by index, user.
std::vector<DemoImage> demoImages();

/// The manifest of one release, named as its file ("photon-2.3.1"); empty where there is none.
std::string demoManifest(std::string_view release);

} // namespace provost::demo
