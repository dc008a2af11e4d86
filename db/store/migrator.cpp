#include "store/migrator.h"

#include "core/text.h"
#include "store/verify_p.h"

#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <system_error>
#include <unistd.h>

namespace provost {

using sqlite::Access;
using sqlite::Connection;
using sqlite::Transaction;

namespace {

constexpr std::int64_t kApplicationId = 0x50525653; // "PRVS", set by 0001_initial.sql

Unexpected foreign(const std::string& file)
{
    return fail(Errc::InvalidData, Blame::Operator,
                concat("open ", file, ": it is a database, but not one of Provost"));
}

/// Looks without touching: somebody else's database keeps even its journal mode.
Result<int> versionOf(const std::filesystem::path& file)
{
    std::error_code ignored;
    if (!std::filesystem::exists(file, ignored))
        return 0;
    auto connection = TRY(Connection::open(file, Access::ReadOnly));
    return schemaVersion(connection);
}

Unexpected newer(const std::string& file, int version, std::size_t known)
{
    return fail(Errc::InvalidData, Blame::Operator,
                concat("open ", file, ": its schema ", version, " is newer than ", known,
                       ", the newest that this program knows; use the newer program"));
}

Result<> runMigration(Connection& connection, const Migration& migration)
{
    auto transaction = TRY(Transaction::begin(connection));
    const bool chained = TRY(chain::hasChain(connection));
    TRY(connection.script(std::string(migration.sql)));
    const bool chainedNow = TRY(chain::hasChain(connection));
    if (chainedNow)
        TRY(chain::sealMigration(connection, !chained));
    else
        connection.takeTouched(); // of a schema without a chain
    TRY(connection.script(concat("PRAGMA user_version = ", migration.version)));
    return transaction.commit();
}

/// Gives a complete file its name, on disk before we return.
Result<> publish(const std::filesystem::path& partial, const std::filesystem::path& to)
{
    const auto failed = [&](int native) {
        return fail(Errc::Io, Blame::Station,
                    concat("write ", to.string(), ": ", std::generic_category().message(native)),
                    native);
    };
    const int descriptor = open(partial.c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
        return failed(errno);
    const int synced = fsync(descriptor) == 0 ? 0 : errno;
    close(descriptor);
    if (synced != 0)
        return failed(synced);
    if (rename(partial.c_str(), to.c_str()) != 0)
        return failed(errno);
    return {};
}

} // namespace

Result<int> schemaVersion(Connection& connection)
{
    const auto version = TRY(connection.integer("PRAGMA user_version"));
    const auto application = TRY(connection.integer("PRAGMA application_id"));
    if (version == 0) {
        const auto objects = TRY(connection.integer("SELECT count(*) FROM sqlite_schema"));
        if (objects != 0)
            return foreign(connection.file());
    } else if (application != kApplicationId) {
        return foreign(connection.file());
    }
    return static_cast<int>(version);
}

Result<> migrate(const std::filesystem::path& file, std::span<const Migration> migrations)
{
    const int version = TRY(versionOf(file));
    if (version > static_cast<int>(migrations.size()))
        return newer(file.string(), version, migrations.size());
    if (version > 0 && version < static_cast<int>(migrations.size())) {
        const std::filesystem::path copy = concat(file.string(), ".v", version, ".bak");
        std::error_code ignored;
        if (!std::filesystem::exists(copy, ignored))
            TRY(copyDatabase(file, copy));
    }
    auto connection = TRY(Connection::open(file, Access::Create));
    for (const Migration& migration : migrations.subspan(static_cast<std::size_t>(version))) {
        if (const auto done = runMigration(connection, migration); !done)
            return Unexpected(inFrame(done.error(), concat("migrate with ", migration.name)));
    }
    return {};
}

Result<> requireCurrentSchema(const std::filesystem::path& file,
                              std::span<const Migration> migrations)
{
    auto connection = TRY(Connection::open(file, Access::ReadOnly));
    const int version = TRY(schemaVersion(connection));
    if (version > static_cast<int>(migrations.size()))
        return newer(file.string(), version, migrations.size());
    if (version < static_cast<int>(migrations.size()))
        return fail(Errc::InvalidData, Blame::Operator,
                    concat("read ", file.string(), ": its schema ", version, " is older than ",
                           migrations.size(), "; migrate it first"));
    return {};
}

Result<> copyDatabase(const std::filesystem::path& from, const std::filesystem::path& to)
{
    std::error_code ignored;
    if (std::filesystem::exists(to, ignored))
        return fail(Errc::InvalidArgument, Blame::Operator,
                    concat("copy ", from.string(), " to ", to.string(), ": that file exists"));
    auto connection = TRY(Connection::open(from, Access::ReadOnly));
    // Under another name until it is complete: a copy with the right name is a whole one.
    const std::filesystem::path partial = to.string() + ".part";
    std::filesystem::remove(partial, ignored);
    if (const auto copied = connection.execute("VACUUM INTO ?", {partial.string()}); !copied)
        return Unexpected(inFrame(copied.error(), concat("copy to ", to.string())));
    return publish(partial, to);
}

} // namespace provost
