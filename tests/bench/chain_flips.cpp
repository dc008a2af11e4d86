// chain_flips ROWS STRIDE [SEED]: flips bytes of a database of so many rows, one at a time: each
// STRIDE-th, from a random one on. `provost db verify` must find each. Every byte of the project's
// number: `chain_flips 10000 1`, which takes days; each call says how long that would be here.
#include "support/chained_records.h"
#include "support/record_filler.h"

#include <QCoreApplication>

#include <cstdio>
#include <fcntl.h>
#include <thread>
#include <unistd.h>

using namespace provost;
using namespace provost::test;

namespace {

struct Counts {
    int row = 0;       ///< found in a row
    int page = 0;      ///< found in a page, an index or the schema: no row is wrong
    int file = 0;      ///< found, but the whole file is all that can be named
    int unchanged = 0; ///< not found, and everything on record is as it was
    int missed = 0;
};

/// Everything that a reader of the file can see, read without our own code.
QString contentOf(const ChainedRecords& records)
{
    QString all = records.shell("PRAGMA user_version; PRAGMA application_id; SELECT type, name, "
                                "tbl_name, sql FROM sqlite_schema ORDER BY type, name");
    for (const auto& table : records.shell("SELECT name FROM sqlite_schema WHERE type = 'table'")
                                 .split('\n', Qt::SkipEmptyParts))
        all += '\n' + table + '\n' + records.shell("SELECT rowid, * FROM \"" + table + '"');
    return all;
}

void flip(int file, off_t at, std::byte by)
{
    std::byte value{};
    if (pread(file, &value, 1, at) != 1)
        qFatal("cannot read byte %lld", static_cast<long long>(at));
    value ^= by;
    if (pwrite(file, &value, 1, at) != 1)
        qFatal("cannot write byte %lld", static_cast<long long>(at));
}

void judge(const ChainedRecords& records, const QString& content, off_t at, Counts& counts)
{
    const auto report = verifyChain(records.file, records.key->verifyingKey(), records.elsewhere);
    if (!report)
        ++counts.file;
    else if (report->problem && report->problem->row > 0)
        ++counts.row;
    else if (report->problem)
        ++(report->problem->reason.starts_with("page ") ? counts.page : counts.file);
    else if (contentOf(records) == content)
        ++counts.unchanged;
    else {
        ++counts.missed;
        std::printf("MISSED: byte %lld\n", static_cast<long long>(at));
    }
}

Counts flipEach(const ChainedRecords& filled, off_t from, off_t stride, std::uint64_t seed)
{
    const ChainedRecords records(filled);
    const QString content = contentOf(records);
    const int file = open(records.file.c_str(), O_RDWR | O_CLOEXEC);
    const off_t size = lseek(file, 0, SEEK_END);
    std::mt19937_64 random(seed);
    Counts counts;
    for (off_t at = from; at < size; at += stride) {
        const auto by = static_cast<std::byte>(1 + random() % 255);
        flip(file, at, by);
        judge(records, content, at, counts);
        flip(file, at, by);
    }
    close(file);
    const auto after = records.verify();
    if (after.problem)
        qFatal("it did not come back whole: %s", after.problem->reason.c_str());
    return counts;
}

} // namespace

int main(int argc, char** argv)
{
    const QCoreApplication application(argc, argv);
    const auto arguments = QCoreApplication::arguments();
    const int rows = arguments.value(1, "10000").toInt();
    const int stride = arguments.value(2, "1").toInt();
    const auto seed = arguments.size() > 3 ? arguments[3].toULongLong() : std::random_device{}();
    ChainedRecords filled;
    filled.fill(); // rows in every table
    RecordFiller(filled.file).fill(rows / RecordFiller::kRowsPerRun);
    filled.clock.move(std::chrono::hours(24 * 365));
    filled.open().reset();
    const auto size = static_cast<off_t>(std::filesystem::file_size(filled.file));
    const int threads = static_cast<int>(std::max(2U, std::thread::hardware_concurrency()));
    const auto from = static_cast<off_t>(seed % static_cast<std::uint64_t>(stride));
    std::printf("%lld rows, %lld bytes, each %d-th from %lld on, seed %llu\n",
                static_cast<long long>(filled.verify().rows), static_cast<long long>(size), stride,
                static_cast<long long>(from), static_cast<unsigned long long>(seed));
    const auto began = std::chrono::steady_clock::now();
    std::vector<Counts> parts(static_cast<std::size_t>(threads));
    {
        std::vector<std::jthread> workers;
        for (int i = 0; i < threads; ++i)
            workers.emplace_back([&, i] {
                parts[static_cast<std::size_t>(i)] = flipEach(
                    filled, from + static_cast<off_t>(i) * stride,
                    static_cast<off_t>(stride) * threads, seed + static_cast<std::uint64_t>(i));
            });
    }
    Counts all;
    for (const Counts& part : parts) {
        all.row += part.row;
        all.page += part.page;
        all.file += part.file;
        all.unchanged += part.unchanged;
        all.missed += part.missed;
    }
    const double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
    const int flips = all.row + all.page + all.file + all.unchanged + all.missed;
    std::printf(
        "%d flips in %.1f s: %d named by table and row, %d by page, %d as damage of the file, "
        "%d not found that change nothing, %d missed; every byte would take %.1f h\n",
        flips, seconds, all.row, all.page, all.file, all.unchanged, all.missed,
        seconds / flips * static_cast<double>(size) / 3600);
    return all.missed + all.unchanged == 0 && flips > 0 ? 0 : 1;
}
