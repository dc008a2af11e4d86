#include "store/page_seal_p.h"

#include "core/byte_io.h"
#include "core/durable_file.h"
#include "core/file_io.h"
#include "core/text.h"

#include <fstream>

namespace provost::chain {

using detail::Finding;
using sqlite::Connection;

namespace {

constexpr std::size_t kSealedPage = 4096;
constexpr std::size_t kPageDigestBytes = 16; // of 32: enough, as nobody chooses both pages
constexpr std::size_t kLargestPageSeal = std::size_t{1} << 30;
constexpr std::string_view kSignatureWord = "signature ";

std::string headOf(ByteView databaseId, const Head& head)
{
    return concat("provost-pages 1\ndatabase ", toHex(databaseId), "\nentry ", head.entry,
                  "\nlink ", toHex(head.link), '\n');
}

/// One line a page.
Result<std::vector<std::string>> pageDigests(const std::filesystem::path& file)
{
    std::ifstream stream(file, std::ios::binary);
    std::vector<std::string> digests;
    std::array<char, kSealedPage> page{};
    while (stream.read(page.data(), page.size()) || stream.gcount() > 0) {
        const auto got = static_cast<std::size_t>(stream.gcount());
        const Sha256 digest = sha256(std::as_bytes(std::span(page).first(got)));
        digests.push_back(toHex(ByteView(digest).first(kPageDigestBytes)));
    }
    if (digests.empty())
        return fail(Errc::Io, Blame::Station, concat("read ", file.string(), ": it gives no byte"));
    return digests;
}

bool isClosed(const std::filesystem::path& file)
{
    std::error_code absent;
    const auto size = std::filesystem::file_size(file.string() + "-wal", absent);
    return absent || size == 0;
}

/// "index run_plan": whose page it is, where SQLite can tell.
std::string ownerOf(Connection& db, std::size_t page)
{
    auto name =
        db.text("SELECT name FROM dbstat WHERE pageno = ?", {static_cast<std::int64_t>(page)});
    return name && !name->empty() ? *name : std::string("database");
}

VerifyProblem wrongPage(std::string owner, std::size_t page, std::string_view what)
{
    const std::string of = owner == "database" ? std::string{} : concat(" of ", owner);
    return {.table = std::move(owner),
            .row = 0,
            .reason = concat("page ", page, of, ", bytes ", (page - 1) * kSealedPage, " to ",
                             page * kSealedPage - 1, ", ", what,
                             ": no record differs, but something else wrote to the file since the "
                             "station closed it")};
}

} // namespace

std::filesystem::path pageSealOf(const std::filesystem::path& file)
{
    return file.string() + ".pages";
}

void removePageSeal(const std::filesystem::path& file)
{
    std::error_code ignored;
    std::filesystem::remove(pageSealOf(file), ignored);
}

Result<> writePageSeal(const std::filesystem::path& file, const SigningKey& key,
                       ByteView databaseId, const Head& head)
{
    if (!isClosed(file))
        return {};
    std::string text = headOf(databaseId, head);
    const auto digests = TRY(pageDigests(file));
    for (const auto& digest : digests)
        text += digest + '\n';
    const Bytes signature = TRY(key.sign(viewOf(text)));
    text += concat(kSignatureWord, toHex(signature), '\n');
    return writeDurably(pageSealOf(file), viewOf(text), 0644);
}

Result<Finding> checkPageSeal(Connection& db, const std::filesystem::path& file,
                              const VerifyingKey& key, ByteView databaseId, const Head& head)
{
    const auto content = TRY(readSmallFile(pageSealOf(file), kLargestPageSeal));
    const std::string text = content ? toText(*content) : std::string{};
    const std::string wanted = headOf(databaseId, head);
    if (!text.starts_with(wanted) || !isClosed(file))
        return Finding{};
    const auto at = text.rfind(kSignatureWord);
    const auto hex = at == std::string::npos
                         ? std::string_view{}
                         : trimmed(std::string_view(text).substr(at + kSignatureWord.size()));
    const auto signature = bytesOfHex(hex);
    if (!signature || !key.verify(viewOf(std::string_view(text).substr(0, at)), *signature))
        return Finding(VerifyProblem{.table = pageSealOf(file).string(),
                                     .row = 0,
                                     .reason = "its signature does not fit what it says: it was "
                                               "changed, or forged"});
    const auto digests = TRY(pageDigests(file));
    std::size_t from = wanted.size();
    for (std::size_t page = 1; page <= digests.size(); ++page, from += 2 * kPageDigestBytes + 1) {
        if (from >= at)
            return Finding(wrongPage("database", page, "was not there"));
        if (text.compare(from, 2 * kPageDigestBytes, digests[page - 1]) != 0)
            return Finding(wrongPage(ownerOf(db, page), page, "is not what it was"));
    }
    if (from < at)
        return Finding(wrongPage("database", digests.size() + 1, "is missing"));
    return Finding{};
}

} // namespace provost::chain
