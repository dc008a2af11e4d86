// What the commands print: people's text or JSON lines on stdout, everything else on stderr.
#pragma once

#include "cli/command_line.h"
#include "core/op_context.h"
#include "store/record.h"

#include <QJsonObject>
#include <thread>

namespace provost::cli {

void printJson(const QJsonObject& object);
void printText(const std::string& line);
/// Says what went wrong; with --json the same as an object {"event":"error",…} on stdout too.
/// @returns the exit code that fits the error
Exit report(const Error& error, const Arguments& arguments);
Exit exitFor(const Error& error);
Exit exitFor(Verdict verdict);
QString toQt(std::string_view text);
/// null where empty.
QJsonValue textOrNull(std::string_view text);

/// Draws a bar on stderr where that is a terminal; silent in a pipe.
class ProgressBar final : public ProgressSink {
public:
    ProgressBar();
    ~ProgressBar() override;
    void report(std::string_view phase, double fraction) override;

private:
    bool m_terminal = false;
    int m_shown = -1;
};

/// Ends with SIGINT or SIGTERM; both are blocked for the whole program at start.
class StopSignal {
public:
    static void blockSignals();
    explicit StopSignal(std::function<void()> onStop = {});
    ~StopSignal();
    std::stop_token token() const { return m_source.get_token(); }
    bool stopped() const { return m_source.stop_requested(); }

private:
    std::stop_source m_source;
    std::function<void()> m_onStop;
    std::jthread m_thread;
};

/// A context for one command: the whole deadline, a bar, SIGINT.
OpContext commandContext(const Clock& clock, std::chrono::milliseconds budget, ProgressSink* bar,
                         const StopSignal& stop);

} // namespace provost::cli
