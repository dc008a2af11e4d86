// chain_speed ROWS COMMITS: how long `provost db verify --public-key` takes for so many rows,
// beside SHA-256 over the bytes of the file; and durable commits a second beside those of plain
// SQLite on the same disk. The numbers of the project: chain_speed 1000000 2000. Judged: the first
// in under 60 s in the full run.
#include "crypto/digest.h"
#include "support/chained_records.h"
#include "support/record_filler.h"

#include <QCoreApplication>
#include <QFile>

#include <algorithm>
#include <cstdio>
#include <ctime>

using namespace provost;
using namespace provost::test;

namespace {

constexpr int kFullRows = 1'000'000;
constexpr double kLongestVerify = 60;

template <class Work>
double secondsOf(Work work)
{
    const auto began = std::chrono::steady_clock::now();
    work();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
}

bool verifyMany(int rows)
{
    ChainedRecords records;
    records.open().reset();
    const double filled =
        secondsOf([&] { RecordFiller(records.file).fill(rows / RecordFiller::kRowsPerRun + 1); });
    records.clock.move(std::chrono::hours(24 * 365));
    records.open().reset();
    ChainReport report;
    const auto clockBefore = std::clock();
    const double seconds = secondsOf([&] { report = records.verify(); });
    const double processor =
        static_cast<double>(std::clock() - clockBefore) / static_cast<double>(CLOCKS_PER_SEC);
    if (report.problem)
        qFatal("row %lld of %s: %s", static_cast<long long>(report.problem->row),
               report.problem->table.c_str(), report.problem->reason.c_str());
    QFile file(QString::fromStdString(records.file));
    if (!file.open(QIODevice::ReadOnly))
        qFatal("cannot read the file");
    const double raw = secondsOf([&] {
        for (QByteArray block = file.read(1 << 20); !block.isEmpty(); block = file.read(1 << 20))
            sha256(std::as_bytes(
                std::span(block.constData(), static_cast<std::size_t>(block.size()))));
    });
    const double megabytes = static_cast<double>(file.size()) / 1e6;
    std::printf("%lld rows, %lld entries, %.0f MB, written in %.1f s\n",
                static_cast<long long>(report.rows), static_cast<long long>(report.entries),
                megabytes, filled);
    std::printf(
        "verified in %.1f s (processor %.1f s): %.0f rows/s, %.0f MB/s; SHA-256 alone %.2f s, "
        "%.0f MB/s\n",
        seconds, processor, static_cast<double>(report.rows) / seconds, megabytes / seconds, raw,
        megabytes / raw);
    return rows < kFullRows || seconds < kLongestVerify;
}

/// Plain SQLite on the same disk: one row a commit into one table, compiled once.
class PlainWriter {
public:
    explicit PlainWriter(const std::string& file)
    {
        sqlite3_open(file.c_str(), &m_handle);
        sqlite3_exec(m_handle,
                     "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE journal "
                     "(seq INTEGER PRIMARY KEY AUTOINCREMENT, run_id INTEGER NOT NULL, at_utc "
                     "INTEGER NOT NULL, kind TEXT NOT NULL, subject TEXT NOT NULL, payload TEXT "
                     "NOT NULL) STRICT",
                     nullptr, nullptr, nullptr);
        sqlite3_prepare_v2(m_handle,
                           "INSERT INTO journal (run_id, at_utc, kind, subject, payload) VALUES "
                           "(1, 1795000000000, 'note', '', 'what a step has to say of itself')",
                           -1, &m_insert, nullptr);
    }
    ~PlainWriter()
    {
        sqlite3_finalize(m_insert);
        sqlite3_close(m_handle);
    }
    PlainWriter(const PlainWriter&) = delete;
    PlainWriter& operator=(const PlainWriter&) = delete;
    void commit()
    {
        if (sqlite3_step(m_insert) != SQLITE_DONE)
            qFatal("plain SQLite: %s", sqlite3_errmsg(m_handle));
        sqlite3_reset(m_insert);
    }

private:
    sqlite3* m_handle = nullptr;
    sqlite3_stmt* m_insert = nullptr;
};

struct Series {
    std::vector<double> seconds{};
    double processor = 0;
    template <class Work>
    void take(Work work)
    {
        const auto before = std::clock();
        seconds.push_back(secondsOf(work));
        processor += static_cast<double>(std::clock() - before) / CLOCKS_PER_SEC;
    }
    double median()
    {
        std::ranges::sort(seconds);
        return seconds[seconds.size() / 2];
    }
    double mean() const
    {
        double all = 0;
        for (const double each : seconds)
            all += each;
        return all / static_cast<double>(seconds.size());
    }
};

/// Commit by commit in turn, and who begins by turns: what else the disk does meets both.
void commitMany(int commits)
{
    ChainedRecords records;
    const auto journal = records.open();
    const auto run = must(journal->beginRun({.planId = "p"}));
    PlainWriter plain(records.path("plain.db"));
    Series ours;
    Series theirs;
    const auto station = [&] {
        ours.take([&] { must(journal->note(run, "note", "what a step has to say of itself")); });
    };
    const auto sqlite = [&] { theirs.take([&] { plain.commit(); }); };
    for (int i = 0; i < commits; ++i) {
        if (i % 2 == 0)
            station();
        sqlite();
        if (i % 2 == 1)
            station();
    }
    std::printf("durable commits: %.0f/s with the chain, %.0f/s plain SQLite: %.2f by the median, "
                "%.2f by the sum of %d; processor %.0f us a commit, %.0f us plain\n",
                1 / ours.median(), 1 / theirs.median(), theirs.median() / ours.median(),
                theirs.mean() / ours.mean(), commits, 1e6 * ours.processor / commits,
                1e6 * theirs.processor / commits);
}

} // namespace

int main(int argc, char** argv)
{
    const QCoreApplication application(argc, argv);
    const auto arguments = QCoreApplication::arguments();
    const bool good = verifyMany(arguments.value(1, "1000000").toInt());
    commitMany(arguments.value(2, "2000").toInt());
    std::printf("%s\n", good ? "good" : "MISSED: 60 s");
    return good ? 0 : 1;
}
