#include "cloud/claims_p.h"

#include "cloud/registry.h"
#include "core/byte_io.h"
#include "core/durable_file.h"
#include "core/text.h"
#include "crypto/digest.h"

#include <QByteArray>
#include <system_error>

namespace provost {

namespace {

constexpr std::size_t kClaimCodeCharacters = 63;
constexpr std::size_t kOpenCodes = 1000;
constexpr mode_t kClaimMode = 0644;

} // namespace

Result<std::filesystem::path> Claims::fileOf(std::string_view deviceId) const
{
    return m_folder / concat(TRY(checkedDeviceId(deviceId)), ".claimed");
}

Result<> Claims::claim(std::string_view deviceId)
{
    return writeDurably(TRY(fileOf(deviceId)), viewOf("claimed\n"), kClaimMode);
}

Result<> Claims::release(std::string_view deviceId)
{
    return removeDurably(TRY(fileOf(deviceId)));
}

Result<bool> Claims::isClaimed(std::string_view deviceId) const
{
    std::error_code error;
    return std::filesystem::exists(TRY(fileOf(deviceId)), error);
}

Result<std::string> Claims::newCode()
{
    const Bytes random = TRY(randomBytes(48)); // 64 characters of base 64
    const auto text = QByteArray(static_cast<const char*>(static_cast<const void*>(random.data())),
                                 static_cast<qsizetype>(random.size()))
                          .toBase64()
                          .toStdString()
                          .substr(0, kClaimCodeCharacters);
    const MutexLock lock(m_mutex);
    if (m_codes.size() >= kOpenCodes)
        m_codes.clear(); // units that were to show them come no more
    m_codes.insert(text);
    return text;
}

Result<> Claims::redeem(const std::string& code, std::string_view deviceId)
{
    {
        const MutexLock lock(m_mutex);
        if (m_codes.erase(code) == 0)
            return fail(Errc::NotFound, Blame::Unit,
                        concat("claim ", deviceId, ": nobody gave out the code that it shows"));
    }
    return claim(deviceId);
}

} // namespace provost
