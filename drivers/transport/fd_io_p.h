// Reading and writing a non-blocking file descriptor under an OpContext.
#pragma once

#include "core/bytes.h"
#include "core/op_context.h"
#include "core/result.h"

#include <poll.h>
#include <string>
#include <sys/types.h>

namespace provost {

enum class FdKind : std::uint8_t { Terminal, Socket };

/// Owns a non-blocking descriptor. Waits are sliced, so that stop and deadline are seen in time.
class FdIo {
public:
    FdIo() = default;
    FdIo(int fd, FdKind kind, std::string name);
    FdIo(FdIo&& other) noexcept;
    FdIo& operator=(FdIo&& other) noexcept;
    ~FdIo();

    int fd() const { return m_fd; }
    const std::string& name() const { return m_name; }
    /// Gives the descriptor away; the caller closes it.
    int release();

    Result<std::size_t> readSome(ByteSpan to, const OpContext& op) const;
    Result<> writeAll(ByteView data, const OpContext& op) const;
    /// Waits for `events`. @returns the events seen
    Result<short> waitFor(short events, const OpContext& op) const;
    /// The error of a failed system call, in the terms of a transport.
    Unexpected broken(std::string_view attempt, int error) const;

private:
    ssize_t writePiece(ByteView data) const;
    int m_fd = -1;
    FdKind m_kind = FdKind::Terminal;
    std::string m_name{};
};

/// Switches O_NONBLOCK on.
void makeNonBlocking(int fd);

} // namespace provost
