#include "transport/trace_ring.h"

#include "core/text.h"

#include <charconv>

namespace provost {

namespace {

constexpr std::string_view kTitle = "provost-trace 1";
constexpr std::string_view kSecret = "secret:";

std::size_t payloadOf(const TraceEntry& entry)
{
    return entry.out.size() + entry.in.size();
}

void appendPayload(std::string& line, std::size_t count, ByteView bytes, bool secret)
{
    if (count > 0)
        line += secret ? concat(" ", kSecret, count) : concat(" ", toHex(bytes));
}

std::string lineOf(const TraceEntry& entry)
{
    std::string line = concat(entry.start.count(), " ", entry.took.count(), " ", entry.session, " ",
                              entry.request);
    if (entry.sent > 0)
        line += " >";
    appendPayload(line, entry.sent, entry.out, entry.secret);
    if (entry.failure) {
        line += concat(" = fail ", name(entry.failure->code), " ", name(entry.failure->blame));
        if (entry.failure->native)
            line += concat(" ", *entry.failure->native);
        return line;
    }
    line += " = ok";
    appendPayload(line, entry.received, entry.in, entry.secret);
    return line;
}

/// Takes the next word off `text`.
std::string_view nextWord(std::string_view& text)
{
    const auto end = std::min(text.find(' '), text.size());
    const std::string_view word = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    return word;
}

template <class T>
bool readNumber(std::string_view word, T& to)
{
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), to);
    return error == std::errc{} && end == word.data() + word.size();
}

bool readPayload(std::string_view word, TraceEntry& entry, std::size_t& count, Bytes& bytes)
{
    if (word.starts_with(kSecret)) {
        entry.secret = true;
        return readNumber(word.substr(kSecret.size()), count);
    }
    auto raw = fromHex(word);
    if (!raw)
        return false;
    bytes = std::move(*raw);
    count = bytes.size();
    return true;
}

template <class Enum>
bool readName(std::string_view word, Enum last, Enum& to)
{
    for (std::uint8_t each = 0; each <= static_cast<std::uint8_t>(last); ++each) {
        to = static_cast<Enum>(each);
        if (name(to) == word)
            return true;
    }
    return false;
}

bool readOutcome(std::string_view text, TraceEntry& entry)
{
    const std::string_view kind = nextWord(text);
    if (kind == "ok")
        return text.empty() || readPayload(nextWord(text), entry, entry.received, entry.in);
    TraceFailure failure;
    if (kind != "fail" || !readName(nextWord(text), Errc::Internal, failure.code) ||
        !readName(nextWord(text), Blame::Software, failure.blame))
        return false;
    if (!text.empty()) {
        int native = 0;
        if (!readNumber(nextWord(text), native))
            return false;
        failure.native = native;
    }
    entry.failure = failure;
    return text.empty();
}

bool readEntry(std::string_view line, TraceEntry& entry)
{
    std::int64_t start = 0;
    std::int64_t took = 0;
    if (!readNumber(nextWord(line), start) || !readNumber(nextWord(line), took) ||
        !readNumber(nextWord(line), entry.session))
        return false;
    entry.start = std::chrono::microseconds(start);
    entry.took = std::chrono::microseconds(took);
    const auto outcome = line.find(" = ");
    if (outcome == std::string_view::npos || !readOutcome(line.substr(outcome + 3), entry))
        return false;
    line = line.substr(0, outcome);
    const auto sent = line.find(" > ");
    entry.request = line.substr(0, sent);
    return !entry.request.empty() &&
           (sent == std::string_view::npos ||
            readPayload(line.substr(sent + 3), entry, entry.sent, entry.out));
}

/// `KEY VALUE` of the head.
bool readHead(std::string_view line, std::string_view key, std::string_view& value)
{
    value = line;
    return nextWord(value) == key && !value.empty();
}

} // namespace

std::string toText(const Trace& trace)
{
    std::string text = concat(kTitle, "\nbegan ", trace.began, "\ndropped ", trace.dropped, "\n");
    for (const TraceEntry& entry : trace.entries)
        text += lineOf(entry) + '\n';
    return text;
}

Result<Trace> parseTrace(std::string_view text)
{
    Trace trace;
    for (std::size_t number = 1; !text.empty(); ++number) {
        const auto end = std::min(text.find('\n'), text.size());
        const std::string_view line = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        std::string_view value;
        bool good = true;
        if (number == 1) {
            good = line == kTitle;
        } else if (number == 2) {
            good = readHead(line, "began", value);
            trace.began = value;
        } else if (number == 3) {
            good = readHead(line, "dropped", value) && readNumber(value, trace.dropped);
        } else if (!line.empty()) {
            good = readEntry(line, trace.entries.emplace_back());
        }
        if (!good)
            return fail(Errc::InvalidData, Blame::Operator,
                        concat("read a trace: line ", number, " is \"", line.substr(0, 80), "\""));
    }
    if (trace.began.empty())
        return fail(Errc::InvalidData, Blame::Operator, "read a trace: it has no head");
    return trace;
}

TraceRing::TraceRing(const Clock& clock, TraceLimits limits)
    : m_clock(clock), m_limits(limits), m_start(clock.now()), m_began(isoUtc(clock.utcNow()))
{
}

std::uint32_t TraceRing::beginSession()
{
    const MutexLock lock(m_mutex);
    return ++m_sessions;
}

std::chrono::microseconds TraceRing::elapsed() const
{
    const MutexLock lock(m_mutex);
    return std::chrono::duration_cast<std::chrono::microseconds>(m_clock.now() - m_start);
}

void TraceRing::add(TraceEntry entry)
{
    const MutexLock lock(m_mutex);
    m_bytes += payloadOf(entry);
    m_entries.push_back(std::move(entry));
    while (!m_entries.empty() &&
           (m_entries.size() > m_limits.entries || m_bytes > m_limits.bytes)) {
        m_bytes -= payloadOf(m_entries.front());
        m_entries.pop_front();
        ++m_dropped;
    }
}

Trace TraceRing::snapshot() const
{
    const MutexLock lock(m_mutex);
    return {
        .began = m_began, .dropped = m_dropped, .entries = {m_entries.begin(), m_entries.end()}};
}

void TraceRing::clear()
{
    const MutexLock lock(m_mutex);
    m_start = m_clock.now();
    m_began = isoUtc(m_clock.utcNow());
    m_entries.clear();
    m_bytes = 0;
    m_dropped = 0;
}

} // namespace provost
