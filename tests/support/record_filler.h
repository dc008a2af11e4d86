// Records in bulk, as the station writes them, a thousand runs a commit: for what must be measured
// on a large database.
#pragma once

#include "core/text.h"
#include "store/chain_p.h"
#include "support/must.h"

#include <random>

namespace provost::test {

/// Fourteen rows a run, all that `provost db verify` has rules for.
class RecordFiller {
public:
    explicit RecordFiller(const std::filesystem::path& file)
        : m_db(must(sqlite::Connection::open(file, sqlite::Access::ReadWrite))),
          m_writer(must(chain::Writer::open(m_db)))
    {
    }
    static constexpr int kRowsPerRun = 14;

    void fill(int runs)
    {
        constexpr int kRunsPerCommit = 1000;
        for (int done = 0; done < runs; done += kRunsPerCommit)
            must(chain::writeSealed(m_db, m_writer, m_now, [&](sqlite::Connection&) -> Result<> {
                for (int i = 0; i < std::min(kRunsPerCommit, runs - done); ++i)
                    TRY(oneRun());
                return {};
            }));
    }

private:
    Result<> run(std::string_view sql, sqlite::Values values)
    {
        auto known = m_statements.find(sql);
        if (known == m_statements.end())
            known = m_statements.emplace(sql, TRY(m_db.prepare(sql))).first;
        TRY(known->second.restart(values));
        return known->second.finish();
    }
    Result<> journal(std::string_view kind, std::string_view subject, std::string_view payload)
    {
        return run("INSERT INTO journal (run_id, at_utc, kind, subject, payload) "
                   "VALUES (?, ?, ?, ?, ?)",
                   {m_run, ++m_now, kind, subject, payload});
    }
    Result<> oneRun()
    {
        ++m_run;
        std::string device(24, '0');
        const auto number = std::to_string(m_run);
        device.replace(24 - number.size(), number.size(), number);
        const std::int64_t began = ++m_now;
        TRY(run("INSERT INTO unit (unit_id, device_id, label, state, simulated, first_seen_utc, "
                "last_seen_utc, platform) VALUES (?, ?, ?, 'pass', 1, ?, ?, 'photon')",
                {m_run, device, concat("L-", m_run), began, began}));
        TRY(run("INSERT INTO run (run_id, unit_id, slot, label, route, plan_id, plan_revision, "
                "plan_digest, station, simulated, started_utc, finished_utc, seconds, verdict) "
                "VALUES (?, ?, 1, ?, 'dfu', 'photon-full', 7, '', 'Station A', 1, ?, ?, 41.8, "
                "'pass')",
                {m_run, m_run, concat("L-", m_run), began, began + 41'800}));
        TRY(journal("begin", "photon-full", ""));
        TRY(journal("identify", device, "dfu"));
        for (int step = 1; step <= 2; ++step) {
            const std::int64_t attempt = 2 * m_run + step - 2;
            TRY(run("INSERT INTO attempt (attempt_id, run_id, position, step, name, attempt, "
                    "verdict, seconds, note, cause, error) VALUES (?, ?, ?, 'flash-image', "
                    "'Bring up system part', 1, 'pass', 12.25, '502 -> 1006', '', '')",
                    {attempt, m_run, step}));
            for (int value = 1; value <= 2; ++value)
                TRY(run("INSERT INTO measurement (attempt_id, position, name, number, minimum, "
                        "maximum, unit, verdict) VALUES (?, ?, 'seconds', ?, 0.0, 100.0, 's', "
                        "'pass')",
                        {attempt, value, 12.25}));
            TRY(journal("attempt", "Bring up system part", "pass"));
        }
        TRY(run("INSERT INTO image_use (run_id, role, version, sha256, module_version) VALUES "
                "(?, 'system-1', '2.3.1', ?, 1006)",
                {m_run, std::string(64, 'e')}));
        return journal("finish", "", "pass");
    }

    sqlite::Connection m_db;
    chain::Writer m_writer;
    std::map<std::string, sqlite::Statement, std::less<>> m_statements{};
    std::int64_t m_run = 1000; ///< behind what a test has written
    std::int64_t m_now = 1'800'000'000'000;
};

} // namespace provost::test
