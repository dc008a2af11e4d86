// A database with rows in every table, signed, and what an intruder does to it.
#pragma once

#include "core/text.h"
#include "store/chain.h"
#include "support/must.h"

#include <QStringList>
#include <QTemporaryDir>

#include <atomic>
#include <sqlite3.h>

namespace provost::test {

/// The computer's time, and what a test adds to it.
class MovedClock final : public Clock {
public:
    Steady now() const override { return m_system.now(); }
    Utc utcNow() const override { return m_system.utcNow() + m_moved.load(); }
    Result<> sleepUntil(Steady when, std::stop_token stop) const override
    {
        return m_system.sleepUntil(when, std::move(stop));
    }
    void move(std::chrono::milliseconds by) { m_moved = m_moved.load() + by; }

private:
    SystemClock m_system{};
    std::atomic<std::chrono::milliseconds> m_moved{std::chrono::milliseconds{0}};
};

class ChainedRecords {
    QTemporaryDir m_folder{}; // made before the names in it

public:
    ChainedRecords() : key(std::make_shared<const SigningKey>(must(SigningKey::generate()))) {}
    /// A copy of what `filled` wrote and closed: hundreds of durable commits are made once.
    explicit ChainedRecords(const ChainedRecords& filled) : key(filled.key)
    {
        for (const auto& [from, to] :
             {std::pair(filled.file, file), std::pair(filled.elsewhere, elsewhere),
              std::pair(filled.file + ".pages", file + ".pages")})
            std::filesystem::copy_file(from, to);
    }
    std::string path(const std::string& name) const
    {
        return m_folder.filePath(QString::fromStdString(name)).toStdString();
    }
    std::unique_ptr<Journal> open(CheckpointRules rules = {})
    {
        auto journal = must(Journal::open(file, clock));
        must(journal->signCheckpoints({.key = key, .elsewhere = elsewhere, .rules = rules}));
        return journal;
    }
    /// Rows in every table: one passed run, one that failed, what belongs to no run.
    void fill()
    {
        const auto journal = open();
        fillRun(*journal, Verdict::Pass, 'a');
        fillRun(*journal, Verdict::Fail, 'b');
        must(journal->recordSlotAct({.slot = 2, .on = false, .actor = "line", .why = "cable"}));
        const auto batch = must(journal->beginKeyBatch(
            {.name = "lot-1", .platform = "photon", .planId = "p", .wanted = 2}));
        must(recordStationEvent(file, clock, {.kind = "clear-key-refused", .subject = "x.der"}));
        const auto run = must(journal->beginRun({.planId = "p", .keyBatch = batch.id}));
        must(journal->finishRun(run, Verdict::Aborted, "C001", "stopped", 1));
    }
    /// @param mark  a hexadecimal digit: makes unit, key and image its own
    RunId fillRun(Journal& journal, Verdict verdict, char mark)
    {
        const std::string device = std::string(24, mark);
        const std::string print = std::string(64, mark);
        const auto run =
            must(journal.beginRun({.planId = "p", .planDigest = std::string(64, 'd')}));
        must(journal.identify(run, {.serial = "label", .deviceId = device}, "dfu", "photon"));
        must(journal.recordImage(run, {.role = "system-1", .version = "1.5.2", .sha256 = print}));
        must(journal.journalKey(
            run, {.fingerprint = print, .publicDer = Bytes(162), .origin = "generated"}));
        must(journal.recordCustody(run, print, CustodyEvent::Birth, "made here"));
        must(journal.intend(run, "burn-device-key"));
        must(journal.settle(run, "burn-device-key", Verdict::Pass));
        must(journal.recordHandshake(run, {{.position = 1, .what = "nonce", .bytes = 40},
                                           {.position = 2, .fromDevice = true, .what = "reply"}}));
        must(journal.recordAttempt(run, {.step = "s",
                                         .name = "Step",
                                         .verdict = verdict,
                                         .seconds = 1.5,
                                         .measurements = {{.name = "vdd", .value = 3.3},
                                                          {.name = "state", .value = "ok"}}}));
        must(journal.recordTrace(run, {.transfers = 1, .text = "provost-trace 1"}));
        must(journal.recordCustody(run, print, CustodyEvent::Destruction, "burnt and wiped"));
        must(journal.finishRun(
            run, verdict, "", "", 2.5,
            {{.kind = "registration", .idempotencyKey = "id-" + print, .payload = "PEM"}}));
        return run;
    }
    ChainReport verify() const { return must(verifyChain(file, key->verifyingKey(), elsewhere)); }
    ChainReport verifyAlone() const { return must(verifyChain(file, key->verifyingKey())); }

    /// Past the station, as by the sqlite3 program: rows as lines, columns parted by |; or
    /// "refused: …".
    QString shell(const QString& sql) const
    {
        sqlite3* handle = nullptr;
        sqlite3_open(file.c_str(), &handle);
        const std::unique_ptr<sqlite3, decltype(&sqlite3_close)> closing(handle, sqlite3_close);
        QStringList lines;
        const auto take = [](void* to, int columns, char** values, char**) {
            QStringList row;
            for (int i = 0; i < columns; ++i)
                row << QString::fromUtf8(values[i]);
            *static_cast<QStringList*>(to) << row.join('|');
            return 0;
        };
        const auto script = "PRAGMA synchronous = OFF;" + sql.toUtf8();
        if (sqlite3_exec(handle, script, take, &lines, nullptr) != SQLITE_OK)
            return QString("refused: ") + sqlite3_errmsg(handle);
        return lines.join('\n');
    }
    /// As somebody does who knows the schema: takes the triggers off, and puts them back as they
    /// were. Empty, or what SQLite said.
    QString intrude(const QString& sql) const
    {
        const auto triggers =
            shell("SELECT group_concat(sql, ';' || char(10)) || ';' FROM sqlite_schema "
                  "WHERE type = 'trigger'");
        const auto drops = shell("SELECT group_concat('DROP TRIGGER ' || name, ';') || ';' FROM "
                                 "sqlite_schema WHERE type = 'trigger'");
        return shell("PRAGMA foreign_keys = OFF; PRAGMA ignore_check_constraints = ON; BEGIN;" +
                     drops + sql + ";" + triggers + "COMMIT");
    }

    MovedClock clock{};
    std::shared_ptr<const SigningKey> key{};
    std::string file = path("station.db");
    std::string elsewhere = path("kept.checkpoints");
};

} // namespace provost::test
