// chain_speed ROWS COMMITS: how long `provost db verify --public-key` takes for so many rows, beside
// SHA-256 over the bytes of the file; and durable commits a second beside those of plain SQLite on the
// same disk. The numbers of the project: chain_speed 1000000 2000. Judged: the first in under 60 s in
// the full run.
#include "crypto/digest.h"
#include "support/chained_records.h"
#include "support/record_filler.h"

#include <QCoreApplication>
#include <QFile>

#include <algorithm>
#include <cstdio>

using namespace provost;
using namespace provost::test;

namespace {

constexpr int kFullRows = 1'000'000;
constexpr double kLongestVerify = 60;
constexpr int kTurns = 10;

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
    const double filled = secondsOf(
        [&] { RecordFiller(records.file).fill(rows / RecordFiller::kRowsPerRun + 1); });
    records.clock.move(std::chrono::hours(24 * 365));
    records.open().reset();
    ChainReport report;
    const double seconds = secondsOf([&] { report = records.verify(); });
    if (report.problem)
        qFatal("row %lld of %s: %s", static_cast<long long>(report.problem->row),
               report.problem->table.c_str(), report.problem->reason.c_str());
    QFile file(QString::fromStdString(records.file));
    if (!file.open(QIODevice::ReadOnly))
        qFatal("cannot read the file");
    const double raw = secondsOf([&] {
        for (QByteArray block = file.read(1 << 20); !block.isEmpty(); block = file.read(1 << 20))
            sha256(std::as_bytes(std::span(block.constData(),
                                           static_cast<std::size_t>(block.size()))));
    });
    const double megabytes = static_cast<double>(file.size()) / 1e6;
    std::printf("%lld rows, %lld entries, %.0f MB, written in %.1f s\n",
                static_cast<long long>(report.rows), static_cast<long long>(report.entries),
                megabytes, filled);
    std::printf("verified in %.1f s: %.0f rows/s, %.0f MB/s; SHA-256 alone %.2f s, %.0f MB/s\n",
                seconds, static_cast<double>(report.rows) / seconds, megabytes / seconds, raw,
                megabytes / raw);
    return rows < kFullRows || seconds < kLongestVerify;
}

/// One row a commit, as a station notes it, and the same row in a plain table.
void commitMany(int commits)
{
    ChainedRecords records;
    const auto journal = records.open();
    const auto run = must(journal->beginRun({.planId = "p"}));
    const auto plain = records.path("plain.db");
    sqlite3* handle = nullptr;
    sqlite3_open(plain.c_str(), &handle);
    sqlite3_exec(handle,
                 "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE journal (seq "
                 "INTEGER PRIMARY KEY AUTOINCREMENT, run_id INTEGER NOT NULL, at_utc INTEGER NOT "
                 "NULL, kind TEXT NOT NULL, subject TEXT NOT NULL, payload TEXT NOT NULL) STRICT",
                 nullptr, nullptr, nullptr);
    sqlite3_stmt* insert = nullptr;
    sqlite3_prepare_v2(handle,
                       "INSERT INTO journal (run_id, at_utc, kind, subject, payload) VALUES "
                       "(1, 1795000000000, 'note', '', 'what a step has to say of itself')",
                       -1, &insert, nullptr);
    const int each = std::max(1, commits / kTurns);
    std::vector<double> ratios;
    double ours = 0;
    double theirs = 0;
    for (int turn = 0; turn < kTurns; ++turn) {
        const auto station = [&] {
            for (int i = 0; i < each; ++i)
                must(journal->note(run, "note", "what a step has to say of itself"));
        };
        const auto sqlite = [&] {
            for (int i = 0; i < each; ++i) {
                if (sqlite3_step(insert) != SQLITE_DONE)
                    qFatal("plain SQLite: %s", sqlite3_errmsg(handle));
                sqlite3_reset(insert);
            }
        };
        double mine = 0;
        double peer = 0;
        if (turn % 2 == 0)
            mine = secondsOf(station);
        peer = secondsOf(sqlite);
        if (turn % 2 == 1)
            mine = secondsOf(station);
        ours += mine;
        theirs += peer;
        ratios.push_back(peer / mine);
    }
    sqlite3_finalize(insert);
    sqlite3_close(handle);
    std::ranges::sort(ratios);
    std::printf("durable commits: %.0f/s with the chain, %.0f/s plain SQLite; ratio %.2f (median of "
                "%d turns of %d, %.2f to %.2f)\n",
                each * kTurns / ours, each * kTurns / theirs, ratios[kTurns / 2], kTurns, each,
                ratios.front(), ratios.back());
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
