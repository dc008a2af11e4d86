// One table of a bench file: values by key, errors with their place.
#pragma once

#include "core/result.h"
#include "core/text.h"
#include "sim/bench_file.h"

#include <set>
#include <toml++/toml.h>

namespace provost::sim {

constexpr std::pair<std::string_view, Speed> kBenchSpeeds[] = {
    {"instant", Speed::Instant}, {"demo", Speed::Demo}, {"timed", Speed::Timed}};

/// Reads values of one table and remembers which keys it knows.
class BenchTable {
public:
    BenchTable(const toml::table& table, std::string name, std::string_view origin)
        : m_table(table), m_name(std::move(name)), m_origin(origin)
    {
    }

    Unexpected wrong(const toml::node* node, std::string what) const
    {
        return wrongAt(node != nullptr ? node->source() : m_table.source(), std::move(what));
    }

    Unexpected wrongAt(const toml::source_region& where, std::string what) const
    {
        return fail(Errc::InvalidData, Blame::Operator,
                    concat(m_origin, ':', where.begin.line, ':', where.begin.column, ": [", m_name,
                           "] ", what));
    }

    const toml::node* find(std::string_view key)
    {
        m_known.emplace(key);
        return m_table.get(key);
    }

    template <class T>
    Result<> take(std::string_view key, T& into)
    {
        const toml::node* node = find(key);
        if (node == nullptr)
            return {};
        const auto value = node->value_exact<T>();
        if (!value)
            return wrong(node, concat(key, ": not of the expected type"));
        into = *value;
        return {};
    }

    /// One of a few words.
    template <class T, std::size_t N>
    Result<> word(std::string_view key, const std::pair<std::string_view, T> (&words)[N], T& into)
    {
        const toml::node* node = find(key);
        if (node == nullptr)
            return {};
        const auto text = node->value_exact<std::string>();
        std::string list;
        for (const auto& [spelling, meaning] : words) {
            if (text && *text == spelling) {
                into = meaning;
                return {};
            }
            list += concat(list.empty() ? "" : ", ", spelling);
        }
        return wrong(node, concat(key, ": one of ", list, " is meant"));
    }

    Result<> noOthers() const
    {
        for (const auto& [key, node] : m_table)
            if (!m_known.contains(std::string(key.str())))
                return wrongAt(key.source(), concat("unknown key \"", key.str(), '"'));
        return {};
    }

private:
    const toml::table& m_table;
    const std::string m_name;
    const std::string m_origin;
    std::set<std::string> m_known{};
};

/// `[[slot.unit.fault]]`.
/// @returns InvalidData  with file:line:column
Result<FaultSpec> readFault(const toml::table& table, const BoardProfile& board,
                            std::string_view origin);

/// `[[probe.fault]]`.
/// @returns InvalidData  with file:line:column
Result<ProbeFault> readProbeFault(const toml::table& table, std::string_view origin);

/// Every `[[probe]]` of a file; none is no error.
/// @returns InvalidData  with file:line:column
Result<std::vector<ProbeSupply>> readProbes(const toml::table& root, std::string_view origin);

} // namespace provost::sim
