// provost-demo-images: writes the demo images and proves them against the checked-in manifests.
#include "core/text.h"
#include "demo/demo_release.h"
#include "image/image_catalog.h"

#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <set>
#include <span>

namespace {

namespace fs = std::filesystem;
using namespace provost;

constexpr int kPass = 0;
constexpr int kFail = 1;
constexpr int kError = 2;
constexpr int kUsage = 64;

constexpr std::string_view kHelp =
    "usage: provost-demo-images --out DIR [--check MANIFESTS]\n"
    "       provost-demo-images --manifest RELEASE\n"
    "\n"
    "  --out DIR          writes the demo images of all releases into DIR\n"
    "  --check MANIFESTS  then loads each through the manifests in this folder; exit 1 where one\n"
    "                     differs, is missing there or breaks a rule of its set\n"
    "  --manifest RELEASE prints the manifest of one release, such as photon-2.3.1\n"
    "\n"
    "example: provost-demo-images --out build/dev/images --check firmware-images/catalog\n";

int complain(const Error& error, int exitCode)
{
    std::cerr << "provost-demo-images: " << describe(error) << '\n';
    return exitCode;
}

Result<> write(const fs::path& folder)
{
    std::error_code code;
    fs::create_directories(folder, code);
    if (code)
        return fail(Errc::Io, Blame::Station,
                    concat("create ", folder.string(), ": ", code.message()), code.value());
    for (const demo::DemoImage& each : demo::demoImages()) {
        const Bytes content = demo::buildModule(each.plan);
        std::ofstream file(folder / each.fileName, std::ios::binary | std::ios::trunc);
        // char may alias std::byte: this is the stream's only interface.
        file.write(reinterpret_cast<const char*>(content.data()),
                   static_cast<std::streamsize>(content.size()));
        file.close();
        if (!file)
            return fail(Errc::Io, Blame::Station,
                        concat("write ", (folder / each.fileName).string(), ": failed"));
    }
    return {};
}

/// Through the production reader: what it accepts here, a station will accept.
Result<> check(const fs::path& manifests, const fs::path& folder)
{
    const auto catalog = TRY(openCatalog(manifests, folder));
    std::map<std::string, std::vector<std::shared_ptr<const FlashImage>>> sets;
    for (const demo::DemoImage& each : demo::demoImages()) {
        auto image = TRY(catalog->find(each.platform, each.role, each.version));
        if (!image->module.demo || !image->module.sha256Ok)
            return fail(Errc::Mismatch, Blame::Software,
                        concat("check ", each.fileName,
                               ": the demo mark or the module's SHA-256 is not as written"));
        sets[concat(each.platform, "-", each.version)].push_back(std::move(image));
    }
    for (const auto& [release, images] : sets)
        TRY(checkSet(images.front()->module.platformId, images));
    return {};
}

int run(const std::map<std::string, std::string>& options)
{
    if (const auto version = options.find("--manifest"); version != options.end()) {
        const std::string text = demo::demoManifest(version->second);
        std::cout << text;
        return text.empty() ? kUsage : kPass;
    }
    const auto out = options.find("--out");
    if (out == options.end()) {
        std::cerr << kHelp;
        return kUsage;
    }
    if (const auto done = write(out->second); !done)
        return complain(done.error(), kError);
    if (const auto manifests = options.find("--check"); manifests != options.end())
        if (const auto done = check(manifests->second, out->second); !done)
            return complain(done.error(), kFail);
    return kPass;
}

} // namespace

int main(int argc, char** argv)
{
    const std::span<char*> arguments(argv, static_cast<std::size_t>(argc));
    const std::set<std::string> known{"--out", "--check", "--manifest"};
    std::map<std::string, std::string> options;
    for (std::size_t i = 1; i < arguments.size(); i += 2) {
        const std::string option = arguments[i];
        if (option == "--help") {
            std::cout << kHelp;
            return kPass;
        }
        if (!known.contains(option) || i + 1 == arguments.size()) {
            std::cerr << kHelp;
            return kUsage;
        }
        options[option] = arguments[i + 1];
    }
    return run(options);
}
