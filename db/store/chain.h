// The hash chain over everything that the station wrote, and its signed checkpoints.
//
// All numbers are big-endian. With || for "followed by":
//
//   layout  SHA-256(table || "\n" || columns joined by ",")
//   digest  SHA-256(layout || row id (8) || each column: 0 for NULL, 1 and 8 bytes of an integer,
//           2 and 8 bytes of an IEEE 754 number, 3 (text) or 4 (blob) with length (8) and bytes)
//   marks   of each column CRC-16/XMODEM over those bytes; empty in an entry of a removed row,
//   whose
//           digest is 32 zero bytes
//   link    SHA-256(link before || entry (8) || layout id (8) || row id (8) || time (8) || change
//           (1: add 1, change 2, remove 3, adopt 4) || digest || marks)
//   link 0  SHA-256("provost-chain 1\n" || database id (16) || time of the origin (8))
//
// A checkpoint signs the text (Ed25519)
//   provost-checkpoint 1\ndatabase <hex>\nnumber <n>\nentry <n>\nlink <hex>\nat_utc <ms>\n
//   reason <word>\n
#pragma once

#include "crypto/signing_key.h"
#include "store/journal.h"

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>

namespace provost {

/// At each verdict and on closing; besides, with the write that is the so-manieth since the last
/// one or comes that long after it. At most so much can be changed without a signature that tells.
struct CheckpointRules {
    std::int64_t entries = 1000;
    std::chrono::minutes age{10};
};

struct CheckpointSettings {
    std::shared_ptr<const SigningKey> key{};
    /// A copy of each checkpoint, one a line: a file, or a folder, where the file is called
    /// DATABASE-ID.checkpoints; empty: none. Best on another computer's disk.
    std::filesystem::path elsewhere{};
    CheckpointRules rules{};
};

/// What `provost db verify --public-key` says.
struct ChainReport {
    std::optional<VerifyProblem> problem{}; ///< the first one in the order of the chain
    std::int64_t entries = 0;
    std::int64_t rows = 0; ///< of all tables; each has the entry that it should have
    std::int64_t checkpoints = 0;
    std::int64_t unsignedEntries = 0; ///< behind the last checkpoint: nobody vouches for them yet
    std::int64_t adopted = 0;         ///< rows that are older than the chain
    std::string originUtc{};          ///< of those rows it says that they were so then
    std::string signedUtc{};          ///< of the last checkpoint
    std::int64_t elsewhere = 0;       ///< checkpoints that were compared with those kept elsewhere
};

/// Reads only. What it finds is in the report; what cannot be opened is an error.
///
/// @param checkpoints  file or folder with those kept elsewhere; empty: none
/// @returns NotFound     no such file or no checkpoints there
///          InvalidData  the database has no chain yet
Result<ChainReport> verifyChain(const std::filesystem::path& file, const VerifyingKey& key,
                                const std::filesystem::path& checkpoints = {});

} // namespace provost
