#include "cli/command_line.h"

#include "cli/output.h"
#include "core/text.h"

#include <algorithm>
#include <charconv>
#include <iostream>
#include <set>

namespace provost::cli {

namespace {

constexpr std::string_view kJsonHelp = "one JSON object a line on stdout, the last is the outcome";

std::vector<Option> allOptions(const Command& command)
{
    auto options = command.options;
    options.push_back({.name = "json", .help = std::string(kJsonHelp)});
    options.push_back({.name = "help", .help = "this text"});
    return options;
}

void printCommandHelp(const Command& command)
{
    std::cout << command.summary << "\n\nUsage: provost " << command.path;
    if (!command.positionals.empty())
        std::cout << ' ' << command.positionals;
    std::cout << " [options]\n\nOptions\n";
    for (const auto& option : allOptions(command)) {
        std::string left = "  --" + option.name;
        if (!option.value.empty())
            left += " " + option.value;
        left.resize(std::max<std::size_t>(left.size() + 2, 28), ' ');
        std::cout << left << option.help << (option.required ? " (required)" : "") << '\n';
    }
    std::cout << "\nExample\n  " << command.example << '\n';
}

void printOverview(const std::vector<Command>& commands, const std::string& prefix)
{
    if (prefix.empty())
        std::cout << "provost, the command line of the production test station\n\n";
    std::cout << "Usage: provost " << (prefix.empty() ? "COMMAND" : prefix + " COMMAND")
              << " [options]\n\nCommands\n";
    for (const auto& command : commands) {
        if (!prefix.empty() && !command.path.starts_with(prefix + " "))
            continue;
        std::string left = "  " + command.path;
        left.resize(std::max<std::size_t>(left.size() + 2, 22), ' ');
        std::cout << left << command.summary << '\n';
    }
    const auto first = std::ranges::find_if(commands, [&](const Command& command) {
        return prefix.empty() || command.path.starts_with(prefix + " ");
    });
    std::cout << "\nEvery command has --help and --json.\n\nExample\n  "
              << (first != commands.end() ? first->example : "") << "\n\n"
              << "Exit codes: 0 pass, 1 fail, 2 error, 3 aborted, 4 refused, 5 hold, 64 usage\n";
}

Exit usageError(const std::string& message, const std::string& path)
{
    std::cerr << "provost: " << message << "\nTry: provost " << path << (path.empty() ? "" : " ")
              << "--help\n";
    return Exit::Usage;
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

/// Empty: parsed. Else what is wrong with the command line.
std::string parse(const Command& command, const std::vector<std::string>& words, Arguments& into)
{
    const auto options = allOptions(command);
    bool onlyPositionals = false;
    for (std::size_t i = 0; i < words.size(); ++i) {
        const std::string& word = words[i];
        if (word == "--" && !onlyPositionals) {
            onlyPositionals = true;
            continue;
        }
        const bool shortOutput = word == "-o";
        if (onlyPositionals || word.size() < 2 || word[0] != '-') {
            into.m_positionals.push_back(word);
            continue;
        }
        const auto equals = word.find('=');
        const std::string name = shortOutput ? "output" : word.substr(2, equals - 2);
        const auto option = std::ranges::find(options, name, &Option::name);
        if (option == options.end() || (!shortOutput && !word.starts_with("--")))
            return concat("unknown option ", word);
        if (option->value.empty()) {
            into.m_options[name] = "yes";
        } else if (equals != std::string::npos) {
            into.m_options[name] = word.substr(equals + 1);
        } else if (i + 1 < words.size()) {
            into.m_options[name] = words[++i];
        } else {
            return concat("option --", name, " needs ", option->value);
        }
    }
    if (into.has("help"))
        return {};
    for (const auto& option : options) {
        if (option.required && !into.has(option.name))
            return concat("option --", option.name, " ", option.value, " is required");
    }
    const auto count = into.positionals().size();
    if (count < command.minPositionals)
        return concat("expected ", command.positionals);
    if (count > command.maxPositionals)
        return concat("unexpected argument \"", into.positionals()[command.maxPositionals], "\"");
    return {};
}

void printCompletion(const std::vector<Command>& commands, const std::string& shell)
{
    std::set<std::string> heads;
    std::map<std::string, std::set<std::string>> tails;
    for (const auto& command : commands) {
        const auto space = command.path.find(' ');
        const std::string head = command.path.substr(0, space);
        heads.insert(head);
        if (space != std::string::npos)
            tails[head].insert(command.path.substr(space + 1));
    }
    const auto joined = [](const auto& words) {
        std::string text;
        for (const auto& word : words)
            text += (text.empty() ? "" : " ") + word;
        return text;
    };
    if (shell == "fish") {
        std::cout << "complete -c provost -n __fish_use_subcommand -a '" << joined(heads) << "'\n";
        for (const auto& [head, words] : tails)
            std::cout << "complete -c provost -n '__fish_seen_subcommand_from " << head << "' -a '"
                      << joined(words) << "'\n";
        for (const auto& command : commands) {
            for (const auto& option : allOptions(command))
                std::cout << "complete -c provost -n '__fish_seen_subcommand_from "
                          << command.path.substr(0, command.path.find(' ')) << "' -l "
                          << option.name << (option.value.empty() ? "" : " -r") << '\n';
        }
        return;
    }
    if (shell == "zsh")
        std::cout << "autoload -U +X bashcompinit && bashcompinit\n";
    std::cout << "_provost() {\n  local cur=${COMP_WORDS[COMP_CWORD]} words=''\n"
              << "  if [ $COMP_CWORD -eq 1 ]; then words='" << joined(heads) << "'\n"
              << "  else case \"${COMP_WORDS[1]} ${COMP_WORDS[2]}\" in\n";
    for (const auto& command : commands) {
        std::cout << "    '" << command.path
                  << (command.path.find(' ') == std::string::npos ? " '*" : "'") << ") words='";
        for (const auto& option : allOptions(command))
            std::cout << "--" << option.name << ' ';
        std::cout << "' ;;\n";
    }
    for (const auto& [head, words] : tails)
        std::cout << "    '" << head << " '*) words='" << joined(words) << "' ;;\n";
    std::cout << "  esac; fi\n  COMPREPLY=( $(compgen -W \"$words\" -- \"$cur\") )\n"
              << "  [ ${#COMPREPLY[@]} -gt 0 ] || COMPREPLY=( $(compgen -f -- \"$cur\") )\n}\n"
              << "complete -F _provost provost\n";
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
    const std::string given = text(option);
    const bool hex = given.starts_with("0x") || given.starts_with("0X");
    const char* const begin = given.data() + (hex ? 2 : 0);
    const char* const end = given.data() + given.size();
    std::uint32_t value = 0;
    const auto [stopped, error] = std::from_chars(begin, end, value, hex ? 16 : 10);
    if (error != std::errc{} || stopped != end || begin == end)
        return fail(Errc::InvalidArgument, Blame::Operator,
                    concat("--", option, " ", given, ": not a number of 32 bits"));
    return value;
}

Exit dispatch(const std::vector<Command>& commands, const std::vector<std::string>& arguments)
{
    if (arguments.empty() || arguments[0] == "--help" || arguments[0] == "help") {
        printOverview(commands, {});
        return arguments.empty() ? Exit::Usage : Exit::Pass;
    }
    if (arguments[0] == "--version") {
        std::cout << "provost " << PROVOST_VERSION << '\n';
        return Exit::Pass;
    }
    if (arguments[0] == "completion") {
        if (arguments.size() != 2 ||
            (arguments[1] != "bash" && arguments[1] != "zsh" && arguments[1] != "fish"))
            return usageError("completion needs bash, zsh or fish", {});
        printCompletion(commands, arguments[1]);
        return Exit::Pass;
    }
    std::size_t words = 0;
    const Command* command = findCommand(commands, arguments, words);
    if (command == nullptr) {
        const bool group = std::ranges::any_of(commands, [&](const Command& each) {
            return each.path.starts_with(arguments[0] + " ");
        });
        if (group && (arguments.size() == 1 || arguments[1] == "--help")) {
            printOverview(commands, arguments[0]);
            return arguments.size() == 1 ? Exit::Usage : Exit::Pass;
        }
        return usageError(concat("no command \"", arguments[0],
                                 group ? concat(" ", arguments[1]) : std::string{}, "\""),
                          group ? arguments[0] : std::string{});
    }
    Arguments parsed;
    const std::vector<std::string> rest(arguments.begin() + static_cast<std::ptrdiff_t>(words),
                                        arguments.end());
    const std::string wrong = parse(*command, rest, parsed);
    if (parsed.has("help")) {
        printCommandHelp(*command);
        return Exit::Pass;
    }
    if (!wrong.empty())
        return usageError(wrong, command->path);
    return command->run(parsed);
}

} // namespace provost::cli
