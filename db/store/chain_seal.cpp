// How a row becomes 32 bytes, and how these are linked.
#include "core/byte_io.h"
#include "core/crc.h"
#include "core/text.h"
#include "store/chain_p.h"

#include <array>
#include <bit>

namespace provost::chain {

using sqlite::Connection;
using sqlite::Kind;
using sqlite::Statement;

namespace {

constexpr std::array<std::string_view, 4> kChangeWords{"add", "change", "remove", "adopt"};

std::uint64_t bits(std::int64_t value)
{
    return static_cast<std::uint64_t>(value);
}

/// A name of the schema as a statement takes it.
std::string inQuotes(std::string_view name)
{
    return concat('"', name, '"');
}

} // namespace

std::string_view name(Change change)
{
    return kChangeWords.at(static_cast<std::size_t>(change) - 1);
}

std::optional<Change> changeNamed(std::string_view word)
{
    for (std::size_t i = 0; i < kChangeWords.size(); ++i) {
        if (kChangeWords.at(i) == word)
            return static_cast<Change>(i + 1);
    }
    return std::nullopt;
}

std::string joined(const std::vector<std::string>& columns)
{
    std::string all;
    for (const auto& column : columns)
        all += concat(all.empty() ? "" : ",", column);
    return all;
}

std::vector<std::string> separated(std::string_view columns)
{
    std::vector<std::string> all;
    for (std::size_t from = 0; from <= columns.size();) {
        const auto comma = std::min(columns.find(',', from), columns.size());
        all.emplace_back(columns.substr(from, comma - from));
        from = comma + 1;
    }
    return all;
}

Sha256 digestOf(const Layout& layout)
{
    return sha256(viewOf(concat(layout.table, '\n', joined(layout.columns))));
}

Result<Layout> layoutOfTable(Connection& db, const std::string& table)
{
    Layout layout{.table = table};
    auto rows = TRY(db.query("SELECT name FROM pragma_table_info(?) ORDER BY cid", {table}));
    while (TRY(rows.step()))
        layout.columns.push_back(rows.text(0));
    layout.digest = digestOf(layout);
    return layout;
}

Result<std::vector<Layout>> readLayouts(Connection& db)
{
    std::vector<Layout> layouts;
    auto rows = TRY(db.query("SELECT chain_layout_id, table_name, columns FROM chain_layout "
                             "ORDER BY chain_layout_id"));
    while (TRY(rows.step())) {
        Layout layout{
            .id = rows.integer(0), .table = rows.text(1), .columns = separated(rows.text(2))};
        layout.digest = digestOf(layout);
        layouts.push_back(std::move(layout));
    }
    return layouts;
}

Result<std::vector<std::string>> coveredTables(Connection& db)
{
    std::vector<std::string> tables;
    auto rows = TRY(db.query("SELECT name FROM sqlite_schema WHERE type = 'table' AND "
                             "name NOT GLOB 'sqlite_*' AND name NOT GLOB 'chain_*' ORDER BY name"));
    while (TRY(rows.step()))
        tables.push_back(rows.text(0));
    return tables;
}

std::string selectOf(const Layout& layout, std::string_view rest, std::string_view first)
{
    std::string sql = concat("SELECT ", first);
    for (std::size_t i = 0; i < layout.columns.size(); ++i)
        sql += concat(i == 0 && first.empty() ? "" : ", ", inQuotes(layout.columns[i]));
    return concat(sql, " FROM ", inQuotes(layout.table), " ", rest);
}

RowSeal Sealer::seal(const Layout& layout, std::int64_t id, const Statement& row, int first)
{
    RowSeal made;
    m_bytes.clear();
    ByteWriter(m_bytes).raw(layout.digest).be64(bits(id));
    for (std::size_t i = 0; i < layout.columns.size(); ++i) {
        const std::size_t before = m_bytes.size();
        appendColumn(row, first + static_cast<int>(i));
        ByteWriter(made.marks).be16(crc16Xmodem(ByteView(m_bytes).subspan(before)));
    }
    made.digest = sha256(m_bytes);
    return made;
}

void Sealer::appendColumn(const Statement& row, int column)
{
    ByteWriter to(m_bytes);
    const Kind kind = row.kind(column);
    to.u8(static_cast<unsigned>(kind));
    switch (kind) {
    case Kind::Null:
        return;
    case Kind::Integer:
        to.be64(bits(row.integer(column)));
        return;
    case Kind::Real:
        to.be64(std::bit_cast<std::uint64_t>(row.real(column)));
        return;
    case Kind::Text:
    case Kind::Blob:
        const ByteView content = row.view(column);
        to.be64(content.size()).raw(content);
        return;
    }
}

Sha256 linkOf(const Sha256& before, const Entry& entry)
{
    Bytes bytes;
    bytes.reserve(160);
    ByteWriter(bytes)
        .raw(before)
        .be64(bits(entry.number))
        .be64(bits(entry.layout))
        .be64(bits(entry.row))
        .be64(bits(entry.atUtc))
        .u8(static_cast<unsigned>(entry.change))
        .raw(entry.seal.digest)
        .raw(entry.seal.marks);
    return sha256(bytes);
}

Sha256 linkOf(const Origin& origin)
{
    Bytes bytes;
    ByteWriter(bytes).text("provost-chain 1\n").raw(origin.databaseId).be64(bits(origin.atUtc));
    return sha256(bytes);
}

Entry entryIn(const Statement& row)
{
    return {.number = row.integer(0),
            .layout = row.integer(1),
            .row = row.integer(2),
            .change = changeNamed(toText(row.view(3))).value_or(Change{}),
            .atUtc = row.integer(4),
            .seal = {.digest = sha256In(row, 5), .marks = row.blob(6)}};
}

Sha256 linkIn(const Statement& row)
{
    return sha256In(row, 7);
}

Sha256 sha256In(const Statement& row, int column)
{
    Sha256 digest{};
    const ByteView stored = row.view(column);
    std::copy_n(stored.begin(), std::min(stored.size(), digest.size()), digest.begin());
    return digest;
}

} // namespace provost::chain
