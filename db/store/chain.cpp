// The writer of the chain.
#include "core/text.h"
#include "store/chain_p.h"

namespace provost::chain {

using sqlite::Connection;
using sqlite::Statement;
using sqlite::Touched;
using sqlite::Transaction;

Result<Origin> readOrigin(Connection& db)
{
    auto row = TRY(db.query("SELECT database_id, at_utc FROM chain_origin"));
    const bool found = TRY(row.step());
    if (!found)
        return fail(Errc::Corrupt, Blame::Station,
                    concat("read the origin of the chain in ", db.file(), ": it is missing"));
    return Origin{.databaseId = row.blob(0), .atUtc = row.integer(1)};
}

Result<bool> hasChain(Connection& db)
{
    const auto tables =
        TRY(db.integer("SELECT count(*) FROM sqlite_schema WHERE name = 'chain_entry'"));
    return tables != 0;
}

Result<Writer> Writer::open(Connection& db)
{
    Writer writer(db);
    writer.m_origin = TRY(readOrigin(db));
    auto layouts = TRY(readLayouts(db));
    for (Layout& layout : layouts)
        writer.m_layouts.insert_or_assign(layout.table, std::move(layout));
    return writer;
}

Result<Statement*> Writer::statement(std::string_view name, const std::string& sql)
{
    auto found = m_statements.find(name);
    if (found == m_statements.end()) {
        // Compiled without values; restart() gives it those of each turn.
        auto compiled = TRY(m_db->prepare(sql));
        found = m_statements.emplace(name, std::move(compiled)).first;
    }
    return &found->second;
}

Result<Head> Writer::head()
{
    auto& last =
        *TRY(statement("head", "SELECT entry, link FROM chain_entry ORDER BY entry DESC LIMIT 1"));
    TRY(last.restart());
    const bool found = TRY(last.step());
    const Head head = found ? Head{.entry = last.integer(0), .link = sha256In(last, 1)}
                            : Head{.entry = 0, .link = linkOf(m_origin)};
    last.reset();
    return head;
}

Result<> Writer::append(Entry entry, Head& head)
{
    entry.number = head.entry + 1;
    head = {.entry = entry.number, .link = linkOf(head.link, entry)};
    auto& insert = *TRY(statement(
        "entry", "INSERT INTO chain_entry (entry, chain_layout_id, row_id, change, at_utc, digest, "
                 "marks, link) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"));
    TRY(insert.restart({entry.number, entry.layout, entry.row, name(entry.change), entry.atUtc,
                        ByteView(entry.seal.digest), ByteView(entry.seal.marks),
                        ByteView(head.link)}));
    auto done = insert.finish();
    insert.reset();
    return done;
}

Result<> Writer::sealTouched(std::int64_t nowUtc)
{
    const auto touched = m_db->takeTouched();
    if (touched.empty())
        return {};
    Head last = TRY(head());
    for (const Touched& each : touched) {
        const auto layout = m_layouts.find(each.table);
        if (layout == m_layouts.end())
            return fail(Errc::Internal, Blame::Software,
                        concat("seal row ", each.row, " of ", each.table,
                               ": the chain does not know this table"));
        auto& row = *TRY(statement(each.table, selectOf(layout->second, "WHERE rowid = ?")));
        TRY(row.restart({each.row}));
        const bool there = TRY(row.step());
        Entry entry{.layout = layout->second.id,
                    .row = each.row,
                    .change = !there       ? Change::Remove
                              : each.added ? Change::Add
                                           : Change::Change,
                    .atUtc = nowUtc};
        if (there)
            entry.seal = m_sealer.seal(layout->second, each.row, row);
        row.reset();
        if (!there && (each.added || !each.removed))
            continue; // it came and went within this transaction
        TRY(append(std::move(entry), last));
    }
    return {};
}

namespace {

/// What `migrate` does not get: a clock. SQLite's is the computer's.
Result<std::int64_t> nowOf(Connection& db)
{
    return db.integer("SELECT CAST(round((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER)");
}

Result<> registerLayouts(Connection& db)
{
    std::map<std::string, std::string> known;
    const auto layouts = TRY(readLayouts(db));
    for (const Layout& layout : layouts)
        known.insert_or_assign(layout.table, joined(layout.columns));
    const auto tables = TRY(coveredTables(db));
    for (const std::string& table : tables) {
        const Layout layout = TRY(layoutOfTable(db, table));
        const std::string columns = joined(layout.columns);
        const auto before = known.find(table);
        if (before != known.end() && before->second == columns)
            continue;
        if (before != known.end() && !columns.starts_with(before->second + ","))
            return fail(Errc::Internal, Blame::Software,
                        concat("table ", table, " had the columns ", before->second, ", now ",
                               columns, ": a migration may only add columns behind them"));
        TRY(db.execute("INSERT INTO chain_layout (table_name, columns) VALUES (?, ?)",
                       {table, columns}));
    }
    return {};
}

} // namespace

Result<> Writer::adoptAll(std::int64_t nowUtc)
{
    m_db->takeTouched();
    Head last = TRY(head());
    for (const auto& [table, layout] : m_layouts) {
        auto row = TRY(m_db->query(selectOf(layout, "ORDER BY rowid", "rowid")));
        while (TRY(row.step())) {
            const std::int64_t id = row.integer(0);
            TRY(append({.layout = layout.id,
                        .row = id,
                        .change = Change::Adopt,
                        .atUtc = nowUtc,
                        .seal = m_sealer.seal(layout, id, row, 1)},
                       last));
        }
    }
    return {};
}

Result<> sealMigration(Connection& db, bool begins)
{
    TRY(registerLayouts(db));
    auto writer = TRY(Writer::open(db));
    if (begins) {
        const Origin origin = TRY(readOrigin(db));
        return writer.adoptAll(origin.atUtc);
    }
    const auto now = TRY(nowOf(db));
    return writer.sealTouched(now);
}

Result<> writeSealed(Connection& db, Writer& writer, std::int64_t nowUtc,
                     const std::function<Result<>(Connection&)>& body,
                     const std::function<Result<>()>& sealed)
{
    auto transaction = TRY(Transaction::begin(db));
    TRY(body(db));
    TRY(writer.sealTouched(nowUtc));
    if (sealed)
        TRY(sealed());
    return transaction.commit();
}

} // namespace provost::chain
