// What the bytes of a closed database were, those that hold no record too.
#pragma once

#include "store/verify_p.h"

namespace provost::chain {

/// FILE.pages: a digest of each 4096 bytes of the file and who says so. It is there from a clean
/// closing until somebody opens the file to write.
std::filesystem::path pageSealOf(const std::filesystem::path& file);
void removePageSeal(const std::filesystem::path& file);
/// Of a file that nobody has open; where somebody has, nothing is written.
/// @param head  the last entry; the seal counts for no other
Result<> writePageSeal(const std::filesystem::path& file, const SigningKey& key,
                       ByteView databaseId, const Head& head);
/// The first page that is not as it was; nothing where there is no seal for this head.
Result<detail::Finding> checkPageSeal(sqlite::Connection& db, const std::filesystem::path& file,
                                      const VerifyingKey& key, ByteView databaseId,
                                      const Head& head);

} // namespace provost::chain
