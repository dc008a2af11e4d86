// Where the program finds what it was installed with, and keeps what is its own.
#pragma once

#include "config/load_plan.h"

#include <filesystem>

namespace provost {

/// Plans, benches, images: beside the program where installed, else in the source tree.
DataFolders dataFolders();
/// ~/.local/state/provost, or $XDG_STATE_HOME/provost.
std::filesystem::path stateFolder();

} // namespace provost
