// TOML as checked tables: every value knows its place, unknown keys are errors. toml++ stays in the
// .cpp file.
#pragma once

#include "core/result.h"

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace provost {

/// One table of a TOML file. Getters remember which keys were asked for; finish() refuses the rest.
class TomlTable {
public:
    using Scalar = std::variant<std::string, std::int64_t, double, bool>;

    /// @returns InvalidData  file:line:column and what is wrong there; NotFound  no such file
    static Result<TomlTable> load(const std::filesystem::path& file);
    static Result<TomlTable> parse(std::string_view text, const std::string& fileName);
    ~TomlTable();
    TomlTable(TomlTable&&) noexcept;
    TomlTable& operator=(TomlTable&&) noexcept;

    bool has(std::string_view key) const;
    Result<std::string> text(std::string_view key) const;
    Result<std::string> textOr(std::string_view key, std::string_view fallback) const;
    Result<std::int64_t> integer(std::string_view key) const;
    Result<std::int64_t> integerOr(std::string_view key, std::int64_t fallback) const;
    /// An integer that fits 32 bits without sign.
    Result<std::uint32_t> number32(std::string_view key) const;
    Result<double> realOr(std::string_view key, double fallback) const;
    Result<bool> booleanOr(std::string_view key, bool fallback) const;
    /// "250ms", "60s", "5min".
    Result<std::chrono::milliseconds> spanOr(std::string_view key,
                                             std::chrono::milliseconds fallback) const;
    Result<std::vector<std::string>> textsOr(std::string_view key) const;
    Result<TomlTable> table(std::string_view key) const;
    Result<std::vector<TomlTable>> tables(std::string_view key) const; ///< empty where absent
    /// All scalars that were not asked for yet, by key: for parameters of steps.
    std::map<std::string, Scalar> remainingScalars() const;
    /// Keys of tables inside this one.
    std::vector<std::string> keys() const;

    /// file:line:column of a key, or of the table itself.
    std::string where(std::string_view key = {}) const;
    /// @returns InvalidData  a key nobody asked for
    Result<> finish() const;
    /// The file's bytes as read, for digests.
    const std::string& source() const;

private:
    struct Impl;
    explicit TomlTable(std::unique_ptr<Impl> impl);
    Unexpected wrong(std::string_view key, std::string_view expected) const;
    std::unique_ptr<Impl> m_impl;
};

} // namespace provost
