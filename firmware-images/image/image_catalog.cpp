#include "image/image_catalog.h"

#include "core/mutex.h"
#include "core/text.h"
#include "crypto/digest.h"
#include "image/file_bytes_p.h"
#include "image/manifest_p.h"

#include <algorithm>
#include <map>
#include <tuple>

namespace provost {

namespace {

namespace fs = std::filesystem;

auto keyOf(const CatalogEntry& entry)
{
    return std::tie(entry.platform, entry.version, entry.role);
}

class FolderCatalog final : public ImageCatalog {
public:
    FolderCatalog(std::vector<CatalogEntry> entries, fs::path binaries)
        : m_entries(std::move(entries)), m_binaries(std::move(binaries))
    {
    }

    Result<std::shared_ptr<const FlashImage>> find(std::string_view platform, std::string_view role,
                                                   std::string_view version) override;
    std::vector<CatalogEntry> entries() const override { return m_entries; }

private:
    Unexpected notFound(std::string_view platform, std::string_view role,
                        std::string_view version) const;

    const std::vector<CatalogEntry> m_entries; ///< sorted by key
    const fs::path m_binaries;
    Mutex m_mutex;
    std::map<const CatalogEntry*, std::shared_ptr<const FlashImage>>
        m_loaded PROVOST_GUARDED_BY(m_mutex);
};

Unexpected differs(const CatalogEntry& entry, std::string_view what, std::string found,
                   std::string expected)
{
    return fail(Errc::Mismatch, Blame::Station,
                concat("load image ", entry.fileName, ": ", what, " is ", std::move(found),
                       ", the manifest says ", std::move(expected), " (", entry.origin, ")"));
}

Result<> checkAgainstManifest(const CatalogEntry& entry, const ModuleInfo& module)
{
    if (platformName(module.platformId) != entry.platform)
        return differs(entry, "platform",
                       concat(platformName(module.platformId), " (", module.platformId, ")"),
                       entry.platform);
    if (roleOf(module) != entry.role)
        return differs(entry, "role",
                       concat(name(module.function), " ", static_cast<unsigned>(module.index)),
                       entry.role);
    if (module.version != entry.moduleVersion)
        return differs(entry, "module version", toPiece(module.version),
                       toPiece(entry.moduleVersion));
    if (const auto found = defects(module); !found.empty())
        return fail(
            Errc::InvalidData, Blame::Station,
            concat("load image ", entry.fileName, ": ", found.front(), " (", entry.origin, ")"));
    return {};
}

Result<std::shared_ptr<const FlashImage>> load(const CatalogEntry& entry, const fs::path& binaries)
{
    Bytes file = TRY(readFileBytes(binaries / entry.fileName, kLargestImageBytes));
    const Sha256 digest = sha256(file);
    if (digest != entry.sha256)
        return differs(entry, "SHA-256", toHex(digest), toHex(entry.sha256));
    auto module = parseModule(file);
    if (!module)
        return Unexpected(inFrame(std::move(module).error(),
                                  concat("load image ", entry.fileName, " (", entry.origin, ")")));
    TRY(checkAgainstManifest(entry, *module));

    // Padding behind the CRC is the file's, not the module's: it stays out of the flash.
    const ByteView content = ByteView(file).first(module->moduleSize);
    MemoryBlock block{.address = module->start, .bytes = Bytes(content.begin(), content.end())};
    FlashImage image{.role = entry.role,
                     .platform = entry.platform,
                     .version = entry.version,
                     .sha256 = digest,
                     .module = *std::move(module),
                     .fileName = entry.fileName,
                     .file = std::move(file)};
    image.blocks.push_back(std::move(block));
    return std::make_shared<const FlashImage>(std::move(image));
}

Result<std::shared_ptr<const FlashImage>>
FolderCatalog::find(std::string_view platform, std::string_view role, std::string_view version)
{
    const auto entry =
        std::find_if(m_entries.begin(), m_entries.end(), [&](const CatalogEntry& each) {
            return each.platform == platform && each.role == role && each.version == version;
        });
    if (entry == m_entries.end())
        return notFound(platform, role, version);
    {
        const MutexLock lock(m_mutex);
        if (const auto loaded = m_loaded.find(&*entry); loaded != m_loaded.end())
            return loaded->second;
    }
    // Outside the lock: slots that need another image need not wait for this file. Two that need
    // the same one may both read it; the first to finish is kept.
    auto image = TRY(load(*entry, m_binaries));
    const MutexLock lock(m_mutex);
    return m_loaded.emplace(&*entry, std::move(image)).first->second;
}

Unexpected FolderCatalog::notFound(std::string_view platform, std::string_view role,
                                   std::string_view version) const
{
    std::string versions;
    for (const CatalogEntry& each : m_entries)
        if (each.platform == platform && each.role == role)
            versions += (versions.empty() ? "" : ", ") + each.version;
    return fail(Errc::NotFound, Blame::Station,
                concat("find image ", platform, " ", role, " ", version, ": the catalogue has ",
                       versions.empty() ? "no version of it" : versions));
}

Result<std::vector<fs::path>> manifestsIn(const fs::path& folder)
{
    std::error_code code;
    std::vector<fs::path> files;
    auto each = fs::directory_iterator(folder, code);
    for (; !code && each != fs::directory_iterator(); each.increment(code))
        if (each->path().extension() == ".toml")
            files.push_back(each->path());
    if (code)
        return fail(Errc::NotFound, Blame::Station,
                    concat("open image catalogue ", folder.string(), ": ", code.message()),
                    code.value());
    if (files.empty())
        return fail(Errc::NotFound, Blame::Station,
                    concat("open image catalogue ", folder.string(), ": no *.toml in this folder"));
    std::sort(files.begin(), files.end());
    return files;
}

} // namespace

Result<std::unique_ptr<ImageCatalog>> openCatalog(const fs::path& manifests,
                                                  const fs::path& binaries)
{
    const std::vector<fs::path> files = TRY(manifestsIn(manifests));
    std::vector<CatalogEntry> entries;
    for (const fs::path& file : files) {
        auto release = TRY(readManifest(file));
        std::move(release.begin(), release.end(), std::back_inserter(entries));
    }
    std::sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) {
        return std::tie(a.platform, a.version, a.role, a.origin) <
               std::tie(b.platform, b.version, b.role, b.origin);
    });
    const auto twin =
        std::adjacent_find(entries.begin(), entries.end(),
                           [](const auto& a, const auto& b) { return keyOf(a) == keyOf(b); });
    if (twin != entries.end())
        return fail(Errc::InvalidData, Blame::Station,
                    concat(std::next(twin)->origin, ": ", twin->platform, " ", twin->role, " ",
                           twin->version, " is already in ", twin->origin));
    return std::make_unique<FolderCatalog>(std::move(entries), binaries);
}

} // namespace provost
