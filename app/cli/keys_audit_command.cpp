// `provost keys audit`: every key that was ever made, in databases and registries.
#include "audit/key_audit.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "core/file_io.h"
#include "core/text.h"
#include "crypto/ec_key.h"
#include "crypto/rsa_key.h"
#include "host/host.h"
#include "store/journal.h"

#include <algorithm>
#include <set>

namespace provost::cli {

namespace {

constexpr std::string_view kPublicKeyEnding = ".pub.pem";
constexpr std::size_t kLargestPublicKey = std::size_t{64} << 10;

struct Audited {
    std::vector<AuditedKey> keys{};
    std::size_t openCustody = 0; ///< keys that were born and not destroyed, as far as is recorded
};

Result<> addDatabase(const std::filesystem::path& file, Audited& to)
{
    const SystemClock clock;
    const auto journal = TRY(Journal::openReadOnly(file, clock));
    auto keys = TRY(journal->allKeys());
    for (auto& key : keys) {
        const bool current = key.state == "proved" || key.state == "registered";
        to.keys.push_back({.deviceId = std::move(key.deviceId),
                           .source = file.string(),
                           .publicDer = std::move(key.publicDer),
                           .current = current});
    }
    to.openCustody += TRY(journal->keysWithOpenCustody()).size();
    return {};
}

/// What is damaged becomes a finding, not the end of the audit.
Bytes publicDerOf(ByteView text)
{
    if (const auto rsa = RsaPublicKey::fromText(text))
        return rsa->toDer();
    if (const auto ec = EcPublicKey::fromText(text))
        return ec->toDer();
    return {};
}

/// The registry of a cloud: `<device id>.pub.pem`, one a unit.
Result<> addRegistry(const std::filesystem::path& folder, Audited& to)
{
    std::error_code failed;
    std::vector<std::filesystem::path> files;
    for (const auto& entry : std::filesystem::directory_iterator(folder, failed))
        files.push_back(entry.path());
    if (failed)
        return fail(Errc::Io, Blame::Operator,
                    concat("read registry ", folder.string(), ": ", failed.message()),
                    failed.value());
    std::ranges::sort(files);
    for (const auto& file : files) {
        const std::string name = file.filename().string();
        constexpr std::size_t kIdDigits = 24;
        if (!name.ends_with(kPublicKeyEnding) ||
            name.size() != kIdDigits + kPublicKeyEnding.size() ||
            name.find_first_not_of("0123456789abcdefABCDEF") != kIdDigits)
            continue;
        const Bytes text = TRY(readFile(file, kLargestPublicKey));
        to.keys.push_back({.deviceId = name.substr(0, kIdDigits),
                           .source = folder.string(),
                           .publicDer = publicDerOf(text)});
    }
    return {};
}

Result<Audited> gather(const Arguments& arguments)
{
    std::vector<std::string> sources = arguments.positionals();
    if (sources.empty())
        sources.push_back((stateFolder() / "provost.db").string());
    Audited audited;
    for (const auto& source : sources) {
        std::error_code ignored;
        if (std::filesystem::is_directory(source, ignored))
            TRY(addRegistry(source, audited));
        else
            TRY(addDatabase(source, audited));
    }
    return audited;
}

std::size_t unitsIn(const std::vector<AuditedKey>& keys)
{
    std::set<std::string> ids;
    for (const auto& key : keys)
        ids.insert(lowerCase(key.deviceId));
    return ids.size();
}

std::size_t countOf(const std::vector<AuditFinding>& findings, AuditKind kind)
{
    return static_cast<std::size_t>(std::ranges::count(findings, kind, &AuditFinding::kind));
}

void tell(const AuditFinding& finding, const std::vector<AuditedKey>& keys, bool json)
{
    if (!json) {
        printText(concat(name(finding.kind), ": ", finding.reason));
        return;
    }
    JsonArray units;
    std::set<std::string> told;
    for (const std::size_t at : finding.keys)
        if (told.insert(keys[at].deviceId).second)
            units.add(keys[at].deviceId);
    printJson({{"event", "finding"},
               {"kind", name(finding.kind)},
               {"units", units},
               {"reason", finding.reason}});
}

Exit audit(const Arguments& arguments)
{
    const auto gathered = gather(arguments);
    if (!gathered)
        return report(gathered.error(), arguments);
    const SystemClock clock;
    const auto began = clock.now();
    const auto& keys = gathered->keys;
    const auto findings = auditKeys(keys);
    const double seconds = std::chrono::duration<double>(clock.now() - began).count();
    const bool json = arguments.has("json");
    for (const auto& finding : findings)
        tell(finding, keys, json);
    if (json)
        printJson({{"event", "audit"},
                   {"keys", keys.size()},
                   {"units", unitsIn(keys)},
                   {"duplicate_keys", countOf(findings, AuditKind::DuplicateKey)},
                   {"shared_primes", countOf(findings, AuditKind::SharedPrime)},
                   {"duplicate_ids", countOf(findings, AuditKind::DuplicateId)},
                   {"damaged_keys", countOf(findings, AuditKind::Damaged)},
                   {"open_custody", gathered->openCustody},
                   {"seconds", roundedTo(3, seconds)}});
    else
        printText(concat(counted(keys.size(), "key"), " of ", counted(unitsIn(keys), "unit"), ": ",
                         counted(findings.size(), "finding"), "; custody open for ",
                         gathered->openCustody, "; ", fixed(seconds, 1), " s"));
    return findings.empty() ? Exit::Pass : Exit::Fail;
}

} // namespace

std::vector<Command> keysAuditCommands()
{
    return {{.path = "keys audit",
             .summary = "Looks for equal keys, shared primes and doubtful ids in all there is",
             .positionals = "[SOURCE…]",
             .maxPositionals = 64,
             .example = "provost keys audit ~/.local/state/provost/provost.db --json",
             .run = audit,
             .notes =
                 "SOURCE  a database, or the folder of a cloud's registry; the user's database "
                 "where none is\n        named. Sources that disagree about a unit's present "
                 "key are a finding.\nCustody is open where a private key was made "
                 "here and its destruction\nis not on record.",
             .looksOnly = true}};
}

} // namespace provost::cli
