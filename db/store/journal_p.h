// What the parts of Journal share: the writer, the readers, and small helpers.
#pragma once

#include "core/mutex.h"
#include "core/text.h"
#include "store/chain.h"
#include "store/checkpoint_p.h"
#include "store/file_lock_p.h"
#include "store/journal.h"
#include "store/sqlite_p.h"

#include <functional>

namespace provost {

/// What a write is, for the rules of checkpoints.
enum class Occasion : std::uint8_t { Row, Verdict, Closing };

/// Set where the station signs its records.
struct Signing {
    std::shared_ptr<const SigningKey> key{};
    CheckpointRules rules{};
    Bytes databaseId{};
    std::optional<chain::CheckpointFile> elsewhere{};
    chain::Checkpoint last{};
    std::string waiting{}; ///< lines that are not kept elsewhere yet
    bool keepingFailed = false;
};

struct Journal::Impl {
    Impl(std::filesystem::path theFile, const Clock& theClock, std::optional<FileLock> theLock)
        : file(std::move(theFile)), clock(theClock), lock(std::move(theLock))
    {
    }

    /// Runs `body` in one transaction, with its entries of the chain and, where one is due, a
    /// checkpoint; what it wrote is on disk on return.
    /// @param what  for the error: "record attempt 2 of \"Flash\" in run 812"
    Result<> write(const std::string& what,
                   const std::function<Result<>(sqlite::Connection&)>& body,
                   Occasion occasion = Occasion::Row);
    /// A connection of one's own that sees one moment of the file.
    Result<sqlite::Connection> reader() const;
    Result<> openWriter();
    Result<> recover();
    std::int64_t now() const { return clock.utcNow().time_since_epoch().count(); }
    /// @returns its seq
    Result<std::int64_t> append(sqlite::Connection& db, RunId run, std::string_view kind,
                                std::string_view subject, std::string_view payload) const;

    Result<> closeCustody(sqlite::Connection& db) const;
    /// On HOLD for a new key; its waiting registrations are superseded.
    Result<> withdraw(sqlite::Connection& db, RunId run, const std::string& deviceId,
                      std::string_view why) const;
    Result<> appendCustody(sqlite::Connection& db, RunId run, const std::string& fingerprint,
                           CustodyEvent event, std::string_view detail) const;

    std::optional<std::string_view> whyDue(const chain::Head& head, Occasion occasion) const
        PROVOST_REQUIRES(mutex);
    Result<std::optional<chain::Checkpoint>> signIfDue(Occasion occasion) PROVOST_REQUIRES(mutex);
    void signedNow(chain::Checkpoint checkpoint) PROVOST_REQUIRES(mutex);
    void keepElsewhere();
    void noteKeeping(const std::string& what, std::string_view kind, const std::string& place);
    void close();
    void sealPages();

    const std::filesystem::path file;
    const Clock& clock;
    const std::optional<FileLock> lock;
    Mutex mutex;
    std::optional<sqlite::Connection> writer PROVOST_GUARDED_BY(mutex);
    std::optional<chain::Writer> sealer PROVOST_GUARDED_BY(mutex); ///< of `writer`
    std::optional<Signing> signing PROVOST_GUARDED_BY(mutex);
    Mutex keepMutex{}; ///< taken before `mutex`: one line after the other
};

namespace detail {

/// What every write needs to know about its run.
struct OpenRun {
    std::optional<std::int64_t> unit{}; ///< row id
    std::string deviceId{};
    bool finished = false;
    bool simulated = false;
    bool inKeyBatch = false;
};
Result<OpenRun> findRun(sqlite::Connection& db, RunId run);
/// @returns InvalidArgument  it has its verdict
Result<OpenRun> findOpenRun(sqlite::Connection& db, RunId run);
/// @returns InvalidArgument  its device id was not read yet
Result<OpenRun> findIdentifiedRun(sqlite::Connection& db, RunId run);
/// @returns NotFound
Result<std::int64_t> findUnit(sqlite::Connection& db, const std::string& deviceId);

/// The outbox rows of finishRun(); see there.
Result<> postOutbox(sqlite::Connection& db, RunId run, const OpenRun& of, std::int64_t now,
                    const std::vector<OutboxEntry>& entries);
/// @returns Corrupt  one of them is not on disk as it was posted
Result<> checkOutbox(sqlite::Connection& db, const OpenRun& of,
                     const std::vector<OutboxEntry>& entries);

/// The same file by any name has the same lock.
std::filesystem::path canonicalName(const std::filesystem::path& file);
std::string utcText(std::int64_t milliseconds);
/// A verdict column; NotRun where NULL.
Result<Verdict> verdictIn(const sqlite::Statement& row, int column);

} // namespace detail

} // namespace provost
