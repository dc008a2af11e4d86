// verifyDatabase: is the record still what the station wrote?
#include "core/text.h"
#include "store/journal.h"
#include "store/migrator.h"
#include "store/verify_p.h"

#include <array>
#include <charconv>

namespace provost {

using detail::Finding;
using sqlite::Access;
using sqlite::Connection;

namespace {

/// A rule that no single CHECK can hold. The query yields (row, reason) of what breaks it.
struct Rule {
    std::string_view table;
    std::string_view query;
};

constexpr std::array kRules{
    // AUTOINCREMENT never reuses a number and a rolled-back insert gives its number back.
    Rule{"journal", "SELECT seq, 'row ' || expected || ' is missing before it' FROM "
                    "(SELECT seq, row_number() OVER (ORDER BY seq) AS expected FROM journal) "
                    "WHERE seq <> expected ORDER BY seq LIMIT 1"},
    Rule{"journal", "SELECT s.seq, 'the last rows are missing, up to this one' "
                    "FROM sqlite_sequence AS s WHERE s.name = 'journal' "
                    "AND s.seq <> (SELECT ifnull(max(j.seq), 0) FROM journal AS j)"},
    Rule{"run", "SELECT run_id, 'finished without a verdict, or not finished with one' FROM run "
                "WHERE (verdict IS NULL) <> (finished_utc IS NULL) ORDER BY run_id LIMIT 1"},
    Rule{"run", "SELECT run_id, 'finished before it started' FROM run "
                "WHERE finished_utc < started_utc ORDER BY run_id LIMIT 1"},
    Rule{"run", "SELECT run_id, 'the journal does not tell its beginning' FROM run AS r "
                "WHERE NOT EXISTS (SELECT 1 FROM journal AS j WHERE j.run_id = r.run_id "
                "AND j.kind = 'begin') ORDER BY run_id LIMIT 1"},
    Rule{"run", "SELECT run_id, 'verdict ' || verdict || ' is not the one in the journal' "
                "FROM run AS r WHERE verdict IS NOT NULL AND (SELECT group_concat(j.payload) "
                "FROM journal AS j WHERE j.run_id = r.run_id AND j.kind = 'finish') "
                "IS NOT verdict ORDER BY run_id LIMIT 1"},
    Rule{"run", "SELECT run_id, 'no verdict, but the journal has ' || j.payload FROM run AS r "
                "JOIN journal AS j USING (run_id) WHERE r.verdict IS NULL AND j.kind = 'finish' "
                "ORDER BY run_id LIMIT 1"},
    Rule{"attempt", "SELECT a.attempt_id, 'ended as ' || a.verdict || ' and was not repeated, "
                    "but run ' || a.run_id || ' passed' FROM attempt AS a JOIN run AS r "
                    "USING (run_id) WHERE r.verdict = 'pass' "
                    "AND a.verdict IN ('fail', 'aborted', 'error') AND NOT EXISTS "
                    "(SELECT 1 FROM attempt AS n WHERE n.run_id = a.run_id AND n.name = a.name "
                    "AND n.position > a.position AND n.attempt > a.attempt) "
                    "ORDER BY a.attempt_id LIMIT 1"},
    Rule{"run", "SELECT run_id, 'it has ' || there || ' attempts, the journal tells ' || told "
                "FROM (SELECT run_id, (SELECT count(*) FROM attempt AS a "
                "WHERE a.run_id = r.run_id) AS there, (SELECT count(*) FROM journal AS j "
                "WHERE j.run_id = r.run_id AND j.kind = 'attempt') AS told FROM run AS r) "
                "WHERE there <> told ORDER BY run_id LIMIT 1"},
    Rule{"measurement", "SELECT m.measurement_id, 'passed outside its limits' "
                        "FROM measurement AS m WHERE m.verdict = 'pass' "
                        "AND (m.number < m.minimum OR m.number > m.maximum) "
                        "ORDER BY m.measurement_id LIMIT 1"},
    Rule{"measurement", "SELECT m.measurement_id, 'failed, but its attempt passed' "
                        "FROM measurement AS m JOIN attempt AS a USING (attempt_id) "
                        "WHERE m.verdict = 'fail' AND a.verdict = 'pass' "
                        "ORDER BY m.measurement_id LIMIT 1"},
    Rule{"run_trace", "SELECT j.run_id, 'the trace that the journal tells of is missing' "
                      "FROM journal AS j WHERE j.kind = 'trace' AND NOT EXISTS (SELECT 1 "
                      "FROM run_trace AS t WHERE t.run_id = j.run_id) ORDER BY j.run_id LIMIT 1"},
    Rule{"unit_key", "SELECT k.unit_key_id, 'the journal does not tell this key' "
                     "FROM unit_key AS k JOIN journal AS j ON j.seq = k.journal_seq "
                     "WHERE j.subject <> k.fingerprint OR j.kind NOT IN ('key', 'key-refused') "
                     "ORDER BY k.unit_key_id LIMIT 1"},
    Rule{"key_custody", "SELECT c.key_custody_id, 'the journal does not tell this ' || c.event "
                        "FROM key_custody AS c JOIN journal AS j ON j.seq = c.journal_seq "
                        "WHERE j.subject <> c.fingerprint OR j.kind <> 'key-' || c.event "
                        "OR j.run_id <> c.run_id ORDER BY c.key_custody_id LIMIT 1"},
    Rule{"journal", "SELECT j.seq, 'a ' || j.kind || ' is not in the custody of its key' "
                    "FROM journal AS j WHERE j.kind IN ('key-birth', 'key-burn', 'key-proof', "
                    "'key-escrow', 'key-destruction') AND NOT EXISTS (SELECT 1 FROM key_custody "
                    "AS c WHERE c.journal_seq = j.seq) ORDER BY j.seq LIMIT 1"},
    Rule{"unit", "SELECT u.unit_id, 'an intent is not settled, but its state is ' || u.state "
                 "FROM unit AS u JOIN unsettled_intent AS i USING (unit_id) "
                 "JOIN run AS r ON r.run_id = i.run_id WHERE r.verdict IS NOT NULL "
                 "AND u.state <> 'inspect' ORDER BY u.unit_id LIMIT 1"},
};

/// "row 12 missing from index x", "CHECK constraint failed in run": the row where one is named.
std::int64_t rowNamedIn(std::string_view text)
{
    std::int64_t row = 0;
    if (const auto at = text.find("row "); at != std::string_view::npos)
        std::from_chars(text.data() + at + 4, text.data() + text.size(), row);
    return row;
}

Result<Finding> checkRule(Connection& db, const Rule& rule)
{
    auto row = TRY(db.query(rule.query));
    const bool found = TRY(row.step());
    if (!found)
        return Finding{};
    return Finding(VerifyProblem{
        .table = std::string(rule.table), .row = row.integer(0), .reason = row.text(1)});
}

Result<Finding> checkIntegrity(Connection& db, std::string_view table)
{
    // A name from the schema, quoted: a pragma takes no parameters.
    const auto argument = table.empty() ? std::string{} : concat("('", table, "')");
    const auto said = TRY(db.text(concat("PRAGMA integrity_check", argument)));
    if (said == "ok")
        return Finding{};
    return Finding(VerifyProblem{.table = table.empty() ? "database" : std::string(table),
                                 .row = rowNamedIn(said),
                                 .reason = said});
}

Result<Finding> checkTables(Connection& db)
{
    const auto whole = TRY(checkIntegrity(db, ""));
    if (!whole)
        return whole;
    std::vector<std::string> tables;
    auto rows = TRY(db.query("SELECT name FROM sqlite_schema WHERE type = 'table' "
                             "AND name NOT LIKE 'sqlite_%' ORDER BY name"));
    while (TRY(rows.step()))
        tables.push_back(rows.text(0));
    for (const std::string& table : tables) {
        if (auto finding = TRY(checkIntegrity(db, table)))
            return finding;
    }
    return whole;
}

Result<Finding> checkForeignKeys(Connection& db)
{
    auto row = TRY(db.query("PRAGMA foreign_key_check"));
    const bool found = TRY(row.step());
    if (!found)
        return Finding{};
    return Finding(VerifyProblem{
        .table = row.text(0),
        .row = row.integer(1),
        .reason = concat("refers to a row of ", row.text(2), " that does not exist")});
}

Result<Finding> verifyOpen(const std::filesystem::path& file)
{
    TRY(requireCurrentSchema(file));
    auto db = TRY(Connection::open(file, Access::Inspect));
    TRY(db.script("BEGIN"));
    return detail::checkRecords(db, true);
}

} // namespace

namespace detail {

Result<Finding> checkRecords(Connection& db, bool rules)
{
    if (auto finding = TRY(checkTables(db)))
        return finding;
    if (auto finding = TRY(checkForeignKeys(db)))
        return finding;
    for (const Rule& rule : kRules) {
        if (!rules)
            break;
        if (auto finding = TRY(checkRule(db, rule)))
            return finding;
    }
    return Finding{};
}

} // namespace detail

Result<std::optional<VerifyProblem>> verifyDatabase(const std::filesystem::path& file)
{
    auto finding = verifyOpen(file);
    if (finding)
        return finding;
    // What cannot even be read, or is not ours, is a finding; what cannot be opened is an error.
    const Error& error = finding.error();
    if (error.code != Errc::Corrupt && error.code != Errc::InvalidData)
        return finding;
    return Finding(VerifyProblem{.table = "database", .row = 0, .reason = error.message});
}

} // namespace provost
