#include "cli/terminal_operator.h"

#include "core/text.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <poll.h>
#include <termios.h>
#include <unistd.h>

namespace provost::cli {

namespace {

constexpr int kLookEveryMs = 50;

std::string questionText(const PromptRaised& prompt)
{
    std::string text = concat("slot ", prompt.slot.value, ": ", prompt.text);
    int number = 0;
    for (const auto& choice : prompt.choices) {
        text +=
            concat(number == 0 ? "  [Enter " : concat("  [", number + 1, " "), choice.title, "]");
        ++number;
    }
    return text + " ";
}

/// Enter is the first choice; else its number or its word.
std::optional<std::string> choiceOf(const PromptRaised& prompt, const std::string& line)
{
    const std::string typed = lowerCase(trimmed(line));
    if (prompt.choices.empty())
        return typed;
    if (typed.empty())
        return prompt.choices.front().reply;
    std::size_t number = 0;
    const auto read = std::from_chars(typed.data(), typed.data() + typed.size(), number);
    if (read.ptr == typed.data() + typed.size() && number >= 1 && number <= prompt.choices.size())
        return prompt.choices[number - 1].reply;
    const auto named = std::ranges::find(prompt.choices, typed, &PromptChoice::reply);
    return named == prompt.choices.end() ? std::nullopt : std::optional(named->reply);
}

} // namespace

TerminalOperator::TerminalOperator(QuestionLine& line, Answer answer)
    : m_line(line), m_answer(std::move(answer)),
      m_thread([this](const std::stop_token& stop) { work(stop); })
{
}

TerminalOperator::~TerminalOperator()
{
    stop();
}

void TerminalOperator::post(StationEvent event)
{
    if (const auto* prompt = std::get_if<PromptRaised>(&event)) {
        const MutexLock lock(m_mutex);
        m_open.push_back(
            std::make_shared<Question>(Question{.prompt = *prompt, .slot = prompt->slot}));
        m_changed.notify_all();
    } else if (const auto* answered = std::get_if<PromptAnswered>(&event)) {
        withdraw(answered->slot);
    } else if (const auto* finished = std::get_if<RunFinished>(&event)) {
        withdraw(finished->slot);
    }
}

/// Nobody waits for that answer any more: the time was up, or the run was stopped.
void TerminalOperator::withdraw(SlotId slot)
{
    const MutexLock lock(m_mutex);
    for (const auto& asked : m_open) {
        if (asked->prompt && asked->slot == slot)
            asked->withdrawn = true;
    }
    m_changed.notify_all();
}

std::optional<std::string> TerminalOperator::label(SlotId slot)
{
    const auto asked = std::make_shared<Question>(Question{.slot = slot});
    MutexLock lock(m_mutex);
    m_open.push_back(asked);
    m_changed.notify_all();
    const auto stop = m_thread.get_stop_token();
    while (!asked->reply && !stop.stop_requested())
        m_changed.wait(lock);
    return asked->reply;
}

void TerminalOperator::stop()
{
    m_thread.request_stop();
    const MutexLock lock(m_mutex);
    m_changed.notify_all();
}

void TerminalOperator::finish()
{
    stop();
    if (m_thread.joinable())
        m_thread.join();
}

void TerminalOperator::work(const std::stop_token& stop)
{
    while (const auto asked = next(stop)) {
        const auto reply = put(asked, stop);
        {
            const MutexLock lock(m_mutex);
            std::erase(m_open, asked);
            asked->reply = reply;
            m_changed.notify_all();
        }
        if (reply && asked->prompt)
            m_answer(*asked->prompt, *reply);
    }
}

TerminalOperator::Asked TerminalOperator::next(const std::stop_token& stop)
{
    MutexLock lock(m_mutex);
    while (!stop.stop_requested()) {
        std::erase_if(m_open, [](const Asked& asked) { return asked->withdrawn; });
        if (!m_open.empty())
            return m_open.front();
        m_changed.wait(lock);
    }
    return nullptr;
}

bool TerminalOperator::isOpen(const Asked& asked, const std::stop_token& stop)
{
    const MutexLock lock(m_mutex);
    return !asked->withdrawn && !stop.stop_requested();
}

std::optional<std::string> TerminalOperator::put(const Asked& asked, const std::stop_token& stop)
{
    // What was typed before is no answer to this question.
    if (::isatty(STDIN_FILENO) == 1) {
        ::tcflush(STDIN_FILENO, TCIFLUSH);
        m_typed.clear();
    }
    const std::string question =
        asked->prompt ? questionText(*asked->prompt)
                      : concat("slot ", asked->slot.value, ": scan the label of the unit: ");
    std::optional<std::string> reply;
    while (!reply && isOpen(asked, stop)) {
        m_line.ask(question);
        const auto line = readLine(asked, stop);
        if (!line)
            break;
        reply = asked->prompt ? choiceOf(*asked->prompt, *line)
                              : std::optional(std::string(trimmed(*line)));
    }
    m_line.answered();
    if (reply || !m_ended || !isOpen(asked, stop))
        return reply;
    const bool hasChoices = asked->prompt && !asked->prompt->choices.empty();
    return hasChoices ? asked->prompt->choices.back().reply : std::string{};
}

std::optional<std::string> TerminalOperator::readLine(const Asked& asked,
                                                      const std::stop_token& stop)
{
    while (isOpen(asked, stop)) {
        if (const auto end = m_typed.find('\n'); end != std::string::npos) {
            std::string line = m_typed.substr(0, end);
            m_typed.erase(0, end + 1);
            return line;
        }
        if (m_ended)
            return std::nullopt;
        pollfd input{.fd = STDIN_FILENO, .events = POLLIN, .revents = 0};
        if (::poll(&input, 1, kLookEveryMs) <= 0)
            continue;
        std::array<char, 256> some{};
        const auto got = ::read(STDIN_FILENO, some.data(), some.size());
        m_ended = got == 0 || (got < 0 && errno != EINTR && errno != EAGAIN);
        if (got > 0)
            m_typed.append(some.data(), static_cast<std::size_t>(got));
    }
    return std::nullopt;
}

} // namespace provost::cli
