// Whose units are they? A site has one account: that of its token.
#pragma once

#include "core/mutex.h"
#include "core/result.h"

#include <filesystem>
#include <set>
#include <string>
#include <string_view>

namespace provost {

/// `DIR/<id>.claimed` for each unit of the account. Thread-safe.
class Claims {
public:
    explicit Claims(std::filesystem::path folder) : m_folder(std::move(folder)) {}
    /// Errors: InvalidArgument (no id), Io.
    Result<> claim(std::string_view deviceId);
    Result<> release(std::string_view deviceId);
    Result<bool> isClaimed(std::string_view deviceId) const;
    /// 63 characters that a unit may show once (particle-devices 9). At most 1000 are open.
    Result<std::string> newCode();
    /// A unit showed a code. @returns NotFound  nobody gave it out
    Result<> redeem(const std::string& code, std::string_view deviceId);

private:
    Result<std::filesystem::path> fileOf(std::string_view deviceId) const;
    std::filesystem::path m_folder;
    Mutex m_mutex;
    std::set<std::string> m_codes PROVOST_GUARDED_BY(m_mutex){};
};

} // namespace provost
