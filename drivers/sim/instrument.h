// A virtual meter, supply and relay card in one box, spoken to by SCPI.
#pragma once

#include "core/bytes.h"

#include <deque>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace provost::sim {

/// Fed with bytes, answers with bytes. Headers are accepted in long and short form and in any case;
/// errors go to a queue of 16, as IEEE 488.2 has it. Not thread-safe.
class Instrument {
public:
    struct Channel {
        double volts = 0;
        double amperes = 0; ///< drawn while the output is on
        bool powered = false;
        bool closed = false;
        bool stuck = false; ///< its relay does not move any more
    };
    /// @param channels  numbered from 1
    explicit Instrument(int channels);
    void feed(ByteView bytes);
    Bytes takeOutput() { return std::exchange(m_output, {}); }
    Channel& channel(int number) { return m_channels.at(number); }

private:
    struct Message {
        std::vector<std::string> header{}; ///< upper case, without '?'
        bool isQuery = false;
        std::string parameters{};
    };
    void line(const std::string& text);
    void message(const Message& message);
    bool common(const Message& message);
    void measurement(const Message& message);
    void route(const Message& message);
    void output(const Message& message);
    Channel* channelOf(const std::string& parameters);
    void answer(const std::string& text);
    void error(int code, const std::string& text);

    std::map<int, Channel> m_channels{};
    std::deque<std::string> m_errors{};
    std::string m_line{};
    std::string m_answers{}; ///< of the present line, separated by ';'
    Bytes m_output{};
};

} // namespace provost::sim
