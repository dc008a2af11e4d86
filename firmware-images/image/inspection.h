// What can be said about one firmware file, for `provost image inspect` and for support.
#pragma once

#include "image/module_info.h"

#include <filesystem>

namespace provost {

struct Inspection {
    std::string file{};                 ///< as named by the caller
    std::size_t size = 0;               ///< bytes
    std::array<std::byte, 32> sha256{}; ///< of the whole file
    ModuleInfo module{};
};

/// @returns NotFound, Io, InvalidData (no module); a damaged module is returned: see defects()
Result<Inspection> inspectFile(const std::filesystem::path& path);

/// One line, no line end. Addresses, versions and CRCs are numbers, digests hexadecimal texts;
/// `product` is null where the suffix has no such fields, 65535 in it means none.
std::string toJson(const Inspection& inspection);

/// Several lines for people, each with a line end.
std::string toText(const Inspection& inspection);

} // namespace provost
