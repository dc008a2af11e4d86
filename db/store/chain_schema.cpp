// verifyChain: tables, triggers and layouts are those that the migrations make.
#include "core/text.h"
#include "store/migrator.h"
#include "store/verify_p.h"

namespace provost::detail {

using chain::Layout;
using sqlite::Connection;

namespace {

using Schema = std::map<std::string, std::pair<std::int64_t, std::string>>; ///< by type and name

Result<Schema> schemaOf(Connection& db)
{
    Schema schema;
    auto rows = TRY(db.query("SELECT rowid, type || ' ' || name, "
                             "tbl_name || ': ' || ifnull(sql, '') FROM sqlite_schema"));
    while (TRY(rows.step()))
        schema.insert_or_assign(rows.text(1), std::pair(rows.integer(0), rows.text(2)));
    return schema;
}

VerifyProblem wrongObject(std::int64_t row, std::string_view object, std::string_view why)
{
    return {.table = "sqlite_schema", .row = row, .reason = concat(object, " ", why)};
}

VerifyProblem wrongLayout(const Layout& layout, std::string_view why)
{
    return {.table = "chain_layout",
            .row = layout.id,
            .reason = concat("the columns of ", layout.table, " in it ", why)};
}

} // namespace

Result<Finding> checkSchema(Connection& db, int version)
{
    auto reference = TRY(Connection::inMemory());
    for (const Migration& migration : releasedMigrations().first(static_cast<std::size_t>(version)))
        TRY(reference.script(std::string(migration.sql)));
    const Schema wanted = TRY(schemaOf(reference));
    const Schema there = TRY(schemaOf(db));
    for (const auto& [object, row] : there) {
        const auto known = wanted.find(object);
        if (known == wanted.end())
            return Finding(wrongObject(row.first, object, "is not of this program"));
        if (known->second.second != row.second)
            return Finding(wrongObject(row.first, object, "is not what the program made"));
    }
    for (const auto& [object, row] : wanted) {
        if (!there.contains(object))
            return Finding(wrongObject(0, object, "is missing"));
    }
    return Finding{};
}

Result<Finding> checkLayouts(Connection& db, const std::vector<Layout>& layouts)
{
    std::map<std::string, Layout> newest;
    std::int64_t expected = 0;
    for (const Layout& layout : layouts) {
        if (layout.id != ++expected)
            return Finding(wrongLayout(layout, "have a number that is not the next one"));
        newest.insert_or_assign(layout.table, layout);
    }
    const auto covered = TRY(chain::coveredTables(db));
    const std::set<std::string> tables(covered.begin(), covered.end());
    std::map<std::string, std::string> present;
    for (const std::string& table : tables) {
        const Layout layout = TRY(chain::layoutOfTable(db, table));
        present[table] = chain::joined(layout.columns);
        const auto known = newest.find(table);
        if (known == newest.end())
            return Finding(wrongLayout({.table = table}, "are missing"));
        if (chain::joined(known->second.columns) != present[table])
            return Finding(wrongLayout(known->second, "are not those of the table"));
    }
    for (const Layout& layout : layouts) {
        const auto columns = present.find(layout.table);
        if (columns == present.end() ||
            !(columns->second + ",").starts_with(chain::joined(layout.columns) + ","))
            return Finding(wrongLayout(layout, "were never those of the table"));
    }
    return Finding{};
}

Result<Finding> checkSequences(Connection& db)
{
    std::vector<std::string> tables;
    auto rows = TRY(db.query("SELECT name FROM sqlite_schema WHERE type = 'table' "
                             "AND sql LIKE '%AUTOINCREMENT%' ORDER BY name"));
    while (TRY(rows.step()))
        tables.push_back(rows.text(0));
    for (const std::string& table : tables) {
        const auto last = TRY(db.integer(concat("SELECT max(rowid) FROM \"", table, '"')));
        const auto counted =
            TRY(db.integer("SELECT seq FROM sqlite_sequence WHERE name = ?", {table}));
        if (last != counted)
            return Finding(VerifyProblem{
                .table = table,
                .row = std::max(last, counted),
                .reason = concat("SQLite counted rows up to ", counted, ", the last one is ", last,
                                 ": rows were taken out or put in past the station")});
    }
    const auto others = TRY(db.integer(
        "SELECT rowid FROM sqlite_sequence WHERE name NOT IN (SELECT name FROM sqlite_schema "
        "WHERE type = 'table' AND sql LIKE '%AUTOINCREMENT%')"));
    if (others != 0)
        return Finding(VerifyProblem{
            .table = "sqlite_sequence", .row = others, .reason = "it counts the rows of no table"});
    return Finding{};
}

} // namespace provost::detail
