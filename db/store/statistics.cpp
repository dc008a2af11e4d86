// Journal: figures over many runs.
#include "store/journal_p.h"

#include <algorithm>

namespace provost {

using sqlite::Connection;
using sqlite::Value;

namespace {

using std::chrono::milliseconds;

constexpr std::int64_t kHourMs = 3'600'000;
/// Below this the rate of the first units of a shift would be a division by next to nothing.
constexpr std::int64_t kShortestSpanMs = 60'000;
/// Older runs say little about today's plan revision and station.
constexpr int kTypicalRuns = 100;

Value filter(std::optional<bool> simulated)
{
    return simulated ? Value(*simulated) : Value(std::nullopt);
}

/// `?2` is the filter, NULL: both.
constexpr std::string_view kSince = "verdict IS NOT NULL AND finished_utc >= ?1 "
                                    "AND (?2 IS NULL OR simulated = ?2) ";

Result<> countVerdicts(Connection& db, std::int64_t since, Value simulated, ShiftCounts& counts)
{
    auto rows =
        TRY(db.query(concat("SELECT verdict, count(*) FROM run WHERE ", kSince, "GROUP BY verdict"),
                     {since, simulated}));
    while (TRY(rows.step())) {
        const Verdict verdict = TRY(detail::verdictIn(rows, 0));
        const int count = rows.number(1);
        switch (verdict) {
        case Verdict::Pass:
            counts.pass = count;
            break;
        case Verdict::Hold:
            counts.hold = count;
            break;
        case Verdict::Fail:
            counts.fail = count;
            break;
        case Verdict::Aborted:
            counts.aborted = count;
            break;
        case Verdict::Error:
            counts.error = count;
            break;
        case Verdict::NotRun:
            break;
        }
    }
    return {};
}

/// A unit that failed yesterday and passes today is judged today, and not at first pass.
Result<> countUnits(Connection& db, std::int64_t since, Value simulated, ShiftCounts& counts)
{
    auto row = TRY(db.query(
        concat("WITH judged AS (SELECT DISTINCT unit_id FROM run WHERE unit_id IS NOT NULL "
               "AND verdict IN ('pass', 'fail') AND ",
               kSince,
               ") SELECT count(*), ifnull(sum((SELECT r.verdict = 'pass' FROM run AS r "
               "WHERE r.unit_id = judged.unit_id AND r.verdict IN ('pass', 'fail') "
               "ORDER BY r.run_id LIMIT 1)), 0) FROM judged"),
        {since, simulated}));
    TRY(row.step());
    counts.judgedUnits = row.number(0);
    counts.firstPass = row.number(1);
    return {};
}

Result<double> passesPerHour(Connection& db, std::int64_t since, std::int64_t now, Value simulated)
{
    const auto first =
        TRY(db.integer(concat("SELECT ifnull(min(started_utc), ?3) FROM run WHERE ", kSince),
                       {since, simulated, now}));
    const auto passes =
        TRY(db.integer(concat("SELECT count(*) FROM run WHERE verdict = 'pass' AND ", kSince),
                       {std::max(since, now - kHourMs), simulated}));
    const auto span = std::clamp(now - first, kShortestSpanMs, kHourMs);
    return static_cast<double>(passes) * static_cast<double>(kHourMs) / static_cast<double>(span);
}

double median(std::vector<double> values)
{
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::ranges::nth_element(values, middle);
    if (values.size() % 2 == 1)
        return *middle;
    return (*middle + *std::max_element(values.begin(), middle)) / 2;
}

} // namespace

Result<ShiftCounts> Journal::counts(Clock::Utc since, std::optional<bool> simulated)
{
    auto db = TRY(m_impl->reader());
    const std::int64_t from = since.time_since_epoch().count();
    ShiftCounts counts{};
    TRY(countVerdicts(db, from, filter(simulated), counts));
    TRY(countUnits(db, from, filter(simulated), counts));
    counts.unitsPerHour = TRY(passesPerHour(db, from, m_impl->now(), filter(simulated)));
    return counts;
}

Result<std::vector<std::pair<std::string, double>>>
Journal::typicalSteps(std::string_view planId, std::optional<bool> simulated)
{
    auto db = TRY(m_impl->reader());
    auto rows = TRY(db.query(
        "SELECT a.name, a.seconds, avg(a.position) OVER (PARTITION BY a.name) AS place "
        "FROM attempt AS a WHERE a.verdict = 'pass' AND a.run_id IN (SELECT run_id FROM run "
        "WHERE plan_id = ?1 AND (?2 IS NULL OR simulated = ?2) ORDER BY run_id DESC LIMIT ?3) "
        "ORDER BY place, a.name",
        {planId, filter(simulated), kTypicalRuns}));
    std::vector<std::pair<std::string, std::vector<double>>> seconds;
    while (TRY(rows.step())) {
        if (seconds.empty() || seconds.back().first != rows.text(0))
            seconds.emplace_back(rows.text(0), std::vector<double>{});
        seconds.back().second.push_back(rows.real(1));
    }
    std::vector<std::pair<std::string, double>> typical;
    for (auto& [name, values] : seconds)
        typical.emplace_back(name, median(std::move(values)));
    return typical;
}

} // namespace provost
