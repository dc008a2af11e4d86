// Whose units are they? A site has one account: that of its token.
#pragma once

#include "core/mutex.h"
#include "core/result.h"

#include <filesystem>
#include <set>
#include <string>
#include <string_view>

namespace provost {

/// `DIR/<id>.claimed` for each unit of the account, `DIR/<id>.name` where it was given a name,
/// `DIR/<id>.product` where it was taken into one. Thread-safe.
class Claims {
public:
    explicit Claims(std::filesystem::path folder) : m_folder(std::move(folder)) {}
    /// Errors: InvalidArgument (no id), Io.
    Result<> claim(std::string_view deviceId);
    Result<> release(std::string_view deviceId);
    Result<bool> isClaimed(std::string_view deviceId) const;
    /// @returns InvalidArgument  besides no id: not 1 to 64 characters, or control characters
    Result<> setName(std::string_view deviceId, std::string_view name);
    Result<std::string> nameOf(std::string_view deviceId) const; ///< empty: none
    Result<> setProduct(std::string_view deviceId, std::string_view product);
    Result<std::string> productOf(std::string_view deviceId) const; ///< empty: of none
    /// 63 characters that a unit may show once (particle-devices 9). At most 1000 are open.
    Result<std::string> newCode();
    /// A unit showed a code. @returns NotFound  nobody gave it out
    Result<> redeem(const std::string& code, std::string_view deviceId);

private:
    Result<std::filesystem::path> fileOf(std::string_view deviceId,
                                         std::string_view suffix = ".claimed") const;
    Result<> keep(std::string_view deviceId, std::string_view suffix, std::string_view text);
    Result<std::string> kept(std::string_view deviceId, std::string_view suffix) const;
    std::filesystem::path m_folder;
    Mutex m_mutex;
    std::set<std::string> m_codes PROVOST_GUARDED_BY(m_mutex){};
};

} // namespace provost
