// Who may connect: the public keys that a cloud has on file, in a folder people can read.
#pragma once

#include "core/mutex.h"
#include "core/result.h"
#include "crypto/rsa_key.h"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace provost {

/// The id in lower case. Nothing else than 24 hexadecimal digits is an id (particle-devices 1.2):
/// ids become file names.
/// @returns InvalidArgument  anything else
Result<std::string> checkedDeviceId(std::string_view text);

/// `DIR/<id>.pub.pem` holds a key (PEM SubjectPublicKeyInfo, particle-devices 5.9),
/// `DIR/<id>.locked` the fingerprint of the key that the first successful connection bound (9,
/// key-lock rule), `DIR/<id>.order` when the latest registration was sent. The files are the truth:
/// what somebody copies into the folder counts from the next look-up on.
///
/// Thread-safe. Errors: InvalidArgument (no id), Io, InvalidData (file is no RSA public key).
class Registry {
public:
    enum class WhenLocked : std::uint8_t { Replace, Refuse };
    enum class Outcome : std::uint8_t { Stored, Unchanged, Replaced };

    /// Makes the folder where it is missing.
    static Result<std::unique_ptr<Registry>> open(const std::filesystem::path& folder);

    const std::filesystem::path& folder() const { return m_folder; }
    /// Puts a key on file; on disk when it returns. Another key than the one on file replaces it
    /// and is not locked; the same key again changes nothing.
    /// @returns Denied  another key is locked, and `whenLocked` says Refuse
    ///          Mismatch  a registration with a later `order` is on file
    /// @param order  when it was sent, milliseconds since 1970: requests that are overtaken on the
    ///               way, or repeated by something on it, do not bring an older key back; none:
    ///               counts as the latest
    Result<Outcome> put(std::string_view deviceId, const RsaPublicKey& key,
                        WhenLocked whenLocked = WhenLocked::Replace,
                        std::optional<std::int64_t> order = {});
    Result<std::optional<RsaPublicKey>> find(std::string_view deviceId) const;
    struct Entry {
        RsaPublicKey key;
        bool locked = false;
    };
    Result<std::optional<Entry>> look(std::string_view deviceId) const;
    /// Binds the key on file. Not waited for until it is on disk: what a power cut takes is bound
    /// again by the next connection of the same key.
    /// @param onlyThis  a fingerprint: no other key is bound; empty: whatever is on file
    /// @returns NotFound  there is none; Mismatch  it is another
    Result<> lock(std::string_view deviceId, std::string_view onlyThis = {});
    Result<bool> isLocked(std::string_view deviceId) const;
    /// Keeps the key that an unknown unit offered as `DIR/<id>_handshake.pub.pem`: renaming it to
    /// `<id>.pub.pem` accepts it (particle-devices 5.9). Anybody who reaches the device port can
    /// offer keys: beyond 1000 files nothing more is kept.
    Result<> keepOffer(std::string_view deviceId, const RsaPublicKey& offered);
    /// The ids that have a key, sorted.
    Result<std::vector<std::string>> list() const;

private:
    explicit Registry(std::filesystem::path folder) : m_folder(std::move(folder)) {}
    std::string keyFile(const std::string& id) const;
    std::string lockFile(const std::string& id) const;
    std::string orderFile(const std::string& id) const;
    Result<> checkOrder(const std::string& id, std::int64_t order) const;
    Result<std::vector<std::string>> idsOf(std::string_view suffix) const;
    Result<std::optional<RsaPublicKey>> read(const std::string& id) const;
    Result<bool> lockedTo(const std::string& id, const RsaPublicKey& key) const;

    /// What tells one content of a file from the next.
    struct FileStamp {
        std::uint64_t inode = 0;
        std::int64_t size = -1; ///< negative: no such file
        std::int64_t modifiedNs = 0;
        bool operator==(const FileStamp&) const = default;
    };
    /// What was read last, good as long as the file has the same stamp.
    struct Known {
        FileStamp keyStamp{};
        std::optional<RsaPublicKey> key{};
        FileStamp lockStamp{};
        std::string lockedFingerprint{};
    };
    static FileStamp stampOf(const std::string& file);

    std::filesystem::path m_folder;
    mutable Mutex m_mutex; ///< one writer at a time; readers see whole files by rename
    mutable Mutex m_knownMutex;
    mutable std::unordered_map<std::string, Known>
        m_known PROVOST_GUARDED_BY(m_knownMutex){}; ///< by id
};

} // namespace provost
