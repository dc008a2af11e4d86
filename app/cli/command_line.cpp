#include "cli/command_line.h"

#include "cli/output.h"
#include "core/text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <iostream>

namespace provost::cli {

namespace {

constexpr std::array<std::string_view, 3> kShells{"bash", "zsh", "fish"};

struct Mistake {
    std::string what{};
    std::string path{}; ///< of the command whose help explains it
};

Exit usageError(const Mistake& mistake, const std::vector<std::string>& arguments)
{
    const std::string advice =
        concat("provost ", mistake.path, mistake.path.empty() ? "" : " ", "--help");
    printNote(concat("provost: ", mistake.what, "\nTry: ", advice));
    if (std::ranges::find(arguments, "--json") != arguments.end())
        printJson({{"event", "error"},
                   {"error", mistake.what},
                   {"code", "usage"},
                   {"blame", name(Blame::Operator)},
                   {"cause", mistake.path == "run" ? JsonValue("C043") : JsonValue()},
                   {"advice", advice}});
    return Exit::Usage;
}

bool isGroup(const std::vector<Command>& commands, const std::string& word)
{
    return std::ranges::any_of(
        commands, [&](const Command& each) { return each.path.starts_with(word + " "); });
}

const Command* findCommand(const std::vector<Command>& commands,
                           const std::vector<std::string>& arguments, std::size_t& words)
{
    for (std::size_t count = std::min<std::size_t>(2, arguments.size()); count > 0; --count) {
        std::string path = arguments[0];
        for (std::size_t i = 1; i < count; ++i)
            path += " " + arguments[i];
        const auto found = std::ranges::find(commands, path, &Command::path);
        if (found != commands.end()) {
            words = count;
            return &*found;
        }
    }
    return nullptr;
}

bool isPositional(const std::string& word)
{
    return word.size() < 2 || word[0] != '-';
}

/// Takes the option at words[i], and its value behind it. Empty: taken.
std::string takeOption(const std::vector<Option>& options, const std::vector<std::string>& words,
                       std::size_t& i, Arguments& into)
{
    const std::string& word = words[i];
    const bool shortOutput = word == "-o";
    const auto equals = word.find('=');
    const std::string name = shortOutput ? "output" : word.substr(2, equals - 2);
    const auto option = std::ranges::find(options, name, &Option::name);
    if (option == options.end() || (!shortOutput && !word.starts_with("--")))
        return concat("unknown option ", word);
    if (into.has(name))
        return concat("option --", name, " is given twice");
    const bool inWord = equals != std::string::npos && !shortOutput;
    if (option->value.empty()) {
        if (inWord)
            return concat("option --", name, " takes no value");
        into.m_options[name] = "yes";
        return {};
    }
    if (!inWord && (i + 1 == words.size() || words[i + 1].starts_with("--")))
        return concat("option --", name, " needs ", option->value);
    into.m_options[name] = inWord ? word.substr(equals + 1) : words[++i];
    // A script's unset variable must not mean the default.
    if (into.m_options[name].empty())
        return concat("option --", name, ": ", option->value, " is empty");
    return {};
}

/// Empty: parsed. Else what is wrong with the command line.
std::string parse(const Command& command, const std::vector<std::string>& words, Arguments& into)
{
    const auto options = allOptions(command);
    bool onlyPositionals = false;
    for (std::size_t i = 0; i < words.size(); ++i) {
        if (words[i] == "--" && !onlyPositionals) {
            onlyPositionals = true;
        } else if (onlyPositionals || isPositional(words[i])) {
            into.m_positionals.push_back(words[i]);
        } else if (auto wrong = takeOption(options, words, i, into); !wrong.empty()) {
            return wrong;
        }
    }
    for (const auto& option : options) {
        if (option.required && !into.has(option.name))
            return concat("option --", option.name, " ", option.value, " is required");
    }
    const auto count = into.positionals().size();
    if (count < command.minPositionals)
        return concat("expected ", command.positionals, count > 0 ? ", found only " : "",
                      count > 0 ? into.positionals().back() : "");
    if (count > command.maxPositionals)
        return concat("unexpected argument \"", into.positionals()[command.maxPositionals], "\"");
    return {};
}

bool asksForHelp(const std::vector<std::string>& words)
{
    const auto end = std::ranges::find(words, "--");
    return std::find(words.begin(), end, "--help") != end;
}

/// What completion and help are, for their own help: the parser knows them by name.
Command completionCommand()
{
    return {.path = "completion",
            .summary = "Prints the completion script of a shell",
            .positionals = "bash|zsh|fish",
            .example = "source <(provost completion bash)",
            .notes = "With --json the script is a member of one object."};
}

Command helpCommand()
{
    return {.path = "help",
            .summary = "Explains a command; so does COMMAND --help",
            .positionals = "[COMMAND]",
            .example = "provost help dfu read --json",
            .notes = "Without a command: all of them."};
}

bool asksForJson(const std::vector<std::string>& words)
{
    return std::ranges::find(words, "--json") != words.end();
}

Exit explainOne(const Command& command, bool json)
{
    json ? printHelpObject(command) : printHelp(command);
    return Exit::Pass;
}

Exit explainAll(const std::vector<Command>& commands, const std::string& group, bool json)
{
    if (json)
        printOverviewObject(commands, group);
    else
        printOverview(commands, group, std::cout);
    return Exit::Pass;
}

Exit explain(const std::vector<Command>& commands, std::vector<std::string> words)
{
    const bool json = asksForJson(words);
    if (asksForHelp(words))
        return explainOne(helpCommand(), json);
    const auto given = words;
    std::erase(words, "--json");
    for (const auto& word : words) {
        if (word.starts_with("-"))
            return usageError({.what = concat("unknown option ", word), .path = "help"}, given);
    }
    if (words.empty())
        return explainAll(commands, {}, json);
    std::size_t used = 0;
    const Command* command = findCommand(commands, words, used);
    if (command != nullptr && used == words.size())
        return explainOne(*command, json);
    if (words.size() == 1 && isGroup(commands, words[0]))
        return explainAll(commands, words[0], json);
    if (words.size() == 1 && words[0] == "completion")
        return explainOne(completionCommand(), json);
    if (words.size() == 1 && words[0] == "help")
        return explainOne(helpCommand(), json);
    std::string named;
    for (const auto& word : words)
        named += concat(named.empty() ? "" : " ", word);
    return usageError({.what = concat("no command \"", named, "\"")}, given);
}

Exit complete(const std::vector<Command>& commands, std::vector<std::string> words)
{
    const bool json = asksForJson(words);
    if (asksForHelp(words))
        return explainOne(completionCommand(), json);
    const auto given = words;
    std::erase(words, "--json");
    if (words.size() != 1 || std::ranges::find(kShells, words[0]) == kShells.end())
        return usageError({.what = "completion needs bash, zsh or fish", .path = "completion"},
                          given);
    const std::string script = completionScript(commands, words[0]);
    if (json)
        printJson({{"event", "completion"}, {"shell", words[0]}, {"script", script}});
    else
        std::cout << script;
    return Exit::Pass;
}

Exit noSuchCommand(const std::vector<Command>& commands, const std::vector<std::string>& arguments)
{
    const bool group = isGroup(commands, arguments[0]);
    if (group && arguments.size() == 1) {
        printOverview(commands, arguments[0], std::cerr);
        return Exit::Usage;
    }
    if (group && arguments[1] == "--help")
        return explainAll(commands, arguments[0], asksForJson(arguments));
    const std::string named = group ? concat(arguments[0], " ", arguments[1]) : arguments[0];
    return usageError({.what = concat("no command \"", named, "\""),
                       .path = group ? arguments[0] : std::string{}},
                      arguments);
}

Result<std::uint32_t> parseNumber(const std::string& option, const std::string& given, int base)
{
    const bool prefixed = given.starts_with("0x") || given.starts_with("0X");
    const char* const begin = given.data() + (prefixed ? 2 : 0);
    const char* const end = given.data() + given.size();
    std::uint32_t value = 0;
    const auto [stopped, error] = std::from_chars(begin, end, value, prefixed ? 16 : base);
    if (error != std::errc{} || stopped != end || begin == end)
        return fail(Errc::InvalidArgument, Blame::Operator,
                    concat("--", option, " ", given, ": must be ",
                           base == 16 ? "hexadecimal, such as 0x080a0000"
                                      : "a number from 0 to 4294967295"));
    return value;
}

} // namespace

std::string Arguments::text(const std::string& option, std::string fallback) const
{
    const auto found = m_options.find(option);
    return found == m_options.end() ? std::move(fallback) : found->second;
}

Result<std::uint32_t> Arguments::number(const std::string& option, std::uint32_t fallback) const
{
    if (!has(option))
        return fallback;
    return parseNumber(option, text(option), 10);
}

Result<std::uint32_t> Arguments::hex(const std::string& option) const
{
    return parseNumber(option, text(option), 16);
}

Exit dispatch(const std::vector<Command>& commands, const std::vector<std::string>& arguments)
{
    if (arguments.empty()) {
        printOverview(commands, {}, std::cerr);
        return Exit::Usage;
    }
    if (arguments[0] == "--help" || arguments[0] == "help")
        return explain(commands, {arguments.begin() + 1, arguments.end()});
    if (arguments[0] == "--version" && asksForJson(arguments)) {
        printJson({{"event", "version"}, {"version", PROVOST_VERSION}});
        return Exit::Pass;
    }
    if (arguments[0] == "--version") {
        std::cout << "provost " << PROVOST_VERSION << '\n';
        return Exit::Pass;
    }
    if (arguments[0] == "completion")
        return complete(commands, {arguments.begin() + 1, arguments.end()});
    std::size_t words = 0;
    const Command* command = findCommand(commands, arguments, words);
    if (command == nullptr)
        return noSuchCommand(commands, arguments);
    const std::vector<std::string> rest(arguments.begin() + static_cast<std::ptrdiff_t>(words),
                                        arguments.end());
    if (asksForHelp(rest))
        return explainOne(*command, asksForJson(rest));
    Arguments parsed;
    const std::string wrong = parse(*command, rest, parsed);
    if (!wrong.empty())
        return usageError({.what = wrong, .path = command->path}, arguments);
    if (command->looksOnly)
        StopSignal::unblockSignals();
    return command->run(parsed);
}

} // namespace provost::cli
