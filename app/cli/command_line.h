// The commands of `provost` as data: parsed, explained and completed from one description.
#pragma once

#include "core/result.h"

#include <functional>
#include <iosfwd>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace provost::cli {

/// Exit codes are a contract with scripts.
enum class Exit : int {
    Pass = 0,
    Fail = 1,  ///< a unit or a check failed
    Error = 2, ///< device, station, network; nothing was judged
    Aborted = 3,
    Refused = 4, ///< by a guard or a permission
    Hold = 5,
    Usage = 64,
};

struct Option {
    std::string name{};  ///< without the dashes
    std::string value{}; ///< "FILE"; empty: a flag
    std::string help{};
    bool required = false;
};

class Arguments {
public:
    bool has(const std::string& option) const { return m_options.contains(option); }
    std::string text(const std::string& option, std::string fallback = {}) const;
    /// Decimal, or hexadecimal with 0x. @returns InvalidArgument  names option and value
    Result<std::uint32_t> number(const std::string& option, std::uint32_t fallback) const;
    /// Hexadecimal with or without 0x: an address. @returns InvalidArgument
    Result<std::uint32_t> hex(const std::string& option) const;
    const std::vector<std::string>& positionals() const { return m_positionals; }

    std::map<std::string, std::string> m_options{};
    std::vector<std::string> m_positionals{};
};

struct Command {
    std::string path{};        ///< "dfu read"
    std::string summary{};     ///< one line
    std::string positionals{}; ///< "DEVICE", "FILE…"; for usage
    std::size_t minPositionals = 0;
    std::size_t maxPositionals = 0;
    std::vector<Option> options{};
    std::string
        example{}; ///< can be pasted, in an empty folder or behind those of the commands before
    std::function<Exit(const Arguments&)> run{};
    std::string notes{};    ///< below the options; empty: none
    bool looksOnly = false; ///< changes nothing: Ctrl-C ends it at once
};

/// The command's own options and those of every command.
std::vector<Option> allOptions(const Command& command);

void printHelp(const Command& command);
/// Every command, or those of one group. Where the user named none it is the answer to a mistake
/// and goes to stderr.
void printOverview(const std::vector<Command>& commands, const std::string& group,
                   std::ostream& to);
/// The same as one object {"event":"help",…}.
void printHelpObject(const Command& command);
void printOverviewObject(const std::vector<Command>& commands, const std::string& group);
/// For bash, zsh or fish.
std::string completionScript(const std::vector<Command>& commands, const std::string& shell);

/// Parses, answers --help and completion, runs. `arguments` without the program's name.
Exit dispatch(const std::vector<Command>& commands, const std::vector<std::string>& arguments);

} // namespace provost::cli
