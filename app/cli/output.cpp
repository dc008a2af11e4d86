#include "cli/output.h"

#include "core/file_io.h"
#include "core/text.h"
#include "engine/causes.h"

#include <QString>
#include <algorithm>
#include <cmath>
#include <csignal>
#include <ctime>
#include <iostream>
#include <sys/ioctl.h>
#include <unistd.h>

namespace provost::cli {

namespace {

sigset_t stopSignals()
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    return set;
}

std::string harmless(const std::string& given)
{
    // Through Qt and back: what comes out is UTF-8, whatever a device or a file name says.
    std::string text = QString::fromStdString(given).toStdString();
    std::ranges::replace_if(
        text,
        [](char c) { return (static_cast<unsigned char>(c) < 0x20 && c != '\n') || c == '\x7F'; },
        '?');
    return text;
}

/// Characters of UTF-8 text; every one of ours is one column wide.
std::size_t columns(std::string_view text)
{
    return static_cast<std::size_t>(std::ranges::count_if(
        text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

std::string blanksFor(std::size_t width, std::string_view text)
{
    return std::string(width - std::min(width, columns(text)), ' ');
}

} // namespace

void printJson(const JsonObject& object)
{
    std::cout << object.text() << std::endl;
}

void printText(const std::string& line)
{
    std::cout << harmless(line) << std::endl;
}

void printNote(const std::string& line)
{
    std::cerr << harmless(line) << std::endl;
}

Exit exitFor(const Error& error)
{
    switch (error.code) {
    case Errc::Cancelled:
        return Exit::Aborted;
    case Errc::Denied:
    case Errc::Protected:
        return Exit::Refused;
    case Errc::InvalidArgument:
        return Exit::Usage;
    case Errc::Mismatch:
        return Exit::Fail;
    default:
        return Exit::Error;
    }
}

Exit exitFor(Verdict verdict)
{
    switch (verdict) {
    case Verdict::Pass:
        return Exit::Pass;
    case Verdict::Hold:
        return Exit::Hold;
    case Verdict::Fail:
        return Exit::Fail;
    case Verdict::Aborted:
        return Exit::Aborted;
    case Verdict::NotRun:
    case Verdict::Error:
        break;
    }
    return Exit::Error;
}

Exit report(const Error& error, const Arguments& arguments)
{
    const std::string what = describe(error);
    printNote("provost: " + what);
    std::string advice;
    if (!error.cause.empty()) {
        const auto& cause = causeById(error.cause);
        advice = cause.action;
        printNote(concat(cause.id, "  ", cause.title, " · ", cause.action));
    }
    if (arguments.has("json"))
        printJson({{"event", "error"},
                   {"error", what},
                   {"code", name(error.code)},
                   {"blame", name(error.blame)},
                   {"cause", textOrNull(error.cause)},
                   {"advice", textOrNull(advice)}});
    return exitFor(error);
}

Exit reportIfFailed(const Result<>& result, const Arguments& arguments)
{
    return result ? Exit::Pass : report(result.error(), arguments);
}

std::string leftIn(std::size_t width, std::string_view text)
{
    return concat(text, blanksFor(width, text));
}

std::string rightIn(std::size_t width, std::string_view text)
{
    return concat(blanksFor(width, text), text);
}

std::string counted(std::size_t count, std::string_view noun)
{
    return concat(count, " ", noun, count == 1 ? "" : "s");
}

std::string shownTime(std::string_view utc)
{
    if (utc.size() < 19)
        return orDash(utc);
    return concat(utc.substr(0, 10), " ", utc.substr(11, 8));
}

std::string orDash(std::string_view text)
{
    return std::string(text.empty() ? "-" : text);
}

std::size_t terminalColumns()
{
    winsize size{};
    return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col : 80;
}

double roundedTo(int decimals, double value)
{
    const double scale = std::pow(10.0, decimals);
    return std::round(value * scale) / scale;
}

std::filesystem::path fileOf(const std::string& idOrPath, const std::filesystem::path& folder)
{
    if (idOrPath.find('/') != std::string::npos || idOrPath.ends_with(".toml"))
        return idOrPath;
    return folder / (idOrPath + ".toml");
}

ProgressBar::ProgressBar() : m_terminal(isatty(STDERR_FILENO) == 1) {}

ProgressBar::~ProgressBar()
{
    clear();
}

void ProgressBar::clear()
{
    if (m_shown >= 0)
        std::cerr << "\r\033[K" << std::flush;
    m_shown = -1;
}

void ProgressBar::report(std::string_view phase, double fraction)
{
    const int percent = static_cast<int>(fraction * 100);
    if (!m_terminal || percent == m_shown)
        return;
    m_shown = percent;
    constexpr int kWidth = 30;
    std::string bar(static_cast<std::size_t>(percent * kWidth / 100), '#');
    bar.resize(kWidth, '.');
    std::cerr << "\r\033[K[" << bar << "] " << percent << "% " << phase << std::flush;
}

void StopSignal::blockSignals()
{
    const sigset_t set = stopSignals();
    pthread_sigmask(SIG_BLOCK, &set, nullptr);
    std::signal(SIGPIPE, SIG_IGN);
}

void StopSignal::unblockSignals()
{
    const sigset_t set = stopSignals();
    pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

StopSignal::StopSignal(std::function<void()> onStop) : m_onStop(std::move(onStop))
{
    m_thread = std::jthread([this](const std::stop_token& end) {
        const sigset_t set = stopSignals();
        while (!end.stop_requested()) {
            constexpr timespec kSlice{.tv_sec = 0, .tv_nsec = 50'000'000};
            if (sigtimedwait(&set, nullptr, &kSlice) <= 0)
                continue;
            m_source.request_stop();
            if (m_onStop)
                m_onStop();
        }
    });
}

StopSignal::~StopSignal() = default;

OpContext commandContext(const Clock& clock, std::chrono::milliseconds budget, ProgressSink* bar,
                         const StopSignal& stop)
{
    return OpContext{.clock = clock,
                     .progress = {.sink = bar, .phase = {}, .from = 0, .to = 1},
                     .stop = stop.token(),
                     .deadline = {clock.now() + budget}};
}

} // namespace provost::cli
