#include "protocol/module_report.h"

#include "core/text.h"
#include "protocol/json_reader_p.h"

#include <algorithm>
#include <limits>

namespace provost {

namespace {

constexpr std::size_t kMaxModules = 64;

Unexpected malformed(std::size_t module, std::string_view what)
{
    return fail(Errc::InvalidData, Blame::Unit,
                concat("read module report: module ", module, " has no valid ", what));
}

/// A missing member keeps `into`; a wrong one is false.
bool readInteger(const json::Value& object, std::string_view key, int& into)
{
    const json::Value* member = object.find(key);
    if (member == nullptr)
        return true;
    const auto value = member->integer();
    if (value)
        into = *value;
    return value.has_value();
}

std::optional<char> letter(const json::Value* member, std::string_view allowed)
{
    if (member == nullptr || member->kind != json::Value::Kind::String ||
        member->text.size() != 1 || allowed.find(member->text.front()) == std::string_view::npos)
        return std::nullopt;
    return member->text.front();
}

constexpr std::string_view kFunctions = "nrbmsuca";

bool readDependency(const json::Value& object, ModuleDependencyReport& dependency)
{
    const auto function = letter(object.find("f"), kFunctions);
    if (object.kind != json::Value::Kind::Object || !function)
        return false;
    dependency.function = *function;
    return readInteger(object, "n", dependency.index) &&
           readInteger(object, "v", dependency.version);
}

Result<> readDependencies(const json::Value& object, std::size_t number, ModuleEntry& entry)
{
    const json::Value* list = object.find("d");
    if (list == nullptr)
        return {};
    if (list->kind != json::Value::Kind::Array || list->items.size() > kMaxModules)
        return malformed(number, "dependencies (d)");
    for (const json::Value& item : list->items) {
        ModuleDependencyReport dependency;
        if (!readDependency(item, dependency))
            return malformed(number, "dependencies (d)");
        entry.dependencies.push_back(dependency);
    }
    return {};
}

Result<ModuleEntry> readModule(const json::Value& object, std::size_t number)
{
    if (object.kind != json::Value::Kind::Object)
        return malformed(number, "form");
    ModuleEntry entry;
    const auto location = letter(object.find("l"), "mbft");
    if (!location)
        return malformed(number, "location (l)");
    entry.location = *location;
    if (const json::Value* size = object.find("s"); size != nullptr) {
        const auto value = size->integer64();
        if (!value || *value < 0 || *value > std::numeric_limits<std::uint32_t>::max())
            return malformed(number, "size (s)");
        entry.regionSize = static_cast<std::uint32_t>(*value);
    }
    if (!readInteger(object, "vc", entry.checked) || !readInteger(object, "vv", entry.passed))
        return malformed(number, "validity (vc, vv)");
    if (object.find("f") != nullptr) {
        entry.function = letter(object.find("f"), kFunctions);
        if (!entry.function)
            return malformed(number, "function (f)");
    }
    if (!readInteger(object, "n", entry.index) || !readInteger(object, "v", entry.version))
        return malformed(number, "index or version (n, v)");
    if (const json::Value* sha = object.find("u"); sha != nullptr) {
        if (sha->kind != json::Value::Kind::String || sha->text.size() != 64 || !fromHex(sha->text))
            return malformed(number, "hash (u)");
        entry.sha256 = lowerCase(sha->text);
    }
    TRY(readDependencies(object, number, entry));
    return entry;
}

} // namespace

const ModuleEntry* ModuleReport::find(char function, int index) const
{
    const auto at = std::find_if(modules.begin(), modules.end(), [&](const ModuleEntry& entry) {
        return entry.location == 'm' && entry.function == function &&
               (index < 0 || entry.index == index);
    });
    return at == modules.end() ? nullptr : &*at;
}

Result<ModuleReport> parseModuleReport(std::string_view json)
{
    const json::Value root = TRY(json::parse(json));
    const json::Value* list = root.find("m");
    if (root.kind != json::Value::Kind::Object || list == nullptr ||
        list->kind != json::Value::Kind::Array || list->items.size() > kMaxModules)
        return fail(Errc::InvalidData, Blame::Unit, "read module report: no module list (m)");
    ModuleReport report;
    if (!readInteger(root, "p", report.platform))
        return fail(Errc::InvalidData, Blame::Unit, "read module report: no valid platform (p)");
    for (std::size_t i = 0; i < list->items.size(); ++i) {
        auto entry = TRY(readModule(list->items[i], i));
        report.modules.push_back(std::move(entry));
    }
    return report;
}

} // namespace provost
