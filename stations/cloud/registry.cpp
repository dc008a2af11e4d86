#include "cloud/registry.h"

#include "core/byte_io.h"
#include "core/durable_file.h"
#include "core/text.h"

#include <algorithm>
#include <charconv>
#include <sys/stat.h>
#include <system_error>

namespace provost {

namespace {

constexpr std::size_t kIdDigits = 24;
constexpr std::size_t kLargestRegistryFile = 16 * 1024;
constexpr mode_t kRegistryMode = 0644;
constexpr std::string_view kKeySuffix = ".pub.pem";
constexpr std::string_view kOfferSuffix = "_handshake.pub.pem";
constexpr std::size_t kMostOffers = 1000;
constexpr std::size_t kMostKnown = 20'000; ///< some 15 MB; then it is begun anew

bool isHexDigit(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

} // namespace

Result<std::string> checkedDeviceId(std::string_view text)
{
    if (text.size() != kIdDigits || !std::ranges::all_of(text, isHexDigit))
        return fail(Errc::InvalidArgument, Blame::Operator,
                    concat("a device id has 24 hexadecimal digits, this text has ", text.size(),
                           " characters"));
    return lowerCase(text);
}

Result<std::unique_ptr<Registry>> Registry::open(const std::filesystem::path& folder)
{
    TRY(makeFolder(folder));
    return std::unique_ptr<Registry>(new Registry(folder));
}

// As text: taking a path apart costs more than asking for the stamp of its file.
std::string Registry::keyFile(const std::string& id) const
{
    return concat(m_folder.native(), "/", id, kKeySuffix);
}

std::string Registry::lockFile(const std::string& id) const
{
    return concat(m_folder.native(), "/", id, ".locked");
}

Result<Registry::Outcome> Registry::put(std::string_view deviceId, const RsaPublicKey& key,
                                        WhenLocked whenLocked, std::optional<std::int64_t> order)
{
    const std::string id = TRY(checkedDeviceId(deviceId));
    const MutexLock lock(m_mutex);
    auto before = read(id);
    // A damaged file is replaced: the offered key is good, and nobody could connect with the other.
    if (!before && before.error().code != Errc::InvalidData)
        return Unexpected(std::move(before).error());
    const bool known = before && before->has_value();
    if (known && order)
        TRY(checkOrder(id, *order));
    if (known && whenLocked == WhenLocked::Refuse &&
        (*before)->fingerprint() != key.fingerprint() && TRY(lockedTo(id, **before)))
        return fail(Errc::Denied, Blame::Cloud,
                    concat("put a key for ", id, ": another key is locked"));
    // First: power lost in between leaves the old key, and the client asks again with a later one.
    if (order)
        TRY(writeDurably(orderFile(id), viewOf(concat(*order, "\n")), kRegistryMode));
    if (known && (*before)->fingerprint() == key.fingerprint())
        return Outcome::Unchanged;
    TRY(writeDurably(keyFile(id), viewOf(key.toPem()), kRegistryMode));
    TRY(removeDurably(lockFile(id)));
    return known ? Outcome::Replaced : Outcome::Stored;
}

std::string Registry::orderFile(const std::string& id) const
{
    return concat(m_folder.native(), "/", id, ".order");
}

Result<> Registry::checkOrder(const std::string& id, std::int64_t order) const
{
    const auto content = TRY(readSmallFile(orderFile(id), kLargestRegistryFile));
    const std::string text(content ? trimmed(toText(*content)) : std::string_view{});
    std::int64_t latest = 0;
    const auto read = std::from_chars(text.data(), text.data() + text.size(), latest);
    if (read.ec != std::errc{} || order >= latest)
        return {};
    return fail(Errc::Mismatch, Blame::Cloud,
                concat("put a key for ", id, ": this registration was sent ", latest - order,
                       " ms before the one on file; where it is the newer one, the clock of its "
                       "station is wrong"));
}

Result<std::optional<RsaPublicKey>> Registry::find(std::string_view deviceId) const
{
    return read(TRY(checkedDeviceId(deviceId)));
}

Result<std::optional<Registry::Entry>> Registry::look(std::string_view deviceId) const
{
    const std::string id = TRY(checkedDeviceId(deviceId));
    auto key = TRY(read(id));
    if (!key)
        return std::optional<Entry>{};
    const bool locked = TRY(lockedTo(id, *key));
    return std::optional(Entry{.key = *std::move(key), .locked = locked});
}

Registry::FileStamp Registry::stampOf(const std::string& file)
{
    struct stat status{};
    if (::stat(file.c_str(), &status) != 0)
        return {};
    return {.inode = status.st_ino,
            .size = status.st_size,
            .modifiedNs = status.st_mtim.tv_sec * 1'000'000'000 + status.st_mtim.tv_nsec};
}

Result<std::optional<RsaPublicKey>> Registry::read(const std::string& id) const
{
    const auto file = keyFile(id);
    const FileStamp stamp = stampOf(file); // before the content: a change in between shows
    if (stamp.size >= 0) {
        const MutexLock lock(m_knownMutex);
        const auto known = m_known.find(id);
        if (known != m_known.end() && known->second.key && known->second.keyStamp == stamp)
            return known->second.key;
    }
    const auto content = TRY(readSmallFile(file, kLargestRegistryFile));
    if (!content)
        return std::optional<RsaPublicKey>{};
    auto key = RsaPublicKey::fromText(*content);
    if (!key)
        return fail(Errc::InvalidData, Blame::Cloud,
                    concat("read the key on file of ", id, ": no RSA public key"));
    const MutexLock lock(m_knownMutex);
    if (m_known.size() >= kMostKnown)
        m_known.clear();
    Known& known = m_known[id];
    known.keyStamp = stamp;
    known.key = *key;
    return std::optional<RsaPublicKey>(*std::move(key));
}

Result<> Registry::lock(std::string_view deviceId, std::string_view onlyThis)
{
    const std::string id = TRY(checkedDeviceId(deviceId));
    const MutexLock lock(m_mutex);
    const auto key = TRY(read(id));
    if (!key)
        return fail(Errc::NotFound, Blame::Cloud, concat("lock the key of ", id, ": none on file"));
    if (!onlyThis.empty() && key->fingerprint() != onlyThis)
        return fail(Errc::Mismatch, Blame::Cloud,
                    concat("lock key ", onlyThis, " of ", id, ": another one is on file, ",
                           key->fingerprint(), "; register the key that is in the unit"));
    if (TRY(lockedTo(id, *key)))
        return {};
    return writeQuickly(lockFile(id), viewOf(concat(key->fingerprint(), "\n")), kRegistryMode);
}

Result<bool> Registry::isLocked(std::string_view deviceId) const
{
    const auto entry = TRY(look(deviceId));
    return entry && entry->locked;
}

// The lock names its key: power lost between a new key and the removal of the old lock leaves a
// lock that fits nothing, not a new key that nobody proved.
Result<bool> Registry::lockedTo(const std::string& id, const RsaPublicKey& key) const
{
    const auto file = lockFile(id);
    const FileStamp stamp = stampOf(file);
    if (stamp.size < 0)
        return false;
    {
        const MutexLock lock(m_knownMutex);
        const auto known = m_known.find(id);
        if (known != m_known.end() && known->second.lockStamp == stamp)
            return known->second.lockedFingerprint == key.fingerprint();
    }
    const auto content = TRY(readSmallFile(file, kLargestRegistryFile));
    if (!content)
        return false;
    std::string fingerprint(trimmed(toText(*content)));
    const bool fits = fingerprint == key.fingerprint();
    const MutexLock lock(m_knownMutex);
    Known& known = m_known[id];
    known.lockStamp = stamp;
    known.lockedFingerprint = std::move(fingerprint);
    return fits;
}

Result<> Registry::keepOffer(std::string_view deviceId, const RsaPublicKey& offered)
{
    const std::string id = TRY(checkedDeviceId(deviceId));
    const MutexLock lock(m_mutex);
    const auto kept = TRY(idsOf(kOfferSuffix));
    if (kept.size() >= kMostOffers && !std::ranges::binary_search(kept, id))
        return {};
    return writeDurably(m_folder / concat(id, kOfferSuffix), viewOf(offered.toPem()),
                        kRegistryMode);
}

Result<std::vector<std::string>> Registry::list() const
{
    return idsOf(kKeySuffix);
}

/// Every id of which there is a file with this suffix, sorted.
Result<std::vector<std::string>> Registry::idsOf(std::string_view suffix) const
{
    std::vector<std::string> ids;
    std::error_code error;
    std::filesystem::directory_iterator entry(m_folder, error);
    for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
        const std::string name = entry->path().filename().string();
        if (name.size() != kIdDigits + suffix.size() || !name.ends_with(suffix))
            continue;
        const auto id = checkedDeviceId(std::string_view(name).substr(0, kIdDigits));
        if (id && name.starts_with(*id))
            ids.push_back(*id);
    }
    if (error)
        return fail(Errc::Io, Blame::Station,
                    concat("list ", m_folder.string(), ": ", error.message()), error.value());
    std::ranges::sort(ids);
    return ids;
}

} // namespace provost
