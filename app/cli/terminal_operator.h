// The person at the terminal of `provost run`: asked on stderr, answers on stdin.
#pragma once

#include "core/mutex.h"
#include "engine/events.h"

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>

namespace provost::cli {

/// Where questions are shown; while one is open, nothing else may draw on its line.
class QuestionLine {
public:
    virtual ~QuestionLine() = default;
    virtual void ask(const std::string& question) = 0;
    virtual void answered() = 0;
};

/// Thread-safe. One question at a time, in the order in which they came. Where stdin has ended, a
/// label is none, and what was to be done by hand cannot be done.
class TerminalOperator final : public EventSink {
public:
    using Answer = std::function<void(const PromptRaised& prompt, const std::string& reply)>;
    TerminalOperator(QuestionLine& line, Answer answer);
    ~TerminalOperator() override;

    void post(StationEvent event) override;
    /// Waits for the label of the unit in the slot; nullopt: stop() was called.
    std::optional<std::string> label(SlotId slot);
    /// Nobody is asked any more.
    void stop();
    /// And no answer is given any more when it returns.
    void finish();

private:
    struct Question {
        std::optional<PromptRaised> prompt{}; ///< else the label of the slot
        SlotId slot{};
        bool withdrawn = false;
        std::optional<std::string> reply{};
    };
    using Asked = std::shared_ptr<Question>;

    void work(const std::stop_token& stop);
    Asked next(const std::stop_token& stop);
    /// The reply to it: one of the choices, or the label. nullopt: withdrawn, or stopped.
    std::optional<std::string> put(const Asked& asked, const std::stop_token& stop);
    /// A line of stdin, without its end.
    std::optional<std::string> readLine(const Asked& asked, const std::stop_token& stop);
    bool isOpen(const Asked& asked, const std::stop_token& stop);
    void withdraw(SlotId slot);

    QuestionLine& m_line;
    const Answer m_answer;
    std::string m_typed{}; ///< of the worker only
    bool m_ended = false;  ///< stdin; of the worker only
    Mutex m_mutex;
    std::condition_variable_any m_changed;
    std::deque<Asked> m_open PROVOST_GUARDED_BY(m_mutex);
    std::jthread m_thread; ///< last: starts when everything else is there
};

} // namespace provost::cli
