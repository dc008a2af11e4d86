// Completion scripts, made from the same description as the parser.
#include "cli/command_line.h"

#include <map>
#include <set>
#include <sstream>

namespace provost::cli {

namespace {

using Words = std::set<std::string>;

struct CommandTree {
    Words heads{};
    std::map<std::string, Words> tails{};
};

CommandTree treeOf(const std::vector<Command>& commands)
{
    CommandTree tree{.heads = {"completion", "help"},
                     .tails = {{"completion", {"bash", "zsh", "fish"}}}};
    for (const auto& command : commands) {
        const auto space = command.path.find(' ');
        const std::string head = command.path.substr(0, space);
        tree.heads.insert(head);
        if (space != std::string::npos)
            tree.tails[head].insert(command.path.substr(space + 1));
    }
    tree.tails["help"] = tree.heads;
    tree.tails["help"].erase("help");
    return tree;
}

std::string joined(const Words& words)
{
    std::string text;
    for (const auto& word : words)
        text += (text.empty() ? "" : " ") + word;
    return text;
}

void printFish(const std::vector<Command>& commands, const CommandTree& tree, std::ostream& to)
{
    to << "complete -c provost -n __fish_use_subcommand -f -a '" << joined(tree.heads) << "'\n";
    for (const auto& [head, words] : tree.tails) {
        const std::string tails = joined(words);
        to << "complete -c provost -n '__fish_seen_subcommand_from " << head
           << "; and not __fish_seen_subcommand_from " << tails << "' -f -a '" << tails << "'\n";
    }
    for (const auto& command : commands) {
        const auto space = command.path.find(' ');
        std::string condition = "__fish_seen_subcommand_from " + command.path.substr(0, space);
        if (space != std::string::npos)
            condition += "; and __fish_seen_subcommand_from " + command.path.substr(space + 1);
        for (const auto& option : allOptions(command))
            to << "complete -c provost -n '" << condition << "' -l " << option.name
               << (option.value.empty() ? "" : " -r") << '\n';
    }
}

/// Options where the word begins with a dash, else the files of the shell's own completion.
void printBash(const std::vector<Command>& commands, const CommandTree& tree, std::ostream& to)
{
    to << "_provost() {\n  local cur=${COMP_WORDS[COMP_CWORD]} words=''\n"
       << "  if [ $COMP_CWORD -eq 1 ]; then words='" << joined(tree.heads) << " --help --version'\n"
       << "  else case \"${COMP_WORDS[1]} ${COMP_WORDS[2]}\" in\n";
    for (const auto& command : commands) {
        to << "    '" << command.path << (command.path.find(' ') == std::string::npos ? " '*" : "'")
           << ") words='";
        for (const auto& option : allOptions(command))
            to << "--" << option.name << ' ';
        to << "' ;;\n";
    }
    for (const auto& [head, words] : tree.tails)
        to << "    '" << head << " '*) [ $COMP_CWORD -eq 2 ] && words='" << joined(words)
           << "' ;;\n";
    to << "  esac; fi\n"
       << "  case \"$cur\" in -*) ;; *) [ $COMP_CWORD -gt 2 ] && words='' ;; esac\n"
       << "  COMPREPLY=( $(compgen -W \"$words\" -- \"$cur\") )\n"
       << "  [ ${#COMPREPLY[@]} -gt 0 ] || COMPREPLY=( $(compgen -f -- \"$cur\") )\n}\n"
       << "complete -F _provost provost\n";
}

} // namespace

std::string completionScript(const std::vector<Command>& commands, const std::string& shell)
{
    const CommandTree tree = treeOf(commands);
    std::ostringstream to;
    if (shell == "fish") {
        printFish(commands, tree, to);
        return to.str();
    }
    if (shell == "zsh")
        to << "autoload -U +X compinit && compinit\n"
           << "autoload -U +X bashcompinit && bashcompinit\n";
    printBash(commands, tree, to);
    return to.str();
}

} // namespace provost::cli
