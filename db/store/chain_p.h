// How rows are sealed: digests, links, and the writer of entries.
#pragma once

#include "crypto/digest.h"
#include "store/sqlite_p.h"

#include <functional>
#include <map>

namespace provost::chain {

enum class Change : std::uint8_t { Add = 1, Change, Remove, Adopt };
std::string_view name(Change change);
std::optional<Change> changeNamed(std::string_view word);

/// The columns of a table that an entry seals.
struct Layout {
    std::int64_t id = 0;
    std::string table{};
    std::vector<std::string> columns{};
    Sha256 digest{};
};
Sha256 digestOf(const Layout& layout);
std::string joined(const std::vector<std::string>& columns); ///< "run_id,slot"
std::vector<std::string> separated(std::string_view columns);
/// Of the table as it is now; its id is 0.
Result<Layout> layoutOfTable(sqlite::Connection& db, const std::string& table);
/// All that were ever in use, by id from 1.
Result<std::vector<Layout>> readLayouts(sqlite::Connection& db);
/// Every table but SQLite's and the chain's own, by name.
Result<std::vector<std::string>> coveredTables(sqlite::Connection& db);
/// `SELECT "a", "b" FROM "table" ` with what follows.
std::string selectOf(const Layout& layout, std::string_view rest, std::string_view first = {});

struct RowSeal {
    Sha256 digest{};
    Bytes marks{};
};
/// Makes seals; keeps its buffer from row to row.
class Sealer {
public:
    /// The row that stands in `row` from column `first` on.
    RowSeal seal(const Layout& layout, std::int64_t id, const sqlite::Statement& row,
                 int first = 0);

private:
    void appendColumn(const sqlite::Statement& row, int column);
    Bytes m_bytes{};
};

struct Entry {
    std::int64_t number = 0;
    std::int64_t layout = 0;
    std::int64_t row = 0;
    Change change = Change::Add;
    std::int64_t atUtc = 0;
    RowSeal seal{};
};
Sha256 linkOf(const Sha256& before, const Entry& entry);

struct Origin {
    Bytes databaseId{};
    std::int64_t atUtc = 0;
};
/// @returns Corrupt  it is missing
Result<Origin> readOrigin(sqlite::Connection& db);
Sha256 linkOf(const Origin& origin);

/// The last entry; number 0 and the link of the origin where there is none.
struct Head {
    std::int64_t entry = 0;
    Sha256 link{};
};
/// Followed by WHERE …; read by entryIn() and linkIn().
constexpr std::string_view kEntryColumns =
    "SELECT entry, chain_layout_id, row_id, change, at_utc, digest, marks, link FROM chain_entry ";
/// A change that is none has the value 0.
Entry entryIn(const sqlite::Statement& row);
Sha256 linkIn(const sqlite::Statement& row);
Sha256 sha256In(const sqlite::Statement& row, int column);

/// Writes the entries of one connection, which outlives it.
class Writer {
public:
    static Result<Writer> open(sqlite::Connection& db);
    /// Seals every row that was touched since the transaction began.
    Result<> sealTouched(std::int64_t nowUtc);
    /// Seals every row that is there.
    Result<> adoptAll(std::int64_t nowUtc);
    Result<Head> head();

private:
    explicit Writer(sqlite::Connection& db) : m_db(&db) {}
    Result<> append(Entry entry, Head& head);
    Result<sqlite::Statement*> statement(std::string_view name, const std::string& sql);

    sqlite::Connection* m_db;
    Origin m_origin{};
    std::map<std::string, Layout, std::less<>> m_layouts{}; ///< the newest of each table
    std::map<std::string, sqlite::Statement, std::less<>> m_statements{};
    Sealer m_sealer{};
};

/// Behind a migration, in its transaction: knows the tables as they are now and seals what was
/// changed; where the chain begins with it, everything that is there.
///
/// @param begins  the migration made the chain
Result<> sealMigration(sqlite::Connection& db, bool begins);
Result<bool> hasChain(sqlite::Connection& db);

/// Runs `body`, seals what it wrote, then runs `sealed`, all in one transaction.
Result<> writeSealed(sqlite::Connection& db, Writer& writer, std::int64_t nowUtc,
                     const std::function<Result<>(sqlite::Connection&)>& body,
                     const std::function<Result<>()>& sealed = {});

} // namespace provost::chain
