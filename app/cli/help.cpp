// `--help` on every level.
#include "cli/command_line.h"
#include "cli/output.h"
#include "core/text.h"

#include <algorithm>
#include <iostream>

namespace provost::cli {

namespace {

struct Row {
    std::string left{};
    std::string right{};
};

void printRows(std::ostream& to, const std::vector<Row>& rows)
{
    std::size_t width = 0;
    for (const auto& row : rows)
        width = std::max(width, row.left.size());
    for (const auto& row : rows)
        to << "  " << leftIn(width + 2, row.left) << row.right << '\n';
}

/// Two blanks before each line.
std::string indented(const std::string& lines)
{
    std::string text = "  ";
    for (const char c : lines)
        text += c == '\n' ? std::string("\n  ") : std::string(1, c);
    return text;
}

bool isIn(const Command& command, const std::string& group)
{
    return group.empty() || command.path.starts_with(group + " ");
}

std::vector<Row> rowsOf(const std::vector<Command>& commands, const std::string& group)
{
    std::vector<Row> rows;
    for (const auto& command : commands) {
        if (isIn(command, group))
            rows.push_back({command.path, command.summary});
    }
    if (group.empty()) {
        rows.push_back({"completion bash|zsh|fish", "Prints the completion script of a shell"});
        rows.push_back({"help [COMMAND]", "Explains a command; so does COMMAND --help"});
        rows.push_back({"--version", "Prints the version"});
    }
    return rows;
}

} // namespace

std::vector<Option> allOptions(const Command& command)
{
    auto options = command.options;
    options.push_back(
        {.name = "json", .help = "one JSON object a line on stdout, the last is the outcome"});
    options.push_back({.name = "help", .help = "this text"});
    return options;
}

void printHelp(const Command& command)
{
    std::cout << command.summary << "\n\nUsage: provost " << command.path
              << (command.positionals.empty() ? "" : " ") << command.positionals
              << " [options]\n\nOptions\n";
    std::vector<Row> rows;
    for (const auto& option : allOptions(command))
        rows.push_back({concat("--", option.name, option.value.empty() ? "" : " ", option.value),
                        concat(option.help, option.required ? " (required)" : "")});
    printRows(std::cout, rows);
    if (!command.notes.empty())
        std::cout << '\n' << command.notes << '\n';
    std::cout << "\nExample\n" << indented(command.example) << '\n';
}

void printHelpObject(const Command& command)
{
    JsonArray options;
    for (const auto& option : allOptions(command))
        options.add(JsonObject{{"name", option.name},
                               {"value", textOrNull(option.value)},
                               {"help", option.help},
                               {"required", option.required}});
    printJson({{"event", "help"},
               {"command", command.path},
               {"summary", command.summary},
               {"arguments", textOrNull(command.positionals)},
               {"options", options},
               {"notes", textOrNull(command.notes)},
               {"example", command.example}});
}

void printOverviewObject(const std::vector<Command>& commands, const std::string& group)
{
    JsonArray rows;
    for (const auto& row : rowsOf(commands, group))
        rows.add(JsonObject{{"command", row.left}, {"summary", row.right}});
    printJson({{"event", "help"}, {"command", textOrNull(group)}, {"commands", rows}});
}

void printOverview(const std::vector<Command>& commands, const std::string& group, std::ostream& to)
{
    const auto first = std::ranges::find_if(
        commands, [&](const Command& command) { return isIn(command, group); });
    if (group.empty())
        to << "provost, the command line of the production test station\n\n";
    to << "Usage: provost " << (group.empty() ? "COMMAND" : group + " COMMAND")
       << " [options]\n\nCommands\n";
    printRows(to, rowsOf(commands, group));
    to << "\nEvery command has --help and --json.\n\nExample\n"
       << indented(first->example) << "\n\n"
       << "Exit codes: 0 pass, 1 fail, 2 error, 3 aborted, 4 refused, 5 hold, 64 usage\n";
}

} // namespace provost::cli
