#include "store/checkpoint_p.h"

#include "core/byte_io.h"
#include "core/file_io.h"
#include "core/text.h"

#include <array>
#include <cerrno>
#include <charconv>
#include <fcntl.h>
#include <unistd.h>

namespace provost::chain {

using sqlite::Connection;
using sqlite::Statement;

namespace {

constexpr std::string_view kLineHead = "provost-checkpoint 1";
constexpr std::size_t kLargestCheckpointFile = std::size_t{1} << 30;
constexpr std::size_t kFields = 10; // of a line, the two of its head among them

struct ClosedFile {
    explicit ClosedFile(int theDescriptor) : descriptor(theDescriptor) {}
    ~ClosedFile()
    {
        if (descriptor >= 0)
            close(descriptor);
    }
    ClosedFile(const ClosedFile&) = delete;
    ClosedFile& operator=(const ClosedFile&) = delete;
    const int descriptor;
};

std::optional<std::int64_t> numberIn(std::string_view text)
{
    std::int64_t value = 0;
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
    const bool whole = parsed.ec == std::errc{} && parsed.ptr == text.data() + text.size();
    return whole ? std::optional(value) : std::nullopt;
}

std::vector<std::string_view> wordsOf(std::string_view line)
{
    std::vector<std::string_view> words;
    for (std::size_t from = 0; from <= line.size();) {
        const auto space = std::min(line.find(' ', from), line.size());
        words.push_back(line.substr(from, space - from));
        from = space + 1;
    }
    return words;
}

struct KeptLine {
    std::string_view database{};
    Checkpoint checkpoint{};
};

std::optional<KeptLine> parseLine(std::string_view line)
{
    const auto words = wordsOf(line);
    if (words.size() != kFields || !line.starts_with(kLineHead))
        return std::nullopt;
    const auto number = numberIn(words[3]);
    const auto entry = numberIn(words[4]);
    const auto link = bytesOfHex(words[5]);
    const auto atUtc = numberIn(words[6]);
    const auto signature = bytesOfHex(words[9]);
    if (!number || !entry || !link || link->size() != std::tuple_size_v<Sha256> || !atUtc ||
        !signature)
        return std::nullopt;
    KeptLine kept{.database = words[2]};
    kept.checkpoint = {.number = *number,
                       .head = {.entry = *entry},
                       .atUtc = *atUtc,
                       .reason = std::string(words[7]),
                       .signer = std::string(words[8]),
                       .signature = *signature};
    std::ranges::copy(*link, kept.checkpoint.head.link.begin());
    return kept;
}

/// Writes behind `size` bytes, which are what counts of the file.
int appendAt(int descriptor, off_t size, std::string_view text)
{
    while (!text.empty()) {
        const ssize_t done = pwrite(descriptor, text.data(), text.size(), size);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return errno;
        text.remove_prefix(static_cast<std::size_t>(done));
        size += done;
    }
    return fsync(descriptor) == 0 ? 0 : errno;
}

/// Up to the end of the last complete line. At most one line can be torn.
off_t completeSize(int descriptor, off_t size)
{
    char last = '\n';
    while (size > 0 && pread(descriptor, &last, 1, size - 1) == 1 && last != '\n')
        --size;
    return size;
}

} // namespace

std::optional<Bytes> bytesOfHex(std::string_view text)
{
    Bytes bytes(text.size() / 2);
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        unsigned value = 0;
        const char* const from = text.data() + 2 * i;
        const auto parsed = std::from_chars(from, from + 2, value, 16);
        if (parsed.ec != std::errc{} || parsed.ptr != from + 2)
            return std::nullopt;
        bytes[i] = static_cast<std::byte>(value);
    }
    return text.size() % 2 == 0 ? std::optional(bytes) : std::nullopt;
}

std::string signedText(ByteView databaseId, const Checkpoint& checkpoint)
{
    return concat(kLineHead, "\ndatabase ", toHex(databaseId), "\nnumber ", checkpoint.number,
                  "\nentry ", checkpoint.head.entry, "\nlink ", toHex(checkpoint.head.link),
                  "\nat_utc ", checkpoint.atUtc, "\nreason ", checkpoint.reason, "\n");
}

Result<> insertCheckpoint(Connection& db, const Checkpoint& checkpoint)
{
    return db.execute("INSERT INTO chain_checkpoint (chain_checkpoint_id, entry, link, at_utc, "
                      "reason, signer, signature) VALUES (?, ?, ?, ?, ?, ?, ?)",
                      {checkpoint.number, checkpoint.head.entry, ByteView(checkpoint.head.link),
                       checkpoint.atUtc, checkpoint.reason, checkpoint.signer,
                       checkpoint.signature});
}

std::string checkpointColumns(std::string_view rest)
{
    return concat("SELECT chain_checkpoint_id, entry, link, at_utc, reason, signer, signature "
                  "FROM chain_checkpoint ",
                  rest);
}

Checkpoint checkpointIn(const Statement& row)
{
    return {.number = row.integer(0),
            .head = {.entry = row.integer(1), .link = sha256In(row, 2)},
            .atUtc = row.integer(3),
            .reason = row.text(4),
            .signer = row.text(5),
            .signature = row.blob(6)};
}

Result<Checkpoint> lastCheckpoint(Connection& db)
{
    auto row = TRY(db.query(checkpointColumns("ORDER BY chain_checkpoint_id DESC LIMIT 1")));
    const bool found = TRY(row.step());
    return found ? checkpointIn(row) : Checkpoint{};
}

CheckpointFile::CheckpointFile(const std::filesystem::path& place, ByteView databaseId)
    : m_path(place), m_database(toHex(databaseId))
{
    std::error_code ignored;
    if (std::filesystem::is_directory(place, ignored))
        m_path /= m_database + ".checkpoints";
}

std::string CheckpointFile::lineOf(const Checkpoint& checkpoint) const
{
    return concat(kLineHead, ' ', m_database, ' ', checkpoint.number, ' ', checkpoint.head.entry,
                  ' ', toHex(checkpoint.head.link), ' ', checkpoint.atUtc, ' ', checkpoint.reason,
                  ' ', checkpoint.signer, ' ', toHex(checkpoint.signature), '\n');
}

Result<std::vector<Checkpoint>> CheckpointFile::read() const
{
    std::vector<Checkpoint> kept;
    const auto content = readFile(m_path, kLargestCheckpointFile);
    if (!content && content.error().code == Errc::NotFound)
        return kept;
    const std::string text = toText(TRY(content));
    std::int64_t number = 0;
    for (std::size_t from = 0; from < text.size();) {
        const auto end = text.find('\n', from);
        if (end == std::string::npos)
            break;
        ++number;
        const auto line = parseLine(std::string_view(text).substr(from, end - from));
        if (!line)
            return fail(Errc::InvalidData, Blame::Operator,
                        concat("read ", m_path.string(), ": line ", number,
                               " is no checkpoint; it was changed, or it is another file"));
        if (line->database == m_database)
            kept.push_back(line->checkpoint);
        from = end + 1;
    }
    return kept;
}

Result<> CheckpointFile::append(std::string_view lines) const
{
    const auto failed = [this](int native) {
        return fail(Errc::Io, Blame::Station,
                    concat("keep a checkpoint in ", m_path.string(), ": ", systemMessage(native),
                           "; make the place that station.toml names as checkpoints writable"),
                    native);
    };
    const ClosedFile file(open(m_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
    if (file.descriptor < 0)
        return failed(errno);
    const off_t end = lseek(file.descriptor, 0, SEEK_END);
    if (end < 0)
        return failed(errno);
    const off_t size = completeSize(file.descriptor, end);
    int native = ftruncate(file.descriptor, size) == 0 ? 0 : errno;
    if (native == 0)
        native = appendAt(file.descriptor, size, lines);
    if (native == 0)
        return {};
    static_cast<void>(ftruncate(file.descriptor, size) == 0);
    return failed(native);
}

} // namespace provost::chain
