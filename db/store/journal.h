// The station's memory: everything a run does is here before it counts.
#pragma once

#include "store/key_batch.h"

#include <filesystem>
#include <memory>

namespace provost {

struct CheckpointSettings;

/// Thread-safe. One SQLite file: STRICT tables, WAL, synchronous=FULL; one writer connection behind
/// a mutex, readers open their own.
///
/// What a function wrote is on disk when it returns. A run with its verdict is final: writing to it
/// is InvalidArgument, except note(), setKeyState() and clearInspection().
///
/// Errors: Io (disk full, read-only, I/O; blame Station, native = SQLite code), Busy (another
/// process holds it), Corrupt, InvalidData (newer schema), NotFound (no such run, unit, key, row),
/// InvalidArgument (the record breaks a rule of the schema), Denied (opened read-only).
class Journal {
public:
    /// Opens or creates, migrates (a copy of the old file is kept beside it), then recovers:
    /// unfinished runs close as Aborted, units with an unsettled intent become `inspect`.
    /// FILE.lock is held until destruction, so only one Journal can do this at a time.
    ///
    /// @returns Busy  another process has the file open as a Journal
    static Result<std::unique_ptr<Journal>> open(const std::filesystem::path& file,
                                                 const Clock& clock);
    /// For commands that only look, also beside a running station: no lock, no migration, no
    /// recovery; every function that writes returns Denied.
    static Result<std::unique_ptr<Journal>> openReadOnly(const std::filesystem::path& file,
                                                         const Clock& clock);
    ~Journal(); ///< signs what is not signed yet, where it signs
    std::filesystem::path path() const;

    /// From here on the chain is signed (chain.h). What the last signature does not cover is
    /// checked first, and that the database knows every checkpoint that is kept elsewhere.
    ///
    /// @returns Corrupt  it was changed, cut or replaced by an older copy
    ///          Io       checkpoints cannot be kept there
    Result<> signCheckpoints(CheckpointSettings settings);
    /// A copy that cannot be kept holds up no verdict; this says so until it could be.
    ///
    /// @returns Io  the last checkpoints are not kept elsewhere
    Result<> checkpointsKept();

    Result<RunId> beginRun(const RunStart& start);
    /// The device id was read from the wire; binds unit and run. `route`: listening, serial, …
    /// @param platform  "photon"; empty leaves what is on record
    ///
    /// @returns Mismatch  the run is already of another unit
    Result<> identify(RunId run, const UnitIdentity& unit, std::string_view route,
                      std::string_view platform = {});
    Result<> recordAttempt(RunId run, const AttemptRecord& attempt);
    /// Arrows whose positions follow on continue the session; others begin the next one. All of
    /// them or none.
    Result<> recordHandshake(RunId run, const std::vector<HandshakeArrow>& arrows);
    Result<> recordImage(RunId run, const ImageUse& image);
    /// Once a run, before its verdict.
    Result<> recordTrace(RunId run, const TraceRecord& trace);
    /// Anything else worth a row: kind `backup`, `note`, …; not one that the journal writes itself.
    Result<> note(RunId run, std::string_view kind, std::string_view payload);

    /// Announces an irreversible effect; on disk when it returns.
    Result<> intend(RunId run, std::string_view effect, std::string_view payload = {});
    /// @returns NotFound  no such intent is open in this run
    Result<> settle(RunId run, std::string_view effect, Verdict verdict);

    /// The public key, before it is burnt. Again for a key that the unit holds: keeps its state.
    ///
    /// @returns Mismatch  same key is on another unit; this unit's row says `refused`
    Result<> journalKey(RunId run, const KeyRecord& key);
    /// A key that becomes `proved` supersedes the unit's older ones and their waiting
    /// registrations. `registered` stays when the same key is proved again.
    Result<> setKeyState(RunId run, const std::string& fingerprint, std::string_view state);
    /// How a run on record has read this id from the unit itself, latest first; nullopt: none did.
    Result<std::optional<std::string>> wireRouteOf(const std::string& deviceId);
    /// The latest key of a unit that is not superseded.
    Result<std::optional<KeyRecord>> keyOf(const std::string& deviceId);
    /// All of a unit, newest first, with state `refused` where another unit owned the key.
    Result<std::vector<KeyRecord>> keysOf(const std::string& deviceId);
    /// Every unit that holds this key, its owner first.
    Result<std::vector<std::string>> unitsWithKey(const std::string& fingerprint);

    /// Of every unit, oldest first, refused and superseded ones too.
    Result<std::vector<KeyRecord>> allKeys();
    /// How an announced effect on the unit ended, the latest where there are several.
    Result<IntentOutcome> outcomeOf(const std::string& deviceId, std::string_view effect,
                                    std::string_view payload);
    /// Every unit that has, or ever had, a key with the number of this one.
    Result<std::vector<std::string>> unitsWithSameNumber(const Bytes& publicDer);
    /// What made the unit a good one is known to be wrong: whatever its last run said, it is on
    /// HOLD
    /// (`inspect` and `fail` stay), its waiting registrations are superseded, and no confirmation
    /// releases it: only a run that gives it a new key.
    Result<> withdrawUnit(RunId run, const std::string& deviceId, std::string_view why);
    /// The units besides `deviceId` that have, or ever had, a key with the number of this one;
    /// where there are any, withdraws in one transaction `deviceId` and those whose newest key it
    /// is.
    Result<std::vector<std::string>> withdrawTwins(RunId run, const std::string& deviceId,
                                                   const Bytes& publicDer);

    /// Makes the order durable; from here on its runs carry its number (RunStart::keyBatch).
    ///
    /// @returns Denied  a batch of that name has begun already
    Result<KeyBatch> beginKeyBatch(const KeyBatch& batch);
    Result<std::vector<KeyBatch>> keyBatches(); ///< oldest first
    /// Every unit that was identified in a run of the batch, by device id: one row each.
    Result<std::vector<BatchUnit>> batchUnits(std::int64_t batch);
    /// What happened beside any run, oldest first.
    Result<std::vector<StationRecord>> stationEvents();

    /// What became of a private key; also for a run that is finished.
    ///
    /// @returns InvalidArgument  it was destroyed before and cannot be born, burnt or wrapped
    Result<> recordCustody(RunId run, const std::string& fingerprint, CustodyEvent event,
                           std::string_view detail);
    Result<std::vector<CustodyRow>> custodyOf(const std::string& fingerprint); ///< in order
    /// Fingerprints of keys that were born here and of whose destruction nothing is on record.
    Result<std::vector<std::string>> keysWithOpenCustody();

    /// Verdict, outbox rows and the unit's state in one transaction, then read back on another
    /// connection. Repeating it with the same verdict and cause only reads back.
    ///
    /// A unit with an unsettled intent becomes `inspect`, whatever the verdict; Pass is refused
    /// while an intent of this run is open. Aborted and Error leave the unit's state: they did not
    /// judge it. An idempotency key that is known already waits again if device and payload are
    /// the same.
    ///
    /// @returns Mismatch  an idempotency key is known with another device or payload
    ///          Corrupt   what was read back differs
    Result<> finishRun(RunId run, Verdict verdict, std::string_view cause, std::string_view error,
                       double seconds, const std::vector<OutboxEntry>& outbox = {});

    Result<RunRecord> run(RunId id);
    Result<std::vector<RunRecord>> runsOf(const std::string& deviceId); ///< newest first
    Result<std::vector<RunRecord>> runsSince(Clock::Utc since);         ///< finished; oldest first
    Result<std::vector<JournalRow>> journalOf(RunId id);                ///< in order
    Result<std::optional<TraceRecord>> traceOf(RunId id); ///< none where the run passed
    Result<std::vector<UnitRow>> units();                 ///< last seen first
    /// By device id or label, or an unambiguous prefix of either.
    ///
    /// @returns NotFound         nothing fits
    ///          InvalidArgument  several units fit
    Result<UnitRow> unit(const std::string& idOrLabel);
    /// True where an unsettled intent is on record: its memory must be read before it runs.
    Result<bool> needsInspection(const std::string& deviceId);
    /// Those intents of the unit, oldest first.
    Result<std::vector<OpenIntent>> openIntents(const std::string& deviceId);
    /// The unit's memory was read back: its state becomes `new` until a run judges it.
    Result<> clearInspection(RunId run, const std::string& deviceId);

    /// What somebody decided about a slot; outlives the program.
    /// @returns the act as recorded, with its time
    Result<SlotAct> recordSlotAct(SlotAct act);
    /// Of virtual or of real slots, in order: the latest act about a slot holds.
    Result<std::vector<SlotAct>> slotActs(bool simulated);

    Result<std::vector<OutboxEntry>> outbox(std::string_view state = {}); ///< oldest first
    /// At most `limit` rows of a state behind row `after`, oldest first.
    Result<std::vector<OutboxEntry>> outboxPage(std::string_view state, std::int64_t after,
                                                int limit);
    Result<std::int64_t> outboxCount(std::string_view state);
    Result<> markSent(std::int64_t id);
    Result<> markFailed(std::int64_t id, std::string_view error);
    /// A waiting row that must never be sent. @returns NotFound  no such row waits
    Result<> markSuperseded(std::int64_t id, std::string_view why);

    /// Lets a unit go that is on HOLD because its registration waited, and only then: its last run
    /// ended in HOLD, that registration was sent, no other waits, its latest key is registered, and
    /// nobody put it on HOLD for another reason. Its state becomes `pass`, the verdict of the run
    /// stays; the journal's row is the permission to ship. A unit that was released stays so.
    ///
    /// @returns Unavailable      the registration still waits for the cloud
    ///          InvalidArgument  any other reason
    Result<> releaseUnit(const std::string& deviceId, std::string_view evidence);
    /// None where the unit did not leave HOLD in this way, or was judged or held again since.
    Result<std::optional<ReleaseRecord>> releaseOf(const std::string& deviceId);

    /// Of runs finished since then. `simulated`: only such runs, or only real ones.
    Result<ShiftCounts> counts(Clock::Utc since, std::optional<bool> simulated = std::nullopt);
    /// Median seconds of passed attempts of each named step in the plan's latest runs, in order;
    /// for the remaining time.
    Result<std::vector<std::pair<std::string, double>>>
    typicalSteps(std::string_view planId, std::optional<bool> simulated = std::nullopt);

private:
    struct Impl;
    explicit Journal(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> m_impl;
};

/// Adds one event of the station to its database, which is created where there is none; also beside
/// a running station.
Result<> recordStationEvent(const std::filesystem::path& file, const Clock& clock,
                            const StationRecord& event);

/// What `provost db verify` reports: integrity of the file, foreign keys, schema version, journal
/// sequence without gaps, every verdict in agreement with journal, attempts and measurements.
struct VerifyProblem {
    std::string table{};  ///< "database" where it is not one table
    std::int64_t row = 0; ///< 0 where it is not one row
    std::string reason{};
};
/// The first problem; reads only, also beside a running station.
Result<std::optional<VerifyProblem>> verifyDatabase(const std::filesystem::path& file);

} // namespace provost
