// A serial line on virtual time whose far end is a function of the test.
#pragma once

#include "core/byte_io.h"
#include "transport/serial.h"

#include <deque>
#include <functional>

namespace provost::test {

/// What the far end says and when, counted from what it answers to.
struct Saying {
    Bytes bytes{};
    std::chrono::milliseconds after{0};
};

/// Waits by advancing the clock: up to the next byte, or to the caller's deadline.
class ScriptedLine final : public ByteStream {
public:
    using Answer = std::function<std::vector<Saying>(ByteView written)>;
    ScriptedLine(const VirtualClock& clock, Answer answer)
        : m_clock(clock), m_answer(std::move(answer))
    {
    }
    void say(const Saying& saying)
    {
        for (const std::byte byte : saying.bytes)
            m_incoming.emplace_back(m_clock.now() + saying.after, byte);
    }
    Result<std::size_t> readSome(ByteSpan to, const OpContext& op) override
    {
        TRY(op.checkpoint());
        if (m_incoming.empty() || m_incoming.front().first >= op.deadline.at) {
            TRY(m_clock.sleepUntil(op.deadline.at, op.stop));
            return fail(Errc::Timeout, Blame::Unit, "silent");
        }
        TRY(m_clock.sleepUntil(m_incoming.front().first, op.stop));
        std::size_t count = 0;
        while (count < to.size() && !m_incoming.empty() &&
               m_incoming.front().first <= m_clock.now()) {
            to[count++] = m_incoming.front().second;
            m_incoming.pop_front();
        }
        return count;
    }
    Result<> writeAll(ByteView data, const OpContext& op) override
    {
        TRY(op.checkpoint());
        writes.push_back(toBytes(data));
        if (m_answer) {
            for (const Saying& saying : m_answer(data))
                say(saying);
        }
        return {};
    }
    Result<> discardInput() override
    {
        while (!m_incoming.empty() && m_incoming.front().first <= m_clock.now())
            m_incoming.pop_front();
        return {};
    }

    std::vector<Bytes> writes{};

private:
    const VirtualClock& m_clock;
    Answer m_answer;
    std::deque<std::pair<Clock::Steady, std::byte>> m_incoming{};
};

} // namespace provost::test
