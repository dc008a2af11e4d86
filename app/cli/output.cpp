#include "cli/output.h"

#include "core/text.h"
#include "engine/causes.h"

#include <QJsonDocument>
#include <csignal>
#include <ctime>
#include <iostream>
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

} // namespace

QString toQt(std::string_view text)
{
    return QString::fromUtf8(text.data(), static_cast<qsizetype>(text.size()));
}

QJsonValue textOrNull(std::string_view text)
{
    return text.empty() ? QJsonValue(QJsonValue::Null) : QJsonValue(toQt(text));
}

void printJson(const QJsonObject& object)
{
    std::cout << QJsonDocument(object).toJson(QJsonDocument::Compact).toStdString() << std::endl;
}

void printText(const std::string& line)
{
    std::cout << line << std::endl;
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
    std::cerr << "provost: " << describe(error) << std::endl;
    if (arguments.has("json"))
        printJson({{"event", "error"},
                   {"error", toQt(describe(error))},
                   {"code", toQt(name(error.code))},
                   {"blame", toQt(name(error.blame))},
                   {"cause", textOrNull(error.cause)}});
    return exitFor(error);
}

ProgressBar::ProgressBar() : m_terminal(isatty(STDERR_FILENO) == 1) {}

ProgressBar::~ProgressBar()
{
    if (m_terminal && m_shown >= 0)
        std::cerr << "\r\033[K" << std::flush;
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
