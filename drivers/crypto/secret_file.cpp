#include "crypto/secret_file.h"

#include "core/file_io.h"
#include "core/text.h"

#include <algorithm>
#include <system_error>

namespace provost {

namespace {
constexpr std::size_t kLongestLineFile = 4096;
} // namespace

Result<SecretBytes> readSecretFile(const std::filesystem::path& file, std::size_t limit)
{
    // A pipe has no size: it gets all the room there is.
    std::error_code unknown;
    const auto size = std::filesystem::file_size(file, unknown);
    const std::size_t room = unknown ? limit : std::min<std::size_t>(size, limit);
    SecretBytes bytes(room + 1);
    const std::size_t count = TRY(readFileInto(file, bytes.writable()));
    if (count > room)
        return fail(Errc::InvalidData, Blame::Operator,
                    concat("read ", file.string(), ": larger than ", room, " bytes"));
    return SecretBytes(bytes.reveal().first(count));
}

Result<SecretBytes> readSecretLine(const std::filesystem::path& file)
{
    const SecretBytes whole = TRY(readSecretFile(file, kLongestLineFile));
    const ByteView bytes = whole.reveal();
    const auto end = std::ranges::find_if(
        bytes, [](std::byte b) { return b == std::byte{'\n'} || b == std::byte{'\r'}; });
    if (end == bytes.begin())
        return fail(Errc::InvalidArgument, Blame::Operator,
                    concat("read ", file.string(), ": its first line is empty"));
    return SecretBytes(bytes.first(static_cast<std::size_t>(end - bytes.begin())));
}

} // namespace provost
