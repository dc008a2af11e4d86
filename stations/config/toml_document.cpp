#include "config/toml_document.h"

#include "core/text.h"

#include <fstream>
#include <iterator>
#include <limits>
#include <set>
#include <toml++/toml.h>

namespace provost {

struct TomlTable::Impl {
    struct Document {
        toml::table root{};
        std::string fileName{};
        std::string source{};
    };
    std::shared_ptr<const Document> document;
    const toml::table* node = nullptr;
    mutable std::set<std::string, std::less<>> asked{};

    const toml::node* find(std::string_view key) const
    {
        asked.emplace(key);
        return node->get(key);
    }
};

namespace {

std::string placeOf(const std::string& file, const toml::source_region& region)
{
    return concat(file, ":", region.begin.line, ":", region.begin.column);
}

} // namespace

TomlTable::TomlTable(std::unique_ptr<Impl> impl) : m_impl(std::move(impl)) {}
TomlTable::~TomlTable() = default;
TomlTable::TomlTable(TomlTable&&) noexcept = default;
TomlTable& TomlTable::operator=(TomlTable&&) noexcept = default;

Result<TomlTable> TomlTable::load(const std::filesystem::path& file)
{
    std::ifstream stream(file, std::ios::binary);
    if (!stream)
        return fail(Errc::NotFound, Blame::Operator,
                    concat("read ", file.string(), ": no such file, or not readable"));
    const std::string text((std::istreambuf_iterator<char>(stream)), {});
    return parse(text, file.filename().string());
}

Result<TomlTable> TomlTable::parse(std::string_view text, const std::string& fileName)
{
    auto document = std::make_shared<Impl::Document>();
    document->fileName = fileName;
    document->source = text;
    try {
        document->root = toml::parse(text, fileName);
    } catch (const toml::parse_error& error) {
        return fail(
            Errc::InvalidData, Blame::Operator,
            concat(placeOf(fileName, error.source()), ": ", std::string(error.description())));
    }
    auto impl = std::make_unique<Impl>();
    impl->node = &document->root;
    impl->document = std::move(document);
    return TomlTable(std::move(impl));
}

std::string TomlTable::where(std::string_view key) const
{
    const toml::node* node = key.empty() ? nullptr : m_impl->node->get(key);
    return placeOf(m_impl->document->fileName,
                   node != nullptr ? node->source() : m_impl->node->source());
}

Unexpected TomlTable::wrong(std::string_view key, std::string_view expected) const
{
    const bool missing = m_impl->node->get(key) == nullptr;
    return fail(Errc::InvalidData, Blame::Operator,
                concat(where(key), ": \"", key,
                       missing ? "\" is missing; it must be " : "\" must be ", expected));
}

bool TomlTable::has(std::string_view key) const
{
    return m_impl->find(key) != nullptr;
}

Result<std::string> TomlTable::text(std::string_view key) const
{
    if (const auto* node = m_impl->find(key)) {
        if (const auto value = node->value_exact<std::string>())
            return *value;
    }
    return wrong(key, "a text in quotes");
}

Result<std::string> TomlTable::textOr(std::string_view key, std::string_view fallback) const
{
    return has(key) ? text(key) : std::string(fallback);
}

Result<std::int64_t> TomlTable::integer(std::string_view key) const
{
    if (const auto* node = m_impl->find(key)) {
        if (const auto value = node->value_exact<std::int64_t>())
            return *value;
    }
    return wrong(key, "a whole number");
}

Result<std::int64_t> TomlTable::integerOr(std::string_view key, std::int64_t fallback) const
{
    return has(key) ? integer(key) : fallback;
}

Result<std::uint32_t> TomlTable::number32(std::string_view key) const
{
    const auto value = TRY(integer(key));
    if (value < 0 || value > std::numeric_limits<std::uint32_t>::max())
        return wrong(key, "a number from 0 to 0xFFFFFFFF");
    return static_cast<std::uint32_t>(value);
}

Result<double> TomlTable::realOr(std::string_view key, double fallback) const
{
    const auto* node = m_impl->find(key);
    if (node == nullptr)
        return fallback;
    if (const auto value = node->value<double>())
        return *value;
    return wrong(key, "a number");
}

Result<bool> TomlTable::booleanOr(std::string_view key, bool fallback) const
{
    const auto* node = m_impl->find(key);
    if (node == nullptr)
        return fallback;
    if (const auto value = node->value_exact<bool>())
        return *value;
    return wrong(key, "true or false");
}

Result<std::chrono::milliseconds> TomlTable::spanOr(std::string_view key,
                                                    std::chrono::milliseconds fallback) const
{
    if (!has(key))
        return fallback;
    const std::string value = m_impl->find(key)->value_exact<std::string>().value_or("");
    std::size_t digits = 0;
    while (digits < value.size() && digits < 9 && value[digits] >= '0' && value[digits] <= '9')
        ++digits;
    const std::string_view unit = std::string_view(value).substr(digits);
    if (digits > 0) {
        const std::int64_t count = std::stoll(value.substr(0, digits));
        if (unit == "ms")
            return std::chrono::milliseconds(count);
        if (unit == "s")
            return std::chrono::seconds(count);
        if (unit == "min")
            return std::chrono::minutes(count);
    }
    return wrong(key, "a time such as \"250ms\", \"60s\" or \"5min\"");
}

Result<std::vector<std::string>> TomlTable::textsOr(std::string_view key) const
{
    std::vector<std::string> texts;
    const auto* node = m_impl->find(key);
    if (node == nullptr)
        return texts;
    const auto* array = node->as_array();
    if (array == nullptr)
        return wrong(key, "a list of texts");
    for (const auto& element : *array) {
        const auto value = element.value_exact<std::string>();
        if (!value)
            return wrong(key, "a list of texts");
        texts.push_back(*value);
    }
    return texts;
}

Result<TomlTable> TomlTable::table(std::string_view key) const
{
    const auto* node = m_impl->find(key);
    if (node == nullptr || !node->is_table())
        return wrong(key, concat("a table [", key, "]"));
    auto impl = std::make_unique<Impl>();
    impl->document = m_impl->document;
    impl->node = node->as_table();
    return TomlTable(std::move(impl));
}

Result<std::vector<TomlTable>> TomlTable::tables(std::string_view key) const
{
    std::vector<TomlTable> tables;
    const auto* node = m_impl->find(key);
    if (node == nullptr)
        return tables;
    const auto* array = node->as_array();
    if (array == nullptr || !array->is_array_of_tables())
        return wrong(key, concat("tables [[", key, "]]"));
    for (const auto& element : *array) {
        auto impl = std::make_unique<Impl>();
        impl->document = m_impl->document;
        impl->node = element.as_table();
        tables.push_back(TomlTable(std::move(impl)));
    }
    return tables;
}

std::map<std::string, TomlTable::Scalar> TomlTable::remainingScalars() const
{
    std::map<std::string, Scalar> scalars;
    for (const auto& [key, node] : *m_impl->node) {
        const std::string name(key.str());
        if (m_impl->asked.contains(name))
            continue;
        if (const auto text = node.value_exact<std::string>())
            scalars.emplace(name, *text);
        else if (const auto integer = node.value_exact<std::int64_t>())
            scalars.emplace(name, *integer);
        else if (const auto real = node.value_exact<double>())
            scalars.emplace(name, *real);
        else if (const auto flag = node.value_exact<bool>())
            scalars.emplace(name, *flag);
        else
            continue;
        m_impl->asked.insert(name);
    }
    return scalars;
}

std::vector<std::string> TomlTable::keys() const
{
    std::vector<std::string> names;
    for (const auto& [key, node] : *m_impl->node)
        names.emplace_back(key.str());
    return names;
}

Result<> TomlTable::finish() const
{
    for (const auto& [key, node] : *m_impl->node) {
        if (!m_impl->asked.contains(key.str()))
            return fail(Errc::InvalidData, Blame::Operator,
                        concat(placeOf(m_impl->document->fileName, key.source()), ": \"",
                               std::string(key.str()), "\" is not known here"));
    }
    return {};
}

const std::string& TomlTable::source() const
{
    return m_impl->document->source;
}

} // namespace provost
