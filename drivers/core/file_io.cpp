#include "core/file_io.h"

#include "core/text.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace provost {

namespace {

Unexpected failedWith(int error, std::string_view what, const std::filesystem::path& file)
{
    Errc code = Errc::Io;
    if (error == ENOENT)
        code = Errc::NotFound;
    else if (error == EACCES || error == EEXIST)
        code = Errc::Denied;
    const Blame blame = code == Errc::Io ? Blame::Station : Blame::Operator;
    return fail(code, blame, concat(what, " ", file.string(), ": ", systemMessage(error)), error);
}

int writeAndSync(int file, ByteView bytes)
{
    std::size_t done = 0;
    while (done < bytes.size()) {
        const auto count = ::write(file, bytes.data() + done, bytes.size() - done);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            return errno != 0 ? errno : EIO;
        done += static_cast<std::size_t>(count);
    }
    return ::fsync(file) == 0 ? 0 : errno;
}

} // namespace

Result<Bytes> readFile(const std::filesystem::path& file, std::size_t limit)
{
    const int handle = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
    if (handle < 0)
        return failedWith(errno, "read", file);
    struct stat info{};
    int error = ::fstat(handle, &info) == 0 ? 0 : errno;
    if (error == 0 && S_ISDIR(info.st_mode))
        error = EISDIR;
    Bytes bytes;
    // Sized once: a file of keys leaves no copy behind in memory that a vector gave back.
    if (error == 0)
        bytes.reserve(std::min<std::size_t>(static_cast<std::size_t>(info.st_size), limit) + 1);
    Bytes piece(4096);
    while (error == 0 && bytes.size() <= limit) {
        const auto count = ::read(handle, piece.data(), piece.size());
        if (count < 0) {
            error = errno;
        } else if (count == 0) {
            break;
        } else {
            bytes.insert(bytes.end(), piece.begin(), piece.begin() + count);
        }
    }
    ::close(handle);
    explicit_bzero(piece.data(), piece.size());
    if (error != 0)
        return failedWith(error, "read", file);
    if (bytes.size() > limit)
        return fail(Errc::InvalidData, Blame::Operator,
                    concat("read ", file.string(), ": larger than ", limit, " bytes"));
    return bytes;
}

Result<std::size_t> readFileInto(const std::filesystem::path& file, ByteSpan to)
{
    const int handle = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
    if (handle < 0)
        return failedWith(errno, "read", file);
    int error = 0;
    std::size_t done = 0;
    while (error == 0 && done < to.size()) {
        const auto count = ::read(handle, to.data() + done, to.size() - done);
        if (count == 0)
            break;
        if (count > 0)
            done += static_cast<std::size_t>(count);
        else if (errno != EINTR)
            error = errno;
    }
    ::close(handle);
    if (error != 0)
        return failedWith(error, "read", file);
    return done;
}

Result<> writeNewFile(const std::filesystem::path& file, ByteView bytes, unsigned mode)
{
    const int handle = ::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (handle < 0)
        return failedWith(errno, "create", file);
    const int error = writeAndSync(handle, bytes);
    ::close(handle);
    if (error == 0)
        return {};
    ::unlink(file.c_str());
    return failedWith(error, "write", file);
}

} // namespace provost
