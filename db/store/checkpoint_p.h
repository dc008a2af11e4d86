// Signed checkpoints: what is signed, and the copies that are kept elsewhere.
#pragma once

#include "crypto/signing_key.h"
#include "store/chain_p.h"

#include <filesystem>

namespace provost::chain {

/// None where it is not hexadecimal.
std::optional<Bytes> bytesOfHex(std::string_view text);

struct Checkpoint {
    std::int64_t number = 0;
    Head head{};
    std::int64_t atUtc = 0;
    std::string reason{}; ///< verdict, count, time, close
    std::string signer{}; ///< fingerprint of the key
    Bytes signature{};
};
std::string signedText(ByteView databaseId, const Checkpoint& checkpoint);

Result<> insertCheckpoint(sqlite::Connection& db, const Checkpoint& checkpoint);
/// `SELECT …` of every column, in the order of checkpointIn().
std::string checkpointColumns(std::string_view rest);
Checkpoint checkpointIn(const sqlite::Statement& row);
/// Number 0 where there is none.
Result<Checkpoint> lastCheckpoint(sqlite::Connection& db);

/// One line of text a checkpoint, each complete in itself.
class CheckpointFile {
public:
    /// @param place  a file; a folder has one file a database
    CheckpointFile(const std::filesystem::path& place, ByteView databaseId);
    const std::filesystem::path& path() const { return m_path; }
    std::string lineOf(const Checkpoint& checkpoint) const;
    /// Those of this database, in order; none where there is no file. A last line without its end
    /// was cut by a power failure and does not count.
    ///
    /// @returns InvalidData  a line is none; Io, Denied
    Result<std::vector<Checkpoint>> read() const;
    /// On disk when it returns; all of the text or nothing of it.
    /// @returns Io  blame Station
    Result<> append(std::string_view lines) const;

private:
    std::filesystem::path m_path;
    std::string m_database; ///< hexadecimal
};

} // namespace provost::chain
