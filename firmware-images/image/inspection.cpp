#include "image/inspection.h"

#include "core/byte_io.h"
#include "core/text.h"
#include "crypto/digest.h"
#include "image/file_bytes_p.h"

namespace provost {

namespace {

std::string jsonText(std::string_view text)
{
    std::string json = "\"";
    for (const char c : text) {
        const auto code = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\')
            json.append({'\\', c});
        else if (code < 0x20)
            json += "\\u" + hex16(code);
        else
            json += c;
    }
    return json + "\"";
}

std::string_view truth(bool value)
{
    return value ? "true" : "false";
}

std::string dependenciesJson(const ModuleInfo& module)
{
    std::string json;
    for (const ModuleDependency& each : module.dependencies)
        json += concat(json.empty() ? "" : ",", "{\"function\":", jsonText(name(each.function)),
                       ",\"index\":", static_cast<unsigned>(each.index),
                       ",\"version\":", each.version, "}");
    return "[" + json + "]";
}

std::string platformJson(std::uint16_t id)
{
    const std::string_view known = platformName(id);
    return concat("{\"id\":", id, ",\"name\":", known.empty() ? "null" : jsonText(known), "}");
}

std::string productJson(const ModuleInfo& module)
{
    if (!module.product)
        return "null";
    return concat("{\"id\":", module.product->id, ",\"version\":", module.product->version, "}");
}

std::string crcText(const ModuleInfo& module)
{
    return module.crcOk() ? concat(hex32(module.crcStored), ", right")
                          : concat(hex32(module.crcStored), ", WRONG: the content gives ",
                                   hex32(module.crcComputed));
}

std::string productText(const ModuleInfo& module)
{
    if (!module.product)
        return "no such fields";
    if (module.product->id == 0xFFFF)
        return "none";
    return concat(module.product->id, ", version ", module.product->version);
}

} // namespace

Result<Inspection> inspectFile(const std::filesystem::path& path)
{
    const Bytes content = TRY(readFileBytes(path, kLargestImageBytes));
    auto module = parseModule(content);
    if (!module)
        return Unexpected(inFrame(std::move(module).error(), "inspect " + path.string()));
    return Inspection{.file = path.string(),
                      .size = content.size(),
                      .sha256 = sha256(content),
                      .module = *std::move(module)};
}

std::string toJson(const Inspection& inspection)
{
    const ModuleInfo& module = inspection.module;
    return concat(
        "{\"file\":", jsonText(inspection.file), ",\"size\":", inspection.size,
        ",\"sha256\":", jsonText(toHex(inspection.sha256)),
        ",\"platform\":", platformJson(module.platformId),
        ",\"function\":", jsonText(name(module.function)),
        ",\"index\":", static_cast<unsigned>(module.index), ",\"version\":", module.version,
        ",\"start\":", module.start, ",\"end\":", module.end,
        ",\"dependencies\":", dependenciesJson(module), ",\"product\":", productJson(module),
        ",\"crc\":{\"stored\":", module.crcStored, ",\"computed\":", module.crcComputed,
        ",\"ok\":", truth(module.crcOk()), "},\"header_offset\":", module.headerOffset,
        ",\"suffix_size\":", module.suffixSize,
        ",\"module_sha256\":{\"stored\":", jsonText(toHex(module.sha256Stored)),
        ",\"ok\":", truth(module.sha256Ok), "},\"placeholders\":", truth(module.placeholders),
        ",\"demo\":", truth(module.demo), "}");
}

std::string toText(const Inspection& inspection)
{
    const ModuleInfo& module = inspection.module;
    const std::string_view platform = platformName(module.platformId);
    std::string text =
        concat(inspection.file, module.demo ? " (demo image, not for real units)" : "", "\n",
               "  size        ", inspection.size, " bytes, module ", module.moduleSize, "\n",
               "  sha-256     ", toHex(inspection.sha256), "\n", "  platform    ",
               module.platformId, platform.empty() ? "" : concat(" ", platform), "\n",
               "  module      ", name(module.function), " ", static_cast<unsigned>(module.index),
               ", version ", module.version, "\n", "  addresses   ", hex32(module.start), " to ",
               hex32(module.end), ", header at ", hex32(module.headerOffset), "\n");
    for (const ModuleDependency& each : module.dependencies)
        text +=
            concat("  needs       ", name(each.function), " ", static_cast<unsigned>(each.index),
                   ", version ", each.version, " or later\n");
    text += concat("  product     ", productText(module), "\n", "  crc         ", crcText(module),
                   "\n", "  module sha  ", module.sha256Ok ? "right" : "differs", "\n");
    for (const std::string& defect : defects(module))
        text += concat("  damaged     ", defect, "\n");
    return text;
}

} // namespace provost
