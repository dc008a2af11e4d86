#include "core/durable_file.h"

#include "core/file_io.h"
#include "core/text.h"

#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>

namespace provost {

namespace {

Unexpected broken(std::string_view attempt, const std::filesystem::path& file, int error)
{
    return fail(Errc::Io, Blame::Station,
                concat(attempt, " ", file.string(), ": ", systemMessage(error)), error);
}

class Descriptor {
public:
    explicit Descriptor(int fd) : m_fd(fd) {}
    ~Descriptor()
    {
        if (m_fd >= 0)
            ::close(m_fd);
    }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    int get() const { return m_fd; }

private:
    int m_fd;
};

Result<> syncFolderOf(const std::filesystem::path& file)
{
    const auto folder =
        file.parent_path().empty() ? std::filesystem::path(".") : file.parent_path();
    const Descriptor handle(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (handle.get() < 0 || ::fsync(handle.get()) != 0)
        return broken("sync folder", folder, errno);
    return {};
}

Result<> writeAllOf(int fd, const std::filesystem::path& file, ByteView content)
{
    while (!content.empty()) {
        const ssize_t done = ::write(fd, content.data(), content.size());
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return broken("write", file, errno);
        content = content.subspan(static_cast<std::size_t>(done));
    }
    return {};
}

Result<> writeSynced(int fd, const std::filesystem::path& file, ByteView content)
{
    TRY(writeAllOf(fd, file, content));
    if (::fsync(fd) != 0)
        return broken("sync", file, errno);
    return {};
}

} // namespace

Result<> writeDurably(const std::filesystem::path& file, ByteView content, mode_t mode)
{
    // mkostemp gives mode 0600 and a name that no other writer has.
    std::string name = concat(file.string(), ".tmp-XXXXXX");
    const Descriptor handle(::mkostemp(name.data(), O_CLOEXEC));
    if (handle.get() < 0)
        return broken("create", name, errno);
    Result<> written = writeSynced(handle.get(), name, content);
    if (written && ::fchmod(handle.get(), mode) != 0)
        written = broken("set the mode of", name, errno);
    if (written && ::rename(name.c_str(), file.c_str()) != 0)
        written = broken("replace", file, errno);
    if (!written) {
        ::unlink(name.c_str());
        return written;
    }
    return syncFolderOf(file);
}

Result<> writeQuickly(const std::filesystem::path& file, ByteView content, mode_t mode)
{
    const Descriptor handle(
        ::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, mode));
    if (handle.get() < 0)
        return broken("create", file, errno);
    return writeAllOf(handle.get(), file, content);
}

Result<std::optional<Bytes>> readSmallFile(const std::filesystem::path& file, std::size_t limit)
{
    auto content = readFile(file, limit);
    if (content)
        return std::optional<Bytes>(*std::move(content));
    if (content.error().code == Errc::NotFound)
        return std::optional<Bytes>{};
    return Unexpected(std::move(content).error());
}

Result<> removeDurably(const std::filesystem::path& file)
{
    if (::unlink(file.c_str()) != 0)
        return errno == ENOENT ? Result<>{} : Result<>(broken("remove", file, errno));
    return syncFolderOf(file);
}

Result<> makeFolder(const std::filesystem::path& folder)
{
    std::error_code error;
    std::filesystem::create_directories(folder, error);
    if (error)
        return broken("create folder", folder, error.value());
    return {};
}

} // namespace provost
