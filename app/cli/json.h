// JSON lines that people read too: members stay in the order in which they were given.
#pragma once

#include <concepts>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace provost::cli {

class JsonObject;
class JsonArray;

/// Any value, already as JSON text.
class JsonValue {
public:
    JsonValue(std::nullptr_t = nullptr) : m_text("null") {}
    JsonValue(std::same_as<bool> auto value) : m_text(value ? "true" : "false") {}
    JsonValue(double value); ///< null where it is not finite
    template <std::integral T>
        requires(!std::same_as<T, bool> && !std::same_as<T, char>)
    JsonValue(T value) : m_text(std::to_string(value))
    {
    }
    /// Bytes that are no UTF-8 become U+FFFD.
    JsonValue(std::string_view text);
    JsonValue(const std::string& text) : JsonValue(std::string_view(text)) {}
    JsonValue(const char* text) : JsonValue(std::string_view(text)) {}
    JsonValue(const JsonObject& object);
    JsonValue(const JsonArray& array);
    template <class T>
    JsonValue(const std::optional<T>& value) : JsonValue(value ? JsonValue(*value) : JsonValue())
    {
    }
    const std::string& text() const { return m_text; }

private:
    std::string m_text;
};

class JsonObject {
public:
    using Member = std::pair<std::string_view, JsonValue>;
    JsonObject(std::initializer_list<Member> members);
    void add(std::string_view name, const JsonValue& value);
    std::string text() const { return "{" + m_members + "}"; }

private:
    std::string m_members;
};

class JsonArray {
public:
    void add(const JsonValue& value);
    std::string text() const { return "[" + m_elements + "]"; }

private:
    std::string m_elements;
};

/// null where empty: a text that is not known.
JsonValue textOrNull(std::string_view text);

} // namespace provost::cli
