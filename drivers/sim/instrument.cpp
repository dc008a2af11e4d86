#include "sim/instrument.h"

#include "core/text.h"
#include "sim/octets.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cstdio>

namespace provost::sim {

namespace {

constexpr std::size_t kErrorQueue = 16;
constexpr std::size_t kInputBuffer = 4096;
constexpr double kOverRange = 9.9e37;
constexpr double kLargestVolts = 1000;

/// `MEASure` fits MEAS and MEASURE, and nothing between (SCPI-1999, 6.2.1).
bool fits(const std::string& word, std::string_view mnemonic)
{
    std::string shortForm;
    std::string longForm;
    for (const char c : mnemonic) {
        if (std::isupper(static_cast<unsigned char>(c)) != 0)
            shortForm.push_back(c);
        longForm.push_back(static_cast<char>(std::toupper(static_cast<unsigned char>(c))));
    }
    return word == shortForm || word == longForm;
}

bool isHeader(const std::vector<std::string>& header,
              std::initializer_list<std::string_view> mnemonics)
{
    return std::equal(header.begin(), header.end(), mnemonics.begin(), mnemonics.end(), fits);
}

std::vector<std::string> split(const std::string& text, char separator)
{
    std::vector<std::string> parts;
    std::string part;
    for (const char c : text) {
        if (c == separator)
            parts.push_back(std::exchange(part, {}));
        else
            part.push_back(c);
    }
    parts.push_back(part);
    return parts;
}

std::string scientific(double value)
{
    std::array<char, 32> text{};
    std::snprintf(text.data(), text.size(), "%+.6E", value);
    return text.data();
}

} // namespace

Instrument::Instrument(int channels)
{
    for (int number = 1; number <= channels; ++number)
        m_channels[number] = {};
}

void Instrument::feed(ByteView bytes)
{
    for (const std::byte byte : bytes) {
        const char c = static_cast<char>(byte);
        if (c == '\n')
            line(std::exchange(m_line, {}));
        else if (m_line.size() < kInputBuffer)
            m_line.push_back(c);
    }
}

void Instrument::line(const std::string& text)
{
    m_answers.clear();
    for (const std::string& part : split(text, ';')) {
        const std::string unit(withoutBlanks(part));
        if (unit.empty())
            continue;
        const auto blank = unit.find(' ');
        std::string header = unit.substr(0, blank);
        std::ranges::transform(header, header.begin(),
                               [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
        Message parsed;
        if (header.ends_with('?')) {
            parsed.isQuery = true;
            header.pop_back();
        }
        if (header.starts_with(':'))
            header.erase(0, 1);
        parsed.header = split(header, ':');
        if (blank != std::string::npos)
            parsed.parameters = withoutBlanks(std::string_view(unit).substr(blank + 1));
        message(parsed);
    }
    if (!m_answers.empty())
        Fields(m_output).text(m_answers).u8('\n');
}

void Instrument::message(const Message& message)
{
    if (common(message))
        return;
    if (fits(message.header[0], "MEASure"))
        return measurement(message);
    if (fits(message.header[0], "ROUTe"))
        return route(message);
    if (fits(message.header[0], "OUTPut"))
        return output(message);
    error(-113, "Undefined header");
}

bool Instrument::common(const Message& message)
{
    const std::string& first = message.header[0];
    if (first == "*CLS" && !message.isQuery) {
        m_errors.clear();
    } else if (first == "*IDN" && message.isQuery) {
        answer("PROVOST,VIRTUAL BENCH,0,1.0");
    } else if (first == "*OPC" && message.isQuery) {
        answer("1");
    } else if (message.isQuery && (isHeader(message.header, {"SYSTem", "ERRor"}) ||
                                   isHeader(message.header, {"SYSTem", "ERRor", "NEXT"}))) {
        answer(m_errors.empty() ? "0,\"No error\"" : m_errors.front());
        if (!m_errors.empty())
            m_errors.pop_front();
    } else {
        return false;
    }
    return true;
}

void Instrument::measurement(const Message& message)
{
    const bool volts = isHeader(message.header, {"MEASure", "VOLTage", "DC"}) ||
                       isHeader(message.header, {"MEASure", "VOLTage"});
    const bool amperes = isHeader(message.header, {"MEASure", "CURRent", "DC"}) ||
                         isHeader(message.header, {"MEASure", "CURRent"});
    if (!message.isQuery || (!volts && !amperes))
        return error(-113, "Undefined header");
    const Channel* channel = channelOf(message.parameters);
    if (channel == nullptr)
        return;
    double value = volts ? channel->volts : 0;
    if (amperes && channel->powered)
        value = channel->amperes;
    answer(scientific(std::abs(value) > kLargestVolts ? kOverRange : value));
}

void Instrument::route(const Message& message)
{
    const bool closes = isHeader(message.header, {"ROUTe", "CLOSe"});
    if (!closes && !isHeader(message.header, {"ROUTe", "OPEN"}))
        return error(-113, "Undefined header");
    Channel* channel = channelOf(message.parameters);
    if (channel == nullptr)
        return;
    if (message.isQuery)
        return answer(channel->closed == closes ? "1" : "0");
    if (!channel->stuck)
        channel->closed = closes;
}

void Instrument::output(const Message& message)
{
    if (message.header.size() > 1 && !isHeader(message.header, {"OUTPut", "STATe"}))
        return error(-113, "Undefined header");
    const auto list = message.parameters.find("(@");
    Channel* channel =
        channelOf(list == std::string::npos ? std::string{} : message.parameters.substr(list));
    if (channel == nullptr)
        return;
    if (message.isQuery)
        return answer(channel->powered ? "1" : "0");
    const std::string state = inLowerCase(message.parameters.substr(0, list));
    if (state == "on," || state == "1,")
        channel->powered = true;
    else if (state == "off," || state == "0,")
        channel->powered = false;
    else
        error(-224, "Illegal parameter value");
}

Instrument::Channel* Instrument::channelOf(const std::string& parameters)
{
    if (!parameters.starts_with("(@") || !parameters.ends_with(')')) {
        error(-109, "Missing parameter");
        return nullptr;
    }
    const char* const first = parameters.data() + 2;
    const char* const last = parameters.data() + parameters.size() - 1;
    int number = 0;
    const auto found = std::from_chars(first, last, number).ptr == last ? m_channels.find(number)
                                                                        : m_channels.end();
    if (found == m_channels.end()) {
        error(-222, "Data out of range");
        return nullptr;
    }
    return &found->second;
}

void Instrument::answer(const std::string& text)
{
    m_answers += concat(m_answers.empty() ? "" : ";", text);
}

void Instrument::error(int code, const std::string& text)
{
    if (m_errors.size() == kErrorQueue)
        m_errors.back() = "-350,\"Queue overflow\"";
    else
        m_errors.push_back(concat(code, ",\"", text, "\""));
}

} // namespace provost::sim
