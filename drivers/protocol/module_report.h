// The module report of listening command `s` and of describe (particle-devices 7.4).
#pragma once

#include "core/result.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace provost {

struct ModuleDependencyReport {
    char function = 'n';
    int index = 0;
    int version = 0;
};
struct ModuleEntry {
    std::uint32_t regionSize = 0;
    char location = 'm';            ///< m main, b backup, f factory, t scratch
    int checked = 0;                ///< `vc`
    int passed = 0;                 ///< `vv`; 30 with checked 30: all well
    std::optional<char> function{}; ///< n r b m s u c a; missing: region is empty
    int index = 0;
    int version = 0;
    std::string sha256{}; ///< user part only
    std::vector<ModuleDependencyReport> dependencies{};
};
struct ModuleReport {
    int platform = -1;
    std::vector<ModuleEntry> modules{};
    /// The module of that function and index in the main location.
    const ModuleEntry* find(char function, int index = -1) const;
};

/// @returns InvalidData  no such report; message says at which character
Result<ModuleReport> parseModuleReport(std::string_view json);

} // namespace provost
