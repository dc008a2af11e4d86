// Batches of key injection: the order, and what became of each unit.
#pragma once

#include "store/record.h"

namespace provost {

/// An order to put keys into `wanted` units; final once it has begun.
struct KeyBatch {
    std::int64_t id = 0; ///< 0: not on record yet
    std::string name{};  ///< letters, digits, '.', '_', '-'
    std::string platform{};
    std::string planId{};
    std::string planDigest{};
    std::string station{};
    int wanted = 0;
    std::string begunUtc{};
};

/// What became of a unit in a batch, all its runs together.
enum class BatchOutcome : std::uint8_t {
    Injected, ///< a key that was made in this batch is on it, proved; the cloud has or awaits it
    Kept,     ///< the same with a key that it had before
    Refused,  ///< it has a key and the plan refuses such units; nothing was written
    Failed,   ///< it was judged bad
    Open,     ///< not judged, or to be inspected: it has to come again
};
std::string_view name(BatchOutcome outcome); ///< injected, kept, refused, failed, open

struct BatchUnit {
    std::string deviceId{};
    std::string label{};
    BatchOutcome outcome = BatchOutcome::Open;
    bool held = false; ///< Injected, Kept: the registration waits for the cloud
    bool simulated = false;
    bool training = false;
    std::string fingerprint{}; ///< Injected, Kept: of the key on the unit
    Bytes publicDer{};
    RunId run{}; ///< the latest one that decided the outcome
    std::string finishedUtc{};
    std::string cause{};
};
/// Injected or Kept: it counts.
bool isDone(const BatchUnit& unit);

/// Something at the station that belongs to no run.
struct StationRecord {
    std::string atUtc{};
    std::string kind{};    ///< clear-key-refused, clear-key-written, training-refused
    std::string subject{}; ///< a file
    std::string payload{};
};

} // namespace provost
