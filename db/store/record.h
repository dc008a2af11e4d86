// The values a run leaves behind.
#pragma once

#include "core/bytes.h"
#include "core/clock.h"
#include "core/result.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace provost {

/// Ordered: the worst one wins.
enum class Verdict : std::uint8_t { NotRun, Pass, Hold, Fail, Aborted, Error };
std::string_view name(Verdict verdict);      ///< not-run, pass, hold, fail, aborted, error
std::string_view shownName(Verdict verdict); ///< READY, PASS, HOLD, FAIL, STOPPED, CHECK
Result<Verdict> parseVerdict(std::string_view text);

struct RunId {
    std::int64_t value = 0;
    auto operator<=>(const RunId&) const = default;
};
struct UnitIdentity {
    std::string serial{};   ///< printed label, empty: none scanned
    std::string deviceId{}; ///< 24 lower-case hex digits, empty: not read yet
};
struct Limit {
    std::optional<double> min{};
    std::optional<double> max{};
    std::string unit{};
    bool optional = false; ///< of the plan only: where it is not measured, that is no failure
};
struct Measurement {
    std::string name{};
    /// No value: was to be measured and was not. Not measured is never 0.
    std::optional<std::variant<double, std::string, bool>> value{};
    Limit limit{};
    Verdict verdict = Verdict::NotRun;
};
/// Pass, or Fail where a number lies outside; NotRun without value or limit.
Verdict judge(const Measurement& measurement);

/// One try of one step.
struct AttemptRecord {
    std::string step{}; ///< id of the step's code
    std::string name{}; ///< as the plan calls it
    int attempt = 1;
    Verdict verdict = Verdict::NotRun;
    double seconds = 0;
    std::string note{};  ///< what people read beside it: "502 -> 1006 by YModem"
    std::string cause{}; ///< id, empty where it passed
    std::string error{}; ///< technical text
    std::vector<Measurement> measurements{};
};

/// One arrow of a handshake.
struct HandshakeArrow {
    int position = 0;
    bool fromDevice = false;
    std::string what{};
    std::string note{};
    std::int64_t bytes = 0;
    double atMs = 0;
    bool failed = false;
};

struct ImageUse {
    std::string role{};
    std::string version{};
    std::string sha256{};
    int moduleVersion = 0;
};

/// The last transfers between station and unit, kept where a run did not pass.
struct TraceRecord {
    std::int64_t transfers = 0; ///< that are in the text
    std::int64_t dropped = 0;   ///< older ones that made room
    std::string text{};         ///< `provost-trace 1`; of secrets only lengths
};

struct RunStart {
    int slot = 0;
    UnitIdentity unit{};
    std::string planId{};
    int planRevision = 0;
    std::string planDigest{}; ///< hex SHA-256
    bool simulated = false;
    std::string station{};
    std::optional<std::int64_t> keyBatch{}; ///< the batch of key injection that it belongs to
    bool training = false;                  ///< the station is not in production
};

struct RunRecord {
    RunId id{};
    RunStart start{};
    Verdict verdict = Verdict::NotRun;
    std::string cause{};
    std::string error{};
    std::string startedUtc{};
    std::string finishedUtc{}; ///< empty: not finished
    double seconds = 0;
    std::vector<AttemptRecord> attempts{};
    std::vector<HandshakeArrow> handshake{}; ///< of the last session, if there were several
    std::string route{};                     ///< how the device id was read, empty: never
    std::vector<ImageUse> images{};
};

/// One row of the append-only journal.
struct JournalRow {
    std::int64_t seq = 0;
    std::string atUtc{};
    std::string kind{};    ///< begin, identify, attempt, intend, settle, key, …
    std::string subject{}; ///< the effect, fingerprint or device id
    std::string payload{};
};

/// An announced effect of which nobody knows how it ended.
struct OpenIntent {
    RunId run{};
    std::string atUtc{};
    std::string effect{};
    std::string payload{};
};

enum class IntentOutcome : std::uint8_t {
    NotAnnounced,
    Unknown, ///< nobody saw it end
    Passed,
    Failed,
};

struct UnitRow {
    std::string deviceId{};
    std::string label{};
    std::string platform{}; ///< "photon"; empty: only older programs met it
    /// pass, hold, fail, inspect, …: of the last run that judged it; released: it left HOLD
    std::string state{};
    std::string keyFingerprint{}; ///< latest proved key, empty: none
    std::string firstSeenUtc{};
    std::string lastSeenUtc{};
    int runs = 0;
    std::string lastCause{};
    bool simulated = false;
};

struct KeyRecord {
    std::string fingerprint{}; ///< hex SHA-256 of the SPKI DER
    std::string deviceId{};
    Bytes publicDer{};
    std::string state{};  ///< journalled, burnt, proved, registered, superseded
    std::string origin{}; ///< generated, kept
    RunId run{};
};

/// What can happen to a private key, in the order in which it should.
enum class CustodyEvent : std::uint8_t { Birth, Burn, Proof, Escrow, Destruction };
std::string_view name(CustodyEvent event); ///< birth, burn, proof, escrow, destruction

struct CustodyRow {
    std::string event{};
    std::string detail{};
    RunId run{};
    std::string atUtc{};
};

/// Somebody switched a slot off, or on again.
struct SlotAct {
    int slot = 0;
    bool on = true;
    bool simulated = false; ///< of a virtual bench
    std::string actor{};    ///< who was signed in; never empty
    std::string why{};
    std::string atUtc{}; ///< when read
};

/// A unit that left HOLD: what it waited for is on record, and it may be labelled and shipped.
struct ReleaseRecord {
    RunId run{}; ///< that ended in HOLD
    std::string atUtc{};
    std::string fingerprint{}; ///< of the key that the cloud confirmed
    std::string evidence{};    ///< who confirmed what
};

struct OutboxEntry {
    std::int64_t id = 0;
    std::string kind{}; ///< "registration"
    std::string idempotencyKey{};
    std::string deviceId{};
    std::string payload{}; ///< PEM of the public key for a registration
    std::string state{};   ///< waiting, sent, superseded
    int tries = 0;
    std::string createdUtc{};
    std::string lastError{};
    RunId run{};
};

/// Figures of the footer and of `report`.
struct ShiftCounts {
    int pass = 0;
    int hold = 0;
    int fail = 0;
    int aborted = 0;
    int error = 0;
    int firstPass = 0;       ///< units that passed on their first judged run
    int judgedUnits = 0;     ///< units with at least one pass or fail
    double unitsPerHour = 0; ///< passes in the last hour
};

} // namespace provost
