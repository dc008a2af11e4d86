// verifyChain: entry after entry, then row after row.
#include "core/byte_io.h"
#include "core/text.h"
#include "store/journal_p.h"
#include "store/verify_p.h"

#include <algorithm>

namespace provost::detail {

using chain::Change;
using chain::Entry;
using chain::Head;
using chain::Layout;
using sqlite::Statement;

namespace {

/// What a network clock may correct without making a record false.
constexpr std::int64_t kClockToleranceMs = 60'000;

/// A damaged page ends a walk where it is; the place is behind the last row that could be read.
Result<> unlessDamaged(Result<> walked, ChainWalk& walk, std::string_view table,
                       const std::int64_t& lastRow)
{
    if (walked || walked.error().code != Errc::Corrupt)
        return walked;
    walk.offer(ChainWalk::kBehindAll, {.table = std::string(table),
                                       .row = lastRow + 1,
                                       .reason = concat("cannot be read behind row ", lastRow, ": ",
                                                        walked.error().message)});
    return {};
}

std::string sealedAs(std::int64_t entry, std::int64_t atUtc)
{
    return concat("(entry ", entry, " of the chain, ", utcText(atUtc), ")");
}

} // namespace

void ChainWalk::offer(std::int64_t entry, VerifyProblem problem)
{
    if (m_report.problem && m_foundAt <= entry)
        return;
    m_foundAt = entry;
    m_report.problem = std::move(problem);
}

const Layout* ChainWalk::layoutOf(std::int64_t id) const
{
    const bool known = id >= 1 && id <= static_cast<std::int64_t>(m_layouts.size());
    return known ? &m_layouts[static_cast<std::size_t>(id - 1)] : nullptr;
}

Result<> ChainWalk::run(const std::vector<Layout>& layouts, std::vector<Claim> claims)
{
    m_layouts = layouts;
    const auto origin = TRY(chain::readOrigin(m_db));
    m_report.originUtc = utcText(origin.atUtc);
    m_head.link = chain::linkOf(origin);
    TRY(readTriggers());
    TRY(unlessDamaged(walkEntries(std::move(claims)), *this, "chain_entry", m_head.entry));
    const auto tables = TRY(chain::coveredTables(m_db));
    for (const std::string& table : tables)
        TRY(walkRows(table));
    if (m_clockWentBack)
        offer(kBehindAll, *m_clockWentBack);
    return {};
}

Result<> ChainWalk::readTriggers()
{
    auto rows = TRY(m_db.query("SELECT tbl_name, sql LIKE '% BEFORE UPDATE ON %' FROM "
                               "sqlite_schema WHERE type = 'trigger' AND sql NOT LIKE '% WHEN %' "
                               "AND (sql LIKE '% BEFORE UPDATE ON %' OR "
                               "sql LIKE '% BEFORE DELETE ON %')"));
    while (TRY(rows.step()))
        (rows.flag(1) ? m_neverChanged : m_neverRemoved).insert(rows.text(0));
    return {};
}

Result<> ChainWalk::walkEntries(std::vector<Claim> claims)
{
    std::ranges::stable_sort(claims, {}, [](const Claim& claim) { return claim.head.entry; });
    auto rows = TRY(m_db.query(concat(chain::kEntryColumns, "ORDER BY entry")));
    while (TRY(rows.step())) {
        takeEntry(chain::entryIn(rows), chain::linkIn(rows));
        checkClaims(claims, m_head);
    }
    missingEntries(claims);
    m_report.entries = m_head.entry;
    return {};
}

void ChainWalk::takeEntry(const Entry& entry, const Sha256& stored)
{
    const auto expected = m_head.entry + 1;
    if (entry.number != expected)
        offer(expected, {.table = "chain_entry",
                         .row = entry.number,
                         .reason = concat("entries ", expected, " to ", entry.number - 1,
                                          " are missing before it: records were taken out")});
    const Layout* layout = layoutOf(entry.layout);
    const std::string what = layout == nullptr ? std::string("nothing that is known")
                                               : concat("row ", entry.row, " of ", layout->table);
    if (layout == nullptr || entry.change == Change{} ||
        chain::linkOf(m_head.link, entry) != stored)
        offer(entry.number,
              {.table = "chain_entry",
               .row = entry.number,
               .reason = concat("its link does not follow from the entry before and from what it "
                                "seals, ",
                                what, ": one of the two entries was changed")});
    if (layout != nullptr)
        checkChange(entry, layout->table);
    checkClock(entry);
    m_head = {.entry = entry.number, .link = stored};
    m_report.adopted += entry.change == Change::Adopt ? 1 : 0;
    if (layout != nullptr)
        m_latest[layout->table].push_back({.row = entry.row,
                                           .entry = entry.number,
                                           .layout = entry.layout,
                                           .atUtc = entry.atUtc,
                                           .change = entry.change,
                                           .digest = entry.seal.digest});
}

// Somebody can add entries like the station's behind its last signature, but not of a kind that the
// station never writes.
void ChainWalk::checkChange(const Entry& entry, const std::string& table)
{
    const bool changed = entry.change == Change::Change && m_neverChanged.contains(table);
    const bool removed = entry.change == Change::Remove && m_neverRemoved.contains(table);
    if (changed || removed)
        offer(entry.number, {.table = table,
                             .row = entry.row,
                             .reason = concat("entry ", entry.number, " of the chain says that it ",
                                              "was ", changed ? "changed" : "taken out",
                                              "; the station never does that")});
}

void ChainWalk::checkClock(const Entry& entry)
{
    if (m_clock > entry.atUtc + kClockToleranceMs && !m_clockWentBack)
        m_clockWentBack = VerifyProblem{
            .table = "chain_entry",
            .row = entry.number,
            .reason = concat("the station's clock went back from ", utcText(m_clock), " to ",
                             utcText(entry.atUtc),
                             ": times from here on are not to be relied on; nothing was changed")};
    m_clock = std::max(m_clock, entry.atUtc);
}

void ChainWalk::checkClaims(const std::vector<Claim>& claims, const Head& head)
{
    for (; m_nextClaim < claims.size() && claims[m_nextClaim].head.entry <= head.entry;
         ++m_nextClaim) {
        const Claim& claim = claims[m_nextClaim];
        if (claim.head.entry == head.entry && claim.head.link == head.link)
            continue;
        offer(claim.head.entry,
              {.table = "chain_entry",
               .row = claim.head.entry,
               .reason = concat("it is not what checkpoint ", claim.number,
                                claim.elsewhere ? ", kept elsewhere, " : " ",
                                "signs: records up to here were rewritten after it")});
    }
}

void ChainWalk::missingEntries(const std::vector<Claim>& claims)
{
    if (m_nextClaim >= claims.size())
        return;
    const Claim& claim = claims[m_nextClaim];
    offer(m_head.entry + 1,
          {.table = "chain_entry",
           .row = m_head.entry + 1,
           .reason = concat("the chain ends before it, but checkpoint ", claim.number,
                            claim.elsewhere ? ", kept elsewhere, " : " ", "signs entry ",
                            claim.head.entry,
                            ": the last records were cut off, or this is an older copy")});
}

Result<> ChainWalk::walkRows(const std::string& table)
{
    Latests& latest = m_latest[table];
    std::ranges::stable_sort(latest, {}, &Latest::row);
    const auto newest = std::find_if(m_layouts.rbegin(), m_layouts.rend(),
                                     [&](const Layout& each) { return each.table == table; });
    if (newest == m_layouts.rend())
        return {}; // checkLayouts says so
    std::int64_t lastRow = 0;
    auto at = latest.begin();
    const auto walk = [&]() -> Result<> {
        auto row = TRY(m_db.query(chain::selectOf(*newest, "ORDER BY rowid", "rowid")));
        while (TRY(row.step())) {
            lastRow = row.integer(0);
            ++m_report.rows;
            for (; at != latest.end() && at->row < lastRow; ++at)
                if (std::next(at) == latest.end() || std::next(at)->row != at->row)
                    missingRow(table, *at);
            // Of several entries of a row the last one counts.
            while (at != latest.end() && std::next(at) != latest.end() &&
                   std::next(at)->row == lastRow)
                ++at;
            if (at == latest.end() || at->row != lastRow) {
                offer(kBehindAll - 1,
                      {.table = table,
                       .row = lastRow,
                       .reason = "the station did not write it: it has no entry in the chain"});
                continue;
            }
            TRY(compareRow(*at, *newest, row));
            ++at;
        }
        for (; at != latest.end(); ++at)
            if (std::next(at) == latest.end() || std::next(at)->row != at->row)
                missingRow(table, *at);
        return {};
    };
    return unlessDamaged(walk(), *this, table, lastRow);
}

void ChainWalk::missingRow(const std::string& table, const Latest& latest)
{
    if (latest.change == Change::Remove)
        return;
    offer(latest.entry,
          {.table = table,
           .row = latest.row,
           .reason = concat("it is missing: the station wrote it ",
                            sealedAs(latest.entry, latest.atUtc), " and never took it out")});
}

Result<> ChainWalk::compareRow(const Latest& latest, const Layout& newest, const Statement& row)
{
    if (latest.change == Change::Remove) {
        offer(latest.entry,
              {.table = newest.table,
               .row = latest.row,
               .reason = concat("the station took it out ", sealedAs(latest.entry, latest.atUtc),
                                ", and it is there again")});
        return {};
    }
    const Layout* layout = layoutOf(latest.layout);
    const auto seal = m_sealer.seal(*layout, latest.row, row, 1);
    std::string differs;
    if (seal.digest != latest.digest)
        differs = TRY(differingColumns(latest, *layout, seal.marks));
    else if (layout->columns.size() < newest.columns.size()) {
        const bool asAdded = TRY(addedColumnsAreDefault(*layout, newest, latest.row));
        if (!asAdded)
            differs = "what a newer program added to it";
    }
    if (!differs.empty())
        offer(latest.entry,
              {.table = newest.table,
               .row = latest.row,
               .reason = concat("changed since the station wrote it ",
                                sealedAs(latest.entry, latest.atUtc), ": ", differs)});
    return {};
}

Result<std::string> ChainWalk::differingColumns(const Latest& latest, const Layout& layout,
                                                const Bytes& marks)
{
    auto row = TRY(m_db.query("SELECT marks FROM chain_entry WHERE entry = ?", {latest.entry}));
    const bool found = TRY(row.step());
    const Bytes before = found ? row.blob(0) : Bytes{};
    std::string names;
    for (std::size_t i = 0; i < layout.columns.size(); ++i) {
        const bool same = before.size() == marks.size() &&
                          std::equal(marks.begin() + 2 * static_cast<std::ptrdiff_t>(i),
                                     marks.begin() + 2 * static_cast<std::ptrdiff_t>(i) + 2,
                                     before.begin() + 2 * static_cast<std::ptrdiff_t>(i));
        if (!same)
            names += concat(names.empty() ? "" : ", ", layout.columns[i]);
    }
    return names.empty() ? std::string("its content") : names;
}

// Columns that a migration added hold their default until the row is written again.
Result<bool> ChainWalk::addedColumnsAreDefault(const Layout& of, const Layout& newest,
                                               std::int64_t row)
{
    auto known = m_defaults.find(of.id);
    if (known == m_defaults.end()) {
        std::string same;
        for (std::size_t i = of.columns.size(); i < newest.columns.size(); ++i) {
            const auto value = TRY(m_db.text("SELECT ifnull(dflt_value, 'NULL') FROM "
                                             "pragma_table_info(?) WHERE name = ?",
                                             {newest.table, newest.columns[i]}));
            same +=
                concat(same.empty() ? "" : " AND ", '"', newest.columns[i], "\" IS (", value, ')');
        }
        auto compiled = TRY(
            m_db.prepare(concat("SELECT ", same, " FROM \"", newest.table, "\" WHERE rowid = ?")));
        known = m_defaults.emplace(of.id, std::move(compiled)).first;
    }
    TRY(known->second.restart({row}));
    const bool found = TRY(known->second.step());
    const bool same = found && known->second.flag(0);
    known->second.reset();
    return same;
}

} // namespace provost::detail
