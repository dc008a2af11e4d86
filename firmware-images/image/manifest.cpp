#include "image/manifest_p.h"

#include "core/byte_io.h"
#include "core/text.h"
#include "image/file_bytes_p.h"

#include <algorithm>
#include <initializer_list>
#include <limits>
#include <toml++/toml.h>

namespace provost {

namespace {

namespace fs = std::filesystem;

constexpr std::uintmax_t kLargestManifestBytes = 1024 * 1024;

std::string at(const std::string& file, const toml::source_region& where)
{
    return concat(file, ":", where.begin.line, ":", where.begin.column);
}

Unexpected wrong(const std::string& file, const toml::source_region& where, std::string why)
{
    return fail(Errc::InvalidData, Blame::Station, concat(at(file, where), ": ", std::move(why)));
}

Result<> refuseUnknownKeys(const std::string& file, const toml::table& table,
                           std::initializer_list<std::string_view> known)
{
    for (const auto& [key, value] : table)
        if (std::find(known.begin(), known.end(), key.str()) == known.end())
            return wrong(file, key.source(), concat("unknown key '", key.str(), "'"));
    return {};
}

Result<std::string> text(const std::string& file, const toml::table& table, std::string_view key)
{
    const toml::node* const node = table.get(key);
    if (!node)
        return wrong(file, table.source(), concat("key '", key, "' is missing"));
    const auto* const value = node->as_string();
    if (!value || value->get().empty())
        return wrong(file, node->source(), concat("'", key, "' should be a text"));
    return value->get();
}

Result<std::uint16_t> number(const std::string& file, const toml::table& table,
                             std::string_view key)
{
    const toml::node* const node = table.get(key);
    if (!node)
        return wrong(file, table.source(), concat("key '", key, "' is missing"));
    const auto* const value = node->as_integer();
    if (!value || value->get() < 0 || value->get() > std::numeric_limits<std::uint16_t>::max())
        return wrong(file, node->source(), concat("'", key, "' should be a number, 0 to 65535"));
    return static_cast<std::uint16_t>(value->get());
}

/// bootloader, user, monolithic or system-<index>
bool isRole(std::string_view role)
{
    constexpr std::string_view kSystem = "system-";
    if (role.substr(0, kSystem.size()) == kSystem)
        return role.size() == kSystem.size() + 1 && role.back() >= '1' && role.back() <= '9';
    return role == "bootloader" || role == "user" || role == "monolithic";
}

/// A manifest names files of its own release folder, nothing outside it.
bool staysInside(const fs::path& name)
{
    return name.is_relative() && std::none_of(name.begin(), name.end(), [](const fs::path& part) {
               return part.empty() || part == ".." || part == ".";
           });
}

Result<CatalogEntry> readImage(const std::string& file, const toml::table& table,
                               const std::string& platform, const std::string& version)
{
    TRY(refuseUnknownKeys(file, table, {"role", "file", "sha256", "module_version"}));
    CatalogEntry entry{
        .platform = platform, .version = version, .origin = at(file, table.source())};
    entry.role = TRY(text(file, table, "role"));
    if (!isRole(entry.role))
        return wrong(file, table.get("role")->source(),
                     concat("role '", entry.role,
                            "' is none of bootloader, system-1 to system-9, user, monolithic"));
    entry.fileName = TRY(text(file, table, "file"));
    if (!staysInside(entry.fileName))
        return wrong(file, table.get("file")->source(),
                     concat("file '", entry.fileName,
                            "' should be a name without '..' below the "
                            "image folder"));
    const std::string digits = TRY(text(file, table, "sha256"));
    const auto digest = fromHex(digits);
    if (!digest || digest->size() != entry.sha256.size())
        return wrong(file, table.get("sha256")->source(),
                     concat("sha256 '", digits, "' should have 64 hexadecimal digits"));
    std::copy(digest->begin(), digest->end(), entry.sha256.begin());
    entry.moduleVersion = TRY(number(file, table, "module_version"));
    return entry;
}

Result<std::vector<CatalogEntry>> readRelease(const std::string& file, const toml::table& release)
{
    TRY(refuseUnknownKeys(file, release, {"platform", "version", "image"}));
    const std::string platform = TRY(text(file, release, "platform"));
    const auto id = parsePlatform(platform);
    if (!id || platformName(*id) != platform)
        return wrong(file, release.get("platform")->source(),
                     concat("platform '", platform, "' is not known"));
    const std::string version = TRY(text(file, release, "version"));

    const toml::node* const node = release.get("image");
    const toml::array* const images = node ? node->as_array() : nullptr;
    if (!images || images->empty())
        return wrong(file, node ? node->source() : release.source(),
                     "at least one [[image]] is needed");
    std::vector<CatalogEntry> entries;
    for (const toml::node& each : *images) {
        const toml::table* const table = each.as_table();
        if (!table)
            return wrong(file, each.source(), "'image' should be tables, written as [[image]]");
        auto entry = TRY(readImage(file, *table, platform, version));
        entries.push_back(std::move(entry));
    }
    return entries;
}

} // namespace

Result<std::vector<CatalogEntry>> readManifest(const fs::path& file)
{
    const Bytes bytes = TRY(readFileBytes(file, kLargestManifestBytes));
    const std::string content = toText(bytes);
    try {
        const toml::table release = toml::parse(content, file.string());
        return readRelease(file.string(), release);
    } catch (const toml::parse_error& error) {
        return wrong(file.string(), error.source(), std::string(error.description()));
    } catch (const std::exception& error) {
        return fail(Errc::Internal, Blame::Software,
                    concat("read manifest ", file.string(), ": ", error.what()));
    }
}

} // namespace provost
