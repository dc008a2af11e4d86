// Firmware files by release: only images whose bytes match their manifest leave the catalogue.
#pragma once

#include "core/memory.h"
#include "image/module_info.h"

#include <filesystem>
#include <memory>

namespace provost {

/// A parsed, verified firmware file.
struct FlashImage {
    std::string role{};                 ///< bootloader, system-1, system-2, user
    std::string platform{};             ///< photon
    std::string version{};              ///< of the release: 2.3.1
    std::array<std::byte, 32> sha256{}; ///< of the whole file
    ModuleInfo module{};
    std::vector<MemoryBlock> blocks{}; ///< sorted, non-overlapping; placed by the header
    std::string fileName{};
    Bytes file{}; ///< as read, for YModem
};

/// One line of a manifest; says nothing about whether the file is there.
struct CatalogEntry {
    std::string platform{};
    std::string role{};
    std::string version{};
    std::string fileName{};
    std::array<std::byte, 32> sha256{};
    std::uint16_t moduleVersion = 0;
    std::string origin{}; ///< manifest file:line:column
};

/// Thread-safe.
class ImageCatalog {
public:
    virtual ~ImageCatalog() = default;
    /// Reads and verifies the file at its first use; later calls return the same image.
    /// @param platform  name: photon
    /// @returns NotFound     no such entry, or its file is missing
    ///          Io           the file cannot be read
    ///          Mismatch     SHA-256, platform, role or module version differ from the manifest
    ///          InvalidData  no module, or a damaged one
    virtual Result<std::shared_ptr<const FlashImage>>
    find(std::string_view platform, std::string_view role, std::string_view version) = 0;
    /// All that the manifests name, sorted by platform, version, role.
    virtual std::vector<CatalogEntry> entries() const { return {}; }
};

/// One manifest (TOML) per release: role, platform, version, file, SHA-256. Only the manifests are
/// read here; a file that is missing or bad is reported by find().
/// @param manifests  folder of `*.toml`
/// @param binaries   folder that the manifests' file names lie in
/// @returns NotFound     no folder, or no manifest in it
///          InvalidData  message begins with file:line:column
Result<std::unique_ptr<ImageCatalog>> openCatalog(const std::filesystem::path& manifests,
                                                  const std::filesystem::path& binaries);

/// Checks a set for one unit before anything is touched (particle-devices 13.2): platform,
/// function, index, address range, CRC, placeholders, one image a place, one release of system
/// parts, and that every dependency is met within it. The same image may be listed twice.
/// @returns InvalidData with the first rule broken
Result<> checkSet(std::uint16_t platformId,
                  const std::vector<std::shared_ptr<const FlashImage>>& images);

} // namespace provost
