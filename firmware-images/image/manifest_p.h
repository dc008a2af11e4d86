// A release as its manifest describes it.
#pragma once

#include "image/image_catalog.h"

namespace provost {

/// @returns NotFound, Io, InvalidData (message begins with file:line:column)
Result<std::vector<CatalogEntry>> readManifest(const std::filesystem::path& file);

} // namespace provost
