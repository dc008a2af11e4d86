// `provost db verify`: is the record what the station wrote?
#include "cli/commands.h"
#include "cli/output.h"
#include "core/file_io.h"
#include "core/text.h"
#include "store/chain.h"

namespace provost::cli {

namespace {

constexpr std::size_t kLargestPublicKeyFile = 4096;

/// The forms of command-line.md: `--checkpoint` is the older name.
std::filesystem::path checkpointsOf(const Arguments& arguments)
{
    return arguments.text("checkpoints", arguments.text("checkpoint"));
}

JsonObject verifyOutcome(const std::string& file, const std::optional<VerifyProblem>& problem)
{
    if (!problem)
        return {{"event", "verify"}, {"table", nullptr}, {"row", nullptr},
                {"reason", nullptr}, {"file", file},     {"ok", true}};
    return {{"event", "verify"},
            {"table", textOrNull(problem->table)},
            {"row", problem->row > 0 ? JsonValue(problem->row) : JsonValue()},
            {"reason", problem->reason},
            {"file", file},
            {"ok", false}};
}

void printProblem(const VerifyProblem& found)
{
    printText(concat("damaged: ", found.reason,
                     found.table == "database" ? "" : concat(" (table ", found.table, ")"),
                     found.row > 0 ? concat(", row ", found.row) : std::string{}));
}

Exit verifyStructure(const std::string& file, const Arguments& arguments)
{
    const auto problem = verifyDatabase(file);
    if (!problem)
        return report(problem.error(), arguments);
    if (arguments.has("json"))
        printJson(verifyOutcome(file, *problem));
    else if (*problem)
        printProblem(**problem);
    else
        printText(file + ": intact");
    return *problem ? Exit::Fail : Exit::Pass;
}

/// What the signatures say, and what they cannot say.
void printChain(const std::string& file, const ChainReport& chain)
{
    if (chain.problem)
        printProblem(*chain.problem);
    else
        printText(concat(file, ": ", counted(static_cast<std::size_t>(chain.rows), "row"),
                         " as the station wrote them, signed until ", shownTime(chain.signedUtc),
                         " UTC"));
    if (chain.adopted > 0)
        printText(concat("  ", counted(static_cast<std::size_t>(chain.adopted), "row"),
                         " are older than the chain: of them it says what they were on ",
                         shownTime(chain.originUtc), " UTC, not before"));
    if (chain.unsignedEntries > 0)
        printText(concat("  the last ",
                         counted(static_cast<std::size_t>(chain.unsignedEntries), "change"),
                         " came behind the last signature: the chain holds, nobody vouches for "
                         "them yet"));
    if (chain.elsewhere == 0 && !chain.problem)
        printText("  without --checkpoints a file that was cut, or an older copy, is not found");
}

JsonObject chainOutcome(const std::string& file, const ChainReport& chain)
{
    auto outcome = verifyOutcome(file, chain.problem);
    for (const auto& [name, value] :
         {std::pair("entries", chain.entries), std::pair("rows", chain.rows),
          std::pair("checkpoints", chain.checkpoints),
          std::pair("checkpoints_elsewhere", chain.elsewhere),
          std::pair("unsigned_entries", chain.unsignedEntries),
          std::pair("adopted_rows", chain.adopted)})
        outcome.add(name, value);
    outcome.add("chain_since", textOrNull(chain.originUtc));
    outcome.add("signed_until", textOrNull(chain.signedUtc));
    return outcome;
}

Result<Exit> verifySigned(const std::string& file, const Arguments& arguments)
{
    const Bytes pem = TRY(readFile(arguments.text("public-key"), kLargestPublicKeyFile));
    const VerifyingKey key = TRY(VerifyingKey::fromPem(pem));
    const ChainReport chain = TRY(verifyChain(file, key, checkpointsOf(arguments)));
    if (arguments.has("json"))
        printJson(chainOutcome(file, chain));
    else
        printChain(file, chain);
    return chain.problem ? Exit::Fail : Exit::Pass;
}

Exit verify(const Arguments& arguments)
{
    const std::string& file = arguments.positionals()[0];
    if (!arguments.has("public-key") && checkpointsOf(arguments).empty())
        return verifyStructure(file, arguments);
    if (!arguments.has("public-key")) {
        printNote("--checkpoints needs --public-key KEY: the station's, station-key.pub.pem beside "
                  "its database");
        return Exit::Usage;
    }
    const auto exit = verifySigned(file, arguments);
    return exit ? *exit : report(exit.error(), arguments);
}

} // namespace

Command verifyCommand()
{
    return {.path = "db verify",
            .summary = "Checks a database; exit 1 and the first bad row where it is damaged",
            .positionals = "FILE",
            .minPositionals = 1,
            .maxPositionals = 1,
            .options = {{.name = "public-key",
                         .value = "PEM",
                         .help = "the station's: also the chain and its signatures"},
                        {.name = "checkpoints",
                         .value = "PATH",
                         .help = "copies of the checkpoints, file or folder: also whether the "
                                 "database was cut or is an older copy"},
                        {.name = "checkpoint", .value = "FILE", .help = "the same"}},
            .example = "provost db verify ~/.local/state/provost/provost.db --json",
            .run = verify,
            .notes = "Without --public-key: structure and rules of the records only.",
            .looksOnly = true};
}

} // namespace provost::cli
