// What the commands print: people's text or JSON lines on stdout, everything else on stderr.
#pragma once

#include "cli/command_line.h"
#include "cli/json.h"
#include "core/op_context.h"
#include "crypto/secret_bytes.h"
#include "store/record.h"

#include <filesystem>
#include <thread>

namespace provost::cli {

void printJson(const JsonObject& object);
/// One line, or several. Control characters of foreign texts become `?`: a label must not be able
/// to draw on the terminal.
void printText(const std::string& line);
/// A line of the log, on stderr.
void printNote(const std::string& line);
/// Says what went wrong and what to do; with --json the same as an object {"event":"error",…} on
/// stdout too.
/// @returns the exit code that fits the error
Exit report(const Error& error, const Arguments& arguments);
/// Pass, or what report() says.
Exit reportIfFailed(const Result<>& result, const Arguments& arguments);
Exit exitFor(const Error& error);
Exit exitFor(Verdict verdict);

/// `text` in a column: filled with blanks behind it (or before it) up to `width` characters.
std::string leftIn(std::size_t width, std::string_view text);
std::string rightIn(std::size_t width, std::string_view text);
/// "1 unit", "2 units".
std::string counted(std::size_t count, std::string_view noun);
/// `2026-11-21 05:04:49` of an ISO time; `-` where it is empty.
std::string shownTime(std::string_view utc);
std::string orDash(std::string_view text);
/// Of the terminal at stderr; 80 where it does not say.
std::size_t terminalColumns();
double roundedTo(int decimals, double value);

/// An id in `folder`, or a path where it has a slash or ends in .toml.
std::filesystem::path fileOf(const std::string& idOrPath, const std::filesystem::path& folder);

/// Draws a bar on stderr where that is a terminal; silent in a pipe.
class ProgressBar final : public ProgressSink {
public:
    ProgressBar();
    ~ProgressBar() override;
    void report(std::string_view phase, double fraction) override;
    /// Before something is printed.
    void clear();

private:
    bool m_terminal = false;
    int m_shown = -1;
};

/// Ends with SIGINT or SIGTERM; both are blocked for the whole program at start.
class StopSignal {
public:
    static void blockSignals();
    /// For commands that only look: the signals end them at once again.
    static void unblockSignals();
    explicit StopSignal(std::function<void()> onStop = {});
    ~StopSignal();
    std::stop_token token() const { return m_source.get_token(); }
    bool stopped() const { return m_source.stop_requested(); }

private:
    std::stop_source m_source;
    std::function<void()> m_onStop;
    std::jthread m_thread;
};

/// A new passphrase from the terminal, twice, without showing it.
/// @returns Unavailable  there is no terminal; InvalidArgument  empty, or two different lines;
///          Cancelled
Result<SecretBytes> askPassphrase(const std::stop_token& stop);

/// A context for one command: the whole deadline, a bar, SIGINT.
OpContext commandContext(const Clock& clock, std::chrono::milliseconds budget, ProgressSink* bar,
                         const StopSignal& stop);

} // namespace provost::cli
