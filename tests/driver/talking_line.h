// A line in virtual time with a listening console behind it, answered word by word.
#pragma once

#include "core/byte_io.h"
#include "protocol/listening_console.h"

#include <algorithm>
#include <deque>
#include <functional>
#include <string>

namespace provost::test {

using namespace std::chrono_literals;

/// A line in virtual time: what is written goes to a handler, which queues what comes back.
class TalkingLine final : public ByteStream {
public:
    using Handler = std::function<void(ByteView)>;
    explicit TalkingLine(const VirtualClock& clock) : m_clock(clock) {}

    /// Queues `text` for reading, `after` behind everything queued before.
    void say(std::string_view text, std::chrono::milliseconds after = 0ms)
    {
        m_lastAt = std::max(m_lastAt, m_clock.now()) + after;
        for (const char c : text)
            m_queue.emplace_back(m_lastAt, static_cast<std::byte>(c));
    }
    void hangUp() { m_isGone = true; }
    void onWrite(Handler handler) { m_handler = std::move(handler); }
    std::string written() const { return toText(m_written); }
    void forget() { m_written.clear(); }
    std::size_t chunk = 7; ///< bytes a read returns at most
    bool sawPlainText = false;
    bool wantsSecrets = false;

    Result<std::size_t> readSome(ByteSpan to, const OpContext& op) override
    {
        TRY(op.checkpoint());
        if (m_queue.empty() && m_isGone)
            return fail(Errc::Disconnected, Blame::Fixture, "gone");
        const auto at = m_queue.empty() ? op.deadline.at : m_queue.front().first;
        TRY(m_clock.sleepUntil(std::min(at, op.deadline.at), op.stop));
        TRY(op.checkpoint());
        std::size_t count = 0;
        while (count < std::min(to.size(), chunk) && !m_queue.empty() &&
               m_queue.front().first <= m_clock.now()) {
            to[count++] = m_queue.front().second;
            m_queue.pop_front();
        }
        return count;
    }
    Result<> writeAll(ByteView data, const OpContext& op) override
    {
        TRY(op.checkpoint());
        sawPlainText = sawPlainText || (wantsSecrets && !op.sensitive);
        if (m_isGone)
            return fail(Errc::Disconnected, Blame::Fixture, "gone");
        m_written.insert(m_written.end(), data.begin(), data.end());
        if (m_handler)
            m_handler(data);
        return {};
    }
    Result<> discardInput() override
    {
        while (!m_queue.empty() && m_queue.front().first <= m_clock.now())
            m_queue.pop_front();
        return {};
    }

private:
    const VirtualClock& m_clock;
    std::deque<std::pair<Clock::Steady, std::byte>> m_queue;
    Clock::Steady m_lastAt{};
    Bytes m_written;
    Handler m_handler;
    bool m_isGone = false;
};

struct ConsoleBench {
    VirtualClock clock;
    TalkingLine line{clock};
    ListeningConsole console{line};

    OpContext op(std::chrono::milliseconds limit = 600s) const
    {
        return {.clock = clock, .deadline = {clock.now() + limit}};
    }
    /// Answers one key with one text.
    void answers(char key, std::string text)
    {
        line.onWrite([this, key, text = std::move(text)](ByteView data) {
            if (data.size() == 1 && static_cast<char>(data[0]) == key)
                line.say(text, 3ms);
        });
    }
};

} // namespace provost::test
