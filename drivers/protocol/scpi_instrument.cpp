#include "protocol/scpi_instrument.h"

#include "core/byte_io.h"
#include "core/text.h"
#include "protocol/unit_text_p.h"

#include <array>
#include <charconv>
#include <cmath>

namespace provost {

namespace {

using namespace std::chrono_literals;

constexpr auto kAnswerLimit = 5s; // a slow integration of a meter
constexpr auto kQuiet = 100ms;
constexpr std::size_t kLongestLine = 1024;
constexpr std::size_t kMostStray = 64 * 1024;
constexpr double kNoNumber =
    9.0e37; // 9.9E37 is over range, 9.91E37 not a number (SCPI-1999, 7.2.1.4)

std::string channelList(int channel)
{
    return concat("(@", channel, ")");
}

Result<double> numberOf(std::string_view text, const std::string& what)
{
    std::string_view digits = trimmed(text);
    if (digits.starts_with('+')) // std::from_chars knows no plus
        digits.remove_prefix(1);
    double value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (error != std::errc{} || end != digits.data() + digits.size())
        return fail(Errc::InvalidData, Blame::Fixture,
                    concat(what, ": the instrument says \"", printable(text), "\", no number"));
    if (!(std::abs(value) < kNoNumber))
        return fail(Errc::InvalidData, Blame::Fixture,
                    concat(what, ": over range or not measured (", printable(text),
                           "); check range and wiring"));
    return value;
}

} // namespace

ScpiInstrument::ScpiInstrument(ByteStream& line) : m_line(line) {}

/// Drops answers to what an earlier session or a failed operation asked.
Result<> ScpiInstrument::begin(const OpContext& op)
{
    TRY(op.checkpoint());
    if (m_inStep)
        return {};
    m_rest.clear();
    TRY(m_line.discardInput());
    TRY(m_line.writeAll(viewOf("\n*CLS\n"), op));
    std::array<std::byte, 256> dropped{};
    for (std::size_t count = 0; count < kMostStray;) {
        auto more = m_line.readSome(dropped, op.within(kQuiet));
        if (!more && more.error().code == Errc::Timeout && op.checkpoint()) {
            m_inStep = true;
            return {};
        }
        count += TRY(std::move(more));
    }
    return fail(Errc::Protocol, Blame::Fixture,
                "clear the instrument: it never stops talking; switch it off and on");
}

Result<std::string> ScpiInstrument::readLine(const OpContext& op)
{
    while (true) {
        const auto end = m_rest.find('\n');
        if (end != std::string::npos) {
            std::string line(trimmed(std::string_view(m_rest).substr(0, end)));
            m_rest.erase(0, end + 1);
            return line;
        }
        if (m_rest.size() > kLongestLine)
            return fail(Errc::Protocol, Blame::Fixture,
                        concat("read from the instrument: ", m_rest.size(),
                               " bytes without a line end; check rate and line settings"));
        std::array<std::byte, 256> bytes{};
        const std::size_t count = TRY(m_line.readSome(bytes, op));
        m_rest += toText(ByteView(bytes).first(count));
    }
}

Result<std::string> ScpiInstrument::ask(std::string_view question, const OpContext& op)
{
    TRY(m_line.writeAll(viewOf(concat(question, "\n")), op));
    auto answer = readLine(op.within(kAnswerLimit));
    if (!answer && answer.error().code == Errc::Timeout && op.checkpoint())
        return fail(Errc::Timeout, Blame::Fixture,
                    concat("ask the instrument \"", question,
                           "\": no answer; check power, cable and rate"));
    if (!answer)
        return Unexpected(
            inFrame(std::move(answer).error(), concat("ask the instrument ", question)));
    return answer;
}

Result<std::string> ScpiInstrument::query(std::string_view question, const OpContext& op)
{
    TRY(begin(op));
    m_inStep = false;
    auto answer = TRY(ask(question, op));
    m_inStep = true;
    return answer;
}

Result<> ScpiInstrument::command(std::string_view text, const OpContext& op)
{
    TRY(begin(op));
    m_inStep = false;
    TRY(m_line.writeAll(viewOf(concat(text, "\n")), op));
    // Done first: overlapped commands report their errors at their end (IEEE 488.2, 12.5.3).
    const std::string done = TRY(ask("*OPC?", op));
    if (done != "1" && done != "+1")
        return fail(Errc::Protocol, Blame::Fixture,
                    concat("send \"", text, "\": *OPC? says \"", printable(done), "\""));
    const std::string error = TRY(ask("SYST:ERR?", op));
    const double code = TRY(numberOf(error.substr(0, error.find(',')), concat("send ", text)));
    m_inStep = true;
    if (code != 0)
        return fail(Errc::Denied, Blame::Fixture,
                    concat("send \"", text, "\": the instrument refuses, ", printable(error)));
    return {};
}

Result<ScpiIdentity> ScpiInstrument::open(const OpContext& op)
{
    m_inStep = false;
    const std::string text = TRY(query("*IDN?", op));
    std::vector<std::string> fields;
    std::string_view rest = text;
    for (auto comma = rest.find(','); comma != std::string_view::npos; comma = rest.find(',')) {
        fields.push_back(printable(rest.substr(0, comma)));
        rest.remove_prefix(comma + 1);
    }
    fields.push_back(printable(rest));
    if (fields.size() != 4)
        return fail(Errc::InvalidData, Blame::Fixture,
                    concat("ask the instrument who it is: \"", printable(text),
                           "\" is no identity; is it a SCPI instrument?"));
    return ScpiIdentity{
        .maker = fields[0], .model = fields[1], .serial = fields[2], .version = fields[3]};
}

Result<double> ScpiInstrument::measure(std::string_view what, int channel, const OpContext& op)
{
    const std::string question = concat("MEAS:", what, ":DC? ", channelList(channel));
    return numberOf(TRY(query(question, op)), concat("measure ", question));
}

Result<double> ScpiInstrument::measureVoltage(int channel, const OpContext& op)
{
    return measure("VOLT", channel, op);
}

Result<double> ScpiInstrument::measureCurrent(int channel, const OpContext& op)
{
    return measure("CURR", channel, op);
}

Result<> ScpiInstrument::expectState(const std::string& question, bool wanted, const OpContext& op)
{
    const double state = TRY(numberOf(TRY(query(question, op)), question));
    if ((state != 0) != wanted)
        return fail(Errc::Mismatch, Blame::Fixture,
                    concat(question, ": the instrument says ", state != 0 ? "1" : "0",
                           " behind the command; check the card and its drive"));
    return {};
}

Result<> ScpiInstrument::setRelay(int channel, bool closed, const OpContext& op)
{
    TRY(command(concat(closed ? "ROUT:CLOSE " : "ROUT:OPEN ", channelList(channel)), op));
    return expectState(concat("ROUT:CLOSE? ", channelList(channel)), closed, op);
}

Result<> ScpiInstrument::setPower(int channel, bool on, const OpContext& op)
{
    TRY(command(concat("OUTP ", on ? "ON," : "OFF,", channelList(channel)), op));
    return expectState(concat("OUTP? ", channelList(channel)), on, op);
}

} // namespace provost
