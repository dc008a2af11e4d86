#include "core/text.h"
#include "store/file_lock_p.h"

#include <array>
#include <cerrno>
#include <fcntl.h>
#include <sys/file.h>
#include <system_error>
#include <unistd.h>

namespace provost {

namespace {

/// For the message only; what decides is the lock.
std::string ownerIn(int descriptor)
{
    std::array<char, 32> text{};
    const ssize_t got = pread(descriptor, text.data(), text.size() - 1, 0);
    if (got <= 0)
        return "another process";
    return concat("process ",
                  trimmed(std::string_view(text.data(), static_cast<std::size_t>(got))));
}

void writeOwner(int descriptor)
{
    const std::string text = concat(getpid(), '\n');
    if (ftruncate(descriptor, 0) == 0)
        static_cast<void>(pwrite(descriptor, text.data(), text.size(), 0) > 0);
}

Unexpected systemFailure(const std::string& attempted, int native)
{
    return fail(Errc::Io, Blame::Station,
                concat(attempted, ": ", std::generic_category().message(native),
                       "; the folder must exist and be writable"),
                native);
}

} // namespace

Result<FileLock> FileLock::take(const std::filesystem::path& file)
{
    const std::string name = file.string() + ".lock";
    const int descriptor = open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (descriptor < 0)
        return systemFailure(concat("create ", name), errno);
    FileLock lock(descriptor);
    while (flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
        const int native = errno;
        if (native == EINTR)
            continue;
        if (native != EWOULDBLOCK)
            return systemFailure(concat("lock ", name), native);
        return fail(Errc::Busy, Blame::Station,
                    concat("open database ", file.string(), ": ", ownerIn(descriptor),
                           " holds it; close that program"),
                    native);
    }
    writeOwner(descriptor);
    return lock;
}

FileLock::~FileLock()
{
    // The file stays: removing it would let a second process lock a new one of the same name.
    if (m_descriptor >= 0)
        close(m_descriptor);
}

} // namespace provost
