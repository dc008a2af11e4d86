#include "cli/keys_batch_files.h"

#include "cli/key_storage.h"
#include "cli/output.h"
#include "core/durable_file.h"
#include "core/file_io.h"
#include "core/text.h"
#include "host/cloud_link.h"
#include "host/host.h"
#include "host/key_manifest.h"

#include <algorithm>
#include <set>

namespace provost::cli {

namespace {

std::string numbered(std::uint32_t number, std::string_view suffix)
{
    const std::string digits = std::to_string(number);
    constexpr std::size_t kWidth = 6;
    return concat("key-", std::string(kWidth - std::min(kWidth, digits.size()), '0'), digits,
                  suffix);
}

Result<ManifestUnit> publicPartOf(const std::filesystem::path& privateFile, const KeyRules& rules)
{
    const Bytes pem = TRY(readFile(privateFile.string() + ".pub.pem", 1UL << 16));
    ManifestUnit unit{.file = privateFile.filename().string(), .outcome = "made"};
    if (rules.kind == KeyKind::P256) {
        const auto key = TRY(EcPublicKey::fromText(pem));
        unit.publicDer = key.toDer();
        unit.fingerprint = key.fingerprint();
    } else {
        const auto key = TRY(RsaPublicKey::fromText(pem));
        unit.publicDer = key.toDer();
        unit.fingerprint = key.fingerprint();
    }
    return unit;
}

/// Whoever was killed between the two files left a public key whose private one was never written:
/// it is on no unit and in no manifest.
Result<bool> isThere(const std::filesystem::path& file)
{
    std::error_code ignored;
    TRY(removeDurably(file.string() + ".partial"));
    if (std::filesystem::exists(file, ignored))
        return true;
    TRY(removeDurably(file.string() + ".pub.pem"));
    return false;
}

Result<> claimFolder(const std::filesystem::path& folder, bool resume)
{
    TRY(makeFolder(folder));
    std::error_code error;
    const bool empty = std::filesystem::is_empty(folder, error);
    if (error || (!empty && !resume))
        return fail(Errc::Denied, Blame::Operator,
                    concat("make keys in ", folder.string(),
                           ": it holds something already; go on by --resume, or name another one"));
    return {};
}

std::filesystem::path signingKeyFile(const Arguments& arguments)
{
    if (arguments.has("signing-key"))
        return arguments.text("signing-key");
    const auto database = arguments.has("db") ? std::filesystem::path(arguments.text("db"))
                                              : stateFolder() / "provost.db";
    return database.parent_path() / "station-key.pem";
}

} // namespace

Result<Exit> makeKeyFiles(const Arguments& arguments, std::uint32_t wanted)
{
    const auto rules = TRY(keyRulesOf(arguments));
    const std::filesystem::path folder(arguments.text("out"));
    const auto storage = TRY(keyStorageOf(arguments));
    TRY(claimFolder(folder, arguments.has("resume")));
    const auto signer = signingKeyFile(arguments);
    if (signer.has_parent_path())
        TRY(makeFolder(signer.parent_path()));
    const auto key = TRY(SigningKey::readOrMake(signer, TRY(serverKeyPassphrase({}))));
    KeyManifest manifest{.batch = arguments.text("name", folder.filename().string()),
                         .platform = std::string(platformName(rules.platform)),
                         .wanted = static_cast<int>(wanted)};
    const StopSignal stop;
    ProgressBar bar;
    std::set<std::string> keys;
    for (std::uint32_t number = 1; number <= wanted && !stop.stopped(); ++number) {
        const auto file = folder / numbered(number, storage.suffix());
        if (!TRY(isThere(file)))
            TRY(writeKeyPair(file.string(), rules, storage, TRY(generateKeyFor(rules))));
        manifest.units.push_back(TRY(publicPartOf(file, rules)));
        if (!keys.insert(manifest.units.back().fingerprint).second)
            return fail(Errc::Corrupt, Blame::Station,
                        concat("make a batch of keys: ", file.string(),
                               " holds a key that another file holds too; remove it"));
        bar.report("Making keys", static_cast<double>(number) / wanted);
    }
    bar.clear();
    TRY(writeManifest(folder, manifest, key));
    const bool complete = manifest.units.size() == wanted;
    if (arguments.has("json"))
        printJson({{"event", "summary"},
                   {"batch", manifest.batch},
                   {"wanted", wanted},
                   {"done", manifest.units.size()},
                   {"complete", complete},
                   {"manifest", folder.string()}});
    else
        printText(concat(folder.string(), ": ", manifest.units.size(), " of ", wanted,
                         " keys, signed by ", key.verifyingKey().fingerprint()));
    return complete ? Exit::Pass : Exit::Aborted;
}

} // namespace provost::cli
