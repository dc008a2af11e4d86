#include "cloud/claims_p.h"

#include "cloud/registry.h"
#include "core/byte_io.h"
#include "core/durable_file.h"
#include "core/file_io.h"
#include "core/text.h"
#include "crypto/digest.h"

#include <QByteArray>
#include <algorithm>
#include <system_error>

namespace provost {

namespace {

constexpr std::size_t kClaimCodeCharacters = 63;
constexpr std::size_t kOpenCodes = 1000;
constexpr mode_t kClaimMode = 0644;
constexpr std::size_t kLongestText = 64;
constexpr std::string_view kNameSuffix = ".name";
constexpr std::string_view kProductSuffix = ".product";

} // namespace

Result<std::filesystem::path> Claims::fileOf(std::string_view deviceId,
                                             std::string_view suffix) const
{
    return m_folder / concat(TRY(checkedDeviceId(deviceId)), suffix);
}

Result<> Claims::keep(std::string_view deviceId, std::string_view suffix, std::string_view text)
{
    const bool printable = std::ranges::none_of(
        text, [](char c) { return static_cast<unsigned char>(c) < ' ' || c == '\x7F'; });
    if (text.empty() || text.size() > kLongestText || !printable)
        return fail(Errc::InvalidArgument, Blame::Operator,
                    concat("keep a text of ", text.size(), " characters for ", deviceId,
                           ": 1 to 64 without control characters are meant"));
    return writeDurably(TRY(fileOf(deviceId, suffix)), viewOf(text), kClaimMode);
}

Result<std::string> Claims::kept(std::string_view deviceId, std::string_view suffix) const
{
    const auto text = readFile(TRY(fileOf(deviceId, suffix)), kLongestText);
    if (!text && text.error().code != Errc::NotFound)
        return Unexpected(text.error());
    return text ? toText(*text) : std::string{};
}

Result<> Claims::setName(std::string_view deviceId, std::string_view name)
{
    return keep(deviceId, kNameSuffix, name);
}

Result<std::string> Claims::nameOf(std::string_view deviceId) const
{
    return kept(deviceId, kNameSuffix);
}

Result<> Claims::setProduct(std::string_view deviceId, std::string_view product)
{
    return keep(deviceId, kProductSuffix, product);
}

Result<std::string> Claims::productOf(std::string_view deviceId) const
{
    return kept(deviceId, kProductSuffix);
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
