// One owner per file among the processes of a computer.
#pragma once

#include "core/result.h"

#include <filesystem>

namespace provost {

/// An exclusive advisory lock on FILE.lock; the kernel releases it when the process ends, however
/// it ends.
class FileLock {
public:
    /// @returns Busy  another process (or Journal) holds it; the message names its process id
    static Result<FileLock> take(const std::filesystem::path& file);
    ~FileLock();
    FileLock(FileLock&& other) noexcept : m_descriptor(other.m_descriptor)
    {
        other.m_descriptor = -1;
    }
    FileLock& operator=(FileLock&&) = delete;

private:
    explicit FileLock(int descriptor) : m_descriptor(descriptor) {}
    int m_descriptor;
};

} // namespace provost
