#include "protocol/json_reader_p.h"

#include "core/text.h"

#include <algorithm>
#include <charconv>
#include <limits>

namespace provost::json {

namespace {

constexpr int kMaxDepth = 12;
// The module report of a unit with every region filled is below 4 KiB.
constexpr std::size_t kMaxBytes = 256 * 1024;

class Reader {
public:
    explicit Reader(std::string_view text) : m_text(text) {}

    Result<Value> document()
    {
        if (m_text.size() > kMaxBytes)
            return error("text is too long");
        auto value = TRY(readValue(0));
        skipBlanks();
        if (m_at != m_text.size())
            return error("text behind the end");
        return value;
    }

private:
    Unexpected error(std::string_view what) const
    {
        return fail(Errc::InvalidData, Blame::Unit,
                    concat("read JSON: ", what, " at character ", m_at));
    }
    char peek() const { return m_at < m_text.size() ? m_text[m_at] : '\0'; }
    bool take(char wanted)
    {
        if (m_at >= m_text.size() || m_text[m_at] != wanted)
            return false;
        ++m_at;
        return true;
    }
    void skipBlanks()
    {
        while (peek() == ' ' || peek() == '\t' || peek() == '\r' || peek() == '\n')
            ++m_at;
    }

    Result<Value> readValue(int depth)
    {
        if (depth > kMaxDepth)
            return error("nested too deeply");
        skipBlanks();
        switch (peek()) {
        case '{':
            return readObject(depth);
        case '[':
            return readArray(depth);
        case '"': {
            std::string text = TRY(readString());
            return Value{.kind = Value::Kind::String, .text = std::move(text)};
        }
        case 't':
            return readWord("true", {.kind = Value::Kind::Boolean, .boolean = true});
        case 'f':
            return readWord("false", {.kind = Value::Kind::Boolean});
        case 'n':
            return readWord("null", {});
        default:
            return readNumber();
        }
    }

    Result<Value> readWord(std::string_view word, Value value)
    {
        if (m_text.substr(m_at, word.size()) != word)
            return error("no value");
        m_at += word.size();
        return value;
    }

    Result<Value> readObject(int depth)
    {
        ++m_at;
        Value object{.kind = Value::Kind::Object};
        skipBlanks();
        if (take('}'))
            return object;
        do {
            skipBlanks();
            if (peek() != '"')
                return error("no member name");
            std::string key = TRY(readString());
            if (object.find(key) != nullptr)
                return error("a member that was there already");
            skipBlanks();
            if (!take(':'))
                return error("no ':'");
            auto value = TRY(readValue(depth + 1));
            object.keys.push_back(std::move(key));
            object.items.push_back(std::move(value));
            skipBlanks();
        } while (take(','));
        if (!take('}'))
            return error("no ',' or '}'");
        return object;
    }

    Result<Value> readArray(int depth)
    {
        ++m_at;
        Value array{.kind = Value::Kind::Array};
        skipBlanks();
        if (take(']'))
            return array;
        do {
            auto value = TRY(readValue(depth + 1));
            array.items.push_back(std::move(value));
            skipBlanks();
        } while (take(','));
        if (!take(']'))
            return error("no ',' or ']'");
        return array;
    }

    Result<std::string> readString()
    {
        ++m_at;
        std::string text;
        while (m_at < m_text.size() && m_text[m_at] != '"') {
            const char c = m_text[m_at];
            if (static_cast<unsigned char>(c) < 0x20)
                return error("a control character in a string");
            ++m_at;
            if (c == '\\')
                TRY(readEscape(text));
            else
                text.push_back(c);
        }
        if (!take('"'))
            return error("no end of the string");
        return text;
    }

    Result<> readEscape(std::string& text)
    {
        const char c = peek();
        constexpr std::string_view kLetters = "\"\\/bfnrt";
        constexpr std::string_view kMeanings = "\"\\/\b\f\n\r\t";
        if (const auto at = kLetters.find(c); c != '\0' && at != std::string_view::npos) {
            text.push_back(kMeanings[at]);
            ++m_at;
            return {};
        }
        if (!take('u'))
            return error("an unknown escape");
        std::uint32_t code = TRY(readCodeUnit());
        if (code >= 0xDC00 && code < 0xE000)
            return error("half a character");
        if (code >= 0xD800 && code < 0xDC00) {
            if (!take('\\') || !take('u'))
                return error("half a character");
            const std::uint32_t low = TRY(readCodeUnit());
            if (low < 0xDC00 || low >= 0xE000)
                return error("half a character");
            code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
        }
        appendUtf8(text, code);
        return {};
    }

    Result<std::uint32_t> readCodeUnit()
    {
        std::uint32_t code = 0;
        const std::string_view digits = m_text.substr(m_at, 4);
        const char* const end = digits.data() + digits.size();
        if (digits.size() != 4 || digits.front() == '-' ||
            std::from_chars(digits.data(), end, code, 16).ptr != end)
            return error("no four hexadecimal digits");
        m_at += 4;
        return code;
    }

    static void appendUtf8(std::string& text, std::uint32_t code)
    {
        const auto put = [&text](std::uint32_t byte) { text.push_back(static_cast<char>(byte)); };
        if (code < 0x80) {
            put(code);
        } else if (code < 0x800) {
            put(0xC0 | (code >> 6));
            put(0x80 | (code & 0x3F));
        } else if (code < 0x10000) {
            put(0xE0 | (code >> 12));
            put(0x80 | ((code >> 6) & 0x3F));
            put(0x80 | (code & 0x3F));
        } else {
            put(0xF0 | (code >> 18));
            put(0x80 | ((code >> 12) & 0x3F));
            put(0x80 | ((code >> 6) & 0x3F));
            put(0x80 | (code & 0x3F));
        }
    }

    std::size_t takeDigits()
    {
        const std::size_t begin = m_at;
        while (peek() >= '0' && peek() <= '9')
            ++m_at;
        return m_at - begin;
    }

    Result<Value> readNumber()
    {
        const std::size_t begin = m_at;
        take('-');
        const bool leadingZero = peek() == '0';
        const std::size_t digits = takeDigits();
        if (digits == 0 || (leadingZero && digits > 1))
            return error("no value");
        if (take('.') && takeDigits() == 0)
            return error("no digit behind the point");
        if (take('e') || take('E')) {
            if (!take('-'))
                take('+');
            if (takeDigits() == 0)
                return error("no digit in the exponent");
        }
        return Value{.kind = Value::Kind::Number,
                     .text = std::string(m_text.substr(begin, m_at - begin))};
    }

    std::string_view m_text;
    std::size_t m_at = 0;
};

} // namespace

const Value* Value::find(std::string_view key) const
{
    const auto at = std::find(keys.begin(), keys.end(), key);
    return at == keys.end() ? nullptr : &items[static_cast<std::size_t>(at - keys.begin())];
}

std::optional<std::int64_t> Value::integer64() const
{
    if (kind != Kind::Number && kind != Kind::String)
        return std::nullopt;
    std::int64_t value = 0;
    const char* const end = text.data() + text.size();
    const auto [at, failed] = std::from_chars(text.data(), end, value);
    if (failed != std::errc{} || at != end)
        return std::nullopt;
    return value;
}

std::optional<int> Value::integer() const
{
    const auto value = integer64();
    if (!value || *value < std::numeric_limits<int>::min() ||
        *value > std::numeric_limits<int>::max())
        return std::nullopt;
    return static_cast<int>(*value);
}

Result<Value> parse(std::string_view text)
{
    return Reader(text).document();
}

} // namespace provost::json
