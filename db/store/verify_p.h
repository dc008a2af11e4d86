// The parts of verification.
#pragma once

#include "store/chain.h"
#include "store/checkpoint_p.h"

#include <limits>
#include <set>

namespace provost {

/// The file's schema number, 0 where it is empty.
/// @returns InvalidData  it is a database, but not one of ours
Result<int> schemaVersion(sqlite::Connection& connection);

} // namespace provost

namespace provost::detail {

using Finding = std::optional<VerifyProblem>;

/// Structure of the file, foreign keys and, where the schema is the program's own, the rules of the
/// records.
Result<Finding> checkRecords(sqlite::Connection& db, bool rules);
/// Every object of the schema is what the first `version` migrations make, and each layout of the
/// chain fits its table.
Result<Finding> checkSchema(sqlite::Connection& db, int version);
Result<Finding> checkLayouts(sqlite::Connection& db, const std::vector<chain::Layout>& layouts);
/// AUTOINCREMENT remembers the last row that there was.
Result<Finding> checkSequences(sqlite::Connection& db);

/// Somebody with the key says that the chain had this link at this entry.
struct Claim {
    chain::Head head{};
    std::int64_t number = 0;
    bool elsewhere = false;
};

/// Walks the chain and all rows, and keeps the finding that comes first in the chain.
class ChainWalk {
public:
    ChainWalk(sqlite::Connection& db, ChainReport& report) : m_db(db), m_report(report) {}
    /// Entries, their links and the claims about them; then every row of every table.
    Result<> run(const std::vector<chain::Layout>& layouts, std::vector<Claim> claims);
    /// Keeps the earliest in the chain; of equals, the first one.
    void offer(std::int64_t entry, VerifyProblem problem);
    static constexpr std::int64_t kBehindAll = std::numeric_limits<std::int64_t>::max();
    bool found() const { return m_report.problem.has_value(); }

private:
    /// The entry that a row must agree with.
    struct Latest {
        std::int64_t row = 0;
        std::int64_t entry = 0;
        std::int64_t layout = 0;
        std::int64_t atUtc = 0;
        chain::Change change = chain::Change::Add;
        Sha256 digest{};
    };
    using Latests = std::vector<Latest>;

    Result<> readTriggers();
    Result<> walkEntries(std::vector<Claim> claims);
    void takeEntry(const chain::Entry& entry, const Sha256& stored);
    void checkChange(const chain::Entry& entry, const std::string& table);
    void checkClock(const chain::Entry& entry);
    void checkClaims(const std::vector<Claim>& claims, const chain::Head& head);
    void missingEntries(const std::vector<Claim>& claims);
    Result<> walkRows(const std::string& table);
    Result<> compareRow(const Latest& latest, const chain::Layout& newest,
                        const sqlite::Statement& row);
    void missingRow(const std::string& table, const Latest& latest);
    Result<bool> addedColumnsAreDefault(const chain::Layout& of, const chain::Layout& newest,
                                        std::int64_t row);
    Result<std::string> differingColumns(const Latest& latest, const chain::Layout& layout,
                                         const Bytes& marks);
    const chain::Layout* layoutOf(std::int64_t id) const;

    sqlite::Connection& m_db;
    ChainReport& m_report;
    std::int64_t m_foundAt = kBehindAll;
    std::vector<chain::Layout> m_layouts{}; ///< by id from 1
    std::map<std::string, Latests> m_latest{};
    std::set<std::string> m_neverChanged{}; ///< tables that refuse it by a trigger
    std::set<std::string> m_neverRemoved{};
    std::map<std::int64_t, sqlite::Statement> m_defaults{}; ///< by the layout that lacks columns
    chain::Sealer m_sealer{};
    chain::Head m_head{};
    std::size_t m_nextClaim = 0;
    std::int64_t m_clock = std::numeric_limits<std::int64_t>::min();
    std::optional<VerifyProblem> m_clockWentBack{};
};

} // namespace provost::detail
