#include "cli/json.h"

#include "core/text.h"

#include <QString>
#include <array>
#include <charconv>
#include <cmath>

namespace provost::cli {

namespace {

std::string quoted(std::string_view text)
{
    // Through Qt and back: what comes out is UTF-8, whatever a device or a file name says.
    const std::string clean =
        QString::fromUtf8(text.data(), static_cast<qsizetype>(text.size())).toStdString();
    std::string json = "\"";
    for (const char c : clean) {
        const auto code = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\')
            json.append({'\\', c});
        else if (c == '\n')
            json += "\\n";
        else if (c == '\t')
            json += "\\t";
        else if (code < 0x20 || code == 0x7F)
            json += "\\u" + hex16(code);
        else
            json += c;
    }
    return json + "\"";
}

} // namespace

JsonValue::JsonValue(double value) : m_text("null")
{
    if (!std::isfinite(value))
        return;
    std::array<char, 64> buffer{};
    const auto [end, error] =
        std::to_chars(buffer.data(), buffer.data() + buffer.size(), value + 0.0);
    if (error == std::errc{})
        m_text.assign(buffer.data(), end);
}

JsonValue::JsonValue(std::string_view text) : m_text(quoted(text)) {}
JsonValue::JsonValue(const JsonObject& object) : m_text(object.text()) {}
JsonValue::JsonValue(const JsonArray& array) : m_text(array.text()) {}

JsonObject::JsonObject(std::initializer_list<Member> members)
{
    for (const auto& [name, value] : members)
        add(name, value);
}

void JsonObject::add(std::string_view name, const JsonValue& value)
{
    m_members += concat(m_members.empty() ? "" : ",", quoted(name), ":", value.text());
}

void JsonArray::add(const JsonValue& value)
{
    m_elements += concat(m_elements.empty() ? "" : ",", value.text());
}

JsonValue textOrNull(std::string_view text)
{
    return text.empty() ? JsonValue() : JsonValue(text);
}

} // namespace provost::cli
