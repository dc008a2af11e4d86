// Brings a database file to the schema of this program.
#pragma once

#include "core/result.h"

#include <filesystem>
#include <span>
#include <string_view>

namespace provost {

struct Migration {
    int version = 0;
    std::string_view name{};
    std::string_view sql{};
};

/// Those of db/migrations, in order, from 1 without gaps.
std::span<const Migration> releasedMigrations();

/// Runs what is missing, one transaction each. A file that holds data is copied first to
/// `FILE.v<version>.bak`, unless that copy is there already.
///
/// @returns InvalidData  the file is of a newer program, or not one of ours
Result<> migrate(const std::filesystem::path& file,
                 std::span<const Migration> migrations = releasedMigrations());

/// Fails with InvalidData unless the file has exactly the newest of `migrations`.
Result<> requireCurrentSchema(const std::filesystem::path& file,
                              std::span<const Migration> migrations = releasedMigrations());

/// A consistent copy of a database that may be in use; never overwrites.
Result<> copyDatabase(const std::filesystem::path& from, const std::filesystem::path& to);

} // namespace provost
